"""Interactions: sign-ins under way, each bound to the browser that began it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from idp.store.db import db
from idp.store.mixins import delete_some, document, identifier, moment, text
from idp.store.prepared import Prepared

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Row

interactions = db.Table(
    "interactions",
    identifier(),
    text("protocol"),  # which protocol takes over when nothing is needed any more
    text("browser_hash"),
    text("client_id"),
    document("request"),  # the validated request
    document("state"),  # what the steps have done so far
    text("session_id", nullable=True),
    moment("created_at"),
    moment("expires_at", index=True),
    moment("finished_at", nullable=True),
    bind_key="tenant",
)

_BY_ID = Prepared(select(interactions).where(interactions.c.id == bindparam("interaction_id")))

_INSERT = Prepared(insert(interactions))
_CHANGE = Prepared(
    update(interactions).where((interactions.c.id == bindparam("interaction")) & interactions.c.finished_at.is_(None))
)
_BIND = Prepared(
    update(interactions)
    .where(
        (interactions.c.id == bindparam("interaction"))
        & (interactions.c.browser_hash == "")
        & interactions.c.finished_at.is_(None)
    )
    .values(browser_hash=bindparam("browser"))
)


def find(conn: Connection, interaction_id: str) -> Row[Any] | None:
    """Return an interaction, or None; finished and expired ones too."""
    return _BY_ID.execute(conn, {"interaction_id": interaction_id}).first()


def create(conn: Connection, **values: Any) -> None:
    """Insert an interaction; the columns by keyword."""
    _INSERT.execute(conn, values)


def change(conn: Connection, interaction_id: str, **values: Any) -> bool:
    """Update columns of an interaction that is not finished; False when it is."""
    return _CHANGE.execute(conn, {"interaction": interaction_id, **values}).rowcount == 1


def bind(conn: Connection, interaction_id: str, browser_hash: str) -> bool:
    """Bind an interaction that belongs to no browser yet; only one caller ever succeeds."""
    return _BIND.execute(conn, {"interaction": interaction_id, "browser": browser_hash}).rowcount == 1


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete interactions that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, interactions, interactions.c.expires_at < before, limit)
