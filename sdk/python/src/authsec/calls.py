"""One call of an operation: its address, its attempts, and its answer or its error."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import httpx

from authsec.answers import Answer, object_of
from authsec.errors import ConnectionFailed, NotSignedIn, UnexpectedAnswer, api_error
from authsec.flow import Request, Send, Token, Wait
from authsec.retries import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from authsec.flow import Flow
    from authsec.retries import Retries

_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation is called with."""

    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    body: object = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)  # a file instead
    media_type: str | None = None
    if_match: str | None = None
    idempotency_key: str | None = None
    is_repeatable: bool = False  # takes an Idempotency-Key
    is_public: bool = False
    is_streamed: bool = False  # answered with lines of JSON

    def request(self, base_url: str) -> Request:
        """Return the request, without a token."""
        headers, content = {}, self.content
        if self.media_type is not None:
            headers["Content-Type"] = self.media_type
        if self.is_streamed:
            headers["Accept"] = "application/x-ndjson"
        if self.body is not None:
            content = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            is_patch = self.method == "PATCH"
            headers["Content-Type"] = "application/merge-patch+json" if is_patch else "application/json"
        if self.if_match is not None:
            headers["If-Match"] = self.if_match
        if self.is_repeatable:
            # The same one with each attempt: a create whose answer was lost is answered again, not done again.
            headers["Idempotency-Key"] = self.idempotency_key or str(uuid.uuid4())
        url = base_url + self.path.format_map({name: _segment(name, value) for name, value in self.parameters.items()})
        query = urlencode(list(_pairs(self.query)))
        if query:
            url += f"?{query}"
        return Request(self.method, url, headers, content)


def _segment(name: str, value: object) -> str:
    """Return a value as one segment of a path; a slash in it is written so that it stays in the value."""
    text = str(value)
    if text in ("", ".", ".."):  # would be another address
        raise ValueError(f"{name} must not be {text!r}")
    return quote(text, safe="").replace("%2F", "%252F")


def _pairs(query: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
        for each in values:
            if each is not None:
                yield name, str(each).lower() if isinstance(each, bool) else str(each)


def perform(call: Call, base_url: str, retries: Retries) -> Flow[httpx.Response]:
    """Send the request until it is answered; raises what the answer says when it is a refusal."""
    plain = call.request(base_url)
    is_idempotent = call.method in _IDEMPOTENT or call.is_repeatable
    attempt, refused = 0, None
    token = None if call.is_public else (yield Token(None))
    if token is None and not call.is_public:
        raise NotSignedIn("Sign in first: client.login(email, password), or give an access_token.")
    while True:
        headers = dict(plain.headers) if token is None else {**plain.headers, "Authorization": f"Bearer {token}"}
        try:
            request = Request(plain.method, plain.url, headers, plain.content)
            response: httpx.Response = yield Send(request, call.is_streamed)
        except httpx.TransportError as error:
            pause = retries.after_failure(attempt, error, is_idempotent=is_idempotent)
            if pause is None:
                raise unreached(error) from error
        else:
            if response.is_success:
                return response
            after = retry_after(response.headers)
            if response.status_code == 401 and token is not None and refused is None:
                refused, token = token, (yield Token(token))  # it may have ended a moment ago
                if token is not None:
                    continue
            pause = retries.after_answer(attempt, response.status_code, after, is_idempotent=is_idempotent)
            if pause is None:
                raise api_error(response.status_code, problem_of(response), after)
        attempt += 1
        yield Wait(pause)


def unreached(error: httpx.TransportError) -> ConnectionFailed:
    """Return what an error of the network means."""
    if isinstance(error, httpx.TimeoutException):
        return ConnectionFailed("The server did not answer in time.")
    return ConnectionFailed(f"The server was not reached: {error}")


def problem_of(response: httpx.Response) -> Mapping[str, Any]:
    """Return the problem document of a refusal; an empty one where something in between has answered."""
    found = object_of(response.content)
    return found if found is not None else {"request_id": response.headers.get("x-correlation-id", "")}


def answer_of(response: httpx.Response) -> Answer:
    """Return the document of an answer."""
    document = object_of(response.content)
    if document is None:
        raise UnexpectedAnswer(f"{response.request.method} {response.request.url} was answered with no JSON object.")
    headers = response.headers
    return Answer(
        document,
        headers.get("etag"),
        headers.get("x-correlation-id"),
        was_replayed=headers.get("idempotency-replayed") == "true",
    )


def line_of(text: str) -> dict[str, Any]:
    """Return one line of JSON of an answer."""
    found = object_of(text)
    if found is None:
        raise UnexpectedAnswer("A line of the answer is no JSON object.")
    return found
