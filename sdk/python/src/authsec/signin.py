"""Signing in by the first-party sign-in API (draft-ietf-oauth-first-party-apps), never by the password grant; renewing; ending.

The issuer is asked of the server, its endpoints of the issuer (RFC 8414). A password goes to the challenge endpoint alone; what
comes back is an authorization code, redeemed with the PKCE verifier (RFC 7636) that never leaves this process before.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import httpx

from authsec._generated.resources import SERVICES
from authsec.answers import object_of
from authsec.calls import Call, perform, problem_of
from authsec.errors import (
    ApiError,
    AuthenticationFailed,
    AuthSecError,
    ConnectionFailed,
    MfaRequired,
    SessionEnded,
    SignInRefused,
    StepRequired,
    UnexpectedAnswer,
    WebSignInRequired,
    api_error,
    dictionaries,
)
from authsec.flow import Request, Send, Wait, checked_url
from authsec.retries import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authsec.flow import Flow
    from authsec.retries import Retries

CLIENT_ID = "authsec-sdk"
SCOPE = "openid authsec"
_EARLY = 60.0  # seconds before its end at which a token is renewed, or a tenth of its life where that is less
# A lost answer of a renewal may be asked for again for ten seconds; after that a second use would end the session.
_AGAIN = 8.0


_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1


def given_token(text: str) -> str:
    """Return an access token as it is sent; raises ValueError, without the text, for what cannot be one."""
    token = text.strip()  # as it is read from a file
    if not _BEARER.fullmatch(token):
        raise ValueError("access_token is no bearer token: it has characters that none has, or is empty")
    return token


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of a tenant's issuer."""

    issuer: str
    challenge: str
    token: str
    revocation: str
    authorization: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an application is known by when it acts for itself."""

    client_id: str
    client_secret: str = field(repr=False)
    scope: str = "authsec"

    @property
    def headers(self) -> dict[str, str]:
        """As HTTP Basic authentication, each part form-encoded first (RFC 6749 §2.3.1)."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@dataclass(slots=True)
class Session:
    """The tokens of one sign-in. They are in memory only."""

    access_token: str
    refresh_token: str | None = field(default=None, repr=False)
    endpoints: Endpoints | None = None
    credentials: Credentials | None = None
    expires_at: float | None = None  # of the monotonic clock
    renew_at: float | None = None
    has_ended: bool = False

    def usable(self, refused: str | None) -> str | None:
        """Return the access token unless it was refused, or is about to expire and can be renewed."""
        if self.has_ended:
            raise SessionEnded("The session has ended: sign in again.")
        if self.access_token == refused:
            return None
        is_due = self.renew_at is not None and time.monotonic() >= self.renew_at
        return None if is_due and self.can_be_renewed else self.access_token

    @property
    def can_be_renewed(self) -> bool:
        """Whether there is something to get another access token with."""
        return self.refresh_token is not None or self.credentials is not None

    def renewed(self, document: dict[str, Any]) -> None:
        """Take over the tokens of a token response."""
        token, kind = document.get("access_token"), str(document.get("token_type", ""))
        if not isinstance(token, str) or not _BEARER.fullmatch(token) or kind.lower() != "bearer":
            raise UnexpectedAnswer(f"The token endpoint answered without a bearer token (token_type {kind!r}).")
        life = document.get("expires_in")
        self.access_token = token
        self.refresh_token = document.get("refresh_token") or self.refresh_token
        if isinstance(life, (int, float)):
            self.expires_at = time.monotonic() + life
            self.renew_at = self.expires_at - min(_EARLY, life / 10)

    def __repr__(self) -> str:
        return "<Session>"  # never a token in a log


@dataclass(slots=True)
class SignIn:
    """One sign-in that has begun."""

    base_url: str
    endpoints: Endpoints
    retries: Retries
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    auth_session: str | None = field(default=None, repr=False)

    def take(self, fields: dict[str, str]) -> Flow[Session]:
        """Send the fields of a step, the first one or a later one; raises what is still needed."""
        form = [("client_id", CLIENT_ID)]
        if self.auth_session is None:
            digest = hashlib.sha256(self.verifier.encode()).digest()
            form += [
                ("response_type", "code"),
                ("scope", SCOPE),
                *_resources(self.base_url),
                ("code_challenge", base64.urlsafe_b64encode(digest).rstrip(b"=").decode()),
                ("code_challenge_method", "S256"),
            ]
        else:
            form.append(("auth_session", self.auth_session))
        response = yield from _post(self.endpoints.challenge, (*form, *fields.items()), self.retries)
        document = _json(response)
        if response.is_success:
            code = document.get("authorization_code")
            if not isinstance(code, str):
                raise UnexpectedAnswer("The sign-in was answered without an authorization code.")
            return (yield from self._redeem(code))
        self.auth_session = document.get("auth_session") or self.auth_session
        raise self._refusal(response, document)

    def _redeem(self, code: str) -> Flow[Session]:
        form = (
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", CLIENT_ID),
            ("code_verifier", self.verifier),
            *_resources(self.base_url),
        )
        response = yield from _post(self.endpoints.token, form, self.retries)
        if not response.is_success:
            raise _refused(response)
        session = Session("", endpoints=self.endpoints)
        session.renewed(_json(response))
        return session

    def _refusal(self, response: httpx.Response, document: dict[str, Any]) -> AuthSecError:
        error = document.get("error")
        if error == "redirect_to_web":
            uri, request_uri = document.get("web_uri"), document.get("request_uri")
            if uri is None and request_uri is not None:
                query = urlencode({"client_id": CLIENT_ID, "request_uri": request_uri})
                uri = f"{self.endpoints.authorization}?{query}"
            return WebSignInRequired(uri)
        if error != "insufficient_authorization" or not isinstance(self.auth_session, str):
            return _refused(response)
        if document.get("step") == "login":
            said = "; ".join(str(each.get("detail", "")) for each in dictionaries(document.get("errors")))
            return AuthenticationFailed(said or "The sign-in did not succeed: check the address and the password.")
        kind = MfaRequired if document.get("step") == "mfa" else StepRequired
        return kind(self.auth_session, document)


def discover(base_url: str, tenant: str, retries: Retries) -> Flow[Endpoints]:
    """Return the endpoints of a tenant: its issuer from the server, the rest from the issuer's metadata (RFC 8414)."""
    where = Call("GET", "/t/{tenant_id}", {"tenant_id": tenant}, is_public=True)
    issuer = _json((yield from perform(where, base_url, retries))).get("issuer")
    if not isinstance(issuer, str):
        raise UnexpectedAnswer(f"{base_url} does not name the issuer of the tenant {tenant}.")
    issuer = checked_url(issuer, "the issuer")
    document = yield from metadata(issuer, retries)
    found = {}
    for name in ("authorization_challenge", "token", "revocation", "authorization"):
        value = document.get(f"{name}_endpoint")
        if not isinstance(value, str):
            raise UnexpectedAnswer(
                f"{issuer} has no {name}_endpoint: this server does not have what the SDK signs in with."
            )
        found[name] = checked_url(value, f"{name}_endpoint")
    challenge = found.pop("authorization_challenge")
    return Endpoints(issuer, challenge=challenge, **found)


def metadata(issuer: str, retries: Retries) -> Flow[dict[str, Any]]:
    """Return an issuer's metadata, which must name the issuer (RFC 8414 §3.3)."""
    where = Call("GET", "/.well-known/oauth-authorization-server", is_public=True)
    document = _json((yield from perform(where, issuer, retries)))
    if document.get("issuer") != issuer:
        raise UnexpectedAnswer(f"The metadata at {issuer} is of another issuer: {document.get('issuer')!r}.")
    return document


def client_session(base_url: str, endpoints: Endpoints, credentials: Credentials, retries: Retries) -> Flow[Session]:
    """Sign an application in for itself (RFC 6749 §4.4)."""
    session = Session("", endpoints=endpoints, credentials=credentials)
    response = yield from _asked_for_another(session, base_url, retries)
    if not response.is_success:
        raise _refused(response)
    session.renewed(_json(response))
    return session


def _asked_for_another(session: Session, base_url: str, retries: Retries) -> Flow[httpx.Response]:
    if session.endpoints is None:
        raise SessionEnded("The access token has ended: sign in again.")
    if session.credentials is not None:
        own = session.credentials
        asked = (("grant_type", "client_credentials"), ("scope", own.scope), *_resources(base_url))
        return (yield from _post(session.endpoints.token, asked, retries, 60.0, own.headers))
    form = (
        ("grant_type", "refresh_token"),
        ("refresh_token", session.refresh_token or ""),
        ("client_id", CLIENT_ID),
    )
    return (yield from _post(session.endpoints.token, form, retries, _AGAIN))


def renew(session: Session, refused: str | None, base_url: str, retries: Retries) -> Flow[str]:
    """Return a fresh access token. One at a time: the refresh token changes with each use."""
    try:
        response = yield from _asked_for_another(session, base_url, retries)
        refusal = None if response.is_success else _refused(response)
        if response.status_code >= 500:
            raise api_error(response.status_code, problem_of(response))
        if isinstance(refusal, ApiError):
            raise refusal  # a limit, or something in between has answered: nobody has said that the session ended
    except (ConnectionFailed, ApiError):
        # It is renewed early: the present token does a while longer.
        if session.access_token != refused and session.expires_at is not None and time.monotonic() < session.expires_at:
            return session.access_token
        raise
    if refusal is not None:
        session.has_ended = True
        raise SessionEnded("The session has ended: sign in again.") from refusal
    session.renewed(_json(response))
    return session.access_token


def revoke(session: Session, retries: Retries) -> Flow[None]:
    """End the sign-in at the server (RFC 7009)."""
    if session.endpoints is None:
        return
    own = session.credentials
    form = (("token", session.refresh_token or session.access_token), *(() if own else (("client_id", CLIENT_ID),)))
    response = yield from _post(session.endpoints.revocation, form, retries, 60.0, own.headers if own else None)
    if not response.is_success:
        raise _refused(response)


def _resources(base_url: str) -> list[tuple[str, str]]:
    return [("resource", f"{base_url}/{service}") for service in SERVICES]


def _post(
    url: str,
    form: tuple[tuple[str, str], ...],
    retries: Retries,
    again_for: float = 0.0,
    headers: Mapping[str, str] | None = None,
) -> Flow[httpx.Response]:
    """Post a form; without an answer it is sent again only where that is harmless, and no longer than it is."""
    began, attempt = time.monotonic(), 0
    while True:
        try:
            response: httpx.Response = yield Send(Request("POST", url, headers or {}, form=form))
        except httpx.TransportError as error:
            is_harmless = time.monotonic() - began < again_for
            pause = retries.after_failure(attempt, error, is_idempotent=is_harmless)
            if pause is None:
                raise ConnectionFailed(f"The server was not reached: {error}") from error
        else:
            is_harmless = time.monotonic() - began < again_for
            after = retry_after(response.headers)
            pause = retries.after_answer(attempt, response.status_code, after, is_idempotent=is_harmless)
            if response.is_success or pause is None:
                return response
        attempt += 1
        yield Wait(pause)


def _json(response: httpx.Response) -> dict[str, Any]:
    found = object_of(response.content)
    if found is None:
        if response.is_success:
            raise UnexpectedAnswer(f"{response.request.url} was answered with no JSON object.")
        return {}
    return found


def _refused(response: httpx.Response) -> AuthSecError:
    """Return the refusal of an endpoint that speaks OAuth; limits and failures are as those of the services."""
    document, after = _json(response), retry_after(response.headers)
    error = document.get("error")
    if response.status_code == 429 or not isinstance(error, str):
        detail = {"detail": document["error_description"]} if "error_description" in document else {}
        return api_error(response.status_code, {**document, **detail}, after)
    return SignInRefused(error, str(document.get("error_description", "")), response.status_code, after)
