"""Pending work: which tenants need a job, and when the next one is due, so that idle tenants cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

pending_work = db.Table(
    "pending_work",
    identifier("tenant_id"),
    identifier("kind"),  # purge, rotation, chain
    moment("next_due", index=True),
    moment("claimed_until", nullable=True),
    text("claimed_by", nullable=True),
    text("last_error", nullable=True),
    bind_key="control",
)


def mark(conn: Connection, tenant_id: str, kind: str, due: int | None = None) -> None:
    """See to it that a job of ``kind`` runs for the tenant at ``due`` (now, if not given) or earlier."""
    when = now() if due is None else due
    statement = upsert(conn, pending_work).values(tenant_id=tenant_id, kind=kind, next_due=when)
    sooner = case((pending_work.c.next_due > when, when), else_=pending_work.c.next_due)
    conn.execute(statement.on_conflict_do_update(index_elements=[pending_work.c.tenant_id, pending_work.c.kind], set_={"next_due": sooner}))


def due(conn: Connection, limit: int = 100) -> Sequence[Row[Any]]:
    """Return jobs whose time has come and that nobody is working on, the longest due first."""
    table = pending_work.c
    free = table.claimed_until.is_(None) | (table.claimed_until < now())
    return conn.execute(select(pending_work).where((table.next_due <= now()) & free).order_by(table.next_due).limit(limit)).all()


def claim(conn: Connection, tenant_id: str, kind: str, worker: str, seconds: int = 300) -> bool:
    """Take a due job for ``seconds``; False when another worker was faster."""
    table = pending_work.c
    free = table.claimed_until.is_(None) | (table.claimed_until < now())
    done = conn.execute(
        update(pending_work)
        .where((table.tenant_id == tenant_id) & (table.kind == kind) & (table.next_due <= now()) & free)
        .values(claimed_until=now() + seconds, claimed_by=worker)
    )
    return done.rowcount == 1


def finish(conn: Connection, tenant_id: str, kind: str, next_due: int, error: str | None = None) -> None:
    """Release a job and say when it is due again."""
    table = pending_work.c
    conn.execute(
        update(pending_work)
        .where((table.tenant_id == tenant_id) & (table.kind == kind))
        .values(next_due=next_due, claimed_until=None, claimed_by=None, last_error=error)
    )


def delete_of(conn: Connection, tenant_id: str) -> None:
    """Forget a deleted tenant's jobs."""
    conn.execute(delete(pending_work).where(pending_work.c.tenant_id == tenant_id))
