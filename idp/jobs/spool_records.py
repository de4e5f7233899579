"""What the lines of a spool file mean: rows of audit events and of refusals. Written by :class:`idp.audit.Spool`.

A line that is no record (cut short by a crash, or tampered with) is None, never an error.
"""

from __future__ import annotations

import json
from typing import Any

KINDS = ("audit", "refusal", "touch", "suppressed")
_EVENT = ("actor", "client_id", "subject", "session_id", "grant_id", "source", "correlation_id")


def parse(line: bytes) -> dict[str, Any] | None:
    """Return a record, or None."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("is") not in KINDS or not isinstance(record.get("at"), int):
        return None
    tenant = record.get("tenant")
    return record if tenant is None or isinstance(tenant, str) else None


def event_row(record: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Return the columns of an audit event."""
    row = {name: _text(record.get(name)) for name in _EVENT}
    return row | {
        "id": event_id,
        "at": record["at"],
        "kind": _text(record.get("kind")) or "",
        "outcome": _text(record.get("outcome")) or "",
        "details": record.get("details"),
    }


def refusal_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a refusal; a note of how many were not recorded becomes one too."""
    if record["is"] == "suppressed":
        reason = f"{record.get('count')} more refusals of this second were counted, not recorded."
        record = {"at": record["at"], "error_code": "refusals_suppressed", "check": "flood", "reason": reason}
    registered = record.get("registered")
    row = {name: _text(record.get(name)) for name in ("received", "client_id", "source")}
    row |= {
        name: _text(record.get(name)) or ""
        for name in ("correlation_id", "error_code", "check", "spec", "reason", "fix", "method", "path")
    }
    return row | {"at": record["at"], "registered": registered if isinstance(registered, list) else []}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
