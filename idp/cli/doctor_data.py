"""What `idp doctor` checks about the databases: master key, schemas, jobs, signing keys, dead letters, mail servers; and Redis and the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.cli import doctor_mail
from idp.cli.db import state_of, targets
from idp.cli.doctor_node import Finding
from idp.cli.preflight import require_installation
from idp.clock import now
from idp.errors import StorageUnavailable
from idp.keys.envelope import CannotUnseal, Envelope
from idp.keys.signer import sealing_purpose
from idp.store import migrate, tables
from idp.store.control import control_state, pending_work, tenants
from idp.store.db import Database
from idp.store.location import locate
from idp.store.tenant import outbox, signing_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from idp.settings import Settings
    from idp.store.rows import Row

OVERDUE = 900  # seconds
MOST_TENANTS = 2000  # that are looked at


def findings(settings: Settings) -> Iterator[Finding]:
    """Check the databases and what the server needs beside them; raises what opening them raises."""
    tables.load()
    yield from _redis(settings)
    require_installation(settings)
    envelope = Envelope.open(settings)
    control = Database(settings.control_url)
    try:
        yield from _master_key(control, envelope)
        yield from _schemas(settings)
        yield from _jobs(control)
        yield from _tenants(settings, control, envelope)
        yield from _demo(control, settings)
    finally:
        control.close()
    yield from _server(settings)


def _master_key(control: Database, envelope: Envelope) -> Iterator[Finding]:
    with control.reading() as conn:
        sealed = control_state.get(conn, "master_key_check")
        if sealed is None:
            yield Finding("warning", "the master key was never used", "run `idp init`")
            return
        envelope.check(conn)
    if envelope.needs_rewrap(sealed):
        yield Finding(
            "warning",
            "secrets are still sealed under a former master key",
            "run `idp keys rewrap`, then drop the former key",
        )
    else:
        yield Finding("ok", "the master key is the one that sealed this installation's secrets")


def _schemas(settings: Settings) -> Iterator[Finding]:
    states = [state_of(*target) for target in targets(settings)]
    for each in [each for each in states if each["state"] == "unreachable"][:5]:
        yield Finding(
            "error",
            f"the database of {each['database']} cannot be reached",
            "start the database server, or restore the file from a backup",
        )
    behind = [each["database"] for each in states if each["state"] == "behind"]
    newer = [each["database"] for each in states if each["state"].startswith("newer")]
    if behind:
        yield Finding("note", f"{len(behind)} databases have the schema of an earlier release", "idp db upgrade")
    if newer:
        yield Finding(
            "error", f"{len(newer)} databases were written by a newer release ({newer[0]})", "upgrade this node"
        )
    if all(each["state"] == "current" for each in states):
        yield Finding("ok", f"{len(states)} databases have this release's schema")


def _jobs(control: Database) -> Iterator[Finding]:
    with control.reading() as conn:
        rows = pending_work.list_all(conn)
        slugs = {row.id: row.slug for row in tenants.list_all(conn)}
    at = now()
    overdue = [row for row in rows if row.next_due < at - OVERDUE and (row.claimed_until or 0) < at]
    failing = [row for row in rows if row.last_error]
    if overdue:
        fix = "see to it that `idp serve` or `idp worker` runs, and what its log says"
        yield Finding(
            "warning",
            f"{len(overdue)} jobs are overdue, the first by {_ago(at - min(row.next_due for row in overdue))}",
            fix,
        )
    for row in failing[:5]:
        whose = slugs.get(row.tenant_id, row.tenant_id) or "the installation"
        yield Finding(
            "warning",
            f"the job {row.kind} of {whose} fails: {row.last_error}",
            "see the worker's log; it is tried again by itself",
        )
    if not overdue and not failing:
        yield Finding("ok", "no job is overdue or failing")


def _tenants(settings: Settings, control: Database, envelope: Envelope) -> Iterator[Finding]:
    with control.reading() as conn:
        served = [row for row in tenants.list_all(conn) if row.state in ("active", "suspended")]
    broken = undelivered = 0
    servers: list[doctor_mail.Own] = []
    for tenant in served[:MOST_TENANTS]:
        problem, dead, own = _look(settings, tenant, envelope)
        servers += [own] if own is not None else []
        if problem is not None and (broken := broken + 1) <= 5:
            yield problem
        if dead is not None and (undelivered := undelivered + 1) <= 5:
            yield dead
    looked = min(len(served), MOST_TENANTS)
    if not broken:
        yield Finding("ok", f"the signing keys of {looked} tenants are there and can be opened")
    if not undelivered:
        yield Finding("ok", f"the outboxes of {looked} tenants have no dead letter")
    yield from doctor_mail.of_tenants(settings, servers)


def _look(
    settings: Settings, tenant: Row[Any], envelope: Envelope
) -> tuple[Finding | None, Finding | None, doctor_mail.Own | None]:
    """Return what is wrong with a tenant's keys, and with its outbox, and the mail server that it has of its own."""
    database = Database(locate(settings, tenant.database_url))
    try:
        with database.reading() as conn:
            active = {row.alg: row for row in signing_keys.list_all(conn) if row.state == "active"}
        dead = _dead_letters(tenant, database)
        own = doctor_mail.own(database, tenant, envelope)
    except StorageUnavailable:
        return None, None, None  # said with the schemas
    finally:
        database.close()
    return _key_problem(tenant, active, envelope), dead, own


def _dead_letters(tenant: Row[Any], database: Database) -> Finding | None:
    if migrate.version(database) != migrate.head("tenant"):
        return None  # the release before had no outbox; the schema is a finding of its own
    with database.reading() as conn:
        dead = outbox.count(conn)["dead"]
    if not dead:
        return None
    return Finding(
        "warning",
        f"{dead} messages of tenant {tenant.slug} could not be delivered",
        f"idp outbox list {tenant.slug} --state dead; then retry or discard them",
    )


def _key_problem(tenant: Row[Any], active: Mapping[str, Row[Any]], envelope: Envelope) -> Finding | None:
    missing = [alg for alg in ("ES256", "RS256") if alg not in active]
    if missing:
        return Finding(
            "error",
            f"tenant {tenant.slug} has no active key for {', '.join(missing)}",
            f"idp keys rotate {tenant.slug}",
        )
    try:
        for row in active.values():
            envelope.unseal(row.sealed_private, sealing_purpose(tenant.id, row.kid))
    except CannotUnseal:
        fix = "put the former master key back, behind the new one, and run `idp keys rewrap`"
        return Finding("error", f"the signing keys of tenant {tenant.slug} are sealed under another master key", fix)
    return None


def _demo(control: Database, settings: Settings) -> Iterator[Finding]:
    with control.reading() as conn:
        demo = tenants.find_by_slug(conn, "demo")
    if settings.is_production and demo is not None:
        yield Finding("warning", "the tenant demo exists in production", "idp tenant delete demo --yes demo")


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        return
    import redis

    try:
        client: Any = redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
        client.ping()
        client.close()
    except (redis.RedisError, OSError, ValueError):
        fix = "check IDP_REDIS_URL and that Redis runs; meanwhile each worker counts for itself"
        yield Finding("warning", "Redis does not answer", fix)
    else:
        yield Finding("ok", "Redis answers")


def _server(settings: Settings) -> Iterator[Finding]:
    import requests

    try:
        answer = requests.get(f"{settings.public_url}/health/ready", timeout=3, verify=settings.ca_bundle or True)
    except requests.RequestException as error:
        yield Finding("note", f"{settings.public_url} does not answer ({type(error).__name__})", "start it: idp serve")
        return
    if answer.status_code == 200:
        yield Finding("ok", f"{settings.public_url} is served and ready")
    else:
        yield Finding(
            "error", f"{settings.public_url}/health/ready answers {answer.status_code}", "see the server's log"
        )


def _ago(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds >= 7200 else f"{seconds // 60} min"
