"""The fixtures of the demo's tests: a real identity provider, started once, and the demo application in front of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from demo_world import ARGUMENTS, CHROMIUM, Person, demo_application, identity_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo_world import Demo, IdentityProvider


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """A served installation with tenant and user."""
    with identity_provider(tmp_path_factory.mktemp("idp")) as served:
        yield served


@pytest.fixture
def demo(idp: IdentityProvider) -> Iterator[Demo]:
    """The demo application, registered anew: nobody has consented to it yet."""
    with demo_application(idp, hint="The password is in var/credentials.") as served:
        yield served


@pytest.fixture
def person(demo: Demo) -> Person:
    """Somebody with a browser that has no scripts."""
    return Person(demo.url)


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    if not CHROMIUM.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Chromium: Debian package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
