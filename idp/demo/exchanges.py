"""The record of a flow: every request and response in order, with their times, secrets masked before anything is kept.

Requests that the application makes are recorded where they leave and arrive (`RecordingSession`, which Authlib uses); those
that go through the browser are told by the routes. Must not know pages or what the answers lead to.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session

from idp.demo.explanations import PARAMETERS, PURPOSES, Purpose
from idp.demo.masking import Mask

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 80  # exchanges that are kept of one visit
LONGEST_BODY = 20_000  # characters of a body that are kept
TIMEOUT = 10.0  # seconds
_DISCOVERY = "/.well-known/openid-configuration"
_CORRELATION = "x-correlation-id"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter as it is shown."""

    name: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Message:
    """One direction of an exchange: HTTP fields, parameters and what else the body said."""

    headers: tuple[tuple[str, str], ...] = ()
    fields: tuple[Field, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its response; nothing in it is secret any more."""

    number: int
    purpose: Purpose
    by_browser: bool
    method: str
    address: str  # without the query, whose parameters are fields
    request: Message
    response: Message
    status: int | None  # of the response; None when there was none, or when only the browser saw it
    outcome: str
    is_good: bool
    at: datetime
    milliseconds: int | None
    reference: str | None  # the correlation id of the identity provider


@dataclass
class Trace:
    """The exchanges of one visit."""

    mask: Mask = field(default_factory=Mask)
    exchanges: list[Exchange] = field(default_factory=list)
    count: int = 0
    act_begins: int = 1  # number of the first exchange since the person last did something
    _endpoints: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def begin_act(self) -> None:
        """Mark that the person has done something: what follows belongs together."""
        self.act_begins = self.count + 1

    def clear(self) -> None:
        """Forget the exchanges, for a new story; the numbers begin again."""
        with self._lock:
            self.exchanges, self.count, self.act_begins = [], 0, 1

    def sent(self, purpose: str, address: str, outcome: str) -> None:
        """Record that the browser was sent away to ``address``."""
        target, query = _split(address)
        asked = Message(fields=self._fields(query))
        self._add(PURPOSES[purpose], by_browser=True, method="GET", address=target, request=asked, outcome=outcome)

    def returned(
        self, purpose: str, address: str, pairs: Iterable[tuple[str, str]], outcome: str, *, is_good: bool
    ) -> None:
        """Record that the browser came back with ``pairs``."""
        asked = Message(fields=self._fields(pairs))
        self._add(
            PURPOSES[purpose],
            by_browser=True,
            method="GET",
            address=address,
            request=asked,
            outcome=outcome,
            is_good=is_good,
        )

    def answered(self, prepared: requests.PreparedRequest, response: requests.Response, milliseconds: int) -> None:
        """Record a request of the application and its response."""
        purpose, told = self._asked(prepared)
        document = _document(response)
        if purpose is PURPOSES["discovery"] and isinstance(document, dict):
            self._endpoints = {url: name for name, url in document.items() if isinstance(url, str)}
        self._add(
            purpose,
            **told,
            response=Message(self._headers(response.headers.items()), (), self._text(response, document)),
            status=response.status_code,
            outcome=f"{response.status_code} {response.reason}",
            is_good=response.ok,
            milliseconds=milliseconds,
            reference=self.mask.text(response.headers.get(_CORRELATION, "")) or None,
        )

    def unanswered(self, prepared: requests.PreparedRequest, error: Exception, milliseconds: int) -> None:
        """Record a request of the application that got no response."""
        purpose, told = self._asked(prepared)
        self._add(purpose, **told, outcome=in_words(error), is_good=False, milliseconds=milliseconds)

    def _asked(self, prepared: requests.PreparedRequest) -> tuple[Purpose, dict[str, Any]]:
        target, query = _split(prepared.url or "")
        body = (
            prepared.body.decode("utf-8", "replace") if isinstance(prepared.body, bytes) else str(prepared.body or "")
        )
        form = parse_qsl(body, keep_blank_values=True)
        fields = self._fields([*query, *form])
        asked = Message(self._headers(prepared.headers.items()), fields)
        told = {"by_browser": False, "method": prepared.method or "GET", "address": target, "request": asked}
        return PURPOSES[self._purpose(target, dict(form))], told

    def _purpose(self, address: str, form: dict[str, str]) -> str:
        if address.endswith(_DISCOVERY):
            return "discovery"
        name = self._endpoints.get(address)
        if name == "token_endpoint":
            return "refresh" if form.get("grant_type") == "refresh_token" else "code"
        known = {
            "jwks_uri": "jwks",
            "userinfo_endpoint": "userinfo",
            "introspection_endpoint": "introspection",
            "revocation_endpoint": "revocation",
        }
        return known.get(name or "", "other")

    def _fields(self, pairs: Iterable[tuple[str, str]]) -> tuple[Field, ...]:
        return tuple(
            Field(self.mask.text(name), self.mask.value(name, value), PARAMETERS.get(name, "")) for name, value in pairs
        )

    def _headers(self, pairs: Iterable[tuple[str, str | bytes]]) -> tuple[tuple[str, str], ...]:
        texts = ((name, value if isinstance(value, str) else value.decode("latin-1")) for name, value in pairs)
        return tuple((name, self.mask.header(name, text)) for name, text in texts)

    def _text(self, response: requests.Response, document: Any) -> str:
        if document is not None:
            return json.dumps(self.mask.json(document), indent=2, ensure_ascii=False)[:LONGEST_BODY]
        # What is no JSON may hold a secret that nothing here knows by name.
        return f"{len(response.content)} bytes that are not JSON." if response.content else ""

    def _add(self, purpose: Purpose, **values: Any) -> None:
        defaults = {"response": Message(), "status": None, "is_good": True, "milliseconds": None, "reference": None}
        made = Exchange(number=0, purpose=purpose, at=datetime.now(UTC), **(defaults | values))
        with self._lock:
            self.count += 1
            self.exchanges = [*self.exchanges, replace(made, number=self.count)][-LONGEST:]


class RecordingSession(OAuth2Session):
    """Authlib's session on `requests`; what it sends and gets goes into a trace as it is on the wire."""

    def __init__(self, *, trace: Trace, ca_bundle: str | None = None, **kwargs: Any) -> None:
        """Take the trace, and a file with root certificates instead of the system's."""
        super().__init__(default_timeout=TIMEOUT, **kwargs)
        self.trace = trace
        self.trust_env = False  # no proxy and no .netrc comes between the application and its identity provider
        self.verify = ca_bundle or True

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request; a redirect is an answer like any other and takes no credentials anywhere."""
        answer: requests.Response = super().request(method, url, *args, **(kwargs | {"allow_redirects": False}))
        return answer

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a prepared request, with its credentials, and record how it went."""
        begun = time.perf_counter()
        try:
            response: requests.Response = super().send(request, **kwargs)
        except requests.RequestException as error:
            self.trace.unanswered(request, error, _since(begun))
            raise
        self.trace.answered(request, response, _since(begun))
        return response


def in_words(error: Exception) -> str:
    """Return why there was no answer, without addresses or objects in it."""
    if isinstance(error, requests.exceptions.SSLError):
        return "no answer: the certificate is not trusted"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT:.0f} seconds"
    if "refused" in str(error):
        return "no answer: nobody listens there"
    return "no answer: the connection failed"


def _document(response: requests.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _split(address: str) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(address)
    return parts._replace(query="", fragment="").geturl(), parse_qsl(parts.query, keep_blank_values=True)


def _since(begun: float) -> int:
    return round((time.perf_counter() - begun) * 1000)
