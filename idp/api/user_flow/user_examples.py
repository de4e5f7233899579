"""The examples of the operations on users; a test validates them by the models, and sends the requests."""

from __future__ import annotations

from typing import Any

_AT = "2026-11-29T14:00:00Z"
_PAGE = {"page": 1, "limit": 10, "total": 1, "total_pages": 1}
_ID = "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b"

NEW_USER: dict[str, Any] = {
    "email": "grace@example.org",
    "claims": {"given_name": "Grace", "family_name": "Hopper", "locale": "en"},
    "roles": ["auditor"],
}
USER: dict[str, Any] = {
    "id": _ID,
    "username": "grace@example.org",
    "email": "grace@example.org",
    "email_verified": False,
    "status": "active",
    "claims": {"given_name": "Grace", "family_name": "Hopper", "locale": "en"},
    "roles": ["auditor"],
    "groups": [{"id": "8f14e45fceea467a9575e9b1c6f0a1d3", "name": "Editorial office"}],
    "has_password": False,
    "must_change_password": False,
    "created_at": _AT,
    "updated_at": _AT,
}
USER_PATCH: dict[str, Any] = {"claims": {"family_name": "Murray Hopper", "nickname": None}}
USERS: dict[str, Any] = {"items": [USER], **_PAGE}

NEW_INVITATION: dict[str, Any] = {
    "email": "katherine@example.org",
    "claims": {"name": "Katherine Johnson"},
    "roles": ["auditor"],
    "days": 7,
}
INVITATION: dict[str, Any] = {
    "user_id": _ID,
    "email": "katherine@example.org",
    "status": "waiting",
    "invited_by": "c4ca4238a0b923820dcc509a6f75849b",
    "sent_at": _AT,
    "expires_at": "2026-12-06T14:00:00Z",
}
INVITATIONS: dict[str, Any] = {"items": [INVITATION], **_PAGE}

SESSIONS: dict[str, Any] = {
    "items": [
        {
            "id": "9e107d9d372bb6826bd81d3542a419d6",
            "device": "Firefox on Linux",
            "source": "192.0.2.7",
            "signed_in_at": _AT,
            "last_seen_at": "2026-11-29T15:20:00Z",
            "expires_at": "2026-11-30T02:00:00Z",
            "amr": ["pwd"],
            "client_ids": ["orders-web"],
        }
    ],
    **_PAGE,
}
CONSENTS: dict[str, Any] = {
    "items": [
        {
            "client_id": "orders-web",
            "client_name": "Orders",
            "scopes": ["openid", "profile"],
            "granted_at": _AT,
            "last_used_at": _AT,
        }
    ],
    **_PAGE,
}

NEW_SIGN_UP: dict[str, Any] = {
    "email": "dorothy@example.org",
    "password": "seventeen wet otters",
    "claims": {"name": "Dorothy Vaughan"},
}
SIGN_UP: dict[str, Any] = {
    "id": "1f3870be274f6c49b3e31a0c6728957f",
    "email": "dorothy@example.org",
    "code_expires_at": "2026-11-29T14:10:00Z",
    "expires_at": "2026-11-29T15:00:00Z",
}
CODE: dict[str, Any] = {"code": "1234 5678"}
