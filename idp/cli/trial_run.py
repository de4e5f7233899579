"""The sign-in that `idp test` makes: over HTTP, as a browser and as the relying party at once, each step told as it is done.

The redirect to the relying party is read, never followed: the real application gets nothing. What is issued is revoked at
the end. Knows the tenant only by its addresses, as any relying party does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp.cli import page_forms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_PAGES = 8
TIMEOUT = 15  # seconds an answer may take


class Stopped(Exception):
    """The sign-in cannot go on; the sentence says why, ``correlation_id`` is what `idp explain` takes."""

    def __init__(self, sentence: str, correlation_id: str | None = None) -> None:
        """Keep both."""
        super().__init__(sentence)
        self.correlation_id = correlation_id


@dataclass(slots=True)
class Client:
    """Who signs in: the registration, the secret when there is one, and the person's credentials."""

    metadata: Mapping[str, Any]
    client_id: str
    ask_secret: Callable[[], str]
    ask_username: Callable[[], str]
    ask_password: Callable[[], str]


@dataclass(slots=True)
class Result:
    """What came of it: the token response's members that are no secrets, and the decoded tokens."""

    response: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None


class Trial:
    """One sign-in, or one token for the client itself."""

    def __init__(self, issuer: str, client: Client, tell: Callable[[str], None], roots: str | None) -> None:
        """Take where and who; ``tell`` is called with a sentence a step; ``roots`` a file of TLS roots to trust instead of the system's."""
        self._issuer, self._client, self._tell = issuer, client, tell
        self._http = requests.Session()
        self._http.verify = roots or True
        self._http.trust_env = False
        self._secret: str | None = None
        self._endpoints: dict[str, Any] = {}

    def run(self) -> Result:
        """Do it; raises :class:`Stopped`."""
        try:
            self._discover()
            if {"authorization_code", "implicit"} & set(self._client.metadata["grant_types"]):
                return self._sign_in()
            if "client_credentials" in self._client.metadata["grant_types"]:
                return self._for_itself()
        except requests.RequestException as error:
            where = urlsplit(str(error.request.url)) if error.request is not None else urlsplit(self._issuer)
            raise Stopped(
                f"{where.scheme}://{where.netloc} does not answer ({type(error).__name__}): is it served, and is that its address?"
            ) from None
        raise Stopped(
            "The client has no grant type that signs people in, nor client_credentials; nothing can be tried."
        )

    # -- the steps ------------------------------------------------------------------------------------------------

    def _discover(self) -> None:
        answer = self._http.get(f"{self._issuer}/.well-known/openid-configuration", timeout=TIMEOUT)
        self._endpoints = self._json(answer, "discovery")
        if self._endpoints.get("issuer") != self._issuer:
            raise Stopped(f"Discovery names another issuer: {self._endpoints.get('issuer')}, not {self._issuer}.")
        self._tell(f"Discovery names the issuer {self._issuer}")

    def _sign_in(self) -> Result:
        redirect_uri = _preferred(self._client.metadata["redirect_uris"])
        verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        scope = self._client.metadata.get("scope") or "openid profile email"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        types = self._client.metadata["response_types"]
        words = ("code" if "code" in types else types[0]).split()
        asked = {
            "response_type": " ".join(words),
            "client_id": self._client.client_id,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": state,
            "nonce": nonce,
            **({"code_challenge": challenge, "code_challenge_method": "S256"} if "code" in words else {}),
        }
        self._tell(f"Authorization request for {' '.join(words)}, scope “{scope}”, redirect URI {redirect_uri}")
        url = f"{self._endpoints['authorization_endpoint']}?{urlencode(asked)}"
        answer = self._through_pages(self._http.get(url, timeout=TIMEOUT, allow_redirects=False), redirect_uri)
        self._require(answer, state, words)
        if "code" not in words:
            return self._finish(answer, nonce)
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        return self._finish(self._token(form), nonce)

    def _for_itself(self) -> Result:
        self._tell("The client signs nobody in; a token for itself (client_credentials) is asked for")
        return self._finish(self._token({"grant_type": "client_credentials"}), None)

    def _through_pages(self, answer: requests.Response, redirect_uri: str) -> dict[str, str]:
        """Fill in the pages until the redirect to the relying party; returns its parameters."""
        tried_password = False
        for _ in range(2 * MOST_PAGES):
            if answer.status_code in (302, 303, 307):
                target = urljoin(answer.url, answer.headers["location"])
                if re.split("[?#]", target, maxsplit=1)[0] == redirect_uri.partition("?")[0]:
                    came = urlsplit(target)
                    return dict(parse_qsl(came.fragment or came.query, keep_blank_values=True))
                answer = self._http.get(target, timeout=TIMEOUT, allow_redirects=False)
                continue
            forms, shown_id = page_forms.read(answer.text)
            form = next((each for each in forms if {"login-submit", "consent-approve"} & each.buttons.keys()), None)
            if form is None:
                reason = (
                    "A password must be changed first"
                    if any("new_password" in each.fields for each in forms)
                    else "An error page"
                )
                raise Stopped(
                    f"{reason}; the page answered {answer.status_code}.",
                    shown_id or answer.headers.get("x-correlation-id"),
                )
            if "login-submit" in form.buttons:
                if tried_password:
                    raise Stopped(
                        "Username or password were refused, or too many attempts were made: see the audit log, or sign in with another user."
                    )
                tried_password = True
                form.fields["username"], form.fields["password"] = (
                    self._client.ask_username(),
                    self._client.ask_password(),
                )
                self._tell(f"Sign-in page: signing in as {form.fields['username']}")
            else:
                name, value = form.buttons["consent-approve"]
                if name:
                    form.fields[name] = value
                self._tell("Consent page: agreeing (it is remembered for this user)")
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(answer.url))
            action = urljoin(answer.url, form.action)
            answer = self._http.post(
                action, form.fields, headers={"Origin": origin}, timeout=TIMEOUT, allow_redirects=False
            )
        raise Stopped("The pages do not come to an end.")

    def _require(self, answer: Mapping[str, str], state: str, words: list[str]) -> None:
        """Refuse an answer without what was asked for."""
        if "error" in answer:
            text = answer.get("error_description", "")
            named = text.rpartition("correlation id ")[2].rstrip(")") if "correlation id" in text else None
            raise Stopped(f"The authorization was refused: {answer['error']} ({text})", named)
        wanted = {"access_token" if word == "token" else word for word in words}
        if answer.get("state") != state or answer.get("iss") != self._issuer or not wanted <= answer.keys():
            raise Stopped(
                f"The answer lacks {' or '.join(sorted(wanted))}, or carries another state or iss (RFC 9207)."
            )
        self._tell(f"{' and '.join(sorted(wanted))} came back, with the right state and iss")

    def _token(self, form: dict[str, str]) -> dict[str, Any]:
        answer = self._authenticated(self._endpoints["token_endpoint"], form)
        if answer.status_code != 200:
            self._raise_oauth("The token request", answer)
        self._tell("The token endpoint answered")
        return self._json(answer, "the token endpoint")

    def _authenticated(self, url: str, form: dict[str, str]) -> requests.Response:
        method = self._client.metadata["token_endpoint_auth_method"]
        if method == "none":
            return self._http.post(url, {**form, "client_id": self._client.client_id}, timeout=TIMEOUT)
        if method not in ("client_secret_basic", "client_secret_post"):
            raise Stopped(
                f"Up to here it works. The token request needs the client's own key ({method}), which only the client has."
            )
        if self._secret is None:
            self._secret = self._client.ask_secret()
        if not self._secret:
            raise Stopped(
                "Up to here it works. The token request needs the client's secret, of which only a digest is stored."
            )
        if method == "client_secret_post":
            own = {"client_id": self._client.client_id, "client_secret": self._secret}
            return self._http.post(url, {**form, **own}, timeout=TIMEOUT)
        # RFC 6749 §2.3.1: both parts are form-encoded first.
        pair = "&".join(urlencode({"": part})[1:] for part in (self._client.client_id, self._secret)).replace(
            "&", ":", 1
        )
        header = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        return self._http.post(url, form, headers=header, timeout=TIMEOUT)

    def _finish(self, tokens: Mapping[str, Any], nonce: str | None) -> Result:
        kept = ("token_type", "expires_in", "scope")
        result = Result({name: tokens[name] for name in kept if name in tokens})
        published: Any = self._json(self._http.get(self._endpoints["jwks_uri"], timeout=TIMEOUT), "the JWK Set")
        keys = KeySet.import_key_set(published)
        if "access_token" in tokens:
            result.tokens["access_token"] = self._decoded(tokens["access_token"], keys)
        if "refresh_token" in tokens:
            self._tell("There is a refresh token")
        if "id_token" in tokens:
            result.tokens["id_token"] = self._decoded(tokens["id_token"], keys)
            self._check_id_token(result.tokens["id_token"].get("claims"), nonce)
            if "access_token" in tokens:
                result.userinfo = self._userinfo(tokens["access_token"], result, keys)
        for name in ("refresh_token", "access_token"):
            if name in tokens:
                self._authenticated(
                    self._endpoints["revocation_endpoint"], {"token": tokens[name], "token_type_hint": name}
                )
        self._tell("What was issued is revoked again")
        return result

    def _userinfo(self, access_token: str, result: Result, keys: KeySet) -> dict[str, Any] | None:
        """Ask for userinfo; None when it is encrypted to the client."""
        header = {"Authorization": f"Bearer {access_token}"}
        answer = self._http.get(self._endpoints["userinfo_endpoint"], headers=header, timeout=TIMEOUT)
        if answer.headers.get("content-type", "").startswith("application/jwt"):
            found: dict[str, Any] | None = self._decoded(answer.text, keys).get("claims")
        else:
            found = self._json(answer, "userinfo")
        if found is None:
            self._tell("userinfo answered, encrypted to the client's key")
            return None
        # The access token says the same sub, also where the ID token cannot be opened.
        if found.get("sub") != result.tokens["access_token"]["claims"].get("sub"):
            raise Stopped("userinfo is about another sub than the tokens (OpenID Connect Core §5.3.2).")
        self._tell("userinfo answered, about the same sub")
        return found

    def _decoded(self, token: str, keys: KeySet) -> dict[str, Any]:
        if token.count(".") == 4:  # a JWE (RFC 7516 §3.1): what is inside is for the client alone
            head = token.partition(".")[0]
            return {"header": json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))}
        algorithms = ["ES256", "RS256", "PS256", "EdDSA"]
        try:
            found = jwt.decode(token, keys, algorithms=algorithms)
        except (JoseError, ValueError) as error:
            raise Stopped(f"A token's signature does not fit the published keys ({type(error).__name__}).") from None
        return {"header": dict(found.header), "claims": dict(found.claims)}

    def _check_id_token(self, claims: Mapping[str, Any] | None, nonce: str | None) -> None:
        if claims is None:
            self._tell("The ID token is encrypted to the client's key, which only the client has")
            return
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer or self._client.client_id not in named or claims.get("nonce") != nonce:
            raise Stopped("The ID token is not for this issuer, client and nonce (OpenID Connect Core §3.1.3.7).")
        self._tell("The ID token's signature, iss, aud and nonce are right")

    def _json(self, answer: requests.Response, what: str) -> dict[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if answer.status_code != 200 or not isinstance(found, dict):
            raise Stopped(
                f"{what[0].upper()}{what[1:]} answered {answer.status_code}.", answer.headers.get("x-correlation-id")
            )
        return found

    def _raise_oauth(self, what: str, answer: requests.Response) -> None:
        try:
            error = answer.json().get("error", "")
        except (ValueError, AttributeError):
            error = ""
        raise Stopped(
            f"{what} was refused: {answer.status_code} {error}".rstrip() + ".", answer.headers.get("x-correlation-id")
        )


def _preferred(uris: list[str]) -> str:
    """Return a loopback redirect URI where there is one: nobody else is concerned by it."""
    local = [uri for uri in uris if urlsplit(uri).hostname in ("localhost", "127.0.0.1", "::1")]
    return (local or uris)[0]
