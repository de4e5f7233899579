"""Refresh tokens: new ones, and the sealed answer that a client which lost it may have again (RFC 9700 §4.14.2).

The answer of a rotation is sealed under a key derived from the refresh token that was presented. The server stores only that
token's hash, so only who presents the token again can open the answer.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from idp import opaque

PREFIX = "rt"
GRACE = 10  # seconds in which the same refresh token gets the same successor again
_INFO = b"authsec refresh grace v1"
_NONCE = 12


def new_refresh_token() -> str:
    """Return a new refresh token."""
    return opaque.new_secret(PREFIX)


def seal(refresh_token: str, response: dict[str, Any]) -> str:
    """Return the token response, encrypted under a key derived from the refresh token that was presented for it."""
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(_key(refresh_token)).encrypt(nonce, json.dumps(response).encode(), None)
    return base64.b64encode(nonce + sealed).decode()


def unseal(refresh_token: str, sealed: str) -> dict[str, Any] | None:
    """Return the token response; None when it was sealed for another token or was altered."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        opened: dict[str, Any] = json.loads(AESGCM(_key(refresh_token)).decrypt(raw[:_NONCE], raw[_NONCE:], None))
    except (InvalidTag, ValueError):
        return None
    return opened


def _key(refresh_token: str) -> bytes:
    return HKDF(SHA256(), 32, None, _INFO).derive(refresh_token.encode())
