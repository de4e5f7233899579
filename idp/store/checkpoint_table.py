"""Checkpoints of an audit chain: two tables with the same columns, the tenant's own and the copy in the control database.

A checkpoint says "event number ``chain_seq`` has the hash ``chain_hash``", is numbered without gaps, names the digest of
the checkpoint before it, and is signed with a key of the tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, true

from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.engine import Connection, Row


class CheckpointTable:
    """One of the two tables, with its queries; the tenant's own has no tenant column, so its callers name none."""

    def __init__(self, bind_key: str) -> None:
        """Declare the table in the metadata of ``bind_key``."""
        self.table: Table = db.Table(
            "audit_checkpoints",
            *([identifier("tenant_id")] if bind_key == "control" else []),
            db.Column("number", db.BigInteger, primary_key=True, autoincrement=False),
            db.Column("chain_seq", db.BigInteger, nullable=False),
            text("chain_hash"),
            moment("at"),
            text("previous"),
            text("signature"),
            bind_key=bind_key,
        )

    def _of(self, tenant_id: str | None) -> ColumnElement[bool]:
        return true() if tenant_id is None else self.table.c.tenant_id == tenant_id

    def last(self, conn: Connection, tenant_id: str | None = None) -> Row[Any] | None:
        """Return the newest checkpoint, or None."""
        return conn.execute(
            select(self.table).where(self._of(tenant_id)).order_by(self.table.c.number.desc()).limit(1)
        ).first()

    def after(self, conn: Connection, number: int, tenant_id: str | None = None) -> Sequence[Row[Any]]:
        """Return the checkpoints behind a number, oldest first."""
        return conn.execute(
            select(self.table).where(self._of(tenant_id) & (self.table.c.number > number)).order_by(self.table.c.number)
        ).all()

    def add(self, conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert checkpoints; all columns by name. The key refuses a number that is taken."""
        conn.execute(insert(self.table), rows)

    def copy(self, conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert checkpoints, but leave those that are there as they are."""
        conn.execute(upsert(conn, self.table).on_conflict_do_nothing(), rows)

    def delete_of(self, conn: Connection, tenant_id: str) -> None:
        """Forget the checkpoints of a deleted tenant."""
        conn.execute(delete(self.table).where(self._of(tenant_id)))
