"""The services in front of three tenants."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from api_world import NAMES, World
from databases import environment
from house import House
from user_world import tidy_users

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The product on SQLite, with a name server of the tests' own."""
    made = House(tmp_path / "var", IDP_DNS_RESOLVERS=NAMES.setting)
    yield made
    made.close()


@pytest.fixture
def world(house: House) -> World:
    return World(house)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for a module's tests that change nothing, or only what they made."""
    made = House(tmp_path_factory.mktemp("api") / "var", IDP_DNS_RESOLVERS=NAMES.setting)
    yield World(made)
    made.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world a module and kind of database: making three tenants on PostgreSQL takes longer than most tests."""
    with environment(request.param) as environ:
        made = House(tmp_path_factory.mktemp("api") / "var", IDP_DNS_RESOLVERS=NAMES.setting, **environ)
        yield World(made)
        made.close()


@pytest.fixture
def any_world(each_database: World) -> Iterator[World]:
    """A world on each kind of database; what the test made in acme is cleared away."""
    yield each_database
    each_database.tidy()


@pytest.fixture
def town(any_world: World) -> Iterator[World]:
    """The same; the users that the test made in acme go, too."""
    yield any_world
    tidy_users(any_world)
