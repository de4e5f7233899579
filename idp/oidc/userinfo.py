"""The userinfo endpoint (OpenID Connect Core §5.3): the claims that the scopes of a living access token release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access import claims as access_claims
from idp.access.policy import Subject
from idp.errors import Refusal
from idp.feature import Endpoint, Feature
from idp.identity.claims import claims_for
from idp.keys.compact import InvalidToken
from idp.oauth import authorizations
from idp.oauth.response_protection import encryption_metadata, protected
from idp.tokens import verification
from idp.web.http import FORM_TYPE, json_response, jwt_response
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer
    from idp.tokens.verification import LiveToken
    from idp.web.http import Request, Response

_RATE = Rule("userinfo", 12000, 60)
_REALM = 'Bearer realm="userinfo"'


def handle(server: TenantServer, http: Request) -> Response:
    """Answer a userinfo request."""
    if server.tenant.settings.rate_limits != "off":
        server.limiter.hit(f"{server.tenant.id} {http.remote_addr}", _RATE).require()
    presented = _presented(http)
    if presented is None:
        # RFC 6750 §3.1: without authentication information the answer has no error code.
        return _challenge(
            server,
            http,
            401,
            None,
            "no access token was presented",
            "Send the access token in the Authorization header.",
        )
    if not presented:
        return _challenge(
            server,
            http,
            400,
            "invalid_request",
            "the access token was presented in more than one way, or malformed",
            "Send it once, as Authorization: Bearer.",
        )
    try:
        live = verification.find_live(
            server.database, server.keys, server.tenant.issuer, presented, audience=server.tenant.issuer
        )
    except InvalidToken as error:
        return _challenge(
            server,
            http,
            401,
            "invalid_token",
            str(error),
            "Use a living access token of this issuer; refresh it or sign in again.",
        )
    client = server.query_client(live.claims["client_id"])
    if client is None:
        return _challenge(
            server,
            http,
            401,
            "invalid_token",
            "the token's client is disabled or gone",
            "Enable the client: idp client update TENANT CLIENT_ID",
        )
    if live.standing is None or "openid" not in live.scopes:
        return _challenge(
            server,
            http,
            403,
            "insufficient_scope",
            "the token was not issued with the scope openid",
            "Ask for the scope openid.",
        )
    # §5.3.2: sub is always there; absent claims are left out.
    return _answer(server, client, {"sub": live.claims["sub"], **_claims(server, live)})


def _answer(server: TenantServer, client: Client, claims: dict[str, Any]) -> Response:
    """Return the claims as JSON, or as the JWT that the client registered for (§5.3.2)."""
    alg = client.metadata.get("userinfo_signed_response_alg")
    if alg is None and "userinfo_encrypted_response_alg" not in client.metadata:
        return json_response(200, claims)
    # §5.3.2: a signed answer contains iss and aud; it has no exp, so it never passes for an ID token.
    named = {"iss": server.tenant.issuer, "aud": client.client_id, **claims}
    return jwt_response(protected(server, client, "userinfo", named, alg=alg, typ="JWT"), "application/jwt")


def _claims(server: TenantServer, live: LiveToken) -> dict[str, Any]:
    asked = live.standing.claims_request or {} if live.standing is not None else {}
    wanted, locales = asked.get("userinfo", ()), asked.get("locales", ())
    found = claims_for(live.standing, live.scopes, wanted, locales, server.profile.release)
    if live.standing is not None and not live.scopes.isdisjoint(access_claims.SCOPES):
        found |= authorizations.access_claims(
            server,
            Subject("user", live.standing.user_id),
            live.scopes,
            live.claims.get("amr", ()),
            live.granted_scopes,
        )
    return found


def may_run_inline(server: TenantServer, http: Request) -> bool:
    """Say whether a request waits for nothing: reads of SQLite do not, nothing is written, and a client's keys are at hand.

    Where they are not, the request is begun again as a task (:class:`idp.waiting.MustWait`).
    """
    return not (server.database.blocking or server.limiter.blocking or "origin" in http.headers)


def _presented(http: Request) -> str | None:
    """Return the token; None when there is none, an empty text when it is presented wrongly (RFC 6750 §2)."""
    found = []
    for header in http.headers.all("authorization"):
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            continue
        found.append(token.strip())
    if http.method == "POST" and http.media_type == FORM_TYPE:
        found += [value for name, value in http.form if name == "access_token"]
    # RFC 6750 §2.3: the query string is not a place for a token.
    if not found:
        return None
    return found[0] if len(found) == 1 else ""


def _challenge(server: TenantServer, http: Request, status: int, code: str | None, reason: str, fix: str) -> Response:
    spec = "RFC 6750 §3.1"
    server.services.spool.refusal(
        server.tenant.id,
        http.correlation_id,
        code or "no_token",
        Refusal("access_token", spec, reason, fix),
        http.method,
        http.path,
        None,
        http.remote_addr,
    )
    challenge = _REALM if code is None else f'{_REALM}, error="{code}", error_description="{_DESCRIPTIONS[code]}"'
    body = {"correlation_id": http.correlation_id}
    if code is not None:
        body = {"error": code, "error_description": _DESCRIPTIONS[code], **body}
    return json_response(status, body, [("www-authenticate", challenge)])


_DESCRIPTIONS = {
    "invalid_request": "The access token was presented in more than one way.",
    "invalid_token": "The access token is expired, revoked, malformed, or invalid for other reasons.",
    "insufficient_scope": "The access token was not issued with the scope openid.",
}

USERINFO = Feature(
    name="userinfo",
    spec="OpenID Connect Core §5.3",
    endpoints=(
        Endpoint(
            "userinfo", "/userinfo", ("GET", "POST"), handle, cors="registered", is_hot=True, inline=may_run_inline
        ),
    ),
    metadata=lambda server: {
        "userinfo_endpoint": f"{server.tenant.issuer}/userinfo",
        "userinfo_signing_alg_values_supported": list(server.keys.algorithms),
        **encryption_metadata("userinfo"),
    },
)
