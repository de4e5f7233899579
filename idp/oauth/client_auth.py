"""Client authentication (RFC 6749 §2.3): exactly one method, the registered one, and one answer for every failure.

Authlib's functions read the credentials; this subclass decides. An unknown client, a wrong secret and a wrong method are told
apart in the refusal's record only.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import ClientAuthentication, InvalidClientError, InvalidRequestError

from idp.errors import refused

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.oauth.request import TenantRequest

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FAILED = "Client authentication failed."


class InvalidClient(InvalidClientError):
    """Authentication failed; 401 with a challenge, and a constant text (RFC 6749 §5.2)."""

    status_code = 401

    def get_headers(self) -> list[tuple[str, str]]:
        """Add the challenge, with a realm (RFC 7617 §2)."""
        return [
            *super(InvalidClientError, self).get_headers(),
            ("WWW-Authenticate", 'Basic realm="client", charset="UTF-8"'),
        ]


def failure(
    reason: str, fix: str, *, spec: str = "RFC 6749 §2.3", received: str | None = None, registered: tuple[str, ...] = ()
) -> InvalidClient:
    """Return the one answer to failed authentication, with its private reason."""
    return refused(
        InvalidClient(_FAILED),
        check="client_authentication",
        spec=spec,
        reason=reason,
        fix=fix,
        received=received,
        registered=registered,
    )


class ClientAuth(ClientAuthentication):
    """Authlib's registry of methods, choosing by what was presented."""

    def authenticate(self, request: TenantRequest, methods: Any, endpoint: str) -> Client:
        """Return the authenticated client; ``methods`` are those the endpoint allows."""
        method = presented_method(request)
        if method is None or method not in methods:
            raise failure(
                "the request has no client credentials that this endpoint accepts",
                "Authenticate the client with its registered method.",
                received=method or "nothing",
                registered=tuple(methods),
            )
        client: Client | None
        try:
            client = self._methods[method](self.query_client, request)
        except InvalidClient:
            raise
        except InvalidClientError:  # Authlib's word for "does not exist"
            raise failure(
                "there is no such client at this tenant, or it is disabled",
                "Check client_id and the issuer: `idp client list TENANT` shows the clients.",
                received=claimed_id(request),
            ) from None
        if client is None:
            client = self.query_client(claimed_id(request) or "")
            expired = client is not None and client.secret_expires_at > 0
            raise failure(
                "the client secret has expired" if expired else "the client secret is wrong",
                "Compare the secret, or make a new one: idp client rotate-secret TENANT CLIENT_ID",
                received=method,
            )
        if not client.check_endpoint_auth_method(method, endpoint):
            raise failure(
                "the client authenticated with another method than it registered",
                "Use the registered method, or change it: idp client update TENANT CLIENT_ID",
                spec="RFC 7591 §2 (token_endpoint_auth_method)",
                received=method,
                registered=(client.auth_method,),
            )
        request.auth_method = method
        request.client = client
        return client


def presented_method(request: TenantRequest) -> str | None:
    """Return which method the request uses; more than one is refused (RFC 6749 §2.3)."""
    data = request.payload.data
    found = []
    if "Authorization" in request.headers:
        found.append("client_secret_basic")
    if "client_secret" in data:
        found.append("client_secret_post")
    if "client_assertion" in data or "client_assertion_type" in data:
        found.append("private_key_jwt")
    if len(found) > 1:
        # RFC 6749 §2.3: the client must not use more than one authentication method in each request.
        raise refused(
            InvalidRequestError("The request uses more than one way to authenticate the client."),
            check="client_authentication",
            spec="RFC 6749 §2.3",
            reason="more than one client authentication method in one request",
            fix="Send the credentials in one place only.",
            received=" and ".join(found),
        )
    if found:
        return found[0]
    return "none" if "client_id" in data else None


def check_basic(request: TenantRequest) -> None:
    """Refuse an Authorization header that Authlib could stumble over, and a client_id that says something else.

    RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        raise failure(
            "the Authorization header is not of the scheme Basic",
            "Use Basic with client_id and secret, or another method.",
        )
    try:
        plain = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
        is_encoded = "%" in plain or "+" in plain
        user, colon, secret = plain.partition(":")
        if is_encoded:
            user, secret = unquote_plus(user, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeError, ValueError):
        user = colon = secret = ""
        is_encoded = False
    if not (user and colon and secret) or "\x00" in user + secret:
        raise failure(
            "the Basic credentials are not the base64 of client_id:secret",
            "Form-encode client_id and secret, join them with a colon and encode the result as base64.",
            spec="RFC 6749 §2.3.1",
        )
    named = request.payload.client_id
    if named is not None and named != user:
        raise failure(
            "client_id in the body is not the client that authenticates",
            "Leave client_id out of the body, or send the same one.",
            received=named,
        )
    if is_encoded:  # Authlib reads percent escapes but no plus signs
        encoded = base64.b64encode(f"{_quoted(user)}:{_quoted(secret)}".encode()).decode()
        request.headers["Authorization"] = f"Basic {encoded}"


def _quoted(text: str) -> str:
    return text.replace("%", "%25").replace(":", "%3A") if "%" in text or ":" in text else text


def claimed_id(request: TenantRequest) -> str | None:
    """Return which client a request says it comes from, proven or not; for records and for the look-up."""
    if "Authorization" in request.headers:
        try:
            user = (
                base64.b64decode(request.headers["Authorization"].partition(" ")[2]).decode("utf-8").partition(":")[0]
            )
            return unquote_plus(user)
        except ValueError:  # no base64, no ASCII, no UTF-8
            return None
    named: str | None = request.payload.client_id
    return named
