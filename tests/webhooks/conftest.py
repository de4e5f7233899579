"""A world on SQLite, and one on each kind of database."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from databases import environment
from hooks_world import Receiver, World
from house import House

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def made(kind: str, folder: Path) -> Iterator[World]:
    receiver = Receiver()
    with environment(kind) as environ:
        house = House(folder / "var", IDP_ALLOWED_PRIVATE_HOSTS="localhost", **environ)
        yield World(house, house.tenant("acme"), receiver)
        house.close()
    receiver.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with made("sqlite", tmp_path) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with made(request.param, tmp_path) as found:
        yield found
