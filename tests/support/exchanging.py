"""Token exchange as its tests use it: clients that may exchange, and the requests they send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from house import decoded

from idp.access.bindings import Bindings, Wanted
from idp.access.granting import Granter
from idp.access.roles import Roles
from idp.identity.accounts import By
from idp.oauth.presented_tokens import ACCESS_TOKEN
from idp.oauth.resource_indicators import TOKEN_EXCHANGE

if TYPE_CHECKING:
    from house import Answer, RelyingParty

SCOPE = "openid profile api docs:read docs:write offline_access"
TARGETS = ["https://reports.example/api", "reports"]
OPERATOR = Granter(By("operator"))


def exchanger(cast: Any, name: str, *held: str, over: str = "", **metadata: Any) -> RelyingParty:
    """A client of acme (or of one side of two) that may exchange, with permissions it holds, in the tenant or `over` one client's tokens."""
    grants = ["authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE]
    given = {"scope": SCOPE, "grant_types": grants, "token_exchange_audiences": TARGETS, **metadata}
    tenant = getattr(cast, "tenant", None) or cast.acme
    made: RelyingParty = cast.house.client(tenant, name, **given)
    for permission in held:
        database, role = cast.house.database(tenant), f"{name}-{permission.partition(':')[2]}"
        Roles(database).create(role, "", [permission], granter=OPERATOR)
        resource = f"client:{over}" if over else ""
        Bindings(database).create(Wanted("client", name, role, resource), granter=OPERATOR)
    return made


def exchange(client: RelyingParty, token: str | None, more: dict[str, Any] | None = None, **changes: Any) -> Answer:
    """Send a request; a parameter that is None is left out."""
    form: dict[str, Any] = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        **(more or {}),
        **changes,
    }
    return client.post("/token", {name: value for name, value in form.items() if value is not None})


def exchanged(client: RelyingParty, token: str | None, **changes: Any) -> dict[str, Any]:
    """The claims of the token that is given."""
    answer = exchange(client, token, **changes)
    assert answer.status == 200, answer.text
    claims: dict[str, Any] = decoded(answer.json["access_token"])[1]
    return claims
