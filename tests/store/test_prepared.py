"""Prepared statements: what goes straight to the driver means what SQLAlchemy's own execution means, on both databases."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    exc,
    insert,
    select,
    update,
)

from idp.store.mixins import prebuilt
from idp.store.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

things = Table(
    "things",
    MetaData(),
    Column("name", String(50), primary_key=True),
    Column("count", BigInteger, default=7),
    Column("is_open", Boolean),
    Column("what", JSON),
    Column("raw", LargeBinary),
)
WHOLE = {"name": "ä'\"%s?:x", "count": 2**40, "is_open": True, "what": {"a": [1, None, "ü"]}, "raw": b"\x00\xff"}
BY_NAME = Prepared(select(things).where(things.c.name == bindparam("wanted")))
ADD = Prepared(insert(things))


@pytest.fixture
def conn(place: Any) -> Iterator[Connection]:
    """A connection to a database with the table; everything is rolled back."""
    with place.database.reading() as conn:
        conn.connection.driver_connection.execute("BEGIN")
        conn.exec_driver_sql(_ddl(conn))
        yield conn
        conn.connection.driver_connection.execute("ROLLBACK")


def _ddl(conn: Connection) -> str:
    from sqlalchemy.schema import CreateTable

    return str(CreateTable(things).compile(dialect=conn.dialect))


def test_every_type_is_converted_both_ways(conn: Connection) -> None:
    """Architecture §5 (prebuilt statements): values and rows are those of SQLAlchemy."""
    ADD.execute(conn, WHOLE)
    mine = BY_NAME.execute(conn, {"wanted": WHOLE["name"]}).first()
    theirs = conn.execute(select(things)).one()
    assert mine is not None
    for name, value in WHOLE.items():
        assert getattr(mine, name) == value == getattr(theirs, name)
        assert type(getattr(mine, name)) is type(getattr(theirs, name))
    assert BY_NAME.execute(conn, {"wanted": "nobody"}).first() is None


def test_null_and_the_default_of_a_column(conn: Connection) -> None:
    """Architecture §3: what is not named gets the column's default, what is None is NULL."""
    ADD.execute(conn, {"name": "bare", "is_open": None})
    row = BY_NAME.execute(conn, {"wanted": "bare"}).first()
    assert row is not None
    assert (row.count, row.is_open, row.what, row.raw) == (7, None, None, None)
    ADD.execute(conn, {"name": "other", "count": None, "is_open": False, "what": [], "raw": b""})
    row = BY_NAME.execute(conn, {"wanted": "other"}).first()
    assert row is not None
    assert (row.count, row.is_open, row.what, row.raw) == (None, False, [], b"")


def test_expressions_counts_and_one_statement_for_many_columns(conn: Connection) -> None:
    """Architecture §5: an update tells how many rows it changed; the columns it sets may differ from call to call."""
    ADD.execute(conn, WHOLE)
    less = Prepared(update(things).where(things.c.name == bindparam("wanted")).values(count=things.c.count - 1))
    change = Prepared(update(things).where(things.c.name == bindparam("wanted")))
    assert less.execute(conn, {"wanted": WHOLE["name"]}).rowcount == 1
    assert less.execute(conn, {"wanted": "nobody"}).rowcount == 0
    assert change.execute(conn, {"wanted": WHOLE["name"], "is_open": False}).rowcount == 1
    assert change.execute(conn, {"wanted": WHOLE["name"], "what": {"b": 2}}).rowcount == 1
    row = BY_NAME.execute(conn, {"wanted": WHOLE["name"]}).first()
    assert row is not None
    assert (row.count, row.is_open, row.what) == (2**40 - 1, False, {"b": 2})
    assert Prepared(delete(things)).execute(conn, {}).rowcount == 1


def test_a_statement_for_each_dialect_and_what_it_returns(conn: Connection) -> None:
    """Architecture §5: an upsert that returns columns, with their types."""

    def finish(made: Any) -> Any:
        same = made.on_conflict_do_update(index_elements=[things.c.name], set_={"what": made.excluded.what})
        return same.returning(things.c.what, things.c.is_open)

    put = Prepared(prebuilt(finish, things))
    for what in ({"first": 1}, {"second": 2}):
        answer = put.execute(conn, {**WHOLE, "what": what})
        assert answer.all() == [(what, True)]
    assert Prepared(select(things.c.what)).execute(conn, {}).scalar() == {"second": 2}


def test_errors_are_sqlalchemys(conn: Connection) -> None:
    """Architecture §4 (errors): callers see one kind of error, and no value in its text."""
    ADD.execute(conn, {"name": "secret name"})
    savepoint = conn.connection.driver_connection.execute
    savepoint("SAVEPOINT here")
    with pytest.raises(exc.IntegrityError) as caught:
        ADD.execute(conn, {"name": "secret name"})
    savepoint("ROLLBACK TO here")
    if conn.dialect.name == "sqlite":
        assert "secret name" not in str(caught.value)
    with pytest.raises(exc.InvalidRequestError):
        BY_NAME.execute(conn, {})


def test_no_read_is_left_open(lite: Any) -> None:
    """SQLite, WAL: an unfinished SELECT would hold on to the past, and to the log."""
    with lite.database.reading() as conn:
        conn.exec_driver_sql("INSERT INTO notes VALUES ('one')")
        conn.exec_driver_sql("INSERT INTO notes VALUES ('two')")
        notes = Table("notes", MetaData(), Column("name", String(50)))
        kept = [Prepared(select(notes)).execute(conn, {}) for _ in range(2)]
        assert kept[0].first() is not None
        assert len(kept[1].all()) == 2
        with sqlite3.connect(lite.database.engine.url.database, isolation_level=None) as other:
            other.execute("INSERT INTO notes VALUES ('three')")
            busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert busy == 0
        other.close()
