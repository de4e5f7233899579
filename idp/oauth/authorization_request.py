"""Checks of an authorization request (RFC 6749 §4.1.1): client and redirect URI first, for only then may an error be sent there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError, OAuth2Error, UnauthorizedClientError

from idp.errors import refused
from idp.oauth import redirect_uri, response_modes, scopes
from idp.oauth.errors import InvalidRedirectUriError
from idp.oauth.profiles import PROFILES

if TYPE_CHECKING:
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer


def check_client(server: TenantServer, request: TenantRequest) -> None:
    """Find the client; without one there is nowhere to redirect to (§4.1.2.1)."""
    client_id = request.payload.client_id
    if client_id is None:
        raise refused(
            InvalidRequestError("The parameter client_id is missing."),
            check="client_id",
            spec="RFC 6749 §4.1.1",
            reason="client_id is missing",
            fix="Send client_id.",
        )
    client = server.query_client(client_id)
    if client is None:
        raise refused(
            InvalidClientError("The client is unknown or disabled."),
            check="client_id",
            spec="RFC 6749 §4.1.2.1",
            reason=f"tenant {server.tenant.slug} has no active client by this id",
            fix="Check client_id and the issuer (is it the right tenant?): idp client list TENANT",
            received=client_id[:200],
        )
    request.client = client


def check_redirect_uri(server: TenantServer, request: TenantRequest) -> None:
    """Prove the redirect URI: exactly a registered one (RFC 9700 §4.1.3); errors go there from now on."""
    client, sent = request.client, request.payload.redirect_uri
    if sent is None:
        request.proven_redirect_uri = _default_redirect_uri(request)
        return
    if not client.check_redirect_uri(sent):
        registered = redirect_uri.closest(sent, client.redirect_uris)
        marked = redirect_uri.mark_difference(sent[:2000], registered[0]) if registered else sent
        raise refused(
            InvalidRedirectUriError(),
            check="redirect_uri",
            spec="RFC 9700 §4.1.3",
            reason=f"the redirect URI is none of the registered ones; the difference is marked: {marked}",
            fix=f"Register it, or send a registered one: idp client update {server.tenant.slug} {client.client_id}",
            received=sent[:2000],
            registered=registered,
        )
    request.proven_redirect_uri = sent


def _default_redirect_uri(request: TenantRequest) -> str:
    client = request.client
    found = client.get_default_redirect_uri()
    # OpenID Connect Core §3.1.2.1: redirect_uri is required; RFC 6749 §3.1.2.3: else where only one is registered.
    if found is None or "openid" in (request.payload.scope or "").split():
        raise refused(
            InvalidRequestError("The parameter redirect_uri is missing."),
            check="redirect_uri",
            spec="OpenID Connect Core §3.1.2.1",
            reason="redirect_uri is missing",
            fix="Send one of the registered redirect URIs.",
            registered=tuple(sorted(client.redirect_uris)),
        )
    return found


def check_response_mode(_server: TenantServer, request: TenantRequest) -> None:
    """Check ``response_mode``: query or form_post (Multiple Response Types §2.1)."""
    mode = request.payload.data.get("response_mode") or "query"
    if mode not in response_modes.SUPPORTED:
        raise _invalid(
            "response_mode",
            "The response mode is not supported.",
            "response_mode is not one that discovery lists",
            "Leave it out, or use query or form_post.",
            "OAuth 2.0 Multiple Response Types §2.1",
            mode,
        )
    if mode == "form_post" and not (request.proven_redirect_uri or "").startswith(("https://", "http://")):
        raise _invalid(
            "response_mode",
            "The response mode needs a web address.",
            "form_post cannot reach an app's own scheme",
            "Use query.",
            "OAuth 2.0 Form Post Response Mode §2",
            mode,
        )
    request.response_mode = mode


def check_response_type(server: TenantServer, request: TenantRequest) -> None:
    """Check ``response_type`` against what is served and what the client registered (RFC 6749 §3.1.1)."""
    response_type, client = request.payload.response_type, request.client
    if response_type is None:
        raise _invalid(
            "response_type",
            "The parameter response_type is missing.",
            "response_type is missing",
            "Send response_type=code.",
            "RFC 6749 §3.1.1",
        )
    served = {kind for name in server.tenant.settings.allowed_client_profiles for kind in PROFILES[name].response_types}
    if response_type not in served:
        raise refused(
            OAuth2Error("This response type is not supported.", error="unsupported_response_type"),
            check="response_type",
            spec="RFC 6749 §4.1.2.1",
            reason="the tenant serves no such response type",
            fix="Send response_type=code.",
            received=response_type[:100],
            registered=tuple(sorted(served)),
        )
    if not client.check_response_type(response_type):
        raise refused(
            UnauthorizedClientError("The client is not registered for this response type."),
            check="response_type",
            spec="RFC 6749 §4.1.2.1",
            reason="the client did not register this response type",
            fix="Add it to the client's response_types: idp client update TENANT CLIENT_ID",
            received=response_type,
            registered=tuple(sorted(client.response_types)),
        )


def check_scope(_server: TenantServer, request: TenantRequest) -> None:
    """Decide the scope of the request."""
    request.validated["scopes"] = scopes.for_user(scopes.split(request.payload.scope), request.client.scopes)


def _invalid(
    check: str, text: str, reason: str, fix: str, spec: str, received: str | None = None
) -> InvalidRequestError:
    return refused(
        InvalidRequestError(text),
        check=check,
        spec=spec,
        reason=reason,
        fix=fix,
        received=received[:200] if received else None,
    )
