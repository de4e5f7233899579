"""The endpoints of the OpenID AuthZEN Authorization API 1.0 on a tenant's issuer, for applications that enforce policy.

Who asks presents an access token of the tenant that may be used for ``policy:check``: a client's own, or a user's. What is answered
is :mod:`idp.access.authzen`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from idp.access import audiences, authzen, policy
from idp.access.claims import covers
from idp.access.conditions import Context
from idp.access.policy import Subject
from idp.clock import now
from idp.errors import Forbidden, IdpError, Invalid, refused
from idp.feature import Endpoint, Feature
from idp.keys.compact import InvalidToken
from idp.oauth import errors
from idp.tokens import verification
from idp.web.http import Response, json_response
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection
    from idp.web.http import Request

    Answer = Callable[[Connection, Mapping[str, Any], Context], dict[str, Any]]

SPEC = "OpenID AuthZEN Authorization API 1.0"
PERMISSION = "policy:check"
METADATA_PATH = "/.well-known/authzen-configuration"
_RATE = Rule("access", 12000, 60)
_REQUEST_ID = "x-request-id"
_LONGEST_REQUEST_ID = 200
_ENDPOINTS: dict[str, tuple[str, Answer]] = {
    "access_evaluation_endpoint": ("/access/v1/evaluation", authzen.evaluation),
    "access_evaluations_endpoint": ("/access/v1/evaluations", authzen.evaluations),
    "search_subject_endpoint": ("/access/v1/search/subject", authzen.search_subject),
    "search_resource_endpoint": ("/access/v1/search/resource", authzen.search_resource),
    "search_action_endpoint": ("/access/v1/search/action", authzen.search_action),
}


class NotAuthenticated(IdpError):
    """There is no access token, or none that this tenant accepts here."""

    code, status, title = "invalid_token", 401, "A valid access token is needed."


class NotPermitted(Forbidden):
    """The token, or who it stands for, may not ask."""

    code, title = "insufficient_scope", f"The permission {PERMISSION} is needed."


def _handler(answer: Answer) -> Callable[[TenantServer, Request], Response]:
    def handle(server: TenantServer, http: Request) -> Response:
        try:
            if server.tenant.settings.rate_limits != "off":
                server.limiter.hit(f"{server.tenant.id} {http.remote_addr}", _RATE).require()
            _check_caller(server, http)
            body = _object(http)
            with server.database.reading() as conn:
                response = json_response(200, answer(conn, body, Context(now())))
        except IdpError as error:
            response = errors.unavailable(server, http, error)
            if isinstance(error, NotAuthenticated | NotPermitted):
                given = f', error="{error.code}"' if http.headers.get("authorization") is not None else ""
                response.set("www-authenticate", f'Bearer realm="access"{given}')
        # AuthZEN §10.1.5: the same identifier comes back, with an error too.
        request_id = http.headers.get(_REQUEST_ID) or ""
        if 0 < len(request_id) <= _LONGEST_REQUEST_ID and request_id.isascii() and request_id.isprintable():
            response.set(_REQUEST_ID, request_id)
        return response

    return handle


def _check_caller(server: TenantServer, http: Request) -> None:
    """Prove who asks, and that they may."""
    scheme, _, token = (http.headers.get("authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        _unauthenticated("no access token is presented", "Send one in the header Authorization: Bearer.")
    accepted = (server.tenant.issuer, audiences.of_service(server.services.settings.public_url, "authmgr"))
    try:
        live = verification.find_live(
            server.database, server.keys, server.tenant.issuer, token.strip(), audience=accepted
        )
    except InvalidToken as error:
        _unauthenticated(error.reason, "Get a new access token at this tenant.")
    if not server.serves(live.claims):
        _unauthenticated("the token's application is disabled or gone", "Enable it: idp client update TENANT CLIENT_ID")
    standing = live.standing
    subject = Subject("client", live.claims["client_id"]) if standing is None else Subject("user", standing.user_id)
    context = Context(now(), http.remote_addr, live.claims.get("amr", ()))
    with server.database.reading() as conn:
        if not covers(conn, live.scopes, PERMISSION):
            _not_permitted(f"the token's scope does not stand for {PERMISSION}", f"Ask for the scope {PERMISSION}.")
        decision = policy.permitted(conn, subject, PERMISSION, context=context)
    if not decision.allowed:
        _not_permitted(decision.explanation, f"Give {subject.type} {subject.id} a role with {PERMISSION}.")


def _object(http: Request) -> dict[str, Any]:
    """Return the body's JSON object; raises :class:`Invalid`."""
    if http.media_type != "application/json":
        raise Invalid("The body must be a JSON object, sent as application/json.")
    try:
        found = json.loads(http.body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Invalid("The body is no JSON.") from None
    if not isinstance(found, dict):
        raise Invalid("The body must be a JSON object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unauthenticated(reason: str, fix: str) -> NoReturn:
    raise refused(NotAuthenticated(), check="access_token", spec="RFC 6750 §3.1", reason=reason, fix=fix)


def _not_permitted(reason: str, fix: str) -> NoReturn:
    raise refused(NotPermitted(), check="permission", spec="RFC 6750 §3.1", reason=reason, fix=fix)


def handle_metadata(server: TenantServer, _http: Request) -> Response:
    """Answer the metadata document (§9)."""
    issuer = server.tenant.issuer
    document = {"policy_decision_point": issuer}
    document |= {name: f"{issuer}{path}" for name, (path, _) in _ENDPOINTS.items()}
    return json_response(200, document, [("cache-control", "public, max-age=300")])


ACCESS_EVALUATION = Feature(
    name="access_evaluation",
    spec=SPEC,
    endpoints=(
        *(
            Endpoint(name.removesuffix("_endpoint"), path, ("POST",), _handler(answer), is_hot=True)
            for name, (path, answer) in _ENDPOINTS.items()
        ),
        Endpoint("authzen_configuration", METADATA_PATH, ("GET",), handle_metadata, cors="all", is_hot=True),
    ),
)
