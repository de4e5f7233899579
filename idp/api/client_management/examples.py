"""The examples of the document; a test validates them by the models, and sends the requests."""

from __future__ import annotations

from typing import Any

REPLACEMENT: dict[str, Any] = {
    "client_name": "Orders",
    "client_name#de": "Bestellungen",
    "redirect_uris": ["https://orders.example/callback"],
    "post_logout_redirect_uris": ["https://orders.example/"],
    "grant_types": ["authorization_code", "refresh_token"],
    "scope": "openid profile email offline_access",
    "tags": ["shop", "web"],
    "first_party": False,
}
NEW: dict[str, Any] = {"client_id": "orders-web", **REPLACEMENT}
PATCH: dict[str, Any] = {"client_name": "Orders and returns", "policy_uri": None, "tags": ["shop"]}
CLIENT: dict[str, Any] = {
    "client_id": "orders-web",
    **REPLACEMENT,
    "application_type": "web",
    "response_types": ["code"],
    "token_endpoint_auth_method": "client_secret_basic",
    "client_profile": "strict",
    "status": "active",
    "registered_by": "administrator",
    "has_secret": True,
    "created_at": "2026-11-29T14:00:00Z",
    "updated_at": "2026-11-29T14:00:00Z",
}
DISABLED = CLIENT | {"status": "disabled", "updated_at": "2026-11-29T15:00:00Z"}
CREATED = CLIENT | {"client_secret": "cs_Shown-Once-And-Never-Again-0123456789abcdefgh"}
LIST: dict[str, Any] = {"items": [CLIENT], "page": 1, "limit": 10, "total": 1, "total_pages": 1}

TOKEN: dict[str, Any] = {
    "id": "5b0c9f0e4d5f4b7f8f5f1c0a9f3e7d21",
    "name": "The mobile team",
    "status": "active",
    "uses_left": 5,
    "created_at": "2026-11-29T14:00:00Z",
    "expires_at": "2026-12-13T14:00:00Z",
    "created_by": "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b",
}
NEW_TOKEN: dict[str, Any] = {"name": "The mobile team", "uses": 5, "lifetime": 1_209_600}
ISSUED = TOKEN | {"token": "iat_Shown-Once-And-Never-Again-0123456789abcdefg"}
TOKENS: dict[str, Any] = {"items": [TOKEN], "page": 1, "limit": 10, "total": 1, "total_pages": 1}
