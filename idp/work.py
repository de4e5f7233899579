"""The table of kinds of job, and the worker that runs them: purge, key rotation, the audit chain, draining the spool."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from idp import audit
from idp.clock import now
from idp.jobs import purge
from idp.jobs.chain import chain_job
from idp.jobs.drain import drain_job
from idp.jobs.schedule import Job
from idp.jobs.worker import Worker
from idp.keys import rotation
from idp.keys.signer import TenantKeys
from idp.store import migrate
from idp.store.tenant import signing_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.installation import Installation
    from idp.jobs.schedule import JobContext
    from idp.store.db import Database
    from idp.store.rows import Connection
    from idp.tenancy.tenant import Tenant

CHECKPOINT_TYPE = "audit-checkpoint+jwt"
CHECKPOINT_ALG = "ES256"
_FAR = 10**10  # seconds; a checkpoint's signature does not expire


def kinds(installation: Installation) -> tuple[Job, ...]:
    """Return every kind of job this product has."""
    return (
        purge.TENANT_JOB,
        purge.CONTROL_JOB,
        Job("rotation", lambda context: _rotate(installation, context), first_due=60),
        chain_job(lambda context: checkpoint_signer(installation, context.tenant, context.database)),
        drain_job(installation.settings.data_dir / "spool", installation.store),
    )


def worker(installation: Installation) -> Worker:
    """Return a worker that runs them."""
    return Worker(installation.store, kinds(installation), tenants_by_id=installation.resolver.by_id)


def key_policy(tenant: Tenant) -> rotation.KeyPolicy:
    """Return how a tenant's keys live: retired ones as long as anything they signed may come back."""
    settings = tenant.settings
    longest = max(settings.access_token_lifetime, settings.id_token_lifetime, settings.session_lifetime)
    return rotation.KeyPolicy(settings.signing_algorithms, settings.key_rotation_period, longest)


def checkpoint_signer(installation: Installation, tenant: Tenant, database: Database) -> Callable[[bytes], str]:
    """Return the function that signs a tenant's audit checkpoints with its active key."""
    with database.reading() as conn:
        keys = TenantKeys.load(conn, installation.envelope, tenant.id)

    def sign(payload: bytes) -> str:
        claims = {"iss": tenant.issuer, "sub": "audit", "exp": now() + _FAR, "checkpoint": payload.decode("ascii")}
        return keys.sign(claims, alg=CHECKPOINT_ALG, typ=CHECKPOINT_TYPE)

    return sign


def checkpoint_verifier(installation: Installation, tenant: Tenant, database: Database) -> Callable[[str], bytes]:
    """Return the function that verifies a checkpoint's signature and returns what it signs; raises when it does not fit."""
    with database.reading() as conn:
        keys = TenantKeys.load(conn, installation.envelope, tenant.id)

    def verify(signature: str) -> bytes:
        # An own domain may have changed the issuer since: the tenant's keys vouch, not its address.
        issuer = _issuer_of(signature)
        claims = keys.verify(signature, typ=CHECKPOINT_TYPE, issuer=issuer, algorithms=(CHECKPOINT_ALG,))
        return str(claims["checkpoint"]).encode("ascii")

    return verify


def _issuer_of(signature: str) -> str:
    from idp.keys.compact import parse

    return str(json.loads(parse(signature).payload).get("iss"))


def _rotate(installation: Installation, context: JobContext) -> int:
    """Do what the calendar of a tenant's keys asks for; other workers learn of it by the change feed."""
    tenant, database = context.tenant, context.database
    migrate.check(database, "tenant")
    policy = key_policy(tenant)
    with database.reading() as conn:
        steps, next_due = rotation.plan(signing_keys.list_all(conn), policy, now())
    if not steps:
        return next_due
    with installation.feed.announced(tenant.id, "config"):
        done = rotation.rotate_due(database, installation.envelope, tenant.id, policy)
        database.writing(lambda conn: _record(conn, done))
    return done.next_due


def _record(conn: Connection, done: rotation.Rotation) -> None:
    details: dict[str, Any] = {"transitions": [f"{step.change} {step.alg} {step.kid}" for step in done.transitions]}
    audit.record(conn, "keys.rotated", outcome="success", actor="worker", details=details)
