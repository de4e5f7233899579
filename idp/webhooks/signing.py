"""Signatures of Standard Webhooks: HMAC-SHA256 over id, time and body, with secrets ``whsec_…``; one signature for each secret in force.

A secret that was replaced goes on signing for a while, so that receivers can change theirs without losing a message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.keys.sealed_state import webhook_purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.keys.envelope import Envelope

PREFIX = "whsec_"
_BYTES = 32  # Standard Webhooks: 24 to 64
MOST_SECRETS = 5  # in force at a time


def new_secret() -> str:
    """Return a new secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(message_id: str, at: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """Return the three headers of a message that is sent at a time."""
    signed = f"{message_id}.{at}.".encode() + body
    made = [hmac.new(base64.b64decode(key.removeprefix(PREFIX)), signed, hashlib.sha256).digest() for key in keys]
    signatures = " ".join(f"v1,{base64.b64encode(each).decode()}" for each in made)
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signatures}


def sealed(envelope: Envelope, tenant_id: str, webhook_id: str, secret: str) -> dict[str, Any]:
    """Return a secret as it is stored."""
    return {"sealed": envelope.seal(secret.encode(), webhook_purpose(tenant_id, webhook_id)), "expires_at": None}


def in_force(envelope: Envelope, tenant_id: str, webhook_id: str, stored: Sequence[dict[str, Any]]) -> list[str]:
    """Return the secrets that sign now, the present one first."""
    at = now()
    living = [each for each in stored if each["expires_at"] is None or each["expires_at"] > at]
    return [envelope.unseal(each["sealed"], webhook_purpose(tenant_id, webhook_id)).decode() for each in living]


def replaced(stored: Sequence[dict[str, Any]], fresh: dict[str, Any], overlap: int) -> list[dict[str, Any]]:
    """Return the secrets with a new one in front; those before it sign for at most ``overlap`` seconds more."""
    end = now() + overlap
    kept = [{**each, "expires_at": min(each["expires_at"] or end, end)} for each in stored]
    return [fresh, *(each for each in kept if each["expires_at"] > now())][:MOST_SECRETS]
