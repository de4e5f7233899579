"""What happens is written once, as generators that yield what they need; the two clients drive them, waiting or awaiting.

Owns the requests and effects. Must not know a protocol.
"""

from __future__ import annotations

import platform
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx

from authsec.version import __version__

USER_AGENT = f"authsec-sdk-python/{__version__} python/{platform.python_version()} httpx/{httpx.__version__}"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")  # and what is below localhost (RFC 6761 §6.3)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, which can be sent again."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # never a token or password in a log
    content: bytes | None = field(default=None, repr=False)
    form: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Needs the answer to a request; an :class:`httpx.TransportError` is thrown in where there is none."""

    request: Request
    is_streamed: bool = False  # the body of a good answer is left to be read


@dataclass(frozen=True, slots=True)
class Wait:
    """Needs time to pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Token:
    """Needs an access token, and not the one that was refused; is sent None when there is no other."""

    refused: str | None = field(repr=False)


T = TypeVar("T")
Flow = Generator[Send | Wait | Token, Any, T]


def built(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    """Return a request as the HTTP client sends it."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **request.headers}
    if not request.form:
        return http.build_request(request.method, request.url, headers=headers, content=request.content)
    body = urlencode(request.form).encode()
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return http.build_request(request.method, request.url, headers=headers, content=body)


def checked_url(url: str, what: str) -> str:
    """Return an address without a slash at its end; tokens and passwords leave only by TLS, or to this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_here = host in _LOOPBACK or host.endswith(".localhost")
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_here)
    if not is_safe or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{what} must be an https:// address (http:// only for this machine), not {url!r}")
    return url.rstrip("/")
