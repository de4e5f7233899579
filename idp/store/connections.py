"""Connections: taken from a database's pool, with its troubles as one kind of error, and the commands that end transactions.

Whatever says that a database is locked, full, lost or read-only becomes :class:`~idp.errors.StorageUnavailable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

from idp.errors import StorageUnavailable

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy.engine import Connection

    from idp.store.db import Database

LOST = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.InternalError, OSError)


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


class Reading:
    """A connection for reading; errors of the database become :class:`StorageUnavailable`."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Connection:
        try:
            connection: Connection = self._database.engine.connect()
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
        self._connection.close()
