"""Fixtures: two served installations (TLS, and plain HTTP on loopback) with a tenant and its clients, once per process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running import Running
from world import World, furnish

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Served over TLS."""
    with Running(tmp_path_factory.mktemp("tls"), is_tls=True, reaches=("localhost",)) as running:
        yield furnish(running)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Served over plain HTTP on loopback."""
    with Running(tmp_path_factory.mktemp("plain"), is_tls=False) as running:
        yield furnish(running)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        if name in os.environ:
            monkeypatch.delenv(name)
