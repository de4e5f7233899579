"""Replays: values that may be seen once (the `jti` of a client assertion), by namespace, until they expire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

replays = db.Table(
    "replays", identifier("namespace"), identifier("value_hash"), moment("expires_at", index=True), bind_key="tenant"
)


def consume(conn: Connection, namespace: str, value_hash: str, expires_at: int) -> bool:
    """Note a value; exactly one caller ever gets True, the key decides."""
    statement = upsert(conn, replays).values(namespace=namespace, value_hash=value_hash, expires_at=expires_at)
    return conn.execute(statement.on_conflict_do_nothing()).rowcount == 1


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete values that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, replays, replays.c.expires_at < before, limit)
