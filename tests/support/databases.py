"""Which databases a test runs on: SQLite always, PostgreSQL where ``IDP_TEST_POSTGRESQL_URL`` names a server.

On the server an installation's databases are made once and used by one test after the other of a process: making and
migrating them takes longer than most tests. Who gets them finds no row, no sequence that has begun and no database of a
tenant; what a test left open or altered there is not used again.
"""

from __future__ import annotations

import atexit
import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from idp.settings import Settings
from idp.store import placement, tables
from idp.store.db import Database, db

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "IDP_TEST_POSTGRESQL_URL"
POSTGRESQL = os.environ.get(VARIABLE, "")
needs_postgresql = pytest.mark.skipif(not POSTGRESQL, reason=f"{VARIABLE} is not set (Debian: postgresql)")

# Whatever could be different in a database after a test, its rows aside: the settings and rights of the database, its
# tables, indexes and sequences, and their columns.
_SHAPE = """
SELECT md5(concat(
  (SELECT string_agg(concat_ws('|', datdba, datallowconn, datconnlimit, datacl::text), ',') FROM pg_database WHERE datname = current_database()),
  (SELECT string_agg(concat_ws('|', setdatabase, setrole, setconfig::text), ',' ORDER BY setdatabase, setrole) FROM pg_db_role_setting),
  (SELECT string_agg(concat_ws('|', oid, relname, relkind, relowner, relhastriggers, relchecks, relacl::text), ',' ORDER BY oid)
     FROM pg_class WHERE relnamespace = 'public'::regnamespace),
  (SELECT string_agg(concat_ws('|', attrelid, attname, atttypid, attnotnull, attisdropped), ',' ORDER BY attrelid, attnum)
     FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace))
))
"""


def administer(statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
    """Run a statement on the test server, in the database that its URL names or in another."""
    url = make_url(POSTGRESQL).set(drivername="postgresql")
    url = url if database is None else url.set(database=database)
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]  # a statement of ours
        return cursor.fetchall() if cursor.description else []


def url_of(database: str) -> str:
    """The URL of a database of the test server."""
    return make_url(POSTGRESQL).set(database=database).render_as_string(hide_password=False)


def drop(beginning: str, *kept: str) -> None:
    """Drop every database whose name begins so, whoever is connected."""
    for (name,) in administer(f"SELECT datname FROM pg_database WHERE starts_with(datname, '{beginning}')"):  # type: ignore[misc]
        if name not in kept:
            administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def without_rows(database: str) -> None:
    """Delete every row of a database but the version of its schema, and begin its sequences anew.

    Deleting a few rows takes a tenth of the time of TRUNCATE, which makes a new file for each table and index.
    """
    names = administer(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'", database
    )
    deleting = "".join(f'DELETE FROM "{name}";' for (name,) in names)
    administer(
        f"{deleting} SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace",
        database,
    )


# -- an installation's databases --------------------------------------------------------------------------------------------


@contextmanager
def environment(kind: str, *, is_bare: bool = False) -> Iterator[dict[str, str]]:
    """Yield the IDP_* variables of a control database of ``kind`` without rows, or (``is_bare``) without anything."""
    if kind == "sqlite":
        yield {}
        return
    if not POSTGRESQL:
        if os.environ.get("CI"):
            pytest.fail(f"{VARIABLE} is not set")
        pytest.skip(f"{VARIABLE} is not set (Debian: postgresql)")
    if is_bare:
        name = f"idp_{secrets.token_hex(4)}"
        administer(f'CREATE DATABASE "{name}"')
        try:
            yield {"IDP_DATABASE_URL": url_of(name)}
        finally:
            drop(name)
        return
    plot = _free.pop() if _free else Plot.made()
    try:
        yield {"IDP_DATABASE_URL": url_of(plot.name)}
    finally:
        plot.clear()


@dataclass
class Plot:
    """A migrated control database and the template of its tenants' databases."""

    name: str
    template: str
    shape: Any

    @classmethod
    def made(cls) -> Plot:
        """Make both."""
        name = f"idp_{secrets.token_hex(4)}"
        administer(f'CREATE DATABASE "{name}"')
        atexit.register(drop, name)
        settings = Settings.from_env({"IDP_DATABASE_URL": url_of(name)})
        placement.create_control(settings).close()
        placement.create(settings, "only")
        placement.drop(settings, placement.url_of(settings, "only")[1])
        ((template,),) = administer(f"SELECT datname FROM pg_database WHERE starts_with(datname, '{name}_')")
        return cls(name, template, administer(_SHAPE, name))

    def clear(self) -> None:
        """Make it ready for the next test, unless somebody has altered it or will not let go of it."""
        drop(f"{self.name}_", self.template)
        if self._is_left() and administer(_SHAPE, self.name) == self.shape:
            without_rows(self.name)
            _free.append(self)
        else:
            drop(self.name)

    def _is_left(self) -> bool:
        """Wait a moment for whoever is still connected: a process of the server ends after its client has hung up."""
        count = f"SELECT count(*) FROM pg_stat_activity WHERE datname IN ('{self.name}', '{self.template}')"
        for _ in range(50):
            if administer(count) == [(0,)]:
                return True
            time.sleep(0.02)
        return False


_free: list[Plot] = []


# -- single databases -------------------------------------------------------------------------------------------------------


@cache
def on_server(name: str, kind: str) -> str:
    """The URL of a database of this process with the tables of a ``kind``: control or tenant."""
    unique = f"test_{secrets.token_hex(5)}_{name}"
    administer(f'CREATE DATABASE "{unique}"')
    atexit.register(drop, unique)
    make_tables(url_of(unique), kind)
    return url_of(unique)


def emptied(url: str, kind: str) -> str:
    """The same URL, when every row of the database is gone and every index there."""
    name = str(make_url(url).database)
    without_rows(name)
    there = {name for (name,) in administer("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'", name)}
    lost = [index for table in db.metadatas[kind].sorted_tables for index in table.indexes if index.name not in there]
    if lost:
        made = Database(url)
        with made.engine.connect() as connection:
            for index in lost:
                index.create(connection)
        made.close()
    return url


def make_tables(url: str, kind: str) -> None:
    """Make the tables of a ``kind`` in an empty database."""
    tables.load()
    made = Database(url)
    with made.engine.connect() as connection:
        db.metadatas[kind].create_all(connection)
    made.close()
