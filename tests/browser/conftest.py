"""Fixtures: the product over TLS on one registrable domain, a relying party on another, and Chromium in front of both."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "interop"))

from chromium import launched
from site_pair import Site, site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Playwright


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Both servers, once per process."""
    with site(tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """The driver; for one module, because a process can have one at a time and other tests have theirs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, pair: Site) -> Iterator[Browser]:
    """One Chromium for a module; each test has contexts of its own in it."""
    browser = launched(playwright, pair)
    yield browser
    browser.close()


@pytest.fixture
def opened(chromium: Browser, pair: Site) -> Iterator[Callable[..., BrowserContext]]:
    """Make contexts (browsers without a past); a test fails when one of their pages was blocked by a policy of ours."""
    made: list[BrowserContext] = []
    blocked: list[str] = []

    def make(**options: Any) -> BrowserContext:
        context = chromium.new_context(ignore_https_errors=True, **options)
        context.set_default_timeout(20_000)
        context.on(
            "console",
            lambda message: blocked.append(message.text) if "Content Security Policy" in message.text else None,
        )
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert blocked == []


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        if name in os.environ:
            monkeypatch.delenv(name)
