"""`idp worker`: the process that runs jobs, and the table of kinds of job that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from idp import clock
from idp.cli.commands import Output, json_option
from idp.cli.opening import opened
from idp.jobs import purge
from idp.jobs.chain import chain_job
from idp.jobs.drain import drain_job
from idp.jobs.schedule import Job
from idp.jobs.worker import Worker, run_process
from idp.keys import rotation
from idp.keys.checkpoints import CheckpointKeys
from idp.store import migrate
from idp.web import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.installation import Installation
    from idp.jobs.schedule import JobContext
    from idp.tenancy.tenant import Tenant

SOONEST_ROTATION = 60  # seconds


@click.command()
@click.option("--parent", type=int, hidden=True, help="End when this process is gone.")
@click.option("--once", is_flag=True, help="Run what is due now, then end.")
@json_option
def worker(out: Output, parent: int | None, once: bool) -> None:
    """Run jobs: draining the spool, chaining audit logs, rotating keys, purging what has expired."""
    with opened() as installation:
        logs.configure(installation.settings)
        made = Worker(installation.store, jobs_of(installation), tenants_by_id=installation.resolver.by_id)
        if once:
            count = made.run_due()
            out.result({"jobs": count}, f"{count} jobs ran.")
            return
        installation.feed.start()
        run_process(made, parent)


def jobs_of(installation: Installation) -> list[Job]:
    """Return the kinds of job of this release."""
    return [
        Job("migrate", migrate_tenant, first_due=60),
        Job("rotation", rotation_of(installation), first_due=60),
        chain_job(signer_of(installation)),
        purge.TENANT_JOB,
        purge.CONTROL_JOB,
        drain_job(installation.settings.data_dir / "spool", installation.store),
    ]


def key_policy(tenant: Tenant) -> rotation.KeyPolicy:
    """Return how a tenant's keys live: a retired key stays until the last token it signed cannot come back."""
    settings = tenant.settings
    # ID tokens come back as hints (OpenID Connect Core §3.1.2.1) for as long as the sign-in they tell of may last.
    token_life = max(settings.access_token_lifetime, settings.id_token_lifetime, settings.session_lifetime)
    return rotation.KeyPolicy(settings.signing_algorithms, settings.key_rotation_period, token_life)


def rotation_of(installation: Installation) -> Callable[[JobContext], int]:
    """Return the job that does with a tenant's keys what the calendar asks for."""

    def run(context: JobContext) -> int:
        tenant: Tenant = context.tenant
        with context.database.reading() as conn:
            rows = rotation.signing_keys.list_all(conn)
        steps, due = rotation.plan(rows, key_policy(tenant), clock.now())
        if not steps:
            return due
        with installation.feed.announced(tenant.id, "keys"):
            done = rotation.rotate_due(context.database, installation.envelope, tenant.id, key_policy(tenant))
        return max(done.next_due, clock.now() + SOONEST_ROTATION)

    return run


def signer_of(installation: Installation) -> Callable[[JobContext], Callable[[bytes], str]]:
    """Return what gives the audit chain the signer of a tenant."""

    def sign_for(context: JobContext) -> Callable[[bytes], str]:
        with context.database.reading() as conn:
            return CheckpointKeys(conn, installation.envelope, context.tenant.id).sign

    return sign_for


def migrate_tenant(context: JobContext) -> int:
    """Bring a tenant's database to this release's schema; returns when to look again."""
    migrate.check(context.database, "tenant")
    return clock.now() + 24 * 3600
