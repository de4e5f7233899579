"""The authorization endpoint (RFC 6749 §3.1, §4.1.1; OpenID Connect Core §3.1.2): checks, then the interaction; at its end a code.

The protocol ``oauth`` of the flow: it knows how to answer, not which steps a person takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error

from idp import audit, opaque
from idp.clock import now
from idp.feature import Endpoint, Feature
from idp.flow import dispatcher
from idp.flow.interaction import AlreadyFinished
from idp.oauth import errors, response_modes
from idp.oauth.redirect_uri import origin_of
from idp.oauth.request import TenantRequest, from_query_or_body
from idp.store.tenant import authorization_codes, grants, session_clients, sessions

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection
    from idp.web.http import Request, Response

CODE_PREFIX = "ac"
# Beyond its access tokens a grant without refresh tokens has nothing to live for.
_AFTERLIFE = 300


def handle(server: TenantServer, http: Request) -> Response:
    """Answer an authorization request."""
    request = from_query_or_body(http, "authorize")
    try:
        server.check("authorize", request)
    except OAuth2Error as error:
        return errors.authorization_error(server, request, error)
    return dispatcher.begin(
        server, http, protocol="oauth", client_id=request.client.client_id, interaction_request=_stored(request)
    )


def _stored(request: TenantRequest) -> dict[str, Any]:
    """Return what the interaction keeps of a validated request."""
    data, client = request.payload.data, request.client
    validated: dict[str, Any] = request.validated
    prompt = validated["prompt"]
    if client.is_public and not (request.proven_redirect_uri or "").startswith("https:"):
        # RFC 8252 §8.6: any app can claim a scheme or a loopback port, so an earlier consent speaks for nobody there.
        prompt = [*prompt, "consent"]
    return {
        **validated,
        "prompt": prompt,
        "login_hint": data.get("login_hint"),
        "client": client.presentation,
        "return_origin": origin_of(request.proven_redirect_uri or ""),
        "return_host": urlsplit(request.proven_redirect_uri or "").netloc
        or (request.proven_redirect_uri or "").partition(":")[0],
        "restart": f"/authorize?{urlencode(request.payload.pairs)}",
        "state": data.get("state"),
        "nonce": data.get("nonce"),
        "redirect_uri": request.proven_redirect_uri,
        "redirect_uri_given": "redirect_uri" in data,
        "response_mode": request.response_mode,
        "code_challenge": data.get("code_challenge"),
    }


class OAuthProtocol:
    """Answers what the flow has finished."""

    name = "oauth"

    def complete(self, context: Context) -> Response:
        """Issue the code in the transaction that finishes the interaction, and send it to the redirect URI."""
        server: TenantServer = context.server  # type: ignore[assignment]  # the flow sees less of it
        asked, session, http = context.interaction.request, context.session, context.request
        client = server.query_client(context.interaction.client_id)
        if client is None or session is None or not client.check_redirect_uri(asked["redirect_uri"]):
            return errors.client_gone(server, http, context.interaction.client_id)
        code = opaque.new_secret(CODE_PREFIX)
        scope = " ".join(asked["scopes"])

        def work(conn: Connection) -> None:
            # Nobody signs out between this look and the commit: a grant never outlives the session it came from.
            if sessions.find_open(conn, session.id) is None or not context.finish(conn):
                raise AlreadyFinished
            session_clients.note(conn, session.id, client.client_id)
            grant_id = _create_grant(conn, server, client, session, scope)
            _create_code(conn, server, client, asked, code, grant_id)
            audit.record(
                conn,
                "authorization.granted",
                outcome="success",
                actor=session.user_id,
                client_id=client.client_id,
                subject=session.user_id,
                session_id=session.id,
                grant_id=grant_id,
                source=http.remote_addr,
                correlation_id=http.correlation_id,
                details={"scope": scope},
            )

        server.write(work)
        fields = [("code", code)]
        if asked["state"] is not None:
            # RFC 6749 §4.1.2: the exact value received from the client.
            fields.append(("state", asked["state"]))
        fields.append(("iss", server.tenant.issuer))  # RFC 9207 §2
        return response_modes.respond(server, http, asked["response_mode"], asked["redirect_uri"], fields)

    def refuse(self, context: Context, error: str, description: str) -> Response:
        """Send an error to the redirect URI, which was proven when the request came."""
        server: TenantServer = context.server  # type: ignore[assignment]
        asked, client = context.interaction.request, server.query_client(context.interaction.client_id)
        if client is None or not client.check_redirect_uri(asked["redirect_uri"]):
            return errors.client_gone(server, context.request, context.interaction.client_id)
        errors.record_flow(server, context.request, error, description, context.interaction.client_id)
        return errors.redirect_error(
            server, asked["redirect_uri"], asked["response_mode"], asked["state"], error, description, context.request
        )


def _create_grant(conn: Connection, server: TenantServer, client: Client, session: Any, scope: str) -> str:
    settings, at = server.tenant.settings, now()
    grant_id = opaque.new_id()
    refreshable = client.check_grant_type("refresh_token")
    short = settings.authorization_code_lifetime + settings.access_token_lifetime + _AFTERLIFE
    grants.create(
        conn,
        id=grant_id,
        client_id=client.client_id,
        user_id=session.user_id,
        session_id=session.id,
        scope=scope,
        auth_time=session.auth_time,
        amr=session.amr,
        acr=session.acr,
        claims_request=None,
        is_offline="offline_access" in scope.split(),
        created_at=at,
        expires_at=at + (max(settings.grant_lifetime, short) if refreshable else short),
        revoked_at=None,
        revoked_reason=None,
    )
    return grant_id


def _create_code(conn: Connection, server: TenantServer, client: Client, asked: Any, code: str, grant_id: str) -> None:
    at = now()
    authorization_codes.create(
        conn,
        code_hash=opaque.digest(code),
        grant_id=grant_id,
        client_id=client.client_id,
        redirect_uri=asked["redirect_uri"],
        code_challenge=asked["code_challenge"],
        nonce=asked["nonce"],
        request={"redirect_uri_given": asked["redirect_uri_given"]},
        issued_at=at,
        expires_at=at + server.tenant.settings.authorization_code_lifetime,
        used_at=None,
    )


def _metadata(server: TenantServer) -> dict[str, Any]:
    return {
        "authorization_endpoint": f"{server.tenant.issuer}/authorize",
        "response_types_supported": ["code"],
        "response_modes_supported": list(response_modes.SUPPORTED),
        "authorization_response_iss_parameter_supported": True,  # RFC 9207 §3
    }


AUTHORIZE = Feature(
    name="authorize",
    spec="RFC 6749 §3.1",
    endpoints=(Endpoint("authorize", "/authorize", ("GET", "POST"), handle, is_hot=True, audience="person"),),
    metadata=_metadata,
)
