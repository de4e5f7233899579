"""Fixtures of the conformance walks: one served provider a process, a browser for each test, a relying party's web site."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from certificates import Authority
from loopback_site import Site
from op_under_test import Provider, free_port
from relying import RelyingParty, new_keys
from user_agent import UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The certification authority that provider, relying party and browser trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Provider]:
    """The provider, served over TLS."""
    with Provider(tmp_path_factory.mktemp("provider"), authority) as made:
        yield made


@pytest.fixture(scope="session")
def site(authority: Authority) -> Iterator[Site]:
    """The web site of the relying parties, where the provider fetches and calls."""
    with Site(free_port(), authority) as made:
        yield made


@pytest.fixture
def browsers(provider: Provider) -> Iterator[Callable[..., UserAgent]]:
    """Fresh browsers, of the person Ada unless somebody else is named."""
    with ExitStack() as stack:

        def make(**more: str) -> UserAgent:
            made = UserAgent(provider.issuer, provider.trust, **more)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def agent(browsers: Callable[..., UserAgent]) -> UserAgent:
    """A fresh browser."""
    return browsers()


@pytest.fixture(scope="module")
def rp(provider: Provider) -> RelyingParty:
    """A relying party of the code flow with everything at its default."""
    return RelyingParty.register(provider)


@pytest.fixture(scope="session")
def client_keys() -> dict[str, object]:
    """Key pairs of a client, made once: RSA takes its time."""
    return dict(new_keys())
