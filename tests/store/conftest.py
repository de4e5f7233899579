"""Bare databases of each kind, and an installation on each."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from databases import environment
from serving import rows
from store_world import TABLE, Place

from idp.store.db import Database

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty database of each kind."""
    with environment(request.param, is_bare=True) as environ:
        yield from _place(environ.get("IDP_DATABASE_URL"), tmp_path)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Place]:
    """An empty SQLite database."""
    yield from _place(None, tmp_path)


def _place(url: str | None, tmp_path: Path) -> Iterator[Place]:
    if url is None:
        path = tmp_path / "notes.db"
        sqlite3.connect(path).close()
        url = f"sqlite:///{path}"
    rows(url, TABLE)
    made = Database(url)
    yield Place(made)
    made.close()
