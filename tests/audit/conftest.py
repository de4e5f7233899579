"""A control database and a tenant's, of each kind, and a signer that works like the tenant's keys."""

from __future__ import annotations

import atexit
import base64
import hmac
import os
import secrets
import sqlite3
from dataclasses import dataclass
from functools import cache
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


@cache
def on_server(name: str, kind: str) -> str:
    """The URL of a database on the test server with the tables of a kind, made once a session."""
    tables.load()
    unique = f"test_{secrets.token_hex(5)}_{name}"
    administer(f"CREATE DATABASE {unique}")
    atexit.register(administer, f"DROP DATABASE IF EXISTS {unique} WITH (FORCE)")
    url = f"{POSTGRESQL.rpartition('/')[0]}/{unique}"
    made = Database(url)
    with made.engine.connect() as connection:
        db.metadatas[kind].create_all(connection)
    made.close()
    return url


def emptied(url: str, kind: str) -> str:
    """The same URL, when every row of the database is gone and every index there."""
    made = Database(url)
    with made.engine.connect() as connection:
        names = ", ".join(f'"{table}"' for table in db.metadatas[kind].tables)
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        for table in db.metadatas[kind].sorted_tables:
            for index in table.indexes:
                index.create(connection, checkfirst=True)
    made.close()
    return url


def administer(sql: str) -> None:
    """Run a statement on the test server."""
    with psycopg.connect(POSTGRESQL.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(sql)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Both databases, empty, of each kind."""
    if request.param == "sqlite":
        made = Place(new_sqlite(tmp_path / "tenant.db", "tenant"), new_sqlite(tmp_path / "control.db", "control"))
        yield made
        made.tenant.close()
        made.control.close()
        return
    made = Place(*(Database(emptied(on_server(kind, kind), kind)) for kind in ("tenant", "control")))
    yield made
    made.tenant.close()
    made.control.close()


@pytest.fixture
def key() -> SealKey:
    """A tenant's signer."""
    return SealKey()
