"""The tokens that a token exchange is about: taken as who they stand for, if they are alive (RFC 8693 §2.1, §2.2.2).

Access tokens and ID tokens of this tenant. An ID token says less than it needs to: it is worth what the living grant is that it came
with, and ends with it. Must not know what is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.keys.compact import InvalidToken
from idp.store.tenant import grants, users
from idp.tokens import verification
from idp.tokens.authorization import OPERATOR_CLIENT
from idp.tokens.mint import ID_TOKEN_TYPE
from idp.tokens.verification import CAME_FROM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer
    from idp.store.rows import Row

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
TYPES = (ACCESS_TOKEN, ID_TOKEN)
_MOST_GRANTS = 100  # of a person, that are looked through for the one that an ID token came with


@dataclass(frozen=True, slots=True)
class Presented:
    """A living token: whose it is, whom it was issued to, and what it allows until when."""

    claims: Mapping[str, Any]
    client_id: str  # that it was issued to
    user_id: str | None  # None: a client for itself
    grant_id: str | None
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    allowed: tuple[str, ...]  # the scope of its grant
    ids: tuple[str, ...]  # the `jti` of the token and of those that it came from

    @property
    def actor(self) -> dict[str, str]:
        """Who is acting, as the claim ``act`` says it (RFC 8693 §4.1)."""
        subject: str = self.claims["sub"]
        return {"sub": subject} if self.user_id is not None else {"sub": subject, "client_id": subject}


def find(server: TenantServer, token: str, kind: str) -> Presented:
    """Return a living token; raises :class:`InvalidToken` with the private reason."""
    found = _access_token(server, token) if kind == ACCESS_TOKEN else _id_token(server, token)
    if "cnf" in found.claims:
        # RFC 8705 §3, RFC 9449 §6: bound to a key; without a proof whoever holds it may have found it.
        raise InvalidToken("the token is bound to a key, and there is no proof of the key")
    if found.client_id == OPERATOR_CLIENT:
        raise InvalidToken("a token that an operator made at the command line is not exchanged")
    if not server.serves({**found.claims, "client_id": found.client_id}):
        raise InvalidToken("the client that the token was issued to, or one that has acted, is disabled or gone")
    return found


def _access_token(server: TenantServer, token: str) -> Presented:
    live = verification.find_live(
        server.database, server.keys, server.tenant.issuer, token, audience=server.audiences, or_exchanged=True
    )
    claims = live.claims
    return Presented(
        claims,
        claims["client_id"],
        live.standing.user_id if live.standing is not None else None,
        claims.get("grant_id"),
        tuple(claims.get("scope", "").split()),
        tuple(verification.audience_of(claims)),
        tuple(live.granted_scopes),
        (claims["jti"], *claims.get(CAME_FROM, ())),
    )


def _id_token(server: TenantServer, token: str) -> Presented:
    claims = server.keys.verify(token, typ=ID_TOKEN_TYPE, issuer=server.tenant.issuer)
    named = claims.get("azp")
    client = server.query_client(named) if isinstance(named, str) else None
    # OpenID Connect Core §2: an ID token of ours is for one client.
    if client is None or claims.get("aud") != client.client_id or "sub" not in claims:
        raise InvalidToken("no ID token, or its client is disabled or gone")
    grant = _grant_of(server, client, claims)
    scope = tuple(grant.scope.split())
    audience = tuple(grant.resources or (server.tenant.issuer,))
    return Presented(claims, client.client_id, grant.user_id, grant.id, scope, audience, scope, ())


def _grant_of(server: TenantServer, client: Client, claims: Mapping[str, Any]) -> Row[Any]:
    """Return the newest living grant that an ID token can have come with."""
    user_id = server.subjects.user_of(client, claims["sub"])
    with server.database.reading() as conn:
        user = users.find(conn, user_id) if user_id is not None else None
        rows = grants.list_of_user(conn, user.id, _MOST_GRANTS) if user is not None and user.state == "active" else ()
    for row in rows:
        if row.revoked_at is None and row.client_id == client.client_id and now() < row.expires_at:
            sid = server.subjects.sid_of(client, row.session_id) if row.session_id is not None else None
            if sid == claims.get("sid") and row.auth_time == claims.get("auth_time"):
                return row
    raise InvalidToken("the grant that the ID token came with was revoked, or its user is not active")
