"""Engines: how a connection to SQLite or PostgreSQL is opened, and how a thousand of them stay small.

All engines of a kind share one dialect and one cache of compiled statements: an engine with a dialect of its own costs
over half a megabyte. Driver connections are in autocommit; transactions are begun and ended explicitly by
:mod:`idp.store.db`, so that a write takes its lock before it reads (``BEGIN IMMEDIATE``) and a read takes none.
"""

from __future__ import annotations

import resource
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.pool import QueuePool

from idp.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

POOL_TIMEOUT = 3  # seconds to wait for a free connection before 503
BUSY_TIMEOUT = 3000  # milliseconds to wait for a foreign writer of a SQLite file
# Pages in the log (16 MiB) from which a commit copies them to the database. With SQLite's 1,000 that was a third of the time of
# commits under load; a page that was written often meanwhile is copied once.
CHECKPOINT_PAGES = 4000
# Changed pages that a transaction keeps whatever its cache holds (8 MiB): a small cache would write each of them more than once.
SPILL_PAGES = 2000
POOL_SIZE = 4
POOL_OVERFLOW = 24
# PostgreSQL: a statement that runs, or a lock that is awaited, longer than this is given up (milliseconds).
PG_OPTIONS = "-c statement_timeout=10000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=30000"

_prototypes: dict[str, Engine] = {}
_lock = threading.Lock()


def _sqlite_connection(path: str, cache_kib: int, statements: int) -> sqlite3.Connection:
    # mode=rw: a database that is missing is an error, never silently a new empty one.
    connection = sqlite3.connect(
        f"file:{path}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT / 1000,
        cached_statements=statements,
    )
    # A script, because what is executed by itself stays in the driver's cache of statements: 12 KiB a connection.
    connection.executescript(
        f"""
        PRAGMA journal_mode=WAL;
        PRAGMA synchronous=FULL;
        PRAGMA foreign_keys=ON;
        PRAGMA cache_size=-{cache_kib};
        PRAGMA cache_spill={SPILL_PAGES};
        PRAGMA temp_store=MEMORY; -- also of what a savepoint would set back: else a file for each group
        PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES};
        """
    )
    return connection


def _prototype(kind: str) -> Engine:
    """Return the engine whose dialect and compiled cache every engine of ``kind`` shares."""
    with _lock:
        found = _prototypes.get(kind)
        if found is None:
            found = (
                create_engine("sqlite://")
                if kind == "sqlite"
                else create_engine("postgresql+psycopg://", query_cache_size=1200)
            )
            _prototypes[kind] = found
        return found


def allow_open_files(count: int) -> None:
    """Raise this process's limit of open files to ``count`` and some, as far as the system lets it; many start with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1024 + count
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def open_engine(url: str, *, cache_kib: int, statements: Callable[[], int]) -> Engine:
    """Return a new engine for a ``sqlite:///path`` or ``postgresql+psycopg://…`` URL; nothing is connected yet.

    ``statements`` says how many prepared statements a new connection to SQLite keeps.
    """
    parsed = make_url(url)
    kind = parsed.get_backend_name()
    prototype = _prototype(kind)
    dialect = prototype.dialect
    if kind == "sqlite":
        path = parsed.database or ""

        def creator(*_: Any) -> Any:
            return _sqlite_connection(path, cache_kib, statements())
    else:
        arguments, keywords = dialect.create_connect_args(parsed)
        keywords = dict(keywords) | {
            "autocommit": True,
            "connect_timeout": 3,
            "options": PG_OPTIONS,
            "application_name": "authsec",
        }

        def creator(*_: Any) -> Any:
            return dialect.connect(*arguments, **keywords)

    pool = QueuePool(
        creator,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        timeout=POOL_TIMEOUT,
        use_lifo=True,
        reset_on_return=None,
        pre_ping=kind != "sqlite",
        dialect=dialect,
    )
    engine = Engine(pool, dialect, parsed, hide_parameters=True)
    engine._compiled_cache = prototype._compiled_cache  # noqa: SLF001 - shared on purpose, see the module's docstring
    if kind != "sqlite":
        _initialize_once(engine, prototype)
    return engine


_initialized: set[str] = set()


def _initialize_once(engine: Engine, prototype: Engine) -> None:
    """Let the shared dialect learn the server's version from its first connection."""
    kind = prototype.dialect.name
    if kind in _initialized:
        return
    with _lock:
        if kind in _initialized:
            return
        try:
            connection = engine.raw_connection()
        except prototype.dialect.loaded_dbapi.Error as error:
            raise StorageUnavailable from error
        try:
            from sqlalchemy.engine.base import Connection

            engine.dialect.initialize(
                Connection(engine, connection=connection, _has_events=False, _allow_autobegin=False)
            )
        finally:
            connection.close()
        _initialized.add(kind)
