"""The operations on the audit log: searched a page at a time, exported whole as lines of JSON.

The export is read and sent some rows at a time, each time anew, so that neither a long log nor a slow reader holds memory or a
connection. It ends with what was recorded when it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import audit
from idp.api import listing
from idp.api.operations import Operation, Reply
from idp.api.user_flow.audit_models import AuditEvent, AuditEventList, AuditFilters, AuditQuery, shown_event
from idp.store.tenant import audit_events, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idp.api.operations import Call
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

TAG = "Audit"
_PATH = "/tenants/{tenant_id}/audit-events"
_ORDER = "-recorded_at"  # for the cursor; there is one order
MOST_COUNTED = 10_000
A_READ = 500  # events of an export that are read at once

EVENT: dict[str, Any] = {
    "id": "6c1f0d9e8b7a4c5d9e8f7a6b5c4d3e2f",
    "at": "2026-11-29T14:00:00Z",
    "kind": "login.failed",
    "outcome": "failure",
    "reason": "wrong_password",
    "subject": "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b",
    "client_id": "orders-web",
    "source": "192.0.2.7",
    "request_id": "7Q2M4ZK9X1VB3NTC",
    "details": {"reason": "wrong_password"},
}


def _shown(conn: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    failed = {row.correlation_id for row in rows if row.outcome == "failure" and row.correlation_id is not None}
    reasons = refusals.reasons(conn, failed)
    return [shown_event(row, reasons) for row in rows]


def list_events(call: Call) -> Reply:
    """Search the log, the newest first."""
    query: AuditQuery = call.query
    here = audit_events.matching(**query.conditions())
    beyond = listing.opened(query.after, _ORDER)[0] if query.after is not None else None
    offset = (query.page - 1) * query.limit if query.after is None else 0
    with call.server.database.reading() as conn:
        rows = audit_events.search(conn, here, limit=query.limit + 1, beyond=beyond, offset=offset)
        total = audit_events.count(conn, here, MOST_COUNTED)
        items = _shown(conn, rows[: query.limit])
    last = rows[query.limit - 1] if len(rows) > query.limit else None
    return Reply(
        {
            "items": items,
            "page": query.page if query.after is None else None,
            "limit": query.limit,
            "total": total,
            "total_pages": -(-total // query.limit),
            "next": listing.cursor(_ORDER, last.seq, last.id) if last is not None else None,
        }
    )


def export_events(call: Call) -> Reply:
    """Send the log, the oldest first; that somebody took it stands in it."""
    query: AuditFilters = call.query
    conditions, by, database = query.conditions(), call.caller.by, call.server.database
    with database.reading() as conn:
        here = audit_events.matching(**conditions, upto=audit_events.latest(conn))
        total = audit_events.count(conn, here)
        first = audit_events.search(conn, here, limit=A_READ, is_descending=False)
        shown = _shown(conn, first)
    asked = {name: value for name, value in query.model_dump().items() if value is not None}
    database.writing(
        lambda conn: audit.record(
            conn,
            "audit.exported",
            outcome="success",
            actor=by.actor,
            client_id=call.caller.client_id,
            source=by.source,
            correlation_id=by.correlation_id,
            details={"events": total, "filters": asked},
        )
    )
    return Reply(lines=_lines(database, here, shown, first[-1].seq if len(first) == A_READ else None), total=total)


def _lines(database: Database, here: Any, shown: list[dict[str, Any]], beyond: int | None) -> Iterator[dict[str, Any]]:
    yield from shown
    while beyond is not None:
        with database.reading() as conn:
            rows = audit_events.search(conn, here, limit=A_READ, is_descending=False, beyond=beyond)
            shown = _shown(conn, rows)
        yield from shown
        beyond = rows[-1].seq if len(rows) == A_READ else None


OPERATIONS = (
    Operation(
        name="list_audit_events",
        method="GET",
        path=_PATH,
        permission="audit:read",
        summary="Search the audit log",
        description="What happened, the newest record first. Sign-ins and token requests that failed are recorded within a minute, all else "
        "at once.",
        tag=TAG,
        handle=list_events,
        query=AuditQuery,
        answer=AuditEventList,
        answer_example={"items": [EVENT], "page": 1, "limit": 10, "total": 1, "total_pages": 1},
    ),
    Operation(
        name="export_audit_events",
        method="GET",
        path=_PATH + "/export",
        permission="audit:read",
        summary="Export the audit log",
        description="Every event that the filters let through, as lines of JSON, the oldest record first, up to what was recorded when the "
        "export began. That it was taken is recorded, too. `idp audit verify` proves the log itself.",
        tag=TAG,
        handle=export_events,
        query=AuditFilters,
        lines=AuditEvent,
        answer_example=EVENT,
    ),
)
