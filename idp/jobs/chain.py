"""The audit chain: each event's hash covers the event and the hash before it; signed checkpoints are copied elsewhere.

Each batch of events is numbered, hashed and closed by a checkpoint in one transaction of the tenant's database, so that
there is never a chained event that no checkpoint covers. The checkpoint is copied to the control database: whoever cuts
the end of a tenant's log off, or removes it, does not reach the copy. :mod:`idp.jobs.chain_verification` checks all this.

The keys are handed in: ``sign`` turns bytes into a text (a JWS), which must contain what it signs.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.errors import Conflict, StorageUnavailable
from idp.jobs.schedule import Job
from idp.store.control import audit_checkpoints as copies
from idp.store.tenant import audit_checkpoints, audit_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.jobs.schedule import JobContext
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

    Sign = Callable[[bytes], str]

log = logging.getLogger("idp.jobs.chain")

KIND = "chain"
BATCH = 1000  # events a transaction
MOST_RACES = 20  # that a run loses to another chainer before it leaves the work to that one
SOONEST, LATEST = 60, 3600  # seconds to the next visit: soon while a tenant is in use, rarely when it is idle
_WHO = ("actor", "client_id", "subject", "session_id", "grant_id", "source", "correlation_id")
HASHED = ("seq", "id", "at", "kind", "outcome", *_WHO)
SIGNED = ("number", "chain_seq", "chain_hash", "at", "previous")


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends: the event's number and hash, the checkpoint's number and digest."""

    chain_seq: int
    chain_hash: str
    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class Chained:
    """What a run did: how many events were chained, and when the next run is due."""

    events: int
    next_due: int


def genesis(tenant_id: str) -> str:
    """Return the hash before the first event: a tenant's chain never fits another tenant."""
    return hashlib.sha256(f"audit chain of {tenant_id}".encode()).hexdigest()


def event_hash(previous: str, event: Row[Any]) -> str:
    """Return SHA-256 over the hash before and the canonical JSON of the event, read with ``details_text``."""
    try:
        details = json.loads(event.details_text or "null")
    except ValueError:  # only somebody who tampers stores what is not JSON
        details = {"not JSON": str(event.details_text)}
    document = {name: getattr(event, name) for name in HASHED} | {"details": details}
    return hashlib.sha256(previous.encode() + b"\n" + canonical(document)).hexdigest()


def canonical(document: Any) -> bytes:
    """Return the one spelling of a JSON document that is hashed and signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=repr).encode("ascii")


def checkpoint_payload(tenant_id: str, checkpoint: Any) -> bytes:
    """Return what a checkpoint's signature covers."""
    return canonical({"tenant": tenant_id} | {name: getattr(checkpoint, name) for name in SIGNED})


def checkpoint_digest(tenant_id: str, checkpoint: Any) -> str:
    """Return the digest by which the next checkpoint names this one, and so vouches for it when its key is gone."""
    payload = checkpoint_payload(tenant_id, checkpoint)
    return hashlib.sha256(payload + b"\n" + str(checkpoint.signature).encode()).hexdigest()


def chain_events(
    database: Database,
    control: Database,
    tenant_id: str,
    sign: Sign,
    *,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Chained:
    """Chain everything a tenant has recorded, batch by batch; safe to run twice at once, done by one."""
    total = lost_races = 0
    while not is_stopping() and lost_races < MOST_RACES:
        head = _head(database, control, tenant_id)
        with database.reading() as conn:
            events = audit_events.unchained(conn, BATCH)
        if not events:
            break
        if _chain_batch(database, tenant_id, sign, head, events):
            total += len(events)
            _copy_checkpoints(database, control, tenant_id)
        else:
            lost_races += 1
    with database.reading() as conn:
        latest = audit_events.latest_at(conn)
    idle = LATEST if latest is None else now() - latest
    return Chained(total, now() + min(max(idle, SOONEST), LATEST))


def chain_job(sign_for: Callable[[JobContext], Sign], follow: Callable[[JobContext], int] | None = None) -> Job:
    """Return the kind of job; ``sign_for`` gives the signer of a job's tenant.

    ``follow`` is called behind each run, to do what follows from what is chained, and returns when it wants to be called again.
    """

    def run(context: JobContext) -> int:
        sign = sign_for(context)
        control = context.store.control
        done = chain_events(context.database, control, context.tenant.id, sign, is_stopping=context.is_stopping)
        return done.next_due if follow is None else min(done.next_due, follow(context))

    return Job(KIND, run, first_due=SOONEST)


def hurry(database: Database) -> None:
    """Have a worker chain a tenant's events, and do what follows, now; else it comes by itself within the hour."""
    if database.mark_work is not None:
        try:
            database.mark_work(KIND, now())
        except StorageUnavailable:
            log.warning("a tenant's chain could not be marked; it is looked at within the hour")


def _chain_batch(database: Database, tenant_id: str, sign: Sign, head: Head, events: Sequence[Row[Any]]) -> bool:
    links, previous = [], head.chain_hash
    for number, event in enumerate(events, start=head.chain_seq + 1):
        previous = event_hash(previous, event)
        links.append((event.seq, number, previous))
    made = _Checkpoint(head.number + 1, head.chain_seq + len(links), previous, now(), head.digest)
    signature = sign(checkpoint_payload(tenant_id, made))

    def work(conn: Connection) -> bool:
        last = audit_checkpoints.last(conn)
        if last is not None and last.number > head.number:
            return False  # another chainer was faster
        audit_events.link(conn, links)
        audit_checkpoints.add(conn, [made.row() | {"signature": signature}])
        return True

    try:
        return database.writing(work)
    except Conflict:  # the same on PostgreSQL, where the key decides between two at once
        return False


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    number: int
    chain_seq: int
    chain_hash: str
    at: int
    previous: str

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SIGNED}


def _head(database: Database, control: Database, tenant_id: str) -> Head:
    """Return where to go on, and complain when the tenant's log has lost what the control database remembers.

    The chain then goes on behind the gap: recording must not stop, and the gap stays visible for ever.
    """
    _copy_checkpoints(database, control, tenant_id)
    with database.reading() as conn:
        own, highest = audit_checkpoints.last(conn), audit_events.last_number(conn)
    with control.reading() as conn:
        last = copies.last(conn, tenant_id)
    if last is None:
        return Head(highest, genesis(tenant_id), 0, "")
    if (
        own is None
        or own.number < last.number
        or checkpoint_digest(tenant_id, own) != checkpoint_digest(tenant_id, last)
    ):
        log.error("the audit log of tenant %s does not end where it was sealed; run `idp audit verify`", tenant_id)
    return Head(max(last.chain_seq, highest), last.chain_hash, last.number, checkpoint_digest(tenant_id, last))


def _copy_checkpoints(database: Database, control: Database, tenant_id: str) -> None:
    """Copy to the control database what it does not have yet (a crash may have come between the two commits)."""
    with control.reading() as conn:
        last = copies.last(conn, tenant_id)
    with database.reading() as conn:
        missing = audit_checkpoints.after(conn, last.number if last is not None else 0)
    if missing:
        rows = [
            {name: getattr(row, name) for name in (*SIGNED, "signature")} | {"tenant_id": tenant_id} for row in missing
        ]
        control.writing(lambda conn: copies.copy(conn, rows))
