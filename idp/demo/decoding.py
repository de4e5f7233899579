"""Tokens and answers taken apart for reading: each member with its value, its time in words and what it means.

Decoding here is for the eye. What the application relies on was validated before by Authlib (`idp.demo.sign_in`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp.clock import now
from idp.demo.explanations import CLAIMS, HEADERS, TIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
_LATEST = 253_402_300_799  # the end of the year 9999
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a JSON object."""

    name: str
    value: str
    moment: str  # a time in words, or ""
    note: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A JWT, or an opaque token with nothing in it to read."""

    header: tuple[Member, ...] = ()
    payload: tuple[Member, ...] = ()
    text: str = ""
    algorithm: str = ""
    key_id: str = ""
    is_signed: bool = False  # by a key that the issuer publishes
    expires_at: int | None = None


def decode(token: str, keys: Mapping[str, Any] | None) -> Decoded:
    """Return what a token says, and whether one of the ``keys`` (a JWK set) signed it; never raises for a strange token."""
    try:
        parts = jws.extract_compact(token.encode())
        header, payload = parts.headers(), json.loads(parts.payload)
    except (JoseError, ValueError):
        return Decoded()
    if not isinstance(payload, dict):
        return Decoded()
    expires_at = payload.get("exp")
    return Decoded(
        members(header, HEADERS),
        members(payload, CLAIMS),
        pretty({"header": header, "payload": payload}),
        str(header.get("alg", "")),
        str(header.get("kid", "")),
        _is_signed(token, keys),
        expires_at if isinstance(expires_at, int) else None,
    )


def members(document: Mapping[str, Any], notes: Mapping[str, str] = CLAIMS) -> tuple[Member, ...]:
    """Return the members of a JSON object in order, explained."""
    return tuple(
        Member(name, _shown(value), moment(value) if name in TIMES else "", notes.get(name, ""))
        for name, value in document.items()
    )


def pretty(document: Any) -> str:
    """Return JSON with a member a line."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def moment(value: Any) -> str:
    """Return a time of epoch seconds as date and clock in UTC, and how far away it is; "" for what is no time."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        return ""
    stamp = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{stamp}, {distance(int(value) - now())}"


def distance(seconds: int) -> str:
    """Return a number of seconds from now in words: in 59 minutes, 3 seconds ago, now."""
    if seconds == 0:
        return "now"
    size, unit = next((size, unit) for size, unit in _UNITS if abs(seconds) >= size)
    count = round(abs(seconds) / size)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"in {words}" if seconds > 0 else f"{words} ago"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_signed(token: str, keys: Mapping[str, Any] | None) -> bool:
    try:
        jws.deserialize_compact(
            token.encode(), KeySet.import_key_set({"keys": list((keys or {}).get("keys", []))}), algorithms=ALGORITHMS
        )
    except (JoseError, ValueError, KeyError):
        return False
    return True
