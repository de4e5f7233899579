"""Idempotency keys: what a create answered, kept sealed for who repeats the request because the answer was lost.

Two tables with the same columns: a tenant's, for what is made in it, and the control database's, for tenants, so that the key is
taken in the transaction by which a tenant begins to exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, text, upsert

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection, Row


class IdempotencyTable:
    """One of the two tables, with its queries."""

    def __init__(self, bind_key: str) -> None:
        """Declare the table in the metadata of ``bind_key``."""
        self.table: Table = db.Table(
            "idempotency_keys",
            identifier("caller"),  # a digest of who asked and of what
            identifier("key"),  # a digest of what they called the request
            text("digest"),  # of the request itself
            text("sealed_answer"),
            moment("created_at"),
            moment("expires_at", index=True),
            bind_key=bind_key,
        )

    def find(self, conn: Connection, caller: str, key: str) -> Row[Any] | None:
        """Return a request that was done and has not expired, or None."""
        here = self._is(caller, key) & (self.table.c.expires_at > now())
        return conn.execute(select(self.table).where(here)).first()

    def take(self, conn: Connection, **values: Any) -> bool:
        """Insert a request that is being done; False when somebody has done it. Whoever does the same just now is waited for."""
        here = self._is(values["caller"], values["key"])
        conn.execute(delete(self.table).where(here & (self.table.c.expires_at <= now())))
        insert = upsert(conn, self.table).values(**values, created_at=now())
        return bool(conn.execute(insert.on_conflict_do_nothing()).rowcount == 1)

    def purge_expired(self, conn: Connection, before: int, limit: int = 1000) -> int:
        """Delete requests that expired before a moment, at most ``limit`` at once."""
        return delete_some(conn, self.table, self.table.c.expires_at < before, limit)

    def _is(self, caller: str, key: str) -> Any:
        return (self.table.c.caller == caller) & (self.table.c.key == key)
