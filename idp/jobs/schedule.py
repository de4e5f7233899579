"""Kinds of job: the shape of the table that the app hands to a worker, and the rows that make each tenant's jobs due.

A job has one of three scopes. A tenant's job is a row per tenant in ``control.pending_work``, done by one worker of all
nodes at a time. A job of the installation is one such row under the empty tenant id. A job of the node belongs to this
machine's files: every worker process runs it for itself, and it makes sure by itself that it runs once a machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zlib import crc32

from idp.clock import now
from idp.store.control import pending_work, tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.store.db import Database, Store
    from idp.store.rows import Connection

INSTALLATION = ""  # in the place of a tenant's id
SWEEP_INTERVAL = 3600  # seconds between the sweeps that see to it that every tenant has its rows
SERVED = ("active", "suspended")  # states of tenants whose jobs run


class TenantPlace(Protocol):
    """What a worker needs to know about a tenant."""

    @property
    def id(self) -> str: ...
    @property
    def slug(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def database_url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a running job gets: ``tenant`` is None and ``database`` the control database outside the tenants' scope."""

    store: Store
    database: Database
    tenant: Any
    is_stopping: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job: ``run`` returns when it is next due (seconds since the epoch).

    The first run is due within ``first_due`` seconds of the tenant's creation, spread so that not all come at once. Jobs of
    one lane take turns among themselves and wait for no job of another: delivery waits for others' servers, work does not.
    """

    kind: str
    run: Callable[[JobContext], int]
    first_due: int = 3600
    scope: Literal["tenant", "installation", "node"] = "tenant"
    lane: Literal["work", "delivery"] = "work"

    def first_due_of(self, tenant_id: str) -> int:
        """Return when the first run for a tenant is due."""
        return now() + (crc32(f"{self.kind} {tenant_id}".encode()) % self.first_due if self.first_due else 0)


def plan(conn: Connection, kinds: Sequence[Job], tenant_id: str) -> None:
    """Give a new tenant its jobs; call it in the control database when the tenant is made."""
    jobs = [(tenant_id, job.kind, job.first_due_of(tenant_id)) for job in kinds if job.scope == "tenant"]
    pending_work.ensure(conn, jobs)


def sweep_job(kinds: Sequence[Job]) -> Job:
    """Return the job that gives every tenant its rows, and forgets those of tenants that are gone."""

    def run(context: JobContext) -> int:
        control = context.store.control
        with control.reading() as conn:
            existing = {(row.tenant_id, row.kind) for row in pending_work.list_all(conn)}
            known = {row.id: row.state for row in tenants.list_all(conn)}
        wanted = [
            (tenant_id, job.kind, job.first_due_of(tenant_id))
            for tenant_id, state in known.items()
            if state in SERVED
            for job in kinds
            if job.scope == "tenant" and (tenant_id, job.kind) not in existing
        ]
        for start in range(0, len(wanted), 500):
            batch = wanted[start : start + 500]
            control.writing(lambda conn, batch=batch: pending_work.ensure(conn, batch))  # type: ignore[misc]
        for tenant_id in {each for each, _ in existing} - known.keys() - {INSTALLATION}:
            control.writing(lambda conn, gone=tenant_id: pending_work.delete_of(conn, gone))  # type: ignore[misc]
        return now() + SWEEP_INTERVAL

    return Job("sweep", run, first_due=0, scope="installation")
