"""The table of kinds of job, and the worker that runs them: purge, key rotation, the audit chain, the spool, the outbox.

Also the table of what may wait in an outbox: each kind of message with how it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import audit
from idp.clock import now
from idp.identity import kept_accounts, recovery, unlocking
from idp.identity.session_end import BACKCHANNEL_LOGOUT
from idp.jobs import purge
from idp.jobs.chain import chain_job
from idp.jobs.drain import drain_job
from idp.jobs.key_changes import JOB as ROTATION
from idp.jobs.key_changes import key_policy
from idp.jobs.outbox import Sent, outbox_job
from idp.jobs.schedule import Job
from idp.jobs.worker import Worker
from idp.keys import rotation, sealed_state
from idp.keys.checkpoints import CheckpointKeys
from idp.notify import mailer
from idp.notify.delivery import Delivery
from idp.notify.rendering import Look
from idp.oidc import backchannel_logout
from idp.outbound import Outbound
from idp.store import migrate
from idp.store.tenant import outbox, signing_keys, webhook_deliveries
from idp.web import branding, metrics
from idp.webhooks import delivering, fan_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.installation import Installation
    from idp.jobs.schedule import JobContext
    from idp.store.db import Database
    from idp.store.rows import Connection
    from idp.tenancy.tenant import Tenant

DAY = 86400
SOONEST_ROTATION = 60  # seconds


def kinds(installation: Installation, measured: metrics.Metrics | None = None) -> tuple[Job, ...]:
    """Return every kind of job this product has; ``measured`` counts what is delivered."""
    return (
        Job("migrate", _migrate, first_due=60),
        purge.tenant_job(_purge_rules),
        purge.CONTROL_JOB,
        Job(ROTATION, lambda context: _rotate(installation, context), first_due=10),
        chain_job(lambda context: _signer(installation, context), fan_out.follow),
        drain_job(installation.settings.data_dir / "spool", installation.store),
        outbox_job(
            senders(installation),
            measured.count_delivery if measured is not None else None,
            {outbox.WEBHOOK: delivering.SHARE},
        ),
    )


def senders(installation: Installation) -> dict[str, Callable[[JobContext, Any], Sent]]:
    """Return how each kind of message is sent."""
    return {
        BACKCHANNEL_LOGOUT: backchannel_logout.sender(installation.servers, installation.services.outbound),
        mailer.KIND: _mail_sender(mail_delivery(installation)),
        recovery.KIND: recovery.sender(installation.services.mailer),
        unlocking.KIND: unlocking.sender(installation.services.mailer),
        outbox.WEBHOOK: delivering.sender(
            Outbound(installation.settings, seconds=delivering.SECONDS),
            installation.envelope,
            installation.services.mailer,
        ),
    }


def mail_delivery(installation: Installation) -> Delivery:
    """Return how mails are written and sent."""
    envelope = installation.envelope

    def own_server(database: Database, tenant: Tenant) -> str | None:
        found = sealed_state.get(database, envelope, tenant.id, sealed_state.SMTP_URL)
        return None if found is None else found.decode()

    services = installation.services
    return Delivery(services.settings, services.mailer, services.outbound, own_server, _look)


def _mail_sender(delivery: Delivery) -> Callable[[JobContext, Any], Sent]:
    def send(context: JobContext, message: Any) -> Sent:
        outcome = delivery.send(context.tenant, context.database, message)
        return Sent(outcome.verdict, outcome.words, outcome.address, outcome.is_alone)

    return send


def _look(tenant: Tenant) -> Look:
    return Look(*branding.mail_colours(tenant.settings.colour_primary))


def worker(installation: Installation) -> Worker:
    """Return the worker of this process, which runs them."""
    table = kinds(installation, metrics.recorder(installation.settings))
    return Worker(installation.store, table, tenants_by_id=installation.resolver.by_id)


def _purge_rules(tenant: Tenant) -> tuple[purge.Rule, ...]:
    """Return what a tenant's own settings say of the purge."""
    settings = tenant.settings
    return (
        purge.Rule("deleted accounts", kept_accounts.purge, settings.deleted_account_retention, kept_accounts.MOST),
        purge.Rule("deliveries of webhooks", webhook_deliveries.purge_expired, settings.webhook_delivery_retention),
    )


def _signer(installation: Installation, context: JobContext) -> Callable[[bytes], str]:
    with context.database.reading() as conn:
        return CheckpointKeys(conn, installation.envelope, context.tenant.id).sign


def _migrate(context: JobContext) -> int:
    """Bring a tenant's database to this release's schema; returns when to look again."""
    migrate.check(context.database, "tenant")
    return now() + DAY


def _rotate(installation: Installation, context: JobContext) -> int:
    """Do what the calendar of a tenant's keys asks for; other workers learn of it by the change feed."""
    tenant, database = context.tenant, context.database
    policy = key_policy(tenant)
    with database.reading() as conn:
        steps, next_due = rotation.plan(signing_keys.list_all(conn), policy, now())
    if not steps:
        return next_due
    with installation.feed.announced(tenant.id, "config"):
        done = rotation.rotate_due(database, installation.envelope, tenant.id, policy)
        database.writing(lambda conn: _record(conn, done))
    return max(done.next_due, now() + SOONEST_ROTATION)


def _record(conn: Connection, done: rotation.Rotation) -> None:
    details: dict[str, Any] = {"transitions": [f"{step.change} {step.alg} {step.kid}" for step in done.transitions]}
    audit.record(conn, "keys.rotated", outcome="success", actor="worker", details=details)
