"""The examples of the operations on webhooks."""

from __future__ import annotations

from typing import Any

from idp.api.user_flow.webhook_models import shown_event_type
from idp.webhooks.event_types import BY_NAME

_PAGE = {"page": 1, "limit": 10, "total": 1, "total_pages": 1}

NEW_WEBHOOK: dict[str, Any] = {
    "url": "https://hooks.example.com/authsec",
    "event_types": ["user.*", "security.login_failed"],
    "description": "Keeps the CRM up to date",
}
WEBHOOK: dict[str, Any] = {
    "id": "8f14e45fceea467a9575e9b1c6f0a1d3",
    **NEW_WEBHOOK,
    "enabled": True,
    "created_by": "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b",
    "created_at": "2026-11-29T14:00:00Z",
    "updated_at": "2026-11-29T14:00:00Z",
}
WITH_SECRET: dict[str, Any] = {**WEBHOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
WEBHOOKS: dict[str, Any] = {"items": [WEBHOOK], **_PAGE}
PATCH: dict[str, Any] = {"event_types": ["user.*"], "description": "Users only"}
ROTATION: dict[str, Any] = {"overlap": 86400}
DELIVERY: dict[str, Any] = {
    "id": "msg_c4ca4238a0b923820dcc509a6f75849b",
    "event_type": "user.disabled",
    "event_id": "c4ca4238a0b923820dcc509a6f75849b",
    "sequence": 4711,
    "status": "pending",
    "attempts": 1,
    "last_status": 503,
    "last_error": "the answer is 503",
    "next_attempt_at": "2026-11-29T14:00:05Z",
    "created_at": "2026-11-29T14:00:00Z",
}
DELIVERIES: dict[str, Any] = {"items": [DELIVERY], **_PAGE}
WITH_ATTEMPTS: dict[str, Any] = {
    **DELIVERY,
    "body": '{"type":"user.disabled","timestamp":"2026-11-29T14:00:00Z","data":{"event_id":"c4ca4238a0b923820dcc509a6f75849b"}}',
    "ledger": [
        {
            "number": 1,
            "begun_at": "2026-11-29T14:00:00Z",
            "outcome": "the answer is 503",
            "status": 503,
            "milliseconds": 112,
            "url": "https://hooks.example.com/authsec",
            "excerpt": "Service Unavailable",
        }
    ],
}
REPLAY: dict[str, Any] = {"since": "2026-11-28T00:00:00Z"}
REPLAYED: dict[str, Any] = {"replayed": 12, "has_more": False}
EVENT_TYPES: dict[str, Any] = {"items": [shown_event_type(BY_NAME["user.disabled"])]}
