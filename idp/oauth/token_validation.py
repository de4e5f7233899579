"""Is this access token alive, and does it allow this? What a gateway asks about a token that somebody presented to it.

The same living checks as introspection (RFC 7662 §4), and for what is asked for, scope, audience and permission, whether it holds and by
which binding. Of what is no token of this tenant nothing is said. Must not know HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.access import claims as access_claims
from idp.access import permissions, policy
from idp.access.conditions import Context
from idp.access.policy import Subject
from idp.clock import now
from idp.keys.claims import EXPIRED
from idp.keys.compact import InvalidToken
from idp.store.tenant import grants, revoked_tokens, users
from idp.tokens import verification
from idp.tokens.verification import CAME_FROM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.oauth.server import TenantServer
    from idp.tokens.verification import LiveToken

# Why a token is not active, in words.
REASONS = {
    "unknown": "This is no access token of this tenant.",
    "expired": "The token has expired.",
    "revoked": "The token, or one that it was exchanged from, was revoked.",
    "grant_ended": "What the person allowed the application has ended: withdrawn, signed out, or revoked.",
    "user_not_active": "The user is disabled or gone.",
    "client_not_active": "The application that the token was issued to, or one that it says has acted, is disabled or gone.",
    "tenant_not_active": "The tenant is suspended.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to hold beside that the token is alive; what is empty is not asked for."""

    scopes: Sequence[str] = ()
    audience: str | None = None
    permission: str | None = None
    resource: str = ""  # for which the permission is asked: type:id
    source: str | None = None  # the address that the token was presented from


def validate(server: TenantServer, token: str, asked: Asked) -> dict[str, Any]:
    """Return whether a token is active, what it says, and for each thing that is asked for whether it holds."""
    try:
        live = verification.find_live(
            server.database, server.keys, server.tenant.issuer, token, audience=server.audiences, or_exchanged=True
        )
    except InvalidToken as error:
        return _dead(_reason(server, token, error))
    if not server.serves(live.claims):
        return _dead("client_not_active")
    if server.tenant.state != "active":
        return _dead("tenant_not_active")
    found: dict[str, Any] = {"active": True, "claims": live.claims}
    if live.standing is not None:
        found["user"] = {"id": live.standing.user_id, "username": live.standing.username}
    held = []
    if asked.scopes:
        found["scopes"] = [{"scope": each, "held": each in live.scopes} for each in asked.scopes]
        held += [each["held"] for each in found["scopes"]]
    if asked.audience is not None:
        is_for = asked.audience in verification.audience_of(live.claims)
        found["audience"] = {"audience": asked.audience, "held": is_for}
        held.append(is_for)
    if asked.permission is not None:
        found["permission"] = _decide(server, live, asked, asked.permission)
        held.append(found["permission"]["allowed"])
    return found | {"allowed": all(held)}


def _dead(reason: str) -> dict[str, Any]:
    return {"active": False, "allowed": False, "reason": reason, "explanation": REASONS[reason]}


def _reason(server: TenantServer, token: str, error: InvalidToken) -> str:
    """Return why a token is not alive; looked up only for what this tenant has signed."""
    if error.reason == EXPIRED:
        return "expired"
    try:
        claims = verification.verified_claims(
            server.keys, server.tenant.issuer, token, server.audiences, or_exchanged=True
        )
    except InvalidToken:
        return "unknown"
    with server.database.reading() as conn:
        if revoked_tokens.is_any_revoked(conn, [claims["jti"], *claims.get(CAME_FROM, ())]):
            return "revoked"
        grant = grants.find(conn, claims.get("grant_id", ""))
        user = users.find(conn, grant.user_id) if grant is not None else None
    # A user who is disabled has lost the grants too: the reason behind comes first.
    return "user_not_active" if grant is not None and (user is None or user.state != "active") else "grant_ended"


def _decide(server: TenantServer, live: LiveToken, asked: Asked, permission: str) -> dict[str, Any]:
    standing = live.standing
    subject = Subject("client", live.claims["client_id"]) if standing is None else Subject("user", standing.user_id)
    context = Context(now(), asked.source, tuple(live.claims.get("amr") or ()))
    with server.database.reading() as conn:
        decision = policy.permitted(conn, subject, permission, context=context, resource=asked.resource)
        stands_for = access_claims.stands_for(conn, live.scopes, allowed=live.granted_scopes)
    found = {"permission": permission, **decision.document()}
    # As in the claim `permissions`: a token none of whose scopes is about permissions has those of the tenant's applications.
    is_covered = permission in stands_for if stands_for is not None else not permissions.is_product(permission)
    if decision.allowed and not is_covered:
        explanation = "None of the token's scopes stands for it."
        return found | {"allowed": False, "reason": "not_in_scope", "explanation": explanation}
    return found
