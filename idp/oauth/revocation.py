"""Token revocation (RFC 7009): a client revokes its own tokens; for all others, and for garbage, the answer is the same 200."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import OAuth2Error

from idp import audit, opaque
from idp.feature import Endpoint, Feature
from idp.flow import session
from idp.keys.compact import InvalidToken
from idp.oauth import errors
from idp.oauth.client_auth import METHODS
from idp.oauth.introspection import required_token
from idp.oauth.request import from_body
from idp.oauth.token import signing_algorithms
from idp.store.tenant import grants, refresh_tokens, revoked_tokens, sessions
from idp.tokens import verification
from idp.tokens.refresh import PREFIX
from idp.web.http import json_response

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection
    from idp.web.http import Request, Response


def handle(server: TenantServer, http: Request) -> Response:
    """Answer a revocation request."""
    request = from_body(http, "revoke")
    try:
        server.check("revoke", request)
        client = server.authenticate_client(request, METHODS, "revoke")
        token = required_token(request)
    except OAuth2Error as error:
        return errors.json_error(server, request, error)
    # RFC 7009 §2.1: the hint may be wrong; the token itself tells its kind.
    if token.startswith(f"{PREFIX}_"):
        _revoke_refresh_token(server, client, request, token)
    else:
        _revoke_access_token(server, client, request, token)
    # RFC 7009 §2.2: 200 for an invalid token too.
    return json_response(200, {})


def _revoke_refresh_token(server: TenantServer, client: Client, request: TenantRequest, token: str) -> None:
    with server.database.reading() as conn:
        row = refresh_tokens.find(conn, opaque.digest(token))
        live = sessions.find_live_by_id(conn, row.session_id) if row is not None and client.is_first_party else None
    if row is None or row.client_id != client.client_id:
        return
    # A session without a cookie lives for this grant alone: the application has signed the person out.
    ended = live if live is not None and live.by_program else None

    def work(conn: Connection) -> None:
        # RFC 7009 §2.1: with the refresh token go all access tokens of the same grant.
        if grants.revoke(conn, row.grant_id, "revoked_by_client"):
            _record(conn, request, client, row.user_id, row.grant_id, "refresh_token")
            if ended is not None:
                session.end(conn, request.http, ended, reason="signed_out_by_program")

    with session.ending(server, ended) if ended is not None else contextlib.nullcontext():
        server.write(work)


def _revoke_access_token(server: TenantServer, client: Client, request: TenantRequest, token: str) -> None:
    try:
        claims = verification.verified_claims(
            server.keys, server.tenant.issuer, token, server.audiences, or_exchanged=True
        )
    except InvalidToken:
        return
    if claims["client_id"] != client.client_id:
        return

    def work(conn: Connection) -> None:
        if revoked_tokens.revoke(conn, claims["jti"], claims["exp"]):
            _record(conn, request, client, claims["sub"], claims.get("grant_id"), "access_token")

    server.write(work)


def _record(
    conn: Connection, request: TenantRequest, client: Client, subject: str, grant_id: str | None, kind: str
) -> None:
    audit.record(
        conn,
        "token.revoked",
        outcome="success",
        actor=f"client:{client.client_id}",
        client_id=client.client_id,
        subject=subject,
        grant_id=grant_id,
        source=request.http.remote_addr,
        correlation_id=request.http.correlation_id,
        details={"kind": kind},
    )


REVOCATION = Feature(
    name="revocation",
    spec="RFC 7009",
    endpoints=(Endpoint("revoke", "/revoke", ("POST",), handle, cors="registered", is_hot=True),),
    metadata=lambda server: {
        "revocation_endpoint": f"{server.tenant.issuer}/revoke",
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": signing_algorithms(server),
    },
)
