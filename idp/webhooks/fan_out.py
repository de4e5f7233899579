"""From the audit chain to deliveries: each webhook is told of each chained event that it is about, once, in the chain's order.

How far a webhook has been told is a number in its row. Moving it and writing the deliveries is one transaction, so that a worker that
is killed, or two at once, neither lose an event nor tell it twice; and it does not matter who chained it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.clock import now
from idp.jobs.outbox import announced
from idp.store.tenant import audit_events, webhook_deliveries, webhooks
from idp.webhooks import event_types, schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.jobs.schedule import JobContext
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.webhooks.event_types import EventType

BATCH = 200  # chained events that one transaction looks at
NEVER = 2**40  # a time that does not come
FRESH = 300  # seconds for which a tenant counts as busy after an event
SOON, IDLE = 5, 60  # seconds to the next look at a tenant that has webhooks: while it is busy, and when it is not


def follow(context: JobContext) -> int:
    """Write the deliveries that are missing; returns when to look again. Behind the chainer (:func:`idp.jobs.chain.chain_job`)."""
    database = context.database
    with database.reading() as conn:
        rows = webhooks.list_enabled(conn)
        latest = audit_events.latest_at(conn) if rows else None
    for row in rows:
        _catch_up(database, context.tenant.id, row, context.is_stopping)
    if not rows:
        return NEVER
    return now() + (SOON if latest is not None and now() - latest < FRESH else IDLE)


def _catch_up(database: Database, tenant_id: str, row: Row[Any], is_stopping: Callable[[], bool]) -> None:
    seen = row.seen
    while not is_stopping():
        with database.reading() as conn:
            events = audit_events.chained_after(conn, seen, BATCH)
        if not events or not _hand_over(database, tenant_id, row, seen, events):
            return
        seen = events[-1].chain_seq


def _hand_over(database: Database, tenant_id: str, row: Row[Any], seen: int, events: Sequence[Row[Any]]) -> bool:
    """Write the deliveries of some events; False when another worker was faster, or the webhook is gone."""
    made = []
    for event in events:
        found = event_types.BY_KIND.get(event.kind)
        if found is not None and event.seq > row.after_row and event_types.matches(row.event_types, found.name):
            made.append(delivery(found.name, body_of(found, event, tenant_id), event.id, event.chain_seq))

    def work(conn: Connection) -> bool:
        if not webhooks.advance(conn, row.id, seen, events[-1].chain_seq):
            return False
        webhook_deliveries.add(conn, row.id, made, lifetime=schedule.LIFETIME, most=schedule.ATTEMPTS)
        return True

    if not made:
        return database.writing(work)
    with announced(database):
        return database.writing(work)


def delivery(name: str, body: str, event_id: str, sequence: int | None) -> dict[str, Any]:
    """Return a delivery to be; its id is the ``webhook-id``, the same at every attempt."""
    return {
        "id": f"msg_{opaque.new_id()}",
        "event_type": name,
        "event_id": event_id,
        "sequence": sequence,
        "body": body,
    }


def body_of(event_type: EventType, event: Row[Any], tenant_id: str) -> str:
    """Return the message about an event: what the table of event types lists, as far as the event has it."""
    known = {
        "event_id": event.id,
        "sequence": event.chain_seq,
        "tenant_id": tenant_id,
        "actor": event.actor,
        "user_id": event.subject,
        "client_id": event.client_id,
        "session_id": event.session_id,
        "source": event.source,
    }
    data: dict[str, Any] = {name: known[name] for name in event_type.members if known[name] is not None}
    details = _details(event)
    told = {name: details[name] for name in event_type.details if details.get(name) is not None}
    if told:
        data["details"] = told
    return written(event_type.name, event.at, data)


def written(name: str, at: int, data: dict[str, Any]) -> str:
    """Return a message as it is sent."""
    timestamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"type": name, "timestamp": timestamp, "data": data}, separators=(",", ":"), ensure_ascii=False)


def _details(event: Row[Any]) -> dict[str, Any]:
    try:
        found = json.loads(event.details_text or "null")
    except (ValueError, RecursionError):  # only somebody who tampers stores what is not JSON
        found = None
    return found if isinstance(found, dict) else {}
