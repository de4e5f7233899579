"""Placement: where a tenant's database lies, and how it is made from a migrated template and removed.

SQLite: a file copied from a template file. PostgreSQL: ``CREATE DATABASE … TEMPLATE`` beside the control database; nobody
may be connected to the template meanwhile, so creations take turns by an advisory lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import exc
from sqlalchemy.engine import make_url

from idp.errors import StorageUnavailable
from idp.store import migrate
from idp.store.db import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

    from idp.settings import Settings

_ADVISORY_LOCK = 7_264_111
_SUFFIXES = ("", "-wal", "-shm", ".lock")


def create_control(settings: Settings) -> Database:
    """Make the control database if it is missing, bring it to the newest schema and return it."""
    if settings.uses_sqlite:
        path = Path(make_url(settings.control_url).database or "")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _touch(path)
    database = Database(settings.control_url)
    migrate.check(database, "control")
    return database


def create(settings: Settings, tenant_id: str) -> tuple[str, str]:
    """Make a tenant's database from the template; returns (placement, database URL)."""
    if settings.uses_sqlite:
        return "sqlite", _create_sqlite(settings, tenant_id)
    return "postgresql", _create_postgresql(settings, tenant_id)


def drop(settings: Settings, database_url: str) -> None:
    """Remove a tenant's database; it is no error if it is gone already."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        for suffix in _SUFFIXES:
            Path(f"{url.database}{suffix}").unlink(missing_ok=True)
        return
    with _server(settings) as conn:
        conn.exec_driver_sql(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _create_sqlite(settings: Settings, tenant_id: str) -> str:
    folder = settings.data_dir.resolve() / "tenants"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    template = folder / f"template-{migrate.head('tenant')}.db"
    path = folder / f"{tenant_id}.db"
    try:
        if not template.exists():
            _make_template(template)
        shutil.copyfile(template, path)
        path.chmod(0o600)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StorageUnavailable from error
    return f"sqlite:///{path}"


def _make_template(template: Path) -> None:
    made = template.with_suffix(f".{os.getpid()}")
    _touch(made)
    database = Database(f"sqlite:///{made}")
    try:
        migrate.upgrade(database, "tenant")
    finally:
        database.close()
    with contextlib.closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    made.replace(template)
    for suffix in _SUFFIXES[1:]:
        Path(f"{made}{suffix}").unlink(missing_ok=True)


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[Connection]:
    """Yield a connection to the control database under the lock that creations take turns on; no statement timeout."""
    database = Database(settings.control_url)
    try:
        with database.reading() as conn:
            conn.exec_driver_sql("SET statement_timeout = 0")
            conn.exec_driver_sql("SET lock_timeout = 60000")
            conn.exec_driver_sql(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})")
            try:
                yield conn
            finally:
                conn.exec_driver_sql(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})")
    finally:
        database.close()


def _create_postgresql(settings: Settings, tenant_id: str) -> str:
    control = make_url(settings.control_url)
    template = f"{control.database}_template_{migrate.head('tenant')}"[:63].lower()
    name = f"{control.database}_{tenant_id}"[:63].lower()
    try:
        with _server(settings) as conn:
            if not conn.exec_driver_sql("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).scalar():
                _make_postgresql_template(settings, conn, template)
            conn.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    except exc.ProgrammingError as error:  # no right to create databases, or the template is in use
        title = "The database server refused to create a database; the role needs CREATEDB."
        raise StorageUnavailable(title) from error
    return control.set(database=name).render_as_string(hide_password=False)


def _make_postgresql_template(settings: Settings, conn: Connection, template: str) -> None:
    made = f"{template}_making"[:63]
    conn.exec_driver_sql(f'DROP DATABASE IF EXISTS "{made}" WITH (FORCE)')
    conn.exec_driver_sql(f'CREATE DATABASE "{made}"')
    database = Database(make_url(settings.control_url).set(database=made).render_as_string(hide_password=False))
    try:
        migrate.upgrade(database, "tenant")
    finally:
        database.close()
    conn.exec_driver_sql(f'ALTER DATABASE "{made}" RENAME TO "{template}"')
