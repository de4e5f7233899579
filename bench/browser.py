"""A person's browser and a relying party: one whole sign-in with authorization code and PKCE, seen from outside.

It follows redirects, keeps cookies and fills in the forms it is shown, knowing only the names that `interfaces.md` fixes
(`username`, `password`, the consent button): it signs in at any server of the bench and trusts no path.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

from bench.wire import Answer, Connection

if TYPE_CHECKING:
    from bench.targets import Client, Target, User

REDIRECTS = {302, 303, 307}
MOST_STEPS = 20
FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.IGNORECASE | re.DOTALL)
FIELD = re.compile(r"<(?:input|button)\b([^>]*)>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


class SignInError(Exception):
    """The sign-in did not end in tokens; the message says at which step and what was seen."""


@dataclass(slots=True)
class SignIn:
    """What a sign-in gave: the token response and how long the password login alone took."""

    tokens: dict[str, object]
    login_seconds: float
    pages: list[str] = field(default_factory=list)


def _attributes(text: str) -> dict[str, str]:
    return {m[1].lower(): html.unescape(m[2] or m[3] or m[4] or "") for m in ATTRIBUTE.finditer(text)}


def _form_of(page: str) -> tuple[str, list[tuple[str, str]], bool]:
    """Return the action, the fields to send and whether it asks for a password, of the form that goes on."""
    for opening, inner in FORM.findall(page):
        fields: list[tuple[str, str]] = []
        asks_password = goes_on = False
        for text in FIELD.findall(inner):
            attributes = _attributes(text)
            name, kind = attributes.get("name", ""), attributes.get("type", "").lower()
            if name in {"username", "password"}:
                asks_password = asks_password or name == "password"
            elif attributes.get("id") == "consent-approve":
                goes_on = True
                if name:
                    fields.append((name, attributes.get("value", "")))
            elif kind == "hidden":
                fields.append((name, attributes.get("value", "")))
        if asks_password or goes_on:
            return _attributes(opening).get("action", ""), fields, asks_password
    raise SignInError(f"a page without a form that goes on: {page[:300]!r}")


class Browser:
    """A browser without cookies at first, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cookies: dict[tuple[str, str], str] = {}  # by name and path

    def open(self, url: str) -> Answer:
        """GET a URL of the server."""
        return self._keep(self._connection.get(_target(url), self._cookie_line(url)))

    def submit(self, url: str, page_url: str, form: str) -> Answer:
        """POST a form of the server, as a page of its own origin does."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page_url))
        headers = f"{self._cookie_line(url)}Origin: {origin}\r\nReferer: {page_url}\r\nSec-Fetch-Site: same-origin\r\n"
        return self._keep(self._connection.post(_target(url), form, headers))

    def _keep(self, answer: Answer) -> Answer:
        for line in answer.headers("set-cookie"):
            pair, *rest = line.split(";")
            name, _, value = pair.strip().partition("=")
            attributes = {key.strip().lower(): text for key, _, text in (word.partition("=") for word in rest)}
            path = attributes.get("path", "/")
            if attributes.get("max-age") == "0" or "1970" in attributes.get("expires", ""):
                self._cookies.pop((name, path), None)
            else:
                self._cookies[name, path] = value
        return answer

    def _cookie_line(self, url: str) -> str:
        asked = urlsplit(url).path
        sent = [f"{name}={value}" for (name, path), value in self._cookies.items() if asked.startswith(path)]
        return f"Cookie: {'; '.join(sent)}\r\n" if sent else ""


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _ask(target: Target, client: Client, scope: str, challenge: str, state: str) -> str:
    query = {
        "response_type": client.response_type,
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": scope,
        "state": state,
        "nonce": secrets.token_urlsafe(12),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "prompt": "consent",
    }
    return f"{target.endpoints['authorization_endpoint']}?{urlencode(query, quote_via=quote)}"


def _walk(browser: Browser, url: str, user: User, redirect_uri: str) -> tuple[str, float, list[str]]:
    """Follow the sign-in to the relying party; return the URL it ends at, the login's seconds and the pages seen."""
    login_seconds = 0.0
    pages: list[str] = []
    answer = browser.open(url)
    for _ in range(MOST_STEPS):
        if answer.status in REDIRECTS:
            url = urljoin(url, answer.header("location") or "")
            if url.startswith(redirect_uri):
                return url, login_seconds, pages
            answer = browser.open(url)
            continue
        if answer.status != 200:
            raise SignInError(f"{answer.status} at {urlsplit(url).path}: {answer.body[:300]!r}")
        action, fields, asks_password = _form_of(answer.body.decode())
        page_url, url = url, urljoin(url, action)
        pages.append("login" if asks_password else "consent")
        if asks_password:
            fields += [("username", user.username), ("password", user.password)]
        began = time.perf_counter()
        answer = browser.submit(url, page_url, urlencode(fields))
        if asks_password:
            login_seconds = time.perf_counter() - began
    raise SignInError(f"more than {MOST_STEPS} steps")


def sign_in(
    target: Target,
    client: Client,
    user: User,
    scope: str,
    address: tuple[str, int],
    backend: Connection,
) -> SignIn:
    """Sign the user in with a fresh browser at `address` and redeem the code through the relying party's `backend`."""
    verifier, state = secrets.token_urlsafe(36), secrets.token_urlsafe(12)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with Connection(address, target.host) as connection:
        url = _ask(target, client, scope, challenge, state)
        landed, login_seconds, pages = _walk(Browser(connection), url, user, client.redirect_uri)
    came = urlsplit(landed)
    answered = {name: values[0] for name, values in parse_qs(came.query or came.fragment).items()}
    if (
        not {"code", "id_token"} & set(client.response_type.split()) <= answered.keys()
        or answered.get("state") != state
        or answered.get("iss") != target.issuer
    ):
        raise SignInError(f"the redirect carries {answered}")
    form = {
        "grant_type": "authorization_code",
        "code": answered["code"],
        "redirect_uri": client.redirect_uri,
        "code_verifier": verifier,
    }
    answer = backend.post(_target(target.endpoints["token_endpoint"]), urlencode(form), client.basic_line)
    if answer.status != 200:
        raise SignInError(f"the token endpoint: {answer.status} {answer.body[:300]!r}")
    tokens: dict[str, object] = json.loads(answer.body)
    missing = {"access_token", "id_token", "token_type"} - set(tokens)
    if missing or pages != ["login", "consent"]:
        raise SignInError(f"missing {sorted(missing)}, pages {pages}")
    return SignIn(tokens, login_seconds, pages)
