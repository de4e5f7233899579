"""A control database and a tenant's, of each kind, and a signer that works like the tenant's keys."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest

from idp.store import tables
from idp.store.db import Database, db

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POSTGRESQL = os.environ.get("IDP_TEST_POSTGRESQL_URL", "")
TENANT = "a" * 32
needs_postgresql = pytest.mark.skipif(not POSTGRESQL, reason="IDP_TEST_POSTGRESQL_URL is not set (package postgresql)")
KINDS = ["sqlite", pytest.param("postgresql", marks=needs_postgresql)]


class SealKey:
    """Signs like a JWS: the text contains what it signs."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)

    def _tag(self, payload: bytes) -> str:
        return hmac.new(self.secret, payload, "sha256").hexdigest()

    def sign(self, payload: bytes) -> str:
        """The payload and its tag."""
        return f"{base64.urlsafe_b64encode(payload).decode()}.{self._tag(payload)}"

    def verify(self, signature: str) -> bytes:
        """What was signed; raises ValueError for anything else."""
        payload, tag = signature.split(".")
        found = base64.urlsafe_b64decode(payload)
        if not hmac.compare_digest(tag, self._tag(found)):
            raise ValueError
        return found


@dataclass
class Place:
    """A tenant's database and the control database."""

    tenant: Database
    control: Database


def new_sqlite(path: Path, kind: str) -> Database:
    """An empty database in a file, with its tables."""
    tables.load()
    sqlite3.connect(path).close()
    made = Database(f"sqlite:///{path}")
    with made.engine.connect() as conn:
        db.metadatas[kind].create_all(conn)
    return made


def new_postgresql(name: str, kind: str) -> Database:
    """An empty database on the test server, with its tables."""
    tables.load()
    with psycopg.connect(POSTGRESQL.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    made = Database(f"{POSTGRESQL.rpartition('/')[0]}/{name}")
    with made.engine.connect() as connection:
        db.metadatas[kind].create_all(connection)
    return made


def drop_postgresql(name: str) -> None:
    """Remove a database from the test server."""
    with psycopg.connect(POSTGRESQL.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Both databases, empty, of each kind."""
    if request.param == "sqlite":
        made = Place(new_sqlite(tmp_path / "tenant.db", "tenant"), new_sqlite(tmp_path / "control.db", "control"))
        yield made
        made.tenant.close()
        made.control.close()
        return
    names = [f"audit_{secrets.token_hex(5)}_{kind}" for kind in ("tenant", "control")]
    made = Place(new_postgresql(names[0], "tenant"), new_postgresql(names[1], "control"))
    yield made
    made.tenant.close()
    made.control.close()
    for name in names:
        drop_postgresql(name)


@pytest.fixture
def key() -> SealKey:
    """A tenant's signer."""
    return SealKey()
