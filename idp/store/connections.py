"""Connections: kept at hand or taken from a database's pool, its troubles as one kind of error, and commands that end transactions.

Whatever says that a database is locked, full, lost or read-only becomes :class:`~idp.errors.StorageUnavailable`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

from idp.errors import StorageUnavailable
from idp.store.engines import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sqlalchemy.engine import Connection, Engine

    from idp.store.db import Database

LOST = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.InternalError, OSError)

KEPT = 2  # of a database between uses; one thread reads and another writes, the rest comes from the pool
# Prepared statements that a connection to SQLite keeps: each is 5 KiB, those of one sign-in 180. A crowd of tenants has few each, a
# database that is used so often within so many seconds has all.
FEW, MANY = 16, 128
BUSY_USES, BUSY_SECONDS = 2000, 10.0


def command(connection: Connection, sql: str) -> None:
    """Run a transaction's command on the driver's connection: SQLAlchemy's way takes 25 µs each, and a write needs up to four."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(sql)
    except connection.dialect.loaded_dbapi.Error as error:
        raise exc.OperationalError(sql, None, error) from error


def _is_full(error: BaseException) -> bool:
    """Say whether a PostgreSQL server refused a connection because of their number (53300; libpq gives the text alone)."""
    text = str(getattr(error, "orig", ""))
    return any(words in text for words in ("too many clients", "too many connections", "connection slots"))


def unavailable(error: BaseException) -> StorageUnavailable:
    """Return the one error that troubles of a database are answered with."""
    problem = StorageUnavailable()
    problem.__cause__ = error
    return problem


class Kept:
    """Connections that stay open as SQLAlchemy's objects: to have one made and given back takes 18 µs of a request's 280."""

    __slots__ = ("_engine", "_idle", "_left", "_most", "_on_busy", "_since")

    def __init__(self, engine: Engine, most: int, on_busy: Callable[[], None]) -> None:
        """Keep at most so many between uses, none where the pool has to ask whether they are alive; tell of much use."""
        self._engine = engine
        self._most = most
        self._idle: list[Connection] = []
        self._left = BUSY_USES
        self._since = time.monotonic()
        self._on_busy = on_busy

    def take(self) -> Connection:
        """Return a connection, the one that was used last if there is one."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection that is as good as new, close another."""
        if len(self._idle) >= self._most or connection.closed or connection.invalidated:
            connection.close()
            return
        left = connection.get_transaction()
        if left is not None:  # SQLAlchemy's own, begun by a statement that was not prepared
            left.close()
        self._idle.append(connection)
        self._left -= 1
        if self._left <= 0:
            before, self._since, self._left = self._since, time.monotonic(), BUSY_USES
            if self._since - before < BUSY_SECONDS:
                self._on_busy()

    def close(self) -> None:
        """Close what is kept now, and whatever is given back later."""
        self._most = 0
        while self._idle:
            self._idle.pop().close()


class Connections:
    """The connections of one database; they can be closed and go on being used."""

    __slots__ = ("_statements", "engine", "kept")

    def __init__(self, url: str, *, cache_kib: int) -> None:
        """Open nothing yet."""
        self._statements = FEW
        self.engine = open_engine(url, cache_kib=cache_kib, statements=lambda: self._statements)
        self.kept = self._new()

    def close(self) -> None:
        """Close every connection that is not in use, and those that are when they are given back."""
        self._statements = FEW
        self._close()

    def _be_busy(self) -> None:
        """Open connections anew that keep all their statements."""
        if self._statements < MANY:
            self._statements = MANY
            self._close()

    def _close(self) -> None:
        former, self.kept = self.kept, self._new()
        former.close()
        self.engine.dispose()

    def are_idle(self) -> bool:
        """Say whether there is one to close."""
        return bool(self.kept._idle or self.engine.pool.checkedin())  # type: ignore[attr-defined]  # noqa: SLF001 - one module; ours is a QueuePool

    def _new(self) -> Kept:
        return Kept(self.engine, KEPT if self.engine.dialect.name == "sqlite" else 0, self._be_busy)


class Reading:
    """A connection for reading; errors of the database become :class:`StorageUnavailable`."""

    __slots__ = ("_connection", "_database", "_kept")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Connection:
        self._kept = self._database.connections.kept
        try:
            connection = self._kept.take()
        except (*LOST, exc.DBAPIError) as error:
            connection = self._connect_again(error)
        self._connection = connection
        return connection

    def _connect_again(self, error: BaseException) -> Connection:
        """Connect once more when the server had no connection left: other tenants' idle ones are closed first."""
        if self._database.make_room is not None and _is_full(error):
            self._database.make_room(0.0)
            try:
                return self._database.engine.connect()
            except (*LOST, exc.DBAPIError) as still:
                error = still
        raise unavailable(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, exc.DBAPIError) and not isinstance(
            error, exc.IntegrityError | exc.ProgrammingError | exc.DataError
        ):
            self._connection.invalidate()
            self._connection.close()
            raise unavailable(error) from error
        self._kept.give_back(self._connection)
