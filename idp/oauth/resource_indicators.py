"""Resource indicators (RFC 8707): for whom an access token shall be, said by the client and proven against what there is.

What the authorization request names is kept with the grant; a token request may name a part of it (§2.2). Without the parameter the
audience is the tenant's issuer. The audience gives no rights: those come from the scope and from what the subject may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import OAuth2Error

from idp.errors import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

PARAMETER = "resource"
MOST = 10  # resources that one request may name
# RFC 8693 §2.1: this grant also knows targets by a name of their own, in `audience`, and judges them itself.
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
AUDIENCE = "audience"


def may_repeat(request: TenantRequest, name: str) -> bool:
    """Say whether a parameter may stand more than once (RFC 8707 §2, RFC 8693 §2.1)."""
    return name == PARAMETER or (name == AUDIENCE and request.payload.data.get("grant_type") == TOKEN_EXCHANGE)


def check_resource(server: TenantServer, request: TenantRequest) -> None:
    """Prove the resources that a request names; raises ``invalid_target`` (§2) for one that is not here."""
    wanted = list(dict.fromkeys(value for name, value in request.payload.pairs if name == PARAMETER and value))
    if request.endpoint == "token" and request.payload.data.get("grant_type") == TOKEN_EXCHANGE:
        return
    known = server.audiences
    if len(wanted) > MOST or any(each not in known for each in wanted):
        raise invalid_target(
            "a resource is none that tokens of this tenant are for",
            "Name the tenant's issuer, a service or one of the tenant's `resources`, exactly (idp tenant set TENANT resources=…), "
            "or leave `resource` out.",
            next((each for each in wanted if each not in known), None),
            known,
        )
    request.resources = wanted


def narrowed(request: TenantRequest, granted: Sequence[str] | None, issuer: str) -> tuple[str, ...]:
    """Return the audience of a token that a code or refresh token gives: what the grant has, or the part that is asked for (§2.2)."""
    has = tuple(granted or ())
    if not request.resources:
        return has
    if not set(request.resources) <= set(has or (issuer,)):
        raise invalid_target(
            "a resource was not named when the person allowed it",
            "Name it in the authorization request, or ask for a part of what was named there.",
            request.resources[0],
            has or (issuer,),
        )
    return tuple(request.resources)


def invalid_target(reason: str, fix: str, received: str | None, registered: tuple[str, ...]) -> OAuth2Error:
    """Return the error for a target that a token cannot be for (§2; RFC 8693 §2.2.2)."""
    return refused(
        OAuth2Error("The requested resource is invalid, unknown, or malformed.", error="invalid_target"),
        check="resource",
        spec="RFC 8707 §2",
        reason=reason,
        fix=fix,
        received=received[:500] if received else None,
        registered=registered,
    )
