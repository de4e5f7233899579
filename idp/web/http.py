"""The one Request and Response that both doors share: the RSGI front and Flask's WSGI.

Owns the values, lazy and strict parsing of forms, queries and cookies (RFC 9110 §5.3, RFC 6265 §4.2, WHATWG URL
§5.1), and the small constructors of answers. Must not know a server, a framework or an endpoint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import quote, unquote_to_bytes

from idp.errors import Invalid
from idp.language import N_

MAX_FIELDS = 1000
FORM_TYPE = "application/x-www-form-urlencoded"

_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_broken_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_location_safe = "%:/?#[]@!$&'()*+,;=-._~"

HeaderItems = Iterable[tuple[str, str]]


class MalformedInput(Invalid):
    """A form or query string that cannot be read; its title is a constant and safe to show."""


class Headers:
    """Field lines of a request by lower-case name, repeats kept."""

    __slots__ = ("_first", "_items")

    def __init__(self, items: HeaderItems = ()) -> None:
        """Take `items` as (name, value) pairs whose names are already in lower case."""
        self._items = list(items)
        self._first: dict[str, str] | None = None

    @classmethod
    def of(cls, items: HeaderItems) -> Headers:
        """Build from pairs whose names may be in any case."""
        return cls([(name.lower(), value) for name, value in items])

    def get(self, name: str) -> str | None:
        """Return the combined value of the lower-case `name`, or None when it was not sent."""
        index = self._first
        if index is None:
            index = self._first = self._combined()
        return index.get(name)

    def all(self, name: str) -> list[str]:
        """Return each field line's value of the lower-case `name`, in order."""
        return [value for key, value in self._items if key == name]

    def items(self) -> list[tuple[str, str]]:
        """Return all field lines in order."""
        return self._items

    def __contains__(self, name: object) -> bool:
        """Say whether the lower-case `name` was sent."""
        return any(key == name for key, _ in self._items)

    def __repr__(self) -> str:
        """Name the fields, never their values: those carry secrets."""
        return f"Headers({[name for name, _ in self._items]})"

    def _combined(self) -> dict[str, str]:
        index = dict(self._items)
        if len(index) != len(self._items):
            index = {}
            for name, value in self._items:
                if name in index:
                    # RFC 9110 §5.3: lines combine with a comma; RFC 9113 §8.2.3: cookies with a semicolon.
                    index[name] += ("; " if name == "cookie" else ", ") + value
                else:
                    index[name] = value
        return index


@dataclass(slots=True)
class Request:
    """One HTTP request after the front's checks; scheme, host and remote address are already proven.

    `endpoint` is for metrics and logs: who answers may set it to a name from a small, fixed set. `languages` are those the answer
    is wanted in by who sent the person here, since a moment (`languages_since`); who finds them out sets them.
    """

    method: str
    scheme: str
    host: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""
    remote_addr: str = ""
    correlation_id: str = ""
    endpoint: str = ""
    languages: tuple[str, ...] = ()
    languages_since: int = 0
    _form: list[tuple[str, str]] | None = field(default=None, init=False, repr=False, compare=False)
    _args: list[tuple[str, str]] | None = field(default=None, init=False, repr=False, compare=False)
    _cookies: dict[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """The origin the request was sent to, for instance `https://id.example`."""
        return f"{self.scheme}://{self.host}"

    @property
    def form(self) -> list[tuple[str, str]]:
        """The body's pairs in order; raises MalformedInput when the body is no readable form."""
        if self._form is None:
            self._form = self._parsed_form()
        return self._form

    @property
    def args(self) -> list[tuple[str, str]]:
        """The query's pairs in order; raises MalformedInput when it is not readable."""
        if self._args is None:
            self._args = parse_pairs(self.query)
        return self._args

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name; of equal names the first counts, which is the one with the longest path."""
        if self._cookies is None:
            self._cookies = parse_cookies(self.headers.get("cookie"))
        return self._cookies

    def without_cookies(self) -> Request:
        """Return the same request as if no cookies had come with it."""
        plain = Headers([(name, value) for name, value in self.headers.items() if name != "cookie"])
        return replace(self, headers=plain)

    @property
    def media_type(self) -> str:
        """The body's media type in lower case without parameters, or an empty string."""
        return (self.headers.get("content-type") or "").partition(";")[0].strip().lower()

    def _parsed_form(self) -> list[tuple[str, str]]:
        if not self.body:
            return []
        if self.media_type != FORM_TYPE:
            raise MalformedInput(N_("The body must be application/x-www-form-urlencoded."))
        return parse_pairs(self.body)


@dataclass(slots=True)
class Response:
    """One answer; header names in lower case, values in visible ASCII.

    An answer too long to be held has a `stream` in the place of a body; each part is made when the one before has been sent.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    stream: Iterator[bytes] | None = None

    def header(self, name: str) -> str | None:
        """Return the first value of the lower-case `name`, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def set(self, name: str, value: str) -> None:
        """Set the lower-case `name` to `value` alone, in place of what stood there."""
        self.headers = [pair for pair in self.headers if pair[0] != name]
        self.headers.append((name, value))

    def vary(self, *names: str) -> None:
        """Say that the answer depends on these request headers too (RFC 9110 §12.5.5)."""
        before = (self.header("vary") or "").split(", ")
        self.set("vary", ", ".join(dict.fromkeys(name for name in (*before, *names) if name)))


class Door(Protocol):
    """An endpoint the front can answer without Flask.

    On the event loop as a plain call where `inline` says that it surely waits for nothing, or as a task where `is_task`; else in
    the thread pool.
    """

    @property
    def name(self) -> str:
        """What records of the request call the endpoint."""

    @property
    def is_task(self) -> bool:
        """Whether all it may wait for steps aside on the event loop."""

    def handle(self, request: Request, /) -> Response:
        """Answer a request."""

    def inline(self, request: Request, /) -> bool:
        """Say whether answering surely waits for nothing."""


Doors = Callable[[str, str, str], Door | None]


def parse_pairs(raw: bytes | str) -> list[tuple[str, str]]:
    """Read `application/x-www-form-urlencoded` strictly: UTF-8, whole escapes, at most 1,000 fields."""
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        if text.count("&") >= MAX_FIELDS:
            raise MalformedInput(N_("The form has too many fields."))
        pairs = []
        for part in text.split("&"):
            if part:
                name, _, value = part.partition("=")
                pairs.append((_unescape(name), _unescape(value)))
    except UnicodeError:
        raise MalformedInput(N_("The form is not valid UTF-8.")) from None
    return pairs


def _unescape(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" in text:
        if _broken_escape(text):
            raise MalformedInput(N_("The form has a broken percent escape."))
        return unquote_to_bytes(text).decode()
    return text


def parse_json(raw: bytes) -> object:
    """Read JSON strictly: UTF-8, each name once in an object, no NaN; raises :class:`MalformedInput`."""
    try:
        found: object = json.loads(raw.decode(), object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MalformedInput(N_("The body is no JSON in which each name stands once.")) from None
    return found


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(name)


def parse_cookies(header: str | None) -> dict[str, str]:
    """Read a Cookie header into a mapping; the first of equal names counts, pieces without `=` are dropped."""
    found: dict[str, str] = {}
    for piece in (header or "").split(";"):
        name, equals, value = piece.partition("=")
        if equals:
            found.setdefault(name.strip(), value.strip())
    return found


def json_response(status: int, obj: object, headers: HeaderItems = ()) -> Response:
    """Answer `obj` as JSON; not stored by caches unless `headers` brings its own `cache-control`."""
    mine = list(headers)
    names = {name for name, _ in mine}
    if "content-type" not in names:
        mine.append(("content-type", "application/json"))
    if "cache-control" not in names:
        mine.append(("cache-control", "no-store"))
    mine.append(("x-content-type-options", "nosniff"))
    return Response(status, mine, _encode_json(obj).encode())


def jwt_response(token: str, media_type: str) -> Response:
    """Answer a JWT; not stored by caches."""
    return Response(
        200,
        [("content-type", media_type), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")],
        token.encode("ascii"),
    )


def html_response(status: int, html: str, headers: HeaderItems = ()) -> Response:
    """Answer a page; the security headers come from `headers.page_headers`."""
    return Response(status, [("content-type", "text/html; charset=utf-8"), *headers], html.encode())


def redirect(status: int, url: str, headers: HeaderItems = ()) -> Response:
    """Answer a redirect, 303 after a form; control characters in `url` raise ValueError."""
    if any(character < " " or character == "\x7f" for character in url):
        raise ValueError("a redirect target must not contain control characters")
    location = quote(url, safe=_location_safe)
    mine = [("location", location), ("cache-control", "no-store"), *headers]
    return Response(status, mine)
