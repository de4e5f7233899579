"""Pictures of a tenant's brand that it keeps here because it has no web server of its own: one of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, delete, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Row

assets = db.Table(
    "assets",
    identifier("kind"),  # logo, logo-dark, favicon, background
    text("media_type"),
    text("digest"),  # SHA-256 of the body
    db.Column("body", LargeBinary, nullable=False),
    moment("created_at"),
    bind_key="tenant",
)


def find(conn: Connection, kind: str) -> Row[Any] | None:
    """Return the picture of a kind, or None."""
    return conn.execute(select(assets).where(assets.c.kind == kind)).first()


def put(conn: Connection, kind: str, *, media_type: str, digest: str, body: bytes) -> None:
    """Keep a picture, in place of the one before."""
    values = {"media_type": media_type, "digest": digest, "body": body, "created_at": now()}
    insert = upsert(conn, assets).values(kind=kind, **values)
    conn.execute(insert.on_conflict_do_update(index_elements=["kind"], set_=values))


def remove(conn: Connection, kind: str) -> bool:
    """Delete a picture; says whether there was one."""
    return conn.execute(delete(assets).where(assets.c.kind == kind)).rowcount == 1
