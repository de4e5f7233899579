"""The authorization endpoint (RFC 6749 §3.1, §4.1.1; OpenID Connect Core §3.1.2): checks, then the interaction; at its end a code.

The protocol ``oauth`` of the flow: it knows how to answer, not which steps a person takes.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error

from idp import audit, opaque
from idp.clock import now
from idp.feature import Endpoint, Feature
from idp.flow import browser_state, dispatcher, languages
from idp.flow.interaction import AlreadyFinished
from idp.keys.encryption import CannotEncrypt
from idp.oauth import authorizations, errors, response_modes
from idp.oauth.authorization_request import served_types
from idp.oauth.profiles import PROFILES
from idp.oauth.redirect_uri import origin_of
from idp.oauth.request import TenantRequest, from_query_or_body
from idp.store.tenant import authorization_codes, grants, session_clients, sessions, users
from idp.tenancy.languages import LONGEST_TAG

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
    languages.wish(http, request.payload.data.get("ui_locales"))
    try:
        server.check("authorize", request)
    except OAuth2Error as error:
        return errors.authorization_error(server, request, error)
    languages.wish(http, request.payload.data.get("ui_locales"))  # that of a request object
    return dispatcher.begin(
        server, http, protocol="oauth", client_id=request.client.client_id, interaction_request=stored(server, request)
    )


def stored(server: TenantServer, request: TenantRequest) -> dict[str, Any]:
    """Return what the interaction keeps of a validated request."""
    data, client = request.payload.data, request.client
    validated: dict[str, Any] = request.validated
    prompt = validated["prompt"]
    if client.is_public and not (request.proven_redirect_uri or "").startswith("https:"):
        # RFC 8252 §8.6: any app can claim a scheme or a loopback port, so an earlier consent speaks for nobody there.
        prompt = [*prompt, "consent"]
    return {
        **validated,
        "resources": request.resources,
        "prompt": prompt,
        "login_hint": data.get("login_hint"),
        # Without a wish of its own the application is named in the page's language, where it has a name in it.
        "client": client.presentation([*request.http.languages, languages.of(server, request.http).tag]),
        "ui_locales": [tag for tag in request.http.languages if len(tag) <= LONGEST_TAG],
        "return_origin": origin_of(request.proven_redirect_uri or ""),
        "return_host": urlsplit(request.proven_redirect_uri or "").netloc
        or (request.proven_redirect_uri or "").partition(":")[0],
        "restart": f"/authorize?{urlencode(request.sent)}",
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
        if client is None or session is None or not _may_still(server, client, asked):
            return errors.client_gone(server, http, context.interaction.client_id)
        grant = grant_for(server, client, asked, session)
        words = asked["response_type"].split()
        code = opaque.new_secret(CODE_PREFIX) if "code" in words else None
        try:
            fields = _fields(server, client, asked, grant, code) + _session_state(context)
        except CannotEncrypt as error:
            # RFC 6749 §4.1.2.1: not the person's business; with prompt=none nobody would see a page.
            if context.interaction.is_stored:
                context.write(context.finish)
            errors.record(server, http, error, "server_error", client.client_id)
            return _error(context, "server_error", "The answer cannot be encrypted to the client.")
        issue(context, client, grant, code)
        return response_modes.respond(server, http, asked["response_mode"], asked["redirect_uri"], fields)

    def refuse(self, context: Context, error: str, description: str) -> Response:
        """Send an error to the redirect URI, which was proven when the request came."""
        server: TenantServer = context.server  # type: ignore[assignment]
        asked, client = context.interaction.request, server.query_client(context.interaction.client_id)
        if client is None or not client.check_redirect_uri(asked["redirect_uri"]):
            return errors.client_gone(server, context.request, context.interaction.client_id)
        errors.record_flow(server, context.request, error, description, context.interaction.client_id)
        return _error(context, error, description)


def issue(context: Context, client: Client, grant: dict[str, Any], code: str | None) -> None:
    """Make the grant and its code valid in the transaction that finishes the interaction."""
    server: TenantServer = context.server  # type: ignore[assignment]
    asked, http = context.interaction.request, context.request
    session_id, user_id = grant["session_id"], grant["user_id"]

    def work(conn: Connection) -> None:
        # Nobody signs out between this look and the commit: a grant never outlives the session it came from.
        if sessions.find_open(conn, session_id) is None or not context.finish(conn):
            raise AlreadyFinished
        session_clients.note(conn, session_id, client.client_id)
        grants.create(conn, **grant)
        if code is not None:
            _create_code(conn, server, client, asked, code, grant["id"])
        audit.record(
            conn,
            "authorization.granted",
            outcome="success",
            actor=user_id,
            client_id=client.client_id,
            subject=user_id,
            session_id=session_id,
            grant_id=grant["id"],
            source=http.remote_addr,
            correlation_id=http.correlation_id,
            details={"scope": grant["scope"], "response_type": asked["response_type"]},
        )

    server.write(work)


def _error(context: Context, error: str, description: str) -> Response:
    """Send an error to the redirect URI of the request."""
    server: TenantServer = context.server  # type: ignore[assignment]
    asked = context.interaction.request
    to, mode, state = asked["redirect_uri"], asked["response_mode"], asked["state"]
    return errors.redirect_error(server, to, mode, state, error, description, context.request, _session_state(context))


def _may_still(server: TenantServer, client: Client, asked: Any) -> bool:
    """Say whether what was registered when the request came is still so: a profile or an address may have been taken back."""
    is_served = asked["response_type"] in served_types(server) and client.check_response_type(asked["response_type"])
    return is_served and client.check_redirect_uri(asked["redirect_uri"])


def _session_state(context: Context) -> list[tuple[str, str]]:
    """Return ``session_state`` for an OpenID response, an error too: from then on the application may watch (Session Management §2)."""
    server: TenantServer = context.server  # type: ignore[assignment]
    asked = context.interaction.request
    if "openid" not in asked["scopes"] or not server.registry.serves("session_management"):
        return []
    return [
        ("session_state", browser_state.session_state(context, context.interaction.client_id, asked["redirect_uri"]))
    ]


def grant_for(server: TenantServer, client: Client, asked: Any, session: Any) -> dict[str, Any]:
    """Return the columns of the grant that answers a request."""
    settings, at = server.tenant.settings, now()
    scope = " ".join(asked["scopes"])
    has_code = "code" in asked["response_type"].split()
    short = (settings.authorization_code_lifetime if has_code else 0) + settings.access_token_lifetime + _AFTERLIFE
    is_refreshable = has_code and client.check_grant_type("refresh_token")
    return {
        "id": opaque.new_id(),
        "client_id": client.client_id,
        "user_id": session.user_id,
        "session_id": session.id,
        "scope": scope,
        "auth_time": session.auth_time,
        "amr": session.amr,
        "acr": session.acr,
        "claims_request": asked.get("claims_request"),
        "resources": asked.get("resources") or None,
        "is_offline": "offline_access" in asked["scopes"],
        "created_at": at,
        "expires_at": at + (max(settings.grant_lifetime, short) if is_refreshable else short),
        "revoked_at": None,
        "revoked_reason": None,
    }


def _fields(
    server: TenantServer, client: Client, asked: Any, grant: dict[str, Any], code: str | None
) -> list[tuple[str, str]]:
    """Return the parameters of the response (RFC 6749 §4.1.2, §4.2.2; OpenID Connect Core §3.2.2.5, §3.3.2.5)."""
    words, state = asked["response_type"].split(), asked["state"]
    fields = [("code", code)] if code is not None else []
    if words != ["code"]:
        fields += _tokens(server, client, asked, grant, code)
    if state is not None:
        # RFC 6749 §4.1.2: the exact value received from the client.
        fields.append(("state", state))
    return [*fields, ("iss", server.tenant.issuer)]  # RFC 9207 §2


def _tokens(
    server: TenantServer, client: Client, asked: Any, grant: dict[str, Any], code: str | None
) -> list[tuple[str, str]]:
    words, mint = asked["response_type"].split(), server.mint
    with server.database.reading() as conn:
        user = users.find(conn, grant["user_id"])
    if user is None:  # deleted this moment, and the session with it
        raise AlreadyFinished
    about = {name: getattr(user, name) for name in ("username", "email", "email_verified", "claims", "updated_at")}
    source = SimpleNamespace(**about, **grant, grant_id=grant["id"])
    has_token = "token" in words
    authorization = authorizations.for_user(
        server,
        client,
        source,
        grant["scope"],
        nonce=asked["nonce"],
        without_access_token=words == ["id_token"],
        audience=grant["resources"] or (),
    )
    access_token = mint.access_token(authorization) if has_token else None
    fields = []
    if access_token is not None:
        fields += [
            ("access_token", access_token),
            ("token_type", "Bearer"),
            ("expires_in", str(mint.access_token_lifetime)),
            ("scope", grant["scope"]),
        ]
    if "id_token" in words:
        fields.append(("id_token", mint.id_token(authorization, access_token, code=code, state=asked["state"])))
    return fields


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
    modes = {mode for name in server.tenant.settings.allowed_client_profiles for mode in PROFILES[name].response_modes}
    # OpenID Connect Discovery §3: `implicit` is the grant type of what this endpoint issues itself.
    has_implicit = served_types(server) != ["code"]
    return {
        **({"grant_types_supported": ["implicit"]} if has_implicit else {}),
        "authorization_endpoint": f"{server.tenant.issuer}/authorize",
        "response_types_supported": served_types(server),
        "response_modes_supported": [mode for mode in response_modes.SUPPORTED if mode in modes],
        "authorization_response_iss_parameter_supported": True,  # RFC 9207 §3
    }


AUTHORIZE = Feature(
    name="authorize",
    spec="RFC 6749 §3.1",
    endpoints=(Endpoint("authorize", "/authorize", ("GET", "POST"), handle, is_hot=True, audience="person"),),
    metadata=_metadata,
)
