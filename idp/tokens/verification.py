"""Is this access token alive? Signature, type, issuer and times by the keys; grant, user and revocation by one read.

RFC 9068 §4, RFC 8725 §3. What must never be stale (revoked token, grant, disabled user) is read from the database each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.keys.claims import check_audience
from idp.keys.compact import InvalidToken
from idp.store.tenant import grants, revoked_tokens
from idp.tokens.mint import ACCESS_TOKEN_TYPE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from idp.keys.signer import TenantKeys
    from idp.store.db import Database
    from idp.store.rows import Row

LEEWAY = 0  # the server that issued a token is the one that judges it: no clock to forgive

_REQUIRED = frozenset({"sub", "aud", "client_id", "jti", "iat"})
# The claim with the `jti` of each token that one which was exchanged came from: it ends with any of them.
CAME_FROM = "came_from"


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A living access token: its claims, and its user's row unless a client acts for itself."""

    claims: dict[str, Any]
    standing: Row[Any] | None

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token."""
        return frozenset(self.claims.get("scope", "").split())

    @property
    def granted_scopes(self) -> frozenset[str]:
        """The scopes of its grant, of which the token's are all or a part; none where there is no grant."""
        return frozenset(self.standing.granted_scope.split()) if self.standing is not None else frozenset()


def verified_claims(
    keys: TenantKeys, issuer: str, token: str, audience: str | Collection[str], *, or_exchanged: bool = False
) -> dict[str, Any]:
    """Return the claims of an access token of this tenant, living or revoked; raises :class:`InvalidToken`.

    ``audience`` is who is asked to accept it, or all that there are where it is only talked about; then ``or_exchanged`` lets in
    those that were exchanged, which may be for anybody but this product: to it they are no tokens, whoever they are addressed to.
    """
    claims = keys.verify(token, typ=ACCESS_TOKEN_TYPE, issuer=issuer, leeway=LEEWAY)
    if CAME_FROM not in claims:
        check_audience(claims, audience)
    elif not or_exchanged:
        message = "a token that was exchanged is not for the services and endpoints of this product"
        raise InvalidToken(message)
    grant_id, ids = claims.get("grant_id", "-"), claims.get(CAME_FROM, [])
    texts = [grant_id, *ids] if isinstance(ids, list) else [None]
    # RFC 9068 §2.2: these are required; their types the keys have judged.
    if not claims.keys() >= _REQUIRED or not all(isinstance(each, str) and each.isprintable() for each in texts):
        message = "a claim is missing or of the wrong form"
        raise InvalidToken(message)
    return claims


def audience_of(claims: Mapping[str, Any]) -> list[str]:
    """Return the audience of a token's claims as a list."""
    found = claims["aud"]
    return list(found) if isinstance(found, list) else [found]


def find_live(
    database: Database,
    keys: TenantKeys,
    issuer: str,
    token: str,
    *,
    audience: str | Collection[str],
    or_exchanged: bool = False,
) -> LiveToken:
    """Return a living access token of this tenant; raises :class:`InvalidToken` with the private reason.

    ``audience`` and ``or_exchanged`` as of :func:`verified_claims`.
    """
    claims = verified_claims(keys, issuer, token, audience, or_exchanged=or_exchanged)
    grant_id, jti = claims.get("grant_id"), claims["jti"]
    with database.reading() as conn:
        if claims.get(CAME_FROM) and revoked_tokens.is_any_revoked(conn, claims[CAME_FROM]):
            message = "a token that it came from was revoked"
            raise InvalidToken(message)
        if grant_id is None:
            if revoked_tokens.is_revoked(conn, jti):
                message = "the token was revoked"
                raise InvalidToken(message)
            return LiveToken(claims, None)
        standing = grants.find_standing(conn, grant_id, jti)
    if standing is None:
        message = "the token or its grant was revoked, or its user is not active"
        raise InvalidToken(message)
    return LiveToken(claims, standing)
