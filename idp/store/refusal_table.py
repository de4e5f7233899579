"""Refusals: two tables with the same columns, a tenant's and the control database's (for requests of no known tenant).

What is kept is bounded in number (:meth:`RefusalTable.trim`) and in time (:meth:`RefusalTable.purge_expired`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from idp.store.db import db
from idp.store.mixins import delete_some, document, moment, row_number, text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection, Row


class RefusalTable:
    """One of the two tables, with its queries."""

    def __init__(self, bind_key: str) -> None:
        """Declare the table in the metadata of ``bind_key``."""
        self.table: Table = db.Table(
            "refusals",
            row_number(),
            db.Column("correlation_id", db.String(255), nullable=False, index=True),
            moment("at", index=True),
            text("error_code"),
            text("check"),
            text("spec"),
            text("reason"),
            text("fix"),
            text("received", nullable=True),
            document("registered"),
            text("method"),
            text("path"),
            text("client_id", nullable=True),
            text("source", nullable=True),
            bind_key=bind_key,
            sqlite_autoincrement=True,
        )

    def add(self, conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert refusals; all columns by name but ``seq``."""
        conn.execute(insert(self.table), rows)

    def find(self, conn: Connection, correlation_id: str) -> Sequence[Row[Any]]:
        """Return the refusals of one request, oldest first; mostly none or one."""
        return conn.execute(
            select(self.table).where(self.table.c.correlation_id == correlation_id).order_by(self.table.c.seq).limit(20)
        ).all()

    def reasons(self, conn: Connection, correlation_ids: Collection[str]) -> dict[str, str]:
        """Return why some requests were refused, by their ids; of several refusals of one the last."""
        here = self.table.c.correlation_id.in_(correlation_ids)
        query = select(self.table.c.correlation_id, self.table.c.reason).where(here).order_by(self.table.c.seq)
        return {row.correlation_id: row.reason for row in conn.execute(query)} if correlation_ids else {}

    def trim(self, conn: Connection, keep: int, limit: int = 1000) -> int:
        """Delete the oldest beyond the newest ``keep``, at most ``limit`` at once; returns how many."""
        newest = conn.execute(select(func.max(self.table.c.seq))).scalar() or 0
        return delete_some(conn, self.table, self.table.c.seq <= newest - keep, limit)

    def purge_expired(self, conn: Connection, before: int, limit: int = 1000) -> int:
        """Delete those older than a moment, at most ``limit`` at once; returns how many."""
        return delete_some(conn, self.table, self.table.c.at < before, limit)
