"""How a tenant fares, for those who administer it: its database, schema, keys, outbox and audit chain, each in a sentence.

`failing` is what keeps people from signing in; `degraded` is what somebody should look at. Reads only, and never raises: what cannot be
read is failing. Must not know services or pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from idp.clock import now
from idp.errors import StorageUnavailable
from idp.keys.algorithms import ALGORITHMS
from idp.keys.envelope import CannotUnseal
from idp.keys.signer import sealing_purpose
from idp.store import migrate
from idp.store.control import audit_checkpoints as copies
from idp.store.tenant import audit_checkpoints, audit_events, outbox, signing_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from idp.keys.envelope import Envelope
    from idp.store.db import Database, Store
    from idp.tenancy.tenant import Tenant

Status = Literal["ok", "degraded", "failing"]
OVERDUE = 900  # seconds for which a message may be due before somebody looks at the worker
UNSEALED = 2 * 3600  # seconds for which an event may be unchained; an idle tenant is visited once an hour
_WORSE = ("ok", "degraded", "failing")


@dataclass(frozen=True, slots=True)
class Part:
    """One part; ``facts`` are numbers, names and moments (those end in ``_at`` or ``_until``)."""

    name: str
    status: Status
    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found; as bad as its worst part."""

    parts: tuple[Part, ...]

    @property
    def status(self) -> Status:
        """The worst of the parts."""
        return max((part.status for part in self.parts), key=_WORSE.index)


def examine(store: Store, envelope: Envelope, tenant: Tenant) -> Examined:
    """Look at a tenant."""
    database = store.tenant(tenant.id, tenant.database_url)
    looks: tuple[Callable[[], Part], ...] = (
        lambda: _schema(database),
        lambda: _keys(database, envelope, tenant),
        lambda: _outbox(database),
        lambda: _audit(database, store.control, tenant.id),
    )
    try:
        with database.reading() as conn:
            conn.exec_driver_sql("SELECT 1")
        parts = [Part("database", "ok", "The database answers.")]
        schema = looks[0]()
        parts.append(schema)
        if schema.status != "failing":
            parts += [look() for look in looks[1:]]
    except StorageUnavailable:
        return Examined(
            (Part("database", "failing", "The database cannot be reached; see the server's log, and: idp doctor"),)
        )
    return Examined(tuple(parts))


def _schema(database: Database) -> Part:
    found, newest = migrate.version(database), migrate.head("tenant")
    facts = {"version": found or "none", "newest": newest}
    if found == newest:
        return Part("schema", "ok", "The database has this release's schema.", facts)
    if found is not None and found in migrate.versions("tenant"):
        return Part(
            "schema",
            "degraded",
            "The database has an earlier release's schema, and is migrated when it is next used.",
            facts,
        )
    return Part("schema", "failing", "The database was written by a newer release; upgrade this node.", facts)


def _keys(database: Database, envelope: Envelope, tenant: Tenant) -> Part:
    wanted = [alg for alg in tenant.settings.key_algorithms if alg in ALGORITHMS]
    with database.reading() as conn:
        keys = signing_keys.list_all(conn)
    active = {row.alg: row for row in keys if row.state == "active"}
    planned = {row.alg: row.activated_at for row in keys if row.state == "next" and row.activated_at is not None}
    missing = [alg for alg in wanted if alg not in active]
    if missing:
        summary = f"There is no active key for {', '.join(missing)}: idp keys rotate {tenant.slug}"
        return Part("signing_keys", "failing", summary, {"missing": missing})
    try:
        for alg in wanted:
            envelope.unseal(active[alg].sealed_private, sealing_purpose(tenant.id, active[alg].kid))
    except CannotUnseal:
        return Part(
            "signing_keys", "failing", "The keys are sealed under another master key than this installation has."
        )
    # When the next one signs in its place: when somebody has said so, else by the calendar.
    life = tenant.settings.key_rotation_period
    ends = {alg: planned.get(alg) or (active[alg].activated_at or active[alg].created_at) + life for alg in wanted}
    facts = {"active": {alg: active[alg].kid for alg in wanted}, "until": min(ends.values())}
    if min(ends.values()) < now() - OVERDUE:
        return Part(
            "signing_keys", "degraded", "A key should have been replaced: see to it that the worker runs.", facts
        )
    return Part("signing_keys", "ok", f"There is an active key for {', '.join(wanted)}.", facts)


def _outbox(database: Database) -> Part:
    with database.reading() as conn:
        counts, due = outbox.count(conn), outbox.next_due(conn)
    facts = {"waiting": counts["waiting"], "failed": counts["dead"]}
    late = now() - due if due is not None else 0
    if late > OVERDUE:
        summary = f"Messages have waited for {late // 60} minutes: see to it that the worker runs."
        return Part("outbox", "degraded", summary, facts)
    if counts["dead"]:
        return Part("outbox", "degraded", f"{counts['dead']} messages could not be delivered and were given up.", facts)
    return Part("outbox", "ok", "Mails and notifications leave in time.", facts)


def _audit(database: Database, control: Database, tenant_id: str) -> Part:
    with database.reading() as conn:
        waiting, last = audit_events.count_unchained(conn), audit_checkpoints.last(conn)
        first = audit_events.unchained(conn, 1)
    with control.reading() as conn:
        copy = copies.last(conn, tenant_id)
    facts: dict[str, Any] = {"unsealed": waiting}
    if last is not None:
        facts |= {"sealed": last.chain_seq, "checkpoint": last.number, "sealed_at": last.at}
    if (copy.number if copy is not None else 0) > (last.number if last is not None else 0):
        return Part("audit", "degraded", "Checkpoints are missing that were there once: idp audit verify", facts)
    if first and first[0].at < now() - UNSEALED:
        return Part(
            "audit", "degraded", "Events have not been sealed for hours: see to it that the worker runs.", facts
        )
    return Part("audit", "ok", "The audit log is being sealed.", facts)
