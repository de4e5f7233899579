"""The fixtures of the tests of identity, and a browser in front of a server with one protocol."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "identity"))
sys.path.insert(0, str(Path(__file__).parent))
from flow_world import Browser, with_echo
from identity_world import KINDS, Server, emptied, new_server, postgresql_database, sqlite_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.store.db import Database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Database]:
    """The run's database on the test server."""
    with postgresql_database() as database:
        yield database


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A tenant's server on SQLite with the user ada."""
    with sqlite_database(tmp_path) as database:
        made = with_echo(new_server(database, tmp_path))
        made.user(claims={"name": "Ada Lovelace"})
        yield made


@pytest.fixture(params=KINDS)
def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A tenant's server on each kind of database with the user ada."""
    if request.param == "postgresql":
        made = with_echo(new_server(emptied(request.getfixturevalue("postgresql")), tmp_path))
        made.user(claims={"name": "Ada Lovelace"})
        yield made
        return
    with sqlite_database(tmp_path) as database:
        made = with_echo(new_server(database, tmp_path))
        made.user(claims={"name": "Ada Lovelace"})
        yield made


@pytest.fixture
def browser(server: Server) -> Browser:
    """A browser in front of the server."""
    return Browser(server)
