"""Idempotency keys: what a create answered, kept sealed for who repeats the request because the answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, text, upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Row

idempotency_keys = db.Table(
    "idempotency_keys",
    identifier("caller"),  # a digest of who asked and of what
    identifier("key"),  # a digest of what they called the request
    text("digest"),  # of the request itself
    text("sealed_answer"),
    moment("created_at"),
    moment("expires_at", index=True),
    bind_key="tenant",
)


def find(conn: Connection, caller: str, key: str) -> Row[Any] | None:
    """Return a request that was done and has not expired, or None."""
    here = _is(caller, key) & (idempotency_keys.c.expires_at > now())
    return conn.execute(select(idempotency_keys).where(here)).first()


def take(conn: Connection, **values: Any) -> bool:
    """Insert a request that is being done; False when somebody has done it. Whoever does the same just now is waited for."""
    here = _is(values["caller"], values["key"])
    conn.execute(delete(idempotency_keys).where(here & (idempotency_keys.c.expires_at <= now())))
    insert = upsert(conn, idempotency_keys).values(**values, created_at=now())
    return bool(conn.execute(insert.on_conflict_do_nothing()).rowcount == 1)


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete requests that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, idempotency_keys, idempotency_keys.c.expires_at < before, limit)


def _is(caller: str, key: str) -> Any:
    return (idempotency_keys.c.caller == caller) & (idempotency_keys.c.key == key)
