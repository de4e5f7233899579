"""The change feed: one growing row number per change of configuration, read by every worker once a second.

Row numbers become visible in their order, so that a reader who has seen one has seen all before it. A change is announced
before the tenant's commit (so that a crash between the two can only cause a needless reload) and
again after it (so that no worker keeps what it read in between).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, row_number, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

# PostgreSQL: held from taking a row number to its commit. Without it a number may be committed after a higher one, which
# readers have gone past by then.
_ADVISORY_LOCK = 7_264_112

changes = db.Table(
    "changes",
    row_number(),
    identifier("tenant_id", primary_key=False),
    text("kind"),  # tenant, config, client
    text("subject"),  # the client_id of a client's change, else empty
    moment("at", index=True),
    bind_key="control",
    sqlite_autoincrement=True,
)


def announce(conn: Connection, tenant_id: str, kind: str, subject: str = "") -> None:
    """Append a change; the last thing a short transaction does."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    conn.execute(insert(changes).values(tenant_id=tenant_id, kind=kind, subject=subject, at=now()))


def latest(conn: Connection) -> int:
    """Return the newest row number, 0 when there is none."""
    return int(conn.execute(select(func.coalesce(func.max(changes.c.seq), 0))).scalar_one())


def after(conn: Connection, seq: int) -> Sequence[Row[Any]]:
    """Return the changes after a row number, oldest first."""
    return conn.execute(select(changes).where(changes.c.seq > seq).order_by(changes.c.seq)).all()


def purge_before(conn: Connection, moment_: int, limit: int = 1000) -> int:
    """Delete changes older than a moment; every worker has read them long ago. At most ``limit`` at once."""
    return delete_some(conn, changes, changes.c.at < moment_, limit)
