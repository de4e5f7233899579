"""Audit events: who did what, to whom, with which outcome. Rows are only ever added; the chainer numbers and hashes them.

An event is written unchained (``chain_seq`` is null) in the transaction of the change it records. :mod:`idp.jobs.chain` later
gives it its number and hash. Old events are kept.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, bindparam, cast, func, insert, literal_column, select, tuple_, update

from idp.store.db import db
from idp.store.mixins import document, identifier, moment, number, row_number, text
from idp.store.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection, Row

audit_events = db.Table(
    "audit_events",
    row_number(),
    identifier(primary_key=False),
    moment("at"),
    text("kind"),  # token.issued, login.failed, …
    text("outcome"),  # success, failure
    text("actor", nullable=True),
    text("client_id", nullable=True),
    text("subject", nullable=True),
    text("session_id", nullable=True),
    text("grant_id", nullable=True),
    text("source", nullable=True),
    text("correlation_id", nullable=True),
    document("details", nullable=True),
    number("chain_seq", nullable=True),
    text("chain_hash", nullable=True),
    bind_key="tenant",
    sqlite_autoincrement=True,
)
# Without the events that are not chained yet: they would cost every insert a page.
db.Index(
    "uq_audit_events_chain_seq",
    audit_events.c.chain_seq,
    unique=True,
    sqlite_where=audit_events.c.chain_seq.is_not(None),
    postgresql_where=audit_events.c.chain_seq.is_not(None),
)
# What the chainer looks for; empty most of the time, so that it costs next to nothing.
db.Index(
    "ix_audit_events_unchained",
    audit_events.c.seq,
    sqlite_where=audit_events.c.chain_seq.is_(None),
    postgresql_where=audit_events.c.chain_seq.is_(None),
)

# What a person reads of themselves. The events of the hot path stay out of the index, so that a token costs no page more; the
# names are written out, because a database compares the query's condition with the index's before it knows any parameter.
OF_THE_HOT_PATH = ("authorization.granted", "token.issued", "token.refreshed")
_IS_PERSONAL = audit_events.c.subject.is_not(None) & audit_events.c.kind.not_in(
    [literal_column(f"'{kind}'") for kind in OF_THE_HOT_PATH]
)
db.Index(
    "ix_audit_events_subject",
    audit_events.c.subject,
    audit_events.c.at,
    audit_events.c.seq,
    sqlite_where=_IS_PERSONAL,
    postgresql_where=_IS_PERSONAL,
)

_INSERT = insert(audit_events)
_INSERT_ONE = Prepared(_INSERT)
# What is hashed. The details are read as the text that is stored: a tampered one may not even be JSON.
_AS_STORED: Select[Any] = select(
    *[column for column in audit_events.c if column.name != "details"],
    cast(audit_events.c.details, Text).label("details_text"),
)
_UNCHAINED = (
    _AS_STORED.where(audit_events.c.chain_seq.is_(None)).order_by(audit_events.c.seq).limit(bindparam("how_many"))
)
_LINK = (
    update(audit_events)
    .where((audit_events.c.seq == bindparam("row")) & audit_events.c.chain_seq.is_(None))
    .values(chain_seq=bindparam("chained_as"), chain_hash=bindparam("hashed_as"))
)


def add(conn: Connection, events: Mapping[str, Any] | list[dict[str, Any]]) -> None:
    """Insert one event or many; all columns by name but ``seq``, ``chain_seq`` and ``chain_hash``."""
    if isinstance(events, list):
        conn.execute(_INSERT, events)
    else:
        _INSERT_ONE.execute(conn, events)


def unchained(conn: Connection, limit: int) -> Sequence[Row[Any]]:
    """Return events that are not yet chained, oldest first, with ``details_text`` for ``details``."""
    return conn.execute(_UNCHAINED, {"how_many": limit}).all()


def details_of_latest(conn: Connection, kind: str, limit: int) -> Sequence[Any]:
    """Return the details of a kind's newest events, the newest first."""
    query = select(audit_events.c.details).where(audit_events.c.kind == kind)
    return conn.execute(query.order_by(audit_events.c.seq.desc()).limit(limit)).scalars().all()


def count_unchained(conn: Connection) -> int:
    """Return how many events are not yet chained."""
    return conn.execute(
        select(func.count()).select_from(audit_events).where(audit_events.c.chain_seq.is_(None))
    ).scalar_one()


def link(conn: Connection, links: Sequence[tuple[int, int, str]]) -> None:
    """Chain events: (seq, chain_seq, chain_hash) each; the key on ``chain_seq`` refuses a second chainer."""
    conn.execute(
        _LINK, [{"row": seq, "chained_as": chain_seq, "hashed_as": chain_hash} for seq, chain_seq, chain_hash in links]
    )


def chained(conn: Connection, page: int = 1000) -> Iterator[Row[Any]]:
    """Yield every chained event in the chain's order, a page at a time, with ``details_text`` for ``details``."""
    after: tuple[int, int] | None = None
    order = (audit_events.c.chain_seq, audit_events.c.seq)
    while True:
        query = _AS_STORED.where(audit_events.c.chain_seq.is_not(None)).order_by(*order).limit(page)
        if after is not None:
            query = query.where((order[0] > after[0]) | ((order[0] == after[0]) & (order[1] > after[1])))
        rows = conn.execute(query).all()
        yield from rows
        if len(rows) < page:
            return
        after = (rows[-1].chain_seq, rows[-1].seq)


def chained_after(conn: Connection, number_: int, limit: int) -> Sequence[Row[Any]]:
    """Return chained events with higher numbers, in the chain's order, with ``details_text`` for ``details``."""
    query = _AS_STORED.where(audit_events.c.chain_seq > number_).order_by(audit_events.c.chain_seq)
    return conn.execute(query.limit(limit)).all()


def last_number(conn: Connection) -> int:
    """Return the highest number in the chain, 0 when nothing is chained."""
    numbered = audit_events.c.chain_seq.is_not(None)
    return conn.execute(select(func.max(audit_events.c.chain_seq)).where(numbered)).scalar() or 0


def last_row(conn: Connection) -> int:
    """Return the number of the row that was added last, chained or not, 0 when there is none."""
    return conn.execute(select(func.max(audit_events.c.seq))).scalar() or 0


@contextmanager
def snapshot(conn: Connection) -> Iterator[None]:
    """Let every read of the block see the database as it is now."""
    is_sqlite = conn.dialect.name == "sqlite"
    conn.exec_driver_sql("BEGIN" if is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        conn.exec_driver_sql("ROLLBACK")


def latest(conn: Connection) -> int:
    """Return the number of the newest event's row, 0 when there is none."""
    return conn.execute(select(func.max(audit_events.c.seq))).scalar() or 0


def search(
    conn: Connection,
    here: Sequence[ColumnElement[bool]],
    *,
    limit: int,
    is_descending: bool = True,
    beyond: int | None = None,
    offset: int = 0,
) -> Sequence[Row[Any]]:
    """Return events that meet the conditions of :func:`matching`, in the order of recording, with ``details_text`` for ``details``.

    ``beyond`` is the number of the row behind which to begin.
    """
    row = audit_events.c.seq
    query = _AS_STORED.where(*here).order_by(row.desc() if is_descending else row).limit(limit).offset(offset)
    if beyond is not None:
        query = query.where(row < beyond if is_descending else row > beyond)
    return conn.execute(query).all()


def count(conn: Connection, here: Sequence[ColumnElement[bool]], most: int | None = None) -> int:
    """Return how many events meet the conditions; with ``most`` not further than to there."""
    found = select(audit_events.c.seq).where(*here).limit(most).subquery()
    return conn.execute(select(func.count()).select_from(found)).scalar_one()


def matching(
    *,
    kind: str | None = None,
    since: int | None = None,
    until: int | None = None,
    upto: int | None = None,
    **same: str | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of a search: a kind, or all that begin as ``login.*`` does, from a moment to before another; up to a row.

    ``same`` are columns and the value that they have.
    """
    here: list[ColumnElement[bool]] = [
        audit_events.c[name] == value for name, value in same.items() if value is not None
    ]
    if kind is not None and kind.endswith(".*"):
        here.append(audit_events.c.kind.startswith(kind[:-1], autoescape=True))
    elif kind is not None:
        here.append(audit_events.c.kind == kind)
    if since is not None:
        here.append(audit_events.c.at >= since)
    if until is not None:
        here.append(audit_events.c.at < until)
    if upto is not None:
        here.append(audit_events.c.seq <= upto)
    return here


def latest_at(conn: Connection) -> int | None:
    """Return when the newest event was recorded, None when there is none."""
    return conn.execute(select(audit_events.c.at).order_by(audit_events.c.seq.desc()).limit(1)).scalar()


def list_of_subject(
    conn: Connection, subject: str, limit: int, before: tuple[int, int] | None = None
) -> Sequence[Row[Any]]:
    """Return the events about a person but those of the hot path, the newest first; ``before`` is the ``at`` and ``seq`` of the last one seen."""
    query = select(audit_events).where((audit_events.c.subject == subject) & _IS_PERSONAL)
    if before is not None:
        query = query.where(tuple_(audit_events.c.at, audit_events.c.seq) < tuple_(*before))
    return conn.execute(query.order_by(audit_events.c.at.desc(), audit_events.c.seq.desc()).limit(limit)).all()
