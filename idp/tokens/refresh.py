"""Refresh tokens: new ones, and the sealed successor that a client which lost the answer may have again (RFC 9700 §4.14.2).

The successor is sealed under a key derived from the refresh token that was presented. The server stores only that token's hash,
so only who presents the token again can open it.
"""

from __future__ import annotations

import base64
import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from idp import opaque

PREFIX = "rt"
GRACE = 10  # seconds in which the same refresh token gets the same successor again
_INFO = b"authsec refresh grace v2"
_NONCE = 12


class Successor(NamedTuple):
    """What a refresh token was rotated to, and the scope that was asked for then."""

    refresh_token: str
    scope: str


def new_refresh_token() -> str:
    """Return a new refresh token."""
    return opaque.new_secret(PREFIX)


def seal(refresh_token: str, successor: Successor) -> str:
    """Return the successor, encrypted under a key derived from the refresh token that was presented for it."""
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(_key(refresh_token)).encrypt(nonce, "\n".join(successor).encode(), None)
    return base64.b64encode(nonce + sealed).decode()


def unseal(refresh_token: str, sealed: str) -> Successor | None:
    """Return the successor; None when it was sealed for another token or was altered."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        opened = AESGCM(_key(refresh_token)).decrypt(raw[:_NONCE], raw[_NONCE:], None)
    except (InvalidTag, ValueError):
        return None
    return Successor(*opened.decode().split("\n"))


def _key(refresh_token: str) -> bytes:
    return HKDF(SHA256(), 32, None, _INFO).derive(refresh_token.encode())
