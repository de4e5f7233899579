"""Browser sessions: server-side, found by the hash of the cookie, with an idle and an absolute end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, false, func, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, document, identifier, moment, text
from idp.store.paging import page
from idp.store.prepared import Prepared
from idp.store.tenant.session_clients import session_clients
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection, Row

sessions = db.Table(
    "sessions",
    identifier(),  # the public session id: the claim `sid`
    text("cookie_hash"),
    db.Column("user_id", db.String(255), nullable=False, index=True),
    moment("auth_time"),
    document("amr"),
    text("acr"),
    moment("created_at"),
    moment("last_seen_at"),
    moment("idle_expires_at"),
    moment("expires_at", index=True),
    moment("ended_at", nullable=True),
    text("source", nullable=True),
    text("user_agent", nullable=True),
    # Signed in by program: there is no cookie, the session lives for its grant alone.
    db.Column("by_program", db.Boolean, nullable=False, default=False, server_default=false()),
    db.UniqueConstraint("cookie_hash", name="uq_sessions_cookie_hash"),
    bind_key="tenant",
)
db.Index(
    "ix_sessions_ended_at",
    sessions.c.ended_at,
    sqlite_where=sessions.c.ended_at.is_not(None),
    postgresql_where=sessions.c.ended_at.is_not(None),
)

_WITH_USER = select(
    sessions,
    users.c.username,
    users.c.state.label("user_state"),
    users.c.must_change_password,
    users.c.password_changed_at,
).join(users, users.c.id == sessions.c.user_id)
_BY_COOKIE = Prepared(_WITH_USER.where(sessions.c.cookie_hash == bindparam("cookie_hash")))
_BY_ID = Prepared(_WITH_USER.where(sessions.c.id == bindparam("session")))

_OPEN = Prepared(
    select(sessions).where((sessions.c.id == bindparam("session")) & sessions.c.ended_at.is_(None)).with_for_update()
)
_INSERT = Prepared(insert(sessions))


def list_live(conn: Connection, cookie_hashes: Sequence[str]) -> list[Row[Any]]:
    """Return the live sessions of some cookies, in the order of the cookies; columns as of :func:`find_live`."""
    wanted = (
        select(sessions, users.c.username, users.c.state.label("user_state"), users.c.must_change_password)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.cookie_hash.in_(cookie_hashes))
    )
    found = {row.cookie_hash: row for row in conn.execute(wanted)}
    return [row for each in dict.fromkeys(cookie_hashes) if (row := _if_live(found.get(each))) is not None]


def find_live(conn: Connection, cookie_hash: str) -> Row[Any] | None:
    """Return the session of a cookie with its user's name and state; None if ended, expired or the user is not active."""
    return _if_live(_BY_COOKIE.execute(conn, {"cookie_hash": cookie_hash}).first())


def find_live_by_id(conn: Connection, session_id: str) -> Row[Any] | None:
    """Return a session by its public id as :func:`find_live` does, for who may know it without the cookie."""
    return _if_live(_BY_ID.execute(conn, {"session": session_id}).first())


def _if_live(found: Row[Any] | None) -> Row[Any] | None:
    at = now()
    if found is None or found.ended_at is not None or found.user_state != "active":
        return None
    return found if at < found.expires_at and at < found.idle_expires_at else None


def find_open(conn: Connection, session_id: str) -> Row[Any] | None:
    """Return a session that has not ended, or None; within a write transaction nobody else ends it until that is over."""
    return _OPEN.execute(conn, {"session": session_id}).first()


def list_live_of(conn: Connection, user_id: str, limit: int) -> Sequence[Row[Any]]:
    """Return a user's sessions that are alive, the one that was used last first; at most ``limit``."""
    order = (sessions.c.last_seen_at.desc(), sessions.c.id)
    return conn.execute(select(sessions).where(*_alive(user_id)).order_by(*order).limit(limit)).all()


def _alive(user_id: str) -> list[ColumnElement[bool]]:
    at, c = now(), sessions.c
    return [c.user_id == user_id, c.ended_at.is_(None), c.expires_at > at, c.idle_expires_at > at]


def search_live_of(
    conn: Connection, user_id: str, *, sort: str, is_descending: bool, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of a user's sessions that are alive (:func:`idp.store.paging.page`) and how many there are."""
    column = sessions.c[sort]
    return page(conn, sessions.c, sessions.c.id, _alive(user_id), sort=column, is_descending=is_descending, **window)


def list_of_user(conn: Connection, user_id: str, limit: int) -> Sequence[Row[Any]]:
    """Return a user's sessions that are kept, ended ones too, the one that was used last first; at most ``limit``."""
    order = (sessions.c.last_seen_at.desc(), sessions.c.id)
    return conn.execute(select(sessions).where(sessions.c.user_id == user_id).order_by(*order).limit(limit)).all()


def last_sign_in(conn: Connection, user_id: str) -> int | None:
    """Return when a user last signed in, of the sessions that are kept; None when there is none."""
    found: int | None = conn.execute(
        select(func.max(sessions.c.auth_time)).where(sessions.c.user_id == user_id)
    ).scalar()
    return found


def create(conn: Connection, **values: Any) -> None:
    """Insert a session; the columns by keyword."""
    _INSERT.execute(conn, values)


def renew(conn: Connection, session_id: str, old_cookie_hash: str, **values: Any) -> bool:
    """Put a new cookie and sign-in on a live session; False when it ended or has another cookie by now."""
    here = (sessions.c.id == session_id) & (sessions.c.cookie_hash == old_cookie_hash) & sessions.c.ended_at.is_(None)
    return conn.execute(update(sessions).where(here).values(**values)).rowcount == 1


def touch(conn: Connection, session_id: str, idle_expires_at: int) -> None:
    """Note that a session was used, and when it ends if it is not used again."""
    conn.execute(
        update(sessions).where(sessions.c.id == session_id).values(last_seen_at=now(), idle_expires_at=idle_expires_at)
    )


def end(conn: Connection, session_id: str) -> bool:
    """End a session; False when it had ended already."""
    done = conn.execute(
        update(sessions).where((sessions.c.id == session_id) & sessions.c.ended_at.is_(None)).values(ended_at=now())
    )
    return done.rowcount == 1


def end_all_of(conn: Connection, user_id: str, *, but: str | None = None) -> list[str]:
    """End every session of a user, except one; returns the ids of those that ended."""
    here = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None) & (sessions.c.id != (but or ""))
    return list(conn.execute(update(sessions).where(here).values(ended_at=now()).returning(sessions.c.id)).scalars())


def forget_of(conn: Connection, user_id: str) -> None:
    """Take out of the sessions of a user, which ended, from where and by which browser they were used."""
    here = sessions.c.user_id == user_id
    conn.execute(update(sessions).where(here).values(source=None, user_agent=None))


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete sessions that ended or expired before a moment, what they signed in to first; at most ``limit`` rows at once."""
    for is_old in (sessions.c.expires_at < before, sessions.c.ended_at < before):
        old = select(sessions.c.id).where(is_old)
        done = delete_some(conn, session_clients, session_clients.c.session_id.in_(old), limit)
        done = done or delete_some(conn, sessions, is_old, limit)
        if done:
            return done
    return 0
