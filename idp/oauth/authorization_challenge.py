"""The authorization challenge endpoint (draft-ietf-oauth-first-party-apps): a sign-in in the tenant's own application, by program.

It runs the interaction that the pages run: the same steps, lockout and audit, answered in JSON until a code is due. Only clients that
administrators have marked ``first_party`` may use it (§9.1). A step that a program cannot ask leads to the web (§5.2.2.1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error, UnauthorizedClientError

from idp import language, opaque
from idp.errors import Unavailable, refused
from idp.feature import Endpoint, Feature
from idp.flow import by_program, languages
from idp.flow.by_program import ByProgram
from idp.flow.interaction import AlreadyFinished
from idp.language import gettext
from idp.oauth import authorize, errors
from idp.oauth.built_in_clients import is_built_in
from idp.oauth.client_auth import METHODS, InvalidClient, claimed_id, failure, presented_method
from idp.oauth.clients import ClientRegistry
from idp.oauth.request import Parameters, TenantRequest, from_body
from idp.web.http import json_response

if TYPE_CHECKING:
    from idp.flow.by_program import Judged, ProgramContext
    from idp.flow.dispatcher import Context
    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer
    from idp.web.http import Request, Response

PATH = "/challenge"
NAME = "challenge"  # of the protocol, and of the checks of every request
BEGIN = "challenge_request"  # of the checks of one that begins
SPEC = "draft-ietf-oauth-first-party-apps"


class InvalidSession(OAuth2Error):
    """§5.2.2.1."""

    error = "invalid_session"
    description = "The auth_session is unknown, expired, used up, or of another client. Begin anew without it."


class InsufficientAuthorization(OAuth2Error):
    """§5.2.2.1: something is still needed of the person."""

    error, status_code = "insufficient_authorization", 403
    description = "The person has to do something more; `step` and `fields` say what to send with the auth_session."


class RedirectToWeb(OAuth2Error):
    """§5.2.2.1.1: something is needed of the person that only a page can ask."""

    error, status_code = "redirect_to_web", 403
    description = "The person has to go on in a browser. Begin an authorization code flow there."


def handle(server: TenantServer, http: Request) -> Response:
    """Answer a challenge request, the first or a further one."""
    request = from_body(http, NAME)
    try:
        server.check(NAME, request)
        context, auth_session = _context(server, request)
        with language.spoken(languages.of(server, context.request)):
            return _answer(server, request, context, auth_session)
    except AlreadyFinished:
        return errors.json_error(server, request, _invalid_session("another request has finished it"))
    except OAuth2Error as error:
        return errors.json_error(server, request, error)


def check_code_only(_server: TenantServer, request: TenantRequest) -> None:
    """Check ``response_type`` (§5.1): a code is all that is issued here; who leaves it out, as earlier drafts had it, means that."""
    sent = request.payload.response_type
    if sent is None:
        request.payload = Parameters([*request.payload.pairs, ("response_type", "code")])
    elif sent != "code":
        raise refused(
            OAuth2Error("This response type is not supported.", error="unsupported_response_type"),
            check="response_type",
            spec=f"{SPEC} §5.1",
            reason="response_type is not code",
            fix="Send response_type=code.",
            received=sent[:100],
            registered=("code",),
        )


def _context(server: TenantServer, request: TenantRequest) -> tuple[ProgramContext, str]:
    """Return what a request begins or goes on with, and its auth_session."""
    given = request.payload.data.get("auth_session")
    if given is None:
        request.client = _first_party(_authenticated(server, request))
        server.check(BEGIN, request)
        languages.wish(request.http, request.payload.data.get("ui_locales"))
        client_id = request.client.client_id
        stored = authorize.stored(server, request) | {
            "first_party": True,
            "prompt": request.validated["prompt"],  # nobody else can claim the answer, so nothing more is to be asked
            "restart": "/account",  # of pages; the interaction is bound to no browser
            "redirect_uri": "",
            "redirect_uri_given": False,  # §6: it is no parameter here
        }
        return by_program.begin(server, request.http, protocol=NAME, client_id=client_id, interaction_request=stored)
    found = by_program.find(server, given, NAME)
    if found is None and presented_method(request) is None:
        raise _invalid_session("it is unknown, expired or finished")  # §5.1: it was to say whose it is
    client = _authenticated(server, request, found.client_id if found is not None else None)
    if found is None or client.client_id != found.client_id:
        # §5.1: a client_id beside it has to be the same client's.
        raise _invalid_session("it is unknown, expired, finished, or another client's")
    request.client = _first_party(client)
    languages.wish(request.http, found.request.get("ui_locales"), found.created_at)
    return by_program.resume(server, request.http, found), given


def _authenticated(server: TenantServer, request: TenantRequest, of_session: str | None = None) -> Client:
    """Return the client; who must authenticate at the token endpoint must do so here (§4.1)."""
    if presented_method(request) is None and of_session is not None:
        client = server.query_client(of_session)
        if client is None or not client.is_public:
            raise failure(
                "the client has to authenticate in every request of an auth_session",
                "Authenticate the client with its registered method.",
                spec=f"{SPEC} §4.1",
            )
        return client
    try:
        return server.authenticate_client(request, METHODS, NAME)  # type: ignore[no-any-return]  # Authlib's signature
    except InvalidClient:
        if not _made(server, request):
            raise
        return server.authenticate_client(request, METHODS, NAME)  # type: ignore[no-any-return]


def _made(server: TenantServer, request: TenantRequest) -> bool:
    """Say whether the client that is named is built in and has just been made."""
    client_id = claimed_id(request) or ""
    if not is_built_in(client_id):
        return False
    services, http = server.services, request.http
    registry = ClientRegistry(server.tenant, server.database, services.feed, services.outbound)
    return registry.make_built_in(client_id, source=http.remote_addr, correlation_id=http.correlation_id)


def _first_party(client: Client) -> Client:
    if not client.is_first_party:
        raise refused(
            UnauthorizedClientError("The client is not registered for signing people in by program."),
            check="first_party",
            spec=f"{SPEC} §9.1",
            reason="the client is not marked as the tenant's own",
            fix="Send people to the authorization endpoint, or mark it: echo '{\"first_party\": true}' | idp client update TENANT CLIENT_ID",
            received=client.client_id,
        )
    return client


def _answer(server: TenantServer, request: TenantRequest, context: ProgramContext, auth_session: str) -> Response:
    step, wrong = by_program.advance(context)
    if step is None:
        return context.protocol.complete(context)
    by_program.keep(context)
    if "none" in context.interaction.prompt:
        raise refused(
            OAuth2Error("The person has to do something first, and the request has prompt=none.", error=step.refusal),
            check=step.name,
            spec="OpenID Connect Core §3.1.2.1",
            reason=f"the step {step.name} is needed, and prompt=none allows none",
            fix="Begin without prompt=none.",
        )
    if wrong is not None and wrong.retry_after is not None:
        raise Unavailable(wrong.errors[0][1], retry_after=wrong.retry_after)
    if not isinstance(step, ByProgram):
        raise refused(
            RedirectToWeb(),
            check=step.name,
            spec=f"{SPEC} §5.2.2.1.1",
            reason=f"the step {step.name} can only be asked by a page",
            fix="Send the person to the authorization endpoint in a browser.",
        )
    return _insufficient(server, request, context, auth_session, step, wrong)


def _insufficient(
    server: TenantServer,
    request: TenantRequest,
    context: ProgramContext,
    auth_session: str,
    step: ByProgram,
    wrong: Judged | None,
) -> Response:
    error = InsufficientAuthorization()
    if wrong is None or not wrong.is_recorded:
        told = "; ".join(sentence for _, sentence in wrong.errors) if wrong is not None else ""
        refused(
            error,
            check=step.name,
            spec=f"{SPEC} §5.2.2.1",
            reason=f"what was sent for the step {step.name} was refused: {told}"
            if told
            else f"the step {step.name} is still needed",
            fix=f"Send {', '.join(step.fields)} with the auth_session.",
        )
        errors.record(server, request.http, error, error.error, request.client.client_id)
    body = {
        "error": error.error,
        "error_description": error.description,
        "auth_session": auth_session,
        "step": step.name,
        "fields": list(step.fields),
        **step.told(context),
        "errors": [
            {"field": name, "detail": gettext(sentence)}
            for name, sentence in (wrong.errors if wrong is not None else ())
        ],
        "correlation_id": request.http.correlation_id,
    }
    return json_response(error.status_code, body)


def _invalid_session(reason: str) -> OAuth2Error:
    return refused(
        InvalidSession(),
        check="auth_session",
        spec=f"{SPEC} §5.2.2.1",
        reason=reason,
        fix="Begin anew without auth_session.",
    )


class ChallengeProtocol:
    """Answers what the flow has finished for a program."""

    name = NAME

    def complete(self, context: Context) -> Response:
        """Issue the code in the transaction that finishes the interaction (§5.2.1)."""
        server: TenantServer = context.server  # type: ignore[assignment]  # the flow sees less of it
        client, session = server.query_client(context.interaction.client_id), context.session
        if client is None or session is None or not client.check_response_type("code"):
            raise InvalidRequestError("The client was disabled or changed while the person was signing in.")
        grant = authorize.grant_for(server, client, context.interaction.request, session)
        code = opaque.new_secret(authorize.CODE_PREFIX)
        authorize.issue(context, client, grant, code)
        return json_response(200, {"authorization_code": code})

    def refuse(self, context: Context, error: str, description: str) -> Response:
        """Answer an error that ends the interaction."""
        server: TenantServer = context.server  # type: ignore[assignment]
        errors.record_flow(server, context.request, error, description, context.interaction.client_id)
        body = {"error": error, "error_description": description, "correlation_id": context.request.correlation_id}
        return json_response(400, body)


def _metadata(server: TenantServer) -> dict[str, Any]:
    return {"authorization_challenge_endpoint": f"{server.tenant.issuer}{PATH}"}


AUTHORIZATION_CHALLENGE = Feature(
    name="authorization_challenge",
    spec=SPEC,
    endpoints=(Endpoint(NAME, PATH, ("POST",), handle, cors="registered", is_hot=True),),
    metadata=_metadata,
)
