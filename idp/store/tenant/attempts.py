"""Attempts: counters that protect accounts (by account, by source), counted before the attempt is judged.

They live in the tenant's database, so that neither a second worker nor a restart multiplies a limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, case, delete, select, update

from idp import opaque
from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, number, prebuilt
from idp.store.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection

attempts = db.Table(
    "attempts",
    identifier("subject_hash"),
    number("count"),
    moment("window_ends_at"),
    moment("expires_at", index=True),
    bind_key="tenant",
)

_FIND = Prepared(
    select(attempts.c.count, attempts.c.window_ends_at).where(attempts.c.subject_hash == bindparam("subject"))
)


def _count_one(insert: Any) -> Any:
    columns = attempts.c
    end: Any = bindparam("end", type_=BigInteger)
    is_running = columns.window_ends_at > bindparam("now", type_=BigInteger)
    return (
        insert.values(subject_hash=bindparam("subject"), count=1, window_ends_at=end, expires_at=end)
        .on_conflict_do_update(
            index_elements=[columns.subject_hash],
            set_={
                "count": case((is_running, columns.count + 1), else_=1),
                "window_ends_at": case((is_running, columns.window_ends_at), else_=end),
                "expires_at": case((is_running, columns.expires_at), else_=end),
            },
        )
        .returning(columns.count, columns.window_ends_at)
    )


_COUNT_ONE = Prepared(prebuilt(_count_one, attempts))
_GIVE_BACK = Prepared(
    update(attempts)
    .where((attempts.c.subject_hash == bindparam("subject")) & (attempts.c.count > 0))
    .values(count=attempts.c.count - 1)
)
_RESET = Prepared(delete(attempts).where(attempts.c.subject_hash == bindparam("subject")))


def of_account(username_key: str) -> str:
    """Return the counter of an account's failed sign-ins: a digest, because the database need not know who mistyped."""
    return opaque.digest(f"account\n{username_key}")


def count_one(conn: Connection, subject_hash: str, window: int) -> tuple[int, int]:
    """Count one attempt; returns (count in this window including it, when the window ends).

    Must run inside a write transaction. A window lasts ``window`` seconds from its first attempt.
    """
    at = now()
    row = {"subject": subject_hash, "now": at, "end": at + window}
    counted: Any = _COUNT_ONE.execute(conn, row).first()
    return int(counted[0]), int(counted[1])


def peek(conn: Connection, subject_hash: str) -> tuple[int, int]:
    """Return (count in the running window, when it ends); (0, 0) when none is running."""
    found: Any = _FIND.execute(conn, {"subject": subject_hash}).first()
    if found is None or found.window_ends_at <= now():
        return 0, 0
    return int(found[0]), int(found[1])


def reached(conn: Connection, subject_hashes: Collection[str], limit: int) -> frozenset[str]:
    """Return which of some counters have reached a limit in a window that is running."""
    here = (
        attempts.c.subject_hash.in_(subject_hashes) & (attempts.c.count >= limit) & (attempts.c.window_ends_at > now())
    )
    return frozenset(conn.execute(select(attempts.c.subject_hash).where(here)).scalars())


def give_back(conn: Connection, subject_hash: str) -> None:
    """Take one attempt back, because it was rightful."""
    _GIVE_BACK.execute(conn, {"subject": subject_hash})


def reset(conn: Connection, subject_hash: str) -> None:
    """Forget a subject's attempts."""
    _RESET.execute(conn, {"subject": subject_hash})


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete counters whose window ended before a moment, at most ``limit`` at once."""
    return delete_some(conn, attempts, attempts.c.expires_at < before, limit)
