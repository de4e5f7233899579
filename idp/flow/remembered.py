"""The address a person lets this browser remember: whose sign-in is expected here, nothing else.

It is personal data: kept only where the person ticked it, for 90 days since, in a cookie that is sealed, so that neither a script
nor somebody who looks into the browser's files reads it. Nobody is signed in by it. Must not know the page that asks.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idp.clock import now
from idp.identity.accounts import LONGEST_USERNAME, fold
from idp.web import cookies

if TYPE_CHECKING:
    from idp.flow.services import FlowServer
    from idp.web.http import Request

LIFETIME = 90 * 86400  # seconds
_NONCE = 12  # bytes, random
_LONGEST = 3000  # characters; what is longer was not made here


def username(server: FlowServer, request: Request) -> str | None:
    """Return the address that this browser remembers for the tenant, or None."""
    given = request.cookies.get(_name(server))
    if not given or len(given) > _LONGEST:
        return None
    try:
        raw = urlsafe_b64decode(given.encode("ascii") + b"=" * (-len(given) % 4))
        found, since = json.loads(_cipher(server).decrypt(raw[:_NONCE], raw[_NONCE:], None))
    except (ValueError, InvalidTag):  # UnicodeError and the errors of base64 and JSON are ValueErrors
        return None
    return str(found) if now() - since < LIFETIME else None


def cookie(server: FlowServer, request: Request, wanted: str | None) -> list[tuple[str, str]]:
    """Return the Set-Cookie fields after which the browser remembers this address, or none at all."""
    name, is_secure = _name(server), server.tenant.is_secure
    if wanted is None or len(wanted) > LONGEST_USERNAME:
        return [cookies.expire_cookie(name, secure=is_secure)] if name in request.cookies else []
    nonce = os.urandom(_NONCE)
    sealed = nonce + _cipher(server).encrypt(nonce, json.dumps([wanted, now()], ensure_ascii=False).encode(), None)
    value = urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
    return [cookies.set_cookie(name, value, secure=is_secure, max_age=LIFETIME)]


def renamed(server: FlowServer, request: Request, was: str, name: str | None) -> list[tuple[str, str]]:
    """Return the Set-Cookie fields for a browser in which an account has got another name, or is gone (None), if it remembers that."""
    known = username(server, request)
    return cookie(server, request, name) if known is not None and fold(known) == fold(was) else []


def _cipher(server: FlowServer) -> AESGCM:
    message = f"remembered address {server.tenant.id}".encode()
    return AESGCM(hmac.digest(server.services.csrf_key, message, hashlib.sha256))


def _name(server: FlowServer) -> str:
    return cookies.cookie_name(cookies.REMEMBERED, server.tenant.slug, secure=server.tenant.is_secure)
