"""`idp audit`: proving that a tenant's audit log is what was recorded."""

from __future__ import annotations

from dataclasses import asdict

import click

from idp.cli.commands import Failed, Output, json_option
from idp.cli.opening import opened_tenant
from idp.jobs.chain_verification import verify_chain
from idp.keys.checkpoints import CheckpointKeys


@click.group()
def audit() -> None:
    """Verify the audit log of a tenant."""


@audit.command()
@click.argument("tenant")
@json_option
def verify(out: Output, tenant: str) -> None:
    """Check a tenant's whole audit log; names what was altered, removed, inserted or cut off. Exit status 1 when anything was."""
    with opened_tenant(tenant) as place:
        control = place.installation.store.control
        with place.database.reading() as conn, control.reading() as control_conn:
            seals = CheckpointKeys(conn, place.installation.envelope, place.tenant.id)
            report = verify_chain(conn, control_conn, place.tenant.id, seals.verify)
    document = {"tenant": tenant, "is_sound": report.is_sound, **asdict(report)}
    waiting = f" {report.unchained} more were recorded just now and are not sealed yet." if report.unchained else ""
    summary = f"{report.chained} events under {report.checkpoints} checkpoints.{waiting}"
    if report.is_sound:
        out.result(document, f"Sound: {summary}")
        return
    out.result(document, "\n".join([*(f"{finding.problem}: {finding.what}" for finding in report.findings), summary]))
    raise Failed(
        f"The audit log of {tenant} has been tampered with in {len(report.findings)} places; keep both databases as they are and compare with a backup."
    )
