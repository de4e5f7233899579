"""`idp token`: an access token for the services, made for a user by somebody with a shell on the machine; recorded like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from idp import audit, opaque
from idp.access import audiences
from idp.access.claims import EVERYTHING
from idp.cli.commands import Failed, Output, json_option
from idp.cli.opening import OPERATOR, opened_tenant
from idp.clock import now
from idp.identity import accounts
from idp.oauth import scopes
from idp.store.tenant import grants
from idp.tokens.authorization import OPERATOR_CLIENT, Authorization

if TYPE_CHECKING:
    from idp.store.rows import Connection


@click.command()
@click.argument("tenant")
@click.argument("username", metavar="EMAIL")
@click.option(
    "--scope",
    default=EVERYTHING,
    show_default=True,
    help="Permissions such as 'users:read clients:write', or authsec for all that the user holds.",
)
@json_option
def token(out: Output, tenant: str, username: str, scope: str) -> None:
    """Issue a short-lived access token for the services, with what the user may do; tokens of `system` work for every tenant."""
    wanted = scopes.split(scope) if scopes.is_well_formed(scope.replace(" ", "") or "-") else []
    if not wanted:
        raise click.UsageError("--scope is one or several scope values, separated by spaces")
    with opened_tenant(tenant) as place:
        user = accounts.find_user(place.database, username)
        if user.state != "active":
            raise Failed(f"{user.username} is {user.state}; only an active user gets a token.")
        server = place.installation.servers.get(place.tenant)
        at, lifetime = now(), server.mint.access_token_lifetime
        grant_id = opaque.new_id()
        audience = audiences.of_services(place.installation.settings.public_url)

        def work(conn: Connection) -> None:
            grants.create(
                conn,
                id=grant_id,
                client_id=OPERATOR_CLIENT,
                user_id=user.id,
                session_id=None,
                scope=" ".join(wanted),
                auth_time=at,
                amr=[],
                acr="",
                claims_request=None,
                resources=list(audience),
                is_offline=False,
                created_at=at,
                expires_at=at + lifetime,
                revoked_at=None,
                revoked_reason=None,
            )
            audit.record(
                conn,
                "token.issued",
                outcome="success",
                actor=OPERATOR.actor,
                client_id=OPERATOR_CLIENT,
                subject=user.id,
                grant_id=grant_id,
                details={"grant_type": "operator", "scope": " ".join(wanted)},
            )

        server.write(work)
        # Nobody was authenticated: no acr, no amr, so a binding that asks for a second factor grants nothing by it.
        made = server.mint.token_response(
            Authorization(
                client_id=OPERATOR_CLIENT,
                subject=user.id,
                scope=" ".join(wanted),
                grant_id=grant_id,
                auth_time=at,
                acr="",
                audience=audience,
            )
        )
    out.result(made | {"audience": list(audience)}, made["access_token"])
