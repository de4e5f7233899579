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


def check_resource(server: TenantServer, request: TenantRequest) -> None:
    """Prove the resources that a request names; raises ``invalid_target`` (§2) for one that is not here."""
    wanted = list(dict.fromkeys(value for name, value in request.payload.pairs if name == PARAMETER and value))
    known = server.audiences
    if len(wanted) > MOST or any(each not in known for each in wanted):
        raise _invalid_target(
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
        raise _invalid_target(
            "a resource was not named when the person allowed it",
            "Name it in the authorization request, or ask for a part of what was named there.",
            request.resources[0],
            has or (issuer,),
        )
    return tuple(request.resources)


def _invalid_target(reason: str, fix: str, received: str | None, registered: tuple[str, ...]) -> OAuth2Error:
    return refused(
        OAuth2Error("The requested resource is invalid, unknown, or malformed.", error="invalid_target"),
        check="resource",
        spec="RFC 8707 §2",
        reason=reason,
        fix=fix,
        received=received[:500] if received else None,
        registered=registered,
    )
