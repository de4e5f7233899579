"""The SDKs in front of the product as an operator runs it, once per process; and servers of a test's own where the product cannot fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "sdk"))
sys.path.insert(0, str(Path(__file__).parents[2] / "sdk" / "python" / "src"))
sys.path.insert(0, str(Path(__file__).parents[1] / "interop"))
sys.path.insert(0, str(Path(__file__).parent))

from issuer import AUDIENCE, Issuer
from running import Running
from scripted import Scripted
from sdk_world import SdkWorld

from authsec import AccessTokenValidator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkWorld]:
    """The served product with the tenants system and acme."""
    with Running(tmp_path_factory.mktemp("sdk"), is_tls=False) as running:
        yield SdkWorld(running)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that answers as the test says."""
    with Scripted() as made:
        yield made


@pytest.fixture
def issuer(scripted: Scripted) -> Issuer:
    """An issuer whose keys and tokens the test makes."""
    return Issuer(scripted)


@pytest.fixture
def validator(issuer: Issuer) -> AccessTokenValidator:
    """What accepts its tokens."""
    return AccessTokenValidator(issuer.url, AUDIENCE)
