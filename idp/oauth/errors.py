"""How an OAuth error is answered: as JSON (RFC 6749 §5.2), by redirect to a proven redirect URI (§4.1.2.1), or as a page.

Each carries the correlation id and leaves a refusal's record.

Descriptions are constants; what was received is told to operators only, by ``idp explain``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import OAuth2Error

from idp.errors import IdpError, Refusal, refusal_of
from idp.flow import pages
from idp.language import N_
from idp.oauth import response_modes
from idp.oauth.client_auth import claimed_id
from idp.web.http import MalformedInput, Response, json_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.oauth.client import Client
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer
    from idp.web.http import Request

# What a person is told; the code stands beside it. Deliberately vague where detail would help an attacker only.
_PAGES: dict[str, tuple[str, str]] = {
    "invalid_client": (
        N_("The application is not known here"),
        N_("The application that sent you here is not registered, or no longer active."),
    ),
    "invalid_request": (
        N_("The application sent a request that cannot be used"),
        N_("Something in the request of the application that sent you here is missing or wrong."),
    ),
    "invalid_redirect_uri": (
        N_("The application sent an address that is not registered"),
        N_("You would be sent to an address that the application has not registered, so we stop here."),
    ),
    "temporarily_unavailable": (
        N_("We cannot answer at the moment"),
        N_("The service is busy or being looked after. Nothing is lost."),
    ),
    "too_many_requests": (N_("Too many requests"), N_("Too many requests came from your network or application.")),
    "not_found": (N_("There is nothing here"), N_("The address is not one of ours, or no longer.")),
    "server_error": (N_("Something went wrong on our side"), N_("The request could not be completed.")),
}
_ADVICE: dict[str, list[str]] = {
    "temporarily_unavailable": [N_("Wait a moment and try again.")],
    "too_many_requests": [N_("Wait a minute and try again.")],
    "not_found": [N_("Go back to the application and begin again from there.")],
}
_FLOW_FIXES = {
    "access_denied": "The person declined; ask again only when they want to.",
    "login_required": "Send the person without prompt=none, so that they can sign in.",
    "consent_required": "Send the person without prompt=none, so that they can consent.",
    "interaction_required": "Send the person without prompt=none, so that they can do what is asked of them.",
}
_DEFAULT_ADVICE = [
    N_("Go back to the application and try again."),
    N_("If it happens again, tell the people who run the application the reference below."),
]


class InvalidRedirectUriError(OAuth2Error):
    """The redirect URI is not registered: a page, never a redirect (RFC 6749 §4.1.2.1)."""

    error = "invalid_redirect_uri"
    description = N_("The redirect URI is not registered for this client.")


def record(server: TenantServer, http: Request, error: BaseException, code: str, client_id: str | None) -> None:
    """Leave a refusal's record in the worker's spool."""
    refusal = refusal_of(error)
    if refusal is None and isinstance(error, MalformedInput):
        refusal = Refusal(
            "body", "RFC 6749 Appendix B", error.title, "Send a form body: application/x-www-form-urlencoded."
        )
    if refusal is None:
        text = getattr(error, "description", None) or str(error)
        refusal = Refusal(check=code, spec="RFC 6749 §5.2", reason=text, fix="See the description of the error.")
    server.services.spool.refusal(
        server.tenant.id, http.correlation_id, code, refusal, http.method, http.path, client_id, http.remote_addr
    )


def record_flow(server: TenantServer, http: Request, code: str, description: str, client_id: str) -> None:
    """Leave a record of an authorization request that a step (or the person) ended."""
    refusal = Refusal(
        check=code,
        spec="OpenID Connect Core §3.1.2.6",
        reason=description,
        fix=_FLOW_FIXES.get(code, "Send the person to sign in again."),
    )
    server.services.spool.refusal(
        server.tenant.id, http.correlation_id, code, refusal, http.method, http.path, client_id, http.remote_addr
    )


def json_error(server: TenantServer, request: TenantRequest, error: OAuth2Error) -> Response:
    """Answer a program."""
    record(server, request.http, error, error.error, _client_id(request))
    body: dict[str, Any] = {"error": error.error}
    if error.description:
        body["error_description"] = error.description
    body["correlation_id"] = request.http.correlation_id
    headers: list[tuple[str, str]] = []
    if "Authorization" in request.headers:
        # RFC 6749 §5.2: the challenge answers who used the Authorization header. To others it would say that Basic is the way,
        # and clients in the field then report the challenge instead of the error (decision 0005).
        headers = [(name.lower(), value) for name, value in error.get_headers() if name.lower() == "www-authenticate"]
    return json_response(error.status_code, body, headers)


def unavailable(server: TenantServer, http: Request, error: IdpError) -> Response:
    """Answer a program whose request met one of our own errors (busy, too many, malformed)."""
    record(server, http, error, error.code, None)
    headers = [("retry-after", str(error.retry_after))] if error.retry_after is not None else []
    body = {"error": error.code, "error_description": error.title, "correlation_id": http.correlation_id}
    return json_response(error.status, body, headers)


def authorization_error(server: TenantServer, request: TenantRequest, error: OAuth2Error) -> Response:
    """Answer an authorization request: to the redirect URI when it is proven, else as a page."""
    if request.proven_redirect_uri is None or isinstance(error, InvalidRedirectUriError):
        return oauth_page(server, request, error)
    record(server, request.http, error, error.error, _client_id(request))
    return redirect_error(
        server,
        request.proven_redirect_uri,
        request.response_mode,
        request.payload.state,
        error.error,
        error.description,
        request.http,
    )


def redirect_error(
    server: TenantServer,
    redirect_uri: str,
    response_mode: str,
    state: str | None,
    code: str,
    description: str | None,
    http: Request,
    more: Sequence[tuple[str, str]] = (),
) -> Response:
    """Send an error to a proven redirect URI with ``state`` and ``iss`` (RFC 9207 §2), and ``more`` parameters."""
    fields = [("error", code)]
    text = f"{description or 'The request was refused.'} (correlation id {http.correlation_id})"
    fields.append(("error_description", text))
    if state is not None:
        fields.append(("state", state))
    fields += [*more, ("iss", server.tenant.issuer)]
    return response_modes.respond(server, http, response_mode, redirect_uri, fields)


def oauth_page(server: TenantServer, request: TenantRequest, error: OAuth2Error) -> Response:
    """Answer a person whose request cannot go back to the application."""
    record(server, request.http, error, error.error, _client_id(request))
    status = error.status_code if error.status_code != 401 else 400
    return page(server, request.http, status, error.error, detail=error.description)


def client_gone(server: TenantServer, http: Request, client_id: str) -> Response:
    """Answer a sign-in whose client was disabled, or lost its redirect URI, while it was under way: nowhere to redirect to."""
    refusal = Refusal(
        check="client_id",
        spec="RFC 6749 §4.1.2.1",
        reason="the client was disabled, or its redirect URI taken back, while the person was signing in",
        fix="Compare the client's state and redirect URIs: idp client show TENANT CLIENT_ID",
    )
    server.services.spool.refusal(
        server.tenant.id,
        http.correlation_id,
        "invalid_client",
        refusal,
        http.method,
        http.path,
        client_id,
        http.remote_addr,
    )
    return page(server, http, 400, "invalid_client")


def page(
    server: TenantServer,
    http: Request,
    status: int,
    code: str,
    *,
    detail: str | None = None,
    retry_after: int | None = None,
) -> Response:
    """Answer an error page with the code and the correlation id as text."""
    title, explanation = _PAGES.get(code, _PAGES["invalid_request"])
    answer = pages.page(
        server,
        http,
        "error.html",
        status=status,
        # What a POST was refused for is not found by the GET that the switch would send; a token is never sent back.
        has_switch=False,  # its address would say again what was refused
        title=title,
        explanation=explanation,
        code=code,
        rows=[(N_("Details"), detail)] if detail else [],
        advice=_ADVICE.get(code, _DEFAULT_ADVICE),
        continue_url=None,
        continue_label=None,
    )
    if retry_after is not None:
        answer.set("retry-after", str(retry_after))
    return answer


def _client_id(request: TenantRequest) -> str | None:
    client: Client | None = request.client
    return client.client_id if client is not None else request.named_client_id or claimed_id(request)
