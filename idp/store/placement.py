"""Placement: where a tenant's database lies, and how it is made from a migrated template and removed.

SQLite: a file copied from a template file. PostgreSQL: ``CREATE DATABASE … TEMPLATE`` beside the control database; nobody
may be connected to the template meanwhile, so creations take turns by an advisory lock.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import exc
from sqlalchemy.engine import make_url

from idp.errors import StorageUnavailable
from idp.store import migrate
from idp.store.db import Database
from idp.store.file_lock import SUFFIXES as LOCK_SUFFIXES
from idp.store.location import locate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

    from idp.settings import Settings

_ADVISORY_LOCK = 7_264_111
_SUFFIXES = ("", "-wal", "-shm", *LOCK_SUFFIXES)
_making = threading.Lock()  # one template at a time in this process; another process may make one too, the last counts


def create_control(settings: Settings) -> Database:
    """Make the control database if it is missing, bring it to the newest schema and return it."""
    if settings.uses_sqlite:
        path = Path(make_url(settings.control_url).database or "")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _touch(path)
    database = Database(settings.control_url)
    migrate.check(database, "control")
    return database


def url_of(settings: Settings, tenant_id: str) -> tuple[str, str]:
    """Return (placement, location) of the database that :func:`create` makes for a tenant; see :mod:`idp.store.location`."""
    if settings.uses_sqlite:
        return "sqlite", f"sqlite:tenants/{tenant_id}.db"
    return "postgresql", f"postgresql:{tenant_id}"


def create(settings: Settings, tenant_id: str) -> None:
    """Make a tenant's database from the template, at the place that :func:`url_of` says."""
    if settings.uses_sqlite:
        _create_sqlite(settings, tenant_id)
    else:
        _create_postgresql(settings, tenant_id)


def drop(settings: Settings, database_url: str) -> None:
    """Remove a tenant's database; it is no error if it is gone already."""
    url = make_url(locate(settings, database_url))
    if url.get_backend_name() == "sqlite":
        for suffix in _SUFFIXES:
            _unlink(Path(f"{url.database}{suffix}"))
        return
    with _server(settings) as conn:
        conn.exec_driver_sql(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        pass  # gone already, or its folder never was one
    except OSError as error:
        raise StorageUnavailable from error


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_sqlite(settings: Settings, tenant_id: str) -> None:
    folder = settings.data_dir.resolve() / "tenants"
    template = folder / f"template-{migrate.head('tenant')}.db"
    path = folder / f"{tenant_id}.db"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _making:
            if not template.exists():
                _make_template(template)
        shutil.copyfile(template, path)
        path.chmod(0o600)
        for each in (path, folder):  # a tenant that was announced outlives a power cut
            _sync(each)
    except OSError as error:
        _unlink(path)
        raise StorageUnavailable from error


def _make_template(template: Path) -> None:
    made = template.with_suffix(f".{secrets.token_hex(4)}")
    _touch(made)
    try:
        database = Database(f"sqlite:///{made}")
        try:
            migrate.upgrade(database, "tenant")
        finally:
            database.close()
        with contextlib.closing(sqlite3.connect(made)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _sync(made)
        made.replace(template)
    finally:
        for suffix in _SUFFIXES:
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


def _create_postgresql(settings: Settings, tenant_id: str) -> None:
    control = make_url(settings.control_url)
    template = f"{control.database}_template_{migrate.head('tenant')}"[:63].lower()
    name = make_url(locate(settings, url_of(settings, tenant_id)[1])).database
    try:
        with _server(settings) as conn:
            if not conn.exec_driver_sql("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).scalar():
                _make_postgresql_template(settings, conn, template)
            conn.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    except exc.ProgrammingError as error:  # no right to create databases, or the template is in use
        title = "The database server refused to create a database; the role needs CREATEDB."
        raise StorageUnavailable(title) from error


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
