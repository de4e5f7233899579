"""Taking a JWS in compact serialisation apart, strictly (RFC 7515 §3.1, §5.2; RFC 8725 §3).

One text has one meaning: no padding, no second spelling of the same bytes, no repeated JSON member, no number that JSON
does not have. Nothing here believes a signature; :mod:`idp.keys.signer` does that next.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, NamedTuple

MAX_TOKEN = 16_384  # characters of a whole token; what this product signs stays far below
MAX_HEADER = 512  # characters of its header
# RFC 7515 §4.1: a header member that is not listed by the reader is refused, so jwk, jku, x5u, x5c, crit and b64 are.
OWN_HEADER = frozenset({"alg", "kid", "typ"})
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class InvalidToken(Exception):
    """A token is refused; ``reason`` is a constant sentence for the operator, free of the token's content."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


class Compact(NamedTuple):
    """The parts of a compact JWS, not yet verified."""

    header: dict[str, Any]
    payload: bytes
    signature: bytes
    signing_input: bytes


def parse(token: str, *, header_members: frozenset[str] = OWN_HEADER, max_length: int = MAX_TOKEN) -> Compact:
    """Take a token apart; raises :class:`InvalidToken`, and nothing else whatever the text."""
    head, body, tail = split(token, max_length)
    return Compact(read_header(head, header_members), decode(body), decode(tail), f"{head}.{body}".encode("ascii"))


def split(token: str, max_length: int = MAX_TOKEN) -> tuple[str, str, str]:
    """Return the three segments, still encoded; raises :class:`InvalidToken`."""
    if len(token) > max_length:
        raise InvalidToken("longer than any token may be")
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise InvalidToken("not three parts of base64url without padding")
    head, body, tail = match.groups()
    return head, body, tail


def read_header(segment: str, header_members: frozenset[str] = OWN_HEADER) -> dict[str, Any]:
    """Return the header of a segment; raises :class:`InvalidToken` when it has other members than those allowed."""
    if len(segment) > MAX_HEADER:
        raise InvalidToken("the header is too long")
    header = json_object(decode(segment))
    if not header.keys() <= header_members:
        raise InvalidToken("the header has a member that is not allowed")
    return header


def json_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object (RFC 8259; RFC 7519 §4: no repeated member); raises :class:`InvalidToken`."""
    try:
        found = _decoder.decode(text.decode("utf-8"))
        if b"\\u" in text:  # an escaped half of a surrogate pair is text that cannot be written out again
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise InvalidToken("not a JSON object with unique members and finite numbers") from None
    if not isinstance(found, dict):
        raise InvalidToken("not a JSON object with unique members and finite numbers")
    return found


def decode(segment: str) -> bytes:
    """Return the bytes of a segment; raises :class:`InvalidToken` unless it is their one canonical spelling."""
    try:
        found = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        raise InvalidToken("not base64url") from None
    # RFC 4648 §3.5: the unused bits are zero, else two texts would be the same token.
    if base64.urlsafe_b64encode(found).rstrip(b"=") != segment.encode("ascii", "replace"):
        raise InvalidToken("not canonical base64url")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is repeated")
    return found


def _no_constant(_name: str) -> Any:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
