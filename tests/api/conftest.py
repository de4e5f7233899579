"""The services in front of three tenants."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from api_world import World
from databases import environment
from house import House

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(house: House) -> World:
    return World(house)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for a module's tests that change nothing, or only what they made."""
    made = House(tmp_path_factory.mktemp("api") / "var")
    yield World(made)
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with environment(request.param) as environ:
        made = House(tmp_path / "var", **environ)
        yield World(made)
        made.close()
