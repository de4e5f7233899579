"""`idp registration-token`: initial access tokens, by which others register clients at a tenant (RFC 7591 §3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from idp.cli.commands import Output, json_option, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.clock import now
from idp.oauth import initial_access
from idp.store.tenant import initial_access_tokens

if TYPE_CHECKING:
    from idp.store.rows import Row


@click.group("registration-token")
def registration_token() -> None:
    """Issue initial access tokens: who holds one may register clients (setting registration=token)."""


@registration_token.command()
@click.argument("tenant")
@click.option("--name", required=True, help="For whom or what it is.")
@click.option("--uses", type=int, default=1, show_default=True, help="How many clients may be registered with it.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="How long it may be used.")
@json_option
def create(out: Output, tenant: str, name: str, uses: int, days: int) -> None:
    """Issue a token and show it, once."""
    with opened_tenant(tenant) as place:
        row, token = initial_access.create(
            place.database, name=name, uses=uses, lifetime=days * initial_access.DAY, by=OPERATOR
        )
        setting = place.tenant.settings.registration
    note = "" if setting != "off" else f"\nNobody may register yet: idp tenant set {tenant} registration=token"
    out.result(
        _document(row) | {"token": token},
        f"{token}\nShown only now; good for {uses} registration{'s' * (uses != 1)} until {_day(row.expires_at)}.{note}",
    )


@registration_token.command("list")
@click.argument("tenant")
@json_option
def list_(out: Output, tenant: str) -> None:
    """List the tokens (never themselves), the newest first."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        documents = [_document(row) for row in initial_access_tokens.list_all(conn)]

    def show() -> None:
        rows = [[d["id"], d["name"], d["state"], str(d["uses_left"]), _day(d["expires_at"])] for d in documents]
        table(
            ["id", "for", "state", "uses left", "ends"],
            rows,
            f"There are no tokens; issue one: idp registration-token create {tenant} --name NAME",
        )

    out.result(documents, show)


@registration_token.command()
@click.argument("tenant")
@click.argument("token_id", metavar="ID")
@json_option
def revoke(out: Output, tenant: str, token_id: str) -> None:
    """Make a token worthless at once; clients that were registered with it stay."""
    with opened_tenant(tenant) as place:
        initial_access.revoke(place.database, token_id, by=OPERATOR)
    out.result({"id": token_id, "state": "revoked"}, f"{token_id} is revoked.")


def _document(row: Row[Any]) -> dict[str, Any]:
    if row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at <= now():
        state = "expired"
    else:
        state = "active" if row.uses_left else "used up"
    return {
        "id": row.id,
        "name": row.name,
        "state": state,
        "uses_left": row.uses_left,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
