"""Checks of an authorization request (RFC 6749 §4.1.1): client and redirect URI first, for only then may an error be sent there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)

from idp.errors import refused
from idp.language import N_
from idp.oauth import redirect_uri, response_types, scopes
from idp.oauth.errors import InvalidRedirectUriError
from idp.oauth.profiles import PROFILES
from idp.oauth.response_types import RESPONSE_TYPES

if TYPE_CHECKING:
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer


def check_client(server: TenantServer, request: TenantRequest) -> None:
    """Find the client; without one there is nowhere to redirect to (§4.1.2.1)."""
    client_id = request.payload.client_id
    if client_id is None:
        raise refused(
            InvalidRequestError(N_("The parameter client_id is missing.")),
            check="client_id",
            spec="RFC 6749 §4.1.1",
            reason="client_id is missing",
            fix="Send client_id.",
        )
    client = server.query_client(client_id)
    if client is None:
        raise refused(
            InvalidClientError(N_("The client is unknown or disabled.")),
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
            InvalidRequestError(N_("The parameter redirect_uri is missing.")),
            check="redirect_uri",
            spec="OpenID Connect Core §3.1.2.1",
            reason="redirect_uri is missing",
            fix="Send one of the registered redirect URIs.",
            registered=tuple(sorted(client.redirect_uris)),
        )
    return found


def check_response_mode(_server: TenantServer, request: TenantRequest) -> None:
    """Check ``response_mode`` against the client's profile and what the response carries (Multiple Response Types §2.1, §5)."""
    modes = request.client.profile.response_modes
    default = response_types.default_mode(request.payload.response_type or "")
    request.response_mode = default if default in modes else "query"  # in which an error is told
    mode = request.payload.data.get("response_mode") or request.response_mode
    if mode not in modes:
        raise _invalid(
            "response_mode",
            "The response mode is not supported.",
            "response_mode is not one that discovery lists",
            f"Leave it out, or use one of {', '.join(modes)}.",
            "OAuth 2.0 Multiple Response Types §2.1",
            mode,
        )
    if mode == "query" and default == "fragment" and default in modes:
        # Multiple Response Types §3, §5: tokens never travel in a query string.
        raise _invalid(
            "response_mode",
            "The response mode does not go with the response type.",
            "response_mode=query with a response type that carries a token",
            "Leave response_mode out, or use fragment or form_post.",
            "OAuth 2.0 Multiple Response Types §5",
            mode,
        )
    if mode == "form_post" and not (request.proven_redirect_uri or "").startswith(("https://", "http://")):
        raise _invalid(
            "response_mode",
            "The response mode needs a web address.",
            "form_post cannot reach an app's own scheme",
            f"Use {default}.",
            "OAuth 2.0 Form Post Response Mode §2",
            mode,
        )
    request.response_mode = mode


def check_response_type(server: TenantServer, request: TenantRequest) -> None:
    """Check ``response_type`` against what is served and what the client registered (RFC 6749 §3.1.1)."""
    sent, client = request.payload.response_type, request.client
    if sent is None:
        raise _invalid(
            "response_type",
            "The parameter response_type is missing.",
            "response_type is missing",
            "Send response_type=code.",
            "RFC 6749 §3.1.1",
        )
    served = served_types(server)
    response_type = response_types.canonical(sent)
    if response_type not in served:
        raise refused(
            OAuth2Error("This response type is not supported.", error="unsupported_response_type"),
            check="response_type",
            spec="RFC 6749 §4.1.2.1",
            reason="the tenant serves no such response type",
            fix="Send one that discovery lists, for instance response_type=code.",
            received=sent[:100],
            registered=tuple(served),
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
    request.validated["response_type"] = response_type
    if response_type != "code" and "openid" not in (request.payload.scope or "").split(" "):
        # OpenID Connect Core §3.2.2.1, §3.3.2.1: these are OpenID Connect's, and there is no ID token without openid.
        raise refused(
            InvalidScopeError("This response type needs the scope openid."),
            check="scope",
            spec="OpenID Connect Core §3.2.2.1",
            reason="a response type of OpenID Connect without the scope openid",
            fix="Add openid to the scope.",
            received=(request.payload.scope or "")[:200],
        )
    if "id_token" in response_type.split() and "nonce" not in request.payload.data:
        # OpenID Connect Core §3.2.2.1, §3.3.2.11: an ID token from this endpoint needs a nonce against its replay.
        raise _invalid(
            "nonce",
            "The parameter nonce is missing.",
            "nonce is missing, and the response type has an ID token from the authorization endpoint",
            "Send a random nonce and compare it with the ID token's.",
            "OpenID Connect Core §3.2.2.1",
        )


def served_types(server: TenantServer) -> list[str]:
    """Return the response types of the tenant: those of its allowed profiles that its settings have."""
    settings = server.tenant.settings
    allowed = [PROFILES[name].response_types for name in settings.allowed_client_profiles]
    return [each for each in RESPONSE_TYPES if each in settings.response_types and any(each in a for a in allowed)]


def check_scope(server: TenantServer, request: TenantRequest) -> None:
    """Decide the scope of the request."""
    requested = scopes.split(request.payload.scope)
    granted = scopes.for_user(requested, request.client.scopes, server.profile.own_scopes)
    if "code" not in request.validated["response_type"].split():
        # OpenID Connect Core §11: offline_access is ignored where no code is issued.
        granted = [value for value in granted if value != "offline_access"]
    request.validated["scopes"] = granted


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
