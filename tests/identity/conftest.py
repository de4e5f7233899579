"""A server on a real database: SQLite for what needs one only, each kind for races."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
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
    """A tenant's server on SQLite."""
    with sqlite_database(tmp_path) as database:
        yield new_server(database, tmp_path)


@pytest.fixture(params=KINDS)
def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A tenant's server on each kind of database."""
    if request.param == "postgresql":
        yield new_server(emptied(request.getfixturevalue("postgresql")), tmp_path)
        return
    with sqlite_database(tmp_path) as database:
        yield new_server(database, tmp_path)
