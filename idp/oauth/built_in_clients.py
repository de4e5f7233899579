"""The client that every tenant has without registering it: the one that the SDKs sign people in with.

It is made when it is first asked for, so that a tenant that never uses it has none. Operators may change it, for instance let scripts
of their origins use it by registering redirect URIs, or disable it; deleted it would only come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access.claims import EVERYTHING
from idp.identity.claims import STANDARD_SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

SDK = "authsec-sdk"
METADATA: Mapping[str, Any] = {
    "client_name": "AuthSec SDK",
    "application_type": "native",
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    # RFC 8252 §7.3: where a browser has to be used after all, the program listens on a port of its own.
    "redirect_uris": ["http://127.0.0.1/callback", "http://[::1]/callback"],
    "scope": " ".join([*STANDARD_SCOPES, "roles", "groups", "permissions", EVERYTHING]),
    "first_party": True,
}


def is_built_in(client_id: str) -> bool:
    """Say whether a client is there by itself."""
    return client_id == SDK
