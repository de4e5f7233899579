"""Opaque values: identifiers, secrets that only need comparing, and correlation ids.

A secret is 256 random bits behind a prefix that says what it is, so that one kind can never be taken for another and a
secret scanner can find a leaked one. What is stored is its SHA-256: with that much entropy a slow hash adds nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import uuid

# Each of the 32 digits stands for eight of the 256 bytes: five random bits a character.
_CROCKFORD = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ" * 8
_AT_ONCE = 256
_ready: list[str] = []  # correlation ids to give out; asking the kernel for each costs more than all the rest of one
os.register_at_fork(after_in_child=_ready.clear)


def new_id() -> str:
    """Return a new identifier: 32 hexadecimal characters, random."""
    return uuid.uuid4().hex


def new_secret(prefix: str) -> str:
    """Return ``prefix_`` followed by 43 characters of base64url: 256 random bits."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def new_correlation_id() -> str:
    """Return 16 characters of Crockford's base32 (80 random bits): short enough to read out over the telephone."""
    try:
        return _ready.pop()
    except IndexError:
        made = os.urandom(16 * _AT_ONCE).translate(_CROCKFORD).decode("ascii")
        _ready.extend(made[start : start + 16] for start in range(16, len(made), 16))
        return made[:16]


def digest(value: str) -> str:
    """Return the SHA-256 of a secret as 64 hexadecimal characters; any text is accepted, never an error."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare two texts in time that does not depend on where they differ; any text is accepted."""
    return hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))
