"""What was allowed, as the mint takes it: from a grant, its user and the client, in one place for every way to a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access import claims
from idp.access.conditions import Context
from idp.access.policy import Subject
from idp.clock import now
from idp.identity.claims import claims_for
from idp.oauth import response_protection
from idp.tokens.authorization import Authorization

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer


def for_user(
    server: TenantServer,
    client: Client,
    source: Any,
    scope: str,
    *,
    nonce: str | None = None,
    without_access_token: bool = False,
    audience: Sequence[str] = (),
    allowed: str = "",
) -> Authorization:
    """Return what a client may have tokens for.

    ``source`` has the columns of a grant (``grant_id``, ``user_id``, ``session_id``, ``auth_time``, ``acr``, ``amr``,
    ``claims_request``) and of its user. Where no access token is issued, the scopes' claims are the ID token's
    (OpenID Connect Core §5.4). ``audience`` is the access token's; ``allowed`` the grant's scope where ``scope`` is a part of it.
    """
    scopes = frozenset(scope.split())
    about_access = (
        {}
        if scopes.isdisjoint(claims.SCOPES)
        else access_claims(server, Subject("user", source.user_id), scopes, source.amr, allowed.split())
    )
    alg = id_token_alg(server, client, scope)
    asked = source.claims_request or {}
    released = frozenset(scope.split()) if without_access_token else frozenset()
    return Authorization(
        client_id=client.client_id,
        subject=server.subjects.of(client, source.user_id),
        scope=scope,
        grant_id=source.grant_id,
        auth_time=source.auth_time,
        acr=source.acr,
        amr=source.amr,
        session_id=server.subjects.sid_of(client, source.session_id) if source.session_id is not None else None,
        nonce=nonce,
        id_token_alg=alg,
        id_token_recipient=response_protection.recipient(server, client, "id_token") if alg is not None else None,
        id_token_claims={
            **claims_for(source, released, asked.get("id_token", ()), asked.get("locales", ()), server.profile.release),
            **about_access,
        }
        if alg is not None and (asked or released or about_access)
        else {},
        audience=audience,
        access_claims=about_access,
    )


def access_claims(
    server: TenantServer, subject: Subject, scopes: Collection[str], amr: Collection[str], allowed: Collection[str] = ()
) -> dict[str, Any]:
    """Return the claims about what a subject may do that the scopes release; bindings to a network are not counted in.

    ``allowed`` are the scopes of the grant where these may be a part of them.
    """
    with server.database.reading() as conn:
        return claims.for_token(conn, subject, scopes, context=Context(now(), amr=amr), allowed=allowed)


def id_token_alg(server: TenantServer, client: Client, scope: str) -> str | None:
    """Return the algorithm of the ID token, None without the scope ``openid`` (OpenID Connect Core §3.1.2.1)."""
    if "openid" not in scope.split():
        return None
    return client.metadata.get("id_token_signed_response_alg") or server.tenant.settings.id_token_signing_alg
