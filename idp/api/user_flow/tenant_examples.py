"""Examples of the operations on tenants, as their document shows them."""

from __future__ import annotations

from typing import Any

NEW_TENANT: dict[str, Any] = {
    "slug": "acme-labs",
    "name": "Acme Labs",
    "administrator": {"email": "ada@acme.example", "name": "Ada Lovelace"},
}
TENANT: dict[str, Any] = {
    "id": "3f9d2c1b0a8e4d7f9b6c5a4e3d2c1b0a",
    "slug": "acme-labs",
    "name": "Acme Labs",
    "state": "active",
    "issuer": "https://id.example.com/t/acme-labs",
    "discovery": "https://id.example.com/t/acme-labs/.well-known/openid-configuration",
    "created_at": "2026-11-29T12:00:00Z",
    "updated_at": "2026-11-29T12:00:00Z",
}
TENANTS: dict[str, Any] = {"items": [TENANT], "page": 1, "limit": 10, "total": 1, "total_pages": 1}
TENANT_PATCH: dict[str, Any] = {"name": "Acme Laboratories"}
TENANT_DELETION: dict[str, Any] = {"slug": "acme-labs"}
