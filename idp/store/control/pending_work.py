"""Pending work: which tenants need a job, and when the next one is due, so that idle tenants cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=[pending_work.c.tenant_id, pending_work.c.kind], set_={"next_due": sooner}
        )
    )


def due(conn: Connection, kinds: Collection[str], limit: int = 100) -> Sequence[Row[Any]]:
    """Return jobs of some kinds whose time has come and that nobody is working on, the longest due first."""
    table = pending_work.c
    free = table.claimed_until.is_(None) | (table.claimed_until < now())
    ripe = (table.next_due <= now()) & free & table.kind.in_(kinds)
    return conn.execute(select(pending_work).where(ripe).order_by(table.next_due).limit(limit)).all()


def claim(conn: Connection, tenant_id: str, kind: str, worker: str, seconds: int = 300) -> bool:
    """Take a due job for ``seconds``; False when another worker was faster.

    ``next_due`` becomes the end of the lease: a killed worker's job is due again then, and a :func:`mark` that comes while
    the job runs is seen by :func:`finish`, because it has made ``next_due`` sooner than the lease's end.
    """
    table = pending_work.c
    at = now()
    free = table.claimed_until.is_(None) | (table.claimed_until < at)
    done = conn.execute(
        update(pending_work)
        .where((table.tenant_id == tenant_id) & (table.kind == kind) & (table.next_due <= at) & free)
        .values(claimed_until=at + seconds, claimed_by=worker, next_due=at + seconds)
    )
    return done.rowcount == 1


def renew(conn: Connection, tenant_id: str, kind: str, worker: str, seconds: int) -> bool:
    """Keep a claimed job for ``seconds`` more; False when it is no longer this worker's."""
    table = pending_work.c
    until = now() + seconds
    unmarked = table.next_due >= table.claimed_until
    done = conn.execute(
        update(pending_work)
        .where((table.tenant_id == tenant_id) & (table.kind == kind) & (table.claimed_by == worker))
        .values(claimed_until=until, next_due=case((unmarked, until), else_=table.next_due))
    )
    return done.rowcount == 1


def finish(
    conn: Connection, tenant_id: str, kind: str, next_due: int, error: str | None = None, *, worker: str | None = None
) -> bool:
    """Release a job and say when it is due again, or sooner if it was marked meanwhile; False when ``worker`` has lost it."""
    table = pending_work.c
    here = (table.tenant_id == tenant_id) & (table.kind == kind)
    if worker is not None:
        here &= table.claimed_by == worker
    marked = (table.next_due < table.claimed_until) & (table.next_due < next_due)
    done = conn.execute(
        update(pending_work)
        .where(here)
        .values(
            next_due=case((marked, table.next_due), else_=next_due),
            claimed_until=None,
            claimed_by=None,
            last_error=error,
        )
    )
    return done.rowcount == 1


def ensure(conn: Connection, jobs: Sequence[tuple[str, str, int]]) -> None:
    """See to it that jobs, (tenant_id, kind, due) each, have a row; those that have one keep theirs."""
    if jobs:
        rows = [{"tenant_id": tenant_id, "kind": kind, "next_due": due} for tenant_id, kind, due in jobs]
        conn.execute(upsert(conn, pending_work).on_conflict_do_nothing(), rows)


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every job: who needs what, when, and how the last run ended."""
    return conn.execute(select(pending_work).order_by(pending_work.c.tenant_id, pending_work.c.kind)).all()


def kinds_of(conn: Connection, tenant_id: str) -> set[str]:
    """Return the kinds of job that a tenant has a row for."""
    return set(conn.execute(select(pending_work.c.kind).where(pending_work.c.tenant_id == tenant_id)).scalars())


def delete_of(conn: Connection, tenant_id: str) -> None:
    """Forget a deleted tenant's jobs."""
    conn.execute(delete(pending_work).where(pending_work.c.tenant_id == tenant_id))
