"""Former passwords of users, as hashes; only where the tenant refuses their return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import moment, row_number, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

password_history = db.Table(
    "password_history",
    row_number(),
    text("user_id", index=True),
    text("password_hash"),
    moment("at"),  # when it was replaced
    bind_key="tenant",
)


def create(conn: Connection, user_id: str, password_hash: str) -> None:
    """Note a password that is being replaced."""
    conn.execute(insert(password_history).values(user_id=user_id, password_hash=password_hash, at=now()))


def latest(conn: Connection, user_id: str, limit: int) -> Sequence[str]:
    """Return the hashes of a user's former passwords, the last one first, at most ``limit``."""
    mine = select(password_history.c.password_hash).where(password_history.c.user_id == user_id)
    return conn.execute(mine.order_by(password_history.c.seq.desc()).limit(limit)).scalars().all()


def times_of(conn: Connection, user_id: str, limit: int) -> Sequence[int]:
    """Return when a user's former passwords were replaced, the last one first, at most ``limit``."""
    mine = select(password_history.c.at).where(password_history.c.user_id == user_id)
    return conn.execute(mine.order_by(password_history.c.seq.desc()).limit(limit)).scalars().all()


def trim(conn: Connection, user_id: str, kept: int) -> None:
    """Delete a user's former passwords except the ``kept`` last ones."""
    mine = password_history.c.user_id == user_id
    if kept:
        newest = select(password_history.c.seq).where(mine).order_by(password_history.c.seq.desc()).limit(kept)
        mine &= password_history.c.seq.not_in(newest)
    conn.execute(delete(password_history).where(mine))
