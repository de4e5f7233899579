"""One-time links: what a person who holds a mail may do once, until it expires, is used or is revoked.

The token itself is never stored, its digest is. ``kind`` says what the link is for; one kind is never taken for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, insert, select, tuple_, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, document, identifier, moment, text
from idp.store.paging import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection, Row

one_time_links = db.Table(
    "one_time_links",
    identifier(),
    text("kind"),  # recovery, invitation, email_change, unlock
    text("token_hash"),
    text("user_id", index=True),
    text("address"),  # whom it was sent to
    document("payload"),
    text("created_by"),
    moment("created_at"),
    moment("expires_at", index=True),
    moment("used_at", nullable=True),
    moment("revoked_at", nullable=True),
    db.UniqueConstraint("token_hash", name="uq_one_time_links_token_hash"),
    bind_key="tenant",
)


def create(conn: Connection, **values: Any) -> None:
    """Insert a link; the columns by keyword."""
    conn.execute(insert(one_time_links).values(created_at=now(), used_at=None, revoked_at=None, **values))


def find_live(conn: Connection, kind: str, token_hash: str) -> Row[Any] | None:
    """Return a link of a kind that can still be used, or None.

    The database says that, not the caller: to read the row of a link that has died takes longer than to read none.
    """
    here = (one_time_links.c.token_hash == token_hash) & (one_time_links.c.kind == kind) & _is_live()
    return conn.execute(select(one_time_links).where(here)).first()


def get(conn: Connection, link_id: str) -> Row[Any] | None:
    """Return a link by its id, or None."""
    return conn.execute(select(one_time_links).where(one_time_links.c.id == link_id)).first()


def consume(conn: Connection, link_id: str) -> bool:
    """Use a link up; False when it is used, revoked or expired. Of any number of callers one is told True."""
    here = (one_time_links.c.id == link_id) & _is_live()
    return conn.execute(update(one_time_links).where(here).values(used_at=now())).rowcount == 1


def revoke(conn: Connection, link_id: str) -> bool:
    """Make one link worthless; False when it was so before."""
    here = (one_time_links.c.id == link_id) & _is_live()
    return conn.execute(update(one_time_links).where(here).values(revoked_at=now())).rowcount == 1


def revoke_of_user(conn: Connection, user_id: str, *kinds: str) -> int:
    """Make a user's links worthless, of some kinds or of all; returns how many that were."""
    here = (one_time_links.c.user_id == user_id) & _is_live()
    if kinds:
        here &= one_time_links.c.kind.in_(kinds)
    return conn.execute(update(one_time_links).where(here).values(revoked_at=now())).rowcount


def list_of_kind(conn: Connection, kind: str) -> Sequence[Row[Any]]:
    """Return the links of a kind, the newest first; used, revoked and expired ones too."""
    order = (one_time_links.c.created_at.desc(), one_time_links.c.id)
    return conn.execute(select(one_time_links).where(one_time_links.c.kind == kind).order_by(*order)).all()


def search_newest(
    conn: Connection, kind: str, *, state: str | None, sort: str, is_descending: bool, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of the newest link of a kind for each user (:func:`idp.store.paging.page`) and how many there are.

    ``state`` is waiting, expired or accepted. A link that another took the place of is revoked, or has expired before that.
    """
    links, newer, at = one_time_links.c, one_time_links.alias("newer"), now()
    is_newer = tuple_(newer.c.created_at, newer.c.id) > tuple_(links.created_at, links.id)
    of_same = (newer.c.user_id == links.user_id) & (newer.c.kind == kind) & newer.c.revoked_at.is_(None) & is_newer
    here = [links.kind == kind, links.revoked_at.is_(None), ~exists(select(newer.c.id).where(of_same))]
    if state == "accepted":
        here.append(links.used_at.is_not(None))
    elif state is not None:
        here += [links.used_at.is_(None), links.expires_at > at if state == "waiting" else links.expires_at <= at]
    return page(conn, links, links.id, here, sort=links[sort], is_descending=is_descending, **window)


def list_of_user(conn: Connection, user_id: str, limit: int) -> Sequence[Row[Any]]:
    """Return a user's links that are kept, the newest first, used, revoked and expired ones too; at most ``limit``."""
    order = (one_time_links.c.created_at.desc(), one_time_links.c.id)
    here = one_time_links.c.user_id == user_id
    return conn.execute(select(one_time_links).where(here).order_by(*order).limit(limit)).all()


def delete_of_user(conn: Connection, user_id: str) -> None:
    """Delete every link of a user."""
    conn.execute(one_time_links.delete().where(one_time_links.c.user_id == user_id))


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete links that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, one_time_links, one_time_links.c.expires_at < before, limit)


def _is_live() -> ColumnElement[bool]:
    at = now()
    links = one_time_links.c
    return links.used_at.is_(None) & links.revoked_at.is_(None) & (links.expires_at > at)
