"""What many tables share: columns, spelled alike everywhere, and the insert that does not mind a row being there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, Column, Integer, String, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.engine import Connection

# A row number that grows: SQLite autoincrements INTEGER only.
RowNumber = BigInteger().with_variant(Integer, "sqlite")


def row_number(name: str = "seq") -> Column[int]:
    """Return a primary key that the database counts up and never reuses."""
    return Column(name, RowNumber, primary_key=True, autoincrement=True)


def identifier(name: str = "id", *, primary_key: bool = True) -> Column[str]:
    """Return a text key."""
    return Column(name, String(255), primary_key=primary_key, nullable=False)


def text(name: str, *, nullable: bool = False, index: bool = False) -> Column[str]:
    """Return a text column."""
    return Column(name, String, nullable=nullable, index=index)


def moment(name: str, *, nullable: bool = False, index: bool = False) -> Column[int]:
    """Return a point in time: whole seconds since the epoch, UTC."""
    return Column(name, BigInteger, nullable=nullable, index=index)


def number(name: str, *, nullable: bool = False, default: int | None = None) -> Column[int]:
    """Return a whole number."""
    return Column(name, BigInteger, nullable=nullable, default=default)


def document(name: str, *, nullable: bool = False) -> Column[Any]:
    """Return a JSON column."""
    return Column(name, JSON, nullable=nullable)


def delete_some(conn: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    """Delete at most ``limit`` rows that meet a condition; returns how many, so that a caller knows when to come again."""
    keys = list(table.primary_key)
    some = select(*keys).where(condition).limit(limit)
    key = keys[0] if len(keys) == 1 else tuple_(*keys)
    return conn.execute(delete(table).where(key.in_(some))).rowcount


def upsert(conn: Connection, table: Table) -> Any:
    """Return an INSERT of the connection's dialect that knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return _insert(conn.dialect.name, table)


def prebuilt(finish: Callable[[Any], Any], table: Table) -> dict[str, Any]:
    """Return the statement that ``finish`` makes of an :func:`upsert`, by dialect: building one anew costs more than running it."""
    return {dialect: finish(_insert(dialect, table)) for dialect in ("sqlite", "postgresql")}


def _insert(dialect: str, table: Table) -> Any:
    made: Any = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    # Without it the row count of an INSERT is -1 on PostgreSQL: nobody could tell whether the row is theirs.
    return made.execution_options(preserve_rowcount=True)
