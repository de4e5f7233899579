"""Token introspection (RFC 7662): an authenticated client asks about its own tokens; of all others it learns nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from idp import opaque
from idp.clock import now
from idp.errors import refused
from idp.feature import Endpoint, Feature
from idp.keys.compact import InvalidToken
from idp.oauth import errors
from idp.oauth.request import fields_without_assertion, from_body
from idp.oauth.response_protection import encryption_metadata, protected
from idp.oauth.token import signing_algorithms
from idp.store.tenant import refresh_tokens
from idp.tokens import verification
from idp.tokens.refresh import PREFIX
from idp.web.http import json_response, jwt_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.oauth.client import Client
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer
    from idp.web.http import Request, Response

# RFC 7662 §2.1: the endpoint asks for authentication, so public clients cannot use it.
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_TYP = "token-introspection+jwt"  # RFC 9701 §5


def handle(server: TenantServer, http: Request) -> Response:
    """Answer an introspection request."""
    request = from_body(http, "introspect")
    try:
        server.check("introspect", request)
        client = server.authenticate_client(request, METHODS, "introspect")
        token = required_token(request)
    except OAuth2Error as error:
        return errors.json_error(server, request, error)
    described = _describe(server, client, token)
    if client.sector is not None:
        # OpenID Connect Core §8.1: the user's name would join what pairwise subjects keep apart.
        described.pop("username", None)
    return _answer(server, client, http, described)


def _answer(server: TenantServer, client: Client, http: Request, described: dict[str, Any]) -> Response:
    """Return the description as JSON, or as the JWT that was asked for or registered (RFC 9701 §4, §5)."""
    alg = client.metadata.get("introspection_signed_response_alg")
    is_registered = alg is not None or "introspection_encrypted_response_alg" in client.metadata
    if not (is_registered or _accepts_jwt(http)):
        return json_response(200, described)
    # RFC 9701 §5: these claims and no others at the top, so that the answer never passes for an access token.
    claims = {
        "iss": server.tenant.issuer,
        "aud": client.client_id,
        "iat": now(),
        "token_introspection": described,
    }
    text = protected(server, client, "introspection", claims, alg=alg or "RS256", typ=_TYP)
    return jwt_response(text, f"application/{_TYP}")


def _accepts_jwt(http: Request) -> bool:
    """Say whether the Accept header names the JWT's media type, with a quality above 0 (RFC 9110 §12.5.1)."""
    for part in (http.headers.get("accept") or "").lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type == f"application/{_TYP}":
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False


def required_token(request: TenantRequest) -> str:
    """Return the parameter ``token``; raises ``invalid_request`` without it (RFC 7662 §2.1, RFC 7009 §2.1)."""
    token = request.payload.data.get("token")
    if token is None:
        raise refused(
            InvalidRequestError("The parameter token is missing."),
            check="token",
            spec="RFC 7662 §2.1",
            reason="the parameter token is missing",
            fix="Send the token in the form body.",
        )
    return str(token)


def may_run_inline(server: TenantServer, http: Request) -> bool:
    """Say whether a request waits for nothing: reads of SQLite do not, and a client's keys are at hand.

    Where they are not, the request is begun again as a task (:class:`idp.waiting.MustWait`).
    """
    return not server.database.blocking and fields_without_assertion(server, http) is not None


def _describe(server: TenantServer, client: Client, token: str) -> dict[str, Any]:
    # The kind is told by the token itself; a wrong hint changes nothing (RFC 7662 §2.1).
    return (
        _refresh_token(server, client, token)
        if token.startswith(f"{PREFIX}_")
        else _access_token(server, client, token)
    )


def _access_token(server: TenantServer, client: Client, token: str) -> dict[str, Any]:
    try:
        live = verification.find_live(
            server.database, server.keys, server.tenant.issuer, token, audience=server.audiences, or_exchanged=True
        )
    except InvalidToken:
        return {"active": False}
    claims = live.claims
    # RFC 7662 §4: who may not know gets the answer of a dead token. Who it is addressed to may.
    if client.client_id != claims["client_id"] and not is_addressed(server, client.client_id, claims):
        return {"active": False}
    if not server.serves(claims):
        return {"active": False}
    described = {"active": True, "token_type": "Bearer"}
    described |= {
        name: claims[name]
        for name in ("iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "auth_time", "acr", "amr", "act")
        if name in claims
    }
    if live.standing is not None:
        described["username"] = live.standing.username
    return described


def is_addressed(server: TenantServer, client_id: str, claims: Mapping[str, Any]) -> bool:
    """Say whether a token is for a client by name; the id that one chooses never makes it the issuer or a service."""
    return client_id in verification.audience_of(claims) and client_id not in server.reserved_audiences


def _refresh_token(server: TenantServer, client: Client, token: str) -> dict[str, Any]:
    with server.database.reading() as conn:
        row = refresh_tokens.find(conn, opaque.digest(token))
    at = now()
    if (
        row is None
        or row.client_id != client.client_id
        or row.used_at is not None
        or row.revoked_at is not None
        or row.user_state != "active"
        or at >= min(row.expires_at, row.grant_expires_at)
    ):
        return {"active": False}
    return {
        "active": True,
        "iss": server.tenant.issuer,
        "sub": server.subjects.of(client, row.user_id),
        "client_id": row.client_id,
        "scope": row.scope,
        "username": row.username,
        "iat": row.issued_at,
        "exp": min(row.expires_at, row.grant_expires_at),
    }


INTROSPECTION = Feature(
    name="introspection",
    spec="RFC 7662; RFC 9701",
    endpoints=(Endpoint("introspect", "/introspect", ("POST",), handle, is_hot=True, inline=may_run_inline),),
    metadata=lambda server: {
        "introspection_endpoint": f"{server.tenant.issuer}/introspect",
        "introspection_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": signing_algorithms(server),
        "introspection_signing_alg_values_supported": list(server.keys.algorithms),
        **encryption_metadata("introspection"),
    },
)
