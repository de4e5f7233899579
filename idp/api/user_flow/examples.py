"""The examples of the document; a test validates them by the models, and sends the requests."""

from __future__ import annotations

from typing import Any

_TIMES = {"created_at": "2026-11-29T14:00:00Z", "updated_at": "2026-11-29T14:00:00Z"}
_PAGE = {"page": 1, "limit": 10, "total": 1, "total_pages": 1}

NEW_ROLE: dict[str, Any] = {"name": "editor", "description": "Writes documents", "permissions": ["users:read"]}
ROLE: dict[str, Any] = {**NEW_ROLE, "is_built_in": False, **_TIMES}
ROLE_PATCH: dict[str, Any] = {"description": "Writes and reads documents"}
ROLES: dict[str, Any] = {"items": [ROLE], **_PAGE}

NEW_PERMISSION: dict[str, Any] = {"name": "document:write", "description": "Write documents"}
PERMISSION: dict[str, Any] = {**NEW_PERMISSION, **_TIMES}
PERMISSION_PATCH: dict[str, Any] = {"description": "Write and change documents"}
PERMISSIONS: dict[str, Any] = {"items": [PERMISSION], **_PAGE}

NEW_SCOPE: dict[str, Any] = {"name": "documents", "description": "Documents", "permissions": ["users:read"]}
SCOPE: dict[str, Any] = {**NEW_SCOPE, **_TIMES}
SCOPE_PATCH: dict[str, Any] = {"permissions": ["users:read", "groups:read"]}
SCOPES: dict[str, Any] = {"items": [SCOPE], **_PAGE}

NEW_GROUP: dict[str, Any] = {"name": "Editorial office", "description": "Who writes"}
GROUP: dict[str, Any] = {"id": "8f14e45fceea467a9575e9b1c6f0a1d3", **NEW_GROUP, **_TIMES}
GROUP_PATCH: dict[str, Any] = {"name": "Editors"}
GROUPS: dict[str, Any] = {"items": [GROUP], **_PAGE}
USER = "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b"
NEW_MEMBERS: dict[str, Any] = {"user_ids": [USER]}
MEMBER: dict[str, Any] = {
    "user_id": USER,
    "username": "ada@example.org",
    "status": "active",
    "member_since": "2026-11-29T14:00:00Z",
}
MEMBERS: dict[str, Any] = {"items": [MEMBER], **_PAGE}

NEW_BINDING: dict[str, Any] = {
    "holder_type": "user",
    "holder_id": USER,
    "role": "auditor",
    "resource": "document:4711",
    "expires_at": "2099-12-31T23:00:00Z",
    "conditions": {"mfa": True, "networks": ["192.0.2.0/24"]},
}
BINDING: dict[str, Any] = {
    "id": "c4ca4238a0b923820dcc509a6f75849b",
    **NEW_BINDING,
    "created_at": "2026-11-29T14:00:00Z",
    "created_by": "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b",
}
BINDING_PATCH: dict[str, Any] = {"expires_at": None, "conditions": {"mfa": True}}
BINDINGS: dict[str, Any] = {"items": [BINDING], **_PAGE}
