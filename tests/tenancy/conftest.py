"""Two tenants alike in every name, in one house of each kind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from artefacts import World, make_world
from databases import environment
from house import House

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The two tenants; a test leaves what others need as it found it."""
    with environment(request.param) as environ:
        house = House(tmp_path_factory.mktemp("world") / "var", **environ)
        yield make_world(house)
        house.close()
