"""What the relying party's frame computes (OpenID Connect Session Management 1.0 §3.3), by the specification and not by the product."""

from __future__ import annotations

import base64
import hashlib


def status(session_state: str, client_id: str, origin: str, cookie: str) -> str:
    """``unchanged`` or ``changed``, for a question from a page of an origin in a browser with this cookie."""
    digest, _, salt = session_state.rpartition(".")
    found = hashlib.sha256(f"{client_id} {origin} {cookie} {salt}".encode()).digest()
    return "unchanged" if base64.urlsafe_b64encode(found).rstrip(b"=").decode() == digest else "changed"
