"""Attempts: counters that protect accounts (by account, by source), counted before the attempt is judged.

They live in the tenant's database, so that neither a second worker nor a restart multiplies a limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, delete, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, number, upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

attempts = db.Table(
    "attempts",
    identifier("subject_hash"),
    number("count"),
    moment("window_ends_at"),
    moment("expires_at", index=True),
    bind_key="tenant",
)

_FIND = select(attempts.c.count, attempts.c.window_ends_at).where(attempts.c.subject_hash == bindparam("subject"))


def count_one(conn: Connection, subject_hash: str, window: int) -> tuple[int, int]:
    """Count one attempt; returns (count in this window including it, when the window ends).

    Must run inside a write transaction. A window lasts ``window`` seconds from its first attempt.
    """
    at = now()
    fresh = {"count": 1, "window_ends_at": at + window, "expires_at": at + window}
    is_running = attempts.c.window_ends_at > at
    statement = (
        upsert(conn, attempts)
        .values(subject_hash=subject_hash, **fresh)
        .on_conflict_do_update(
            index_elements=[attempts.c.subject_hash],
            set_={
                "count": case((is_running, attempts.c.count + 1), else_=1),
                "window_ends_at": case((is_running, attempts.c.window_ends_at), else_=at + window),
                "expires_at": case((is_running, attempts.c.expires_at), else_=at + window),
            },
        )
        .returning(attempts.c.count, attempts.c.window_ends_at)
    )
    counted = conn.execute(statement).one()
    return int(counted[0]), int(counted[1])


def peek(conn: Connection, subject_hash: str) -> tuple[int, int]:
    """Return (count in the running window, when it ends); (0, 0) when none is running."""
    found = conn.execute(_FIND, {"subject": subject_hash}).first()
    if found is None or found.window_ends_at <= now():
        return 0, 0
    return int(found[0]), int(found[1])


def give_back(conn: Connection, subject_hash: str) -> None:
    """Take one attempt back, because it was rightful."""
    here = (attempts.c.subject_hash == subject_hash) & (attempts.c.count > 0)
    conn.execute(update(attempts).where(here).values(count=attempts.c.count - 1))


def reset(conn: Connection, subject_hash: str) -> None:
    """Forget a subject's attempts."""
    conn.execute(delete(attempts).where(attempts.c.subject_hash == subject_hash))


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete counters whose window ended before a moment, at most ``limit`` at once."""
    return delete_some(conn, attempts, attempts.c.expires_at < before, limit)
