"""Redirect URIs: which may be registered (RFC 8252 §7, OpenID Registration §2) and which request matches (RFC 9700 §4.1.3).

Matching compares strings, with one exception: a loopback address registered without a port matches any port (RFC 8252 §7.3).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_FORBIDDEN_SCHEMES = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss", "mailto", "tel"}
)
_LOOPBACK_URI = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]{1,5}))?((?:/[^#]*)?(?:\?[^#]*)?)")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
MAX_LENGTH = 2000
_MOST_COMPARED = 20_000


def problem_of(uri: object) -> str | None:
    """Return what is wrong with a redirect URI that wants to be registered, or None."""
    if not isinstance(uri, str) or not uri or len(uri) > MAX_LENGTH:
        return "a redirect URI is a text of 1 to 2000 characters"
    if any(c <= " " or c >= "\x7f" or c in '"<>\\^`{|}' for c in uri):
        return "a redirect URI contains only characters of RFC 3986"
    if "#" in uri:
        return "a redirect URI has no fragment (RFC 6749 section 3.1.2)"
    if "*" in uri:
        return "a redirect URI has no wildcard; register each address"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "a redirect URI has a valid host and port"
    scheme = parts.scheme
    if not _SCHEME.fullmatch(scheme) or scheme in _FORBIDDEN_SCHEMES:
        return "this scheme cannot be redirected to"
    if "@" in parts.netloc:
        return "a redirect URI names no user"
    if scheme in ("http", "https"):
        if not host:
            return "a redirect URI has a host"
        if scheme == "http" and not _LOOPBACK_URI.fullmatch(uri):
            return "http is for loopback addresses only; use https (RFC 9700 section 2.6)"
    elif "." not in scheme:
        return "a private-use scheme is a reversed domain name such as com.example.app (RFC 8252 section 7.1)"
    return None


def matches(requested: str, registered: frozenset[str]) -> bool:
    """Say whether a requested redirect URI is a registered one."""
    if requested in registered:
        return True
    found = _LOOPBACK_URI.fullmatch(requested)
    if found is None or found[2] is None or not 0 < int(found[2]) < 65536:
        return False
    # RFC 8252 §7.3: any port of a loopback address that is registered without one.
    return f"http://{found[1]}{found[3]}" in registered


def closest(requested: str, registered: frozenset[str]) -> tuple[str, ...]:
    """Return the registered URIs, the most similar to the requested one first, for the refusal's record."""
    from difflib import SequenceMatcher

    short = requested[:300]  # a stranger chooses its length
    return tuple(sorted(registered, key=lambda uri: -SequenceMatcher(None, short, uri).quick_ratio()))


def mark_difference(requested: str, registered: str) -> str:
    """Return the requested URI with what differs from a registered one between ``[`` and ``]``, for ``idp explain``."""
    from difflib import SequenceMatcher

    if len(requested) * len(registered) > _MOST_COMPARED:  # the matcher's time grows with the product, or worse
        return _mark_middle(requested, registered)
    pieces = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, registered, requested, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(requested[j1:j2])
        elif tag == "delete":
            pieces.append(f"[missing: {registered[i1:i2]}]")
        else:
            pieces.append(f"[{requested[j1:j2]}]")
    return "".join(pieces)


def _mark_middle(requested: str, registered: str) -> str:
    start = _shared(requested, registered)
    end = min(_shared(requested[::-1], registered[::-1]), min(len(requested), len(registered)) - start)
    tail, missing = len(requested) - end, registered[start : len(registered) - end]
    marked = f"{requested[:start]}[{requested[start:tail]}]{requested[tail:]}"
    return f"{marked} [missing: {missing}]" if missing else marked


def _shared(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def origin_of(uri: str) -> str:
    """Return a redirect URI's origin, or ``scheme:`` for one of an app, as a CSP source."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"
