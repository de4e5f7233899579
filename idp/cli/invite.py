"""`idp user invite` and its kin: people who choose their password themselves, by a link in a mail."""

from __future__ import annotations

from typing import Any

import click

from idp.cli.commands import Output, json_object, json_option, moment, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.identity import accounts, invitations

_DAY = 86400
_DAYS = click.IntRange(1, 90)


@click.command()
@click.argument("tenant")
@click.argument("email")
@click.option("--name", help="The person's full name.")
@click.option("--role", "roles", multiple=True, help="A role the user gets; may be repeated.")
@click.option("--claims", help='More standard claims as JSON, such as {"given_name": "Ada"}.')
@click.option("--inviter", help="Who invites, as the mail and the page say it; without it the tenant does.")
@click.option("--days", type=_DAYS, help="How long the link works; without it the tenant's invitation_lifetime.")
@json_option
def invite(
    out: Output,
    *,
    tenant: str,
    email: str,
    name: str | None,
    roles: tuple[str, ...],
    claims: str | None,
    inviter: str | None,
    days: int | None,
) -> None:
    """Invite somebody by mail to choose a password and have an account."""
    given: dict[str, Any] = json_object(claims, "--claims must be a JSON object.") if claims else {}
    if name:
        given["name"] = name
    with opened_tenant(tenant) as place:
        user_id = invitations.invite(
            place.database,
            place.installation.services.mailer,
            place.tenant,
            email=email,
            by=OPERATOR,
            inviter=inviter,
            claims=given,
            roles=roles,
            lifetime=days * _DAY if days else None,
        )
        document = {"id": user_id, "tenant": place.tenant.slug, "email": email, "state": "invited"}
        out.result(document, f"{email} is invited to {place.tenant.slug}; the mail is on its way.")


@click.command("invitations")
@click.argument("tenant")
@json_option
def list_invitations(out: Output, tenant: str) -> None:
    """List the invitations of a tenant: waiting, expired, and those accepted lately."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        found = invitations.list_all(conn)
    documents = [each._asdict() for each in found]

    def show() -> None:
        rows = [
            [each.address, each.state, each.invited_by, moment(each.sent_at), moment(each.expires_at)] for each in found
        ]
        table(
            ["address", "state", "by", "sent", "until"],
            rows,
            "There are no invitations; make one: idp user invite TENANT EMAIL",
        )

    out.result(documents, show)


@click.command("resend-invitation")
@click.argument("tenant")
@click.argument("email")
@click.option("--days", type=_DAYS, help="How long the link works; without it the tenant's invitation_lifetime.")
@json_option
def resend(out: Output, tenant: str, email: str, days: int | None) -> None:
    """Send an invitation again; the older link does not work any more."""
    with opened_tenant(tenant) as place:
        row = accounts.find_user(place.database, email)
        mailer, lifetime = place.installation.services.mailer, days * _DAY if days else None
        invitations.resend(place.database, mailer, place.tenant, row.id, by=OPERATOR, lifetime=lifetime)
        out.result({"id": row.id, "email": row.email, "state": "invited"}, f"A new mail to {row.email} is on its way.")


@click.command("cancel-invitation")
@click.argument("tenant")
@click.argument("email")
@json_option
def cancel(out: Output, tenant: str, email: str) -> None:
    """Take an invitation back; the link does not work any more and the address is free again."""
    with opened_tenant(tenant) as place:
        row = accounts.find_user(place.database, email)
        invitations.cancel(place.database, row.id, by=OPERATOR)
        out.result({"id": row.id, "email": row.email, "state": "cancelled"}, f"{row.email} is not invited any more.")


COMMANDS = (invite, list_invitations, resend, cancel)
