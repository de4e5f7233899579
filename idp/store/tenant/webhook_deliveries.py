"""Deliveries of webhooks: what a webhook is told, each carried by one message of the outbox, whose attempts are its ledger.

The id is the ``webhook-id`` that receivers see. A delivery lives longer than other messages (a tenant's setting) and is purged with
its message and attempts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, insert, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, number, text
from idp.store.paging import page
from idp.store.tenant import outbox
from idp.store.tenant.outbox import outbox as messages
from idp.store.tenant.outbox import outbox_attempts as attempts
from idp.store.tenant.webhooks import webhooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

webhook_deliveries = db.Table(
    "webhook_deliveries",
    identifier(),
    identifier("webhook_id", primary_key=False),
    db.Column("message_id", db.BigInteger, nullable=False),
    text("event_type"),
    text("event_id"),  # of the audit trail
    number("sequence", nullable=True),  # the event's number in the chain; null: a test
    text("body"),  # byte for byte what is signed
    moment("created_at", index=True),
    db.UniqueConstraint("message_id", name="uq_webhook_deliveries_message_id"),
    bind_key="tenant",
)
db.Index(
    "ix_webhook_deliveries_webhook_id",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.created_at,
    webhook_deliveries.c.id,
)

SORTS = {"created_at": webhook_deliveries.c.created_at}


def _of_message(column: Any) -> Any:
    here = messages.c.id == webhook_deliveries.c.message_id
    return select(column).where(here).scalar_subquery().label(column.name)


_LAST_STATUS = (
    select(attempts.c.status)
    .where((attempts.c.message_id == webhook_deliveries.c.message_id) & attempts.c.outcome.is_not(None))
    .order_by(attempts.c.number.desc())
    .limit(1)
    .scalar_subquery()
    .label("last_status")
)
_SHOWN = [
    *[column for column in webhook_deliveries.c if column.name != "body"],
    *map(_of_message, (messages.c.state, messages.c.attempts, messages.c.next_attempt_at, messages.c.finished_at)),
    _of_message(messages.c.last_error),
    _LAST_STATUS,
]


def add(conn: Connection, webhook_id: str, deliveries: Sequence[dict[str, Any]], *, lifetime: int, most: int) -> None:
    """Put deliveries of a webhook and their messages into the box, in order: ``id``, ``event_type``, ``event_id``, ``sequence``, ``body``."""
    if not deliveries:
        return
    at = now()
    payloads = [{"delivery": each["id"]} for each in deliveries]
    ids = outbox.enqueue_to(conn, outbox.WEBHOOK, webhook_id, payloads, lifetime=lifetime, attempts=most)
    rows = [
        {**each, "webhook_id": webhook_id, "message_id": message_id, "created_at": at}
        for each, message_id in zip(deliveries, ids, strict=True)
    ]
    conn.execute(insert(webhook_deliveries), rows)


def find(conn: Connection, webhook_id: str, delivery_id: str) -> Row[Any] | None:
    """Return a delivery of a webhook with its body and how it stands, or None."""
    here = (webhook_deliveries.c.webhook_id == webhook_id) & (webhook_deliveries.c.id == delivery_id)
    columns: list[Any] = [*_SHOWN, webhook_deliveries.c.body]
    return conn.execute(select(*columns).where(here)).first()


def body_of(conn: Connection, delivery_id: str) -> str | None:
    """Return what is sent, or None where the delivery was purged."""
    query = select(webhook_deliveries.c.body).where(webhook_deliveries.c.id == delivery_id)
    found: str | None = conn.execute(query).scalar()
    return found


def search(
    conn: Connection,
    webhook_id: str,
    *,
    state: str | None = None,
    event_type: str | None = None,
    since: int | None = None,
    sort: str = "created_at",
    is_descending: bool = True,
    **window: Any,
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of a webhook's deliveries without bodies (:func:`idp.store.paging.page`) and how many there are."""
    here = [webhook_deliveries.c.webhook_id == webhook_id]
    if state is not None:
        here.append(exists().where((messages.c.id == webhook_deliveries.c.message_id) & (messages.c.state == state)))
    if event_type is not None:
        here.append(webhook_deliveries.c.event_type == event_type)
    if since is not None:
        here.append(webhook_deliveries.c.created_at >= since)
    return page(conn, _SHOWN, webhook_deliveries.c.id, here, sort=SORTS[sort], is_descending=is_descending, **window)


def failed_since(conn: Connection, webhook_id: str, since: int, limit: int) -> Sequence[Row[Any, Any]]:
    """Return ``message_id`` and ``event_type`` of what was given up, of a webhook's deliveries since a moment, the oldest first."""
    query = (
        select(webhook_deliveries.c.message_id, webhook_deliveries.c.event_type)
        .join(messages, messages.c.id == webhook_deliveries.c.message_id)
        .where((webhook_deliveries.c.webhook_id == webhook_id) & (webhook_deliveries.c.created_at >= since))
        .where(messages.c.state.in_(("dead", "discarded")))
    )
    return conn.execute(query.order_by(webhook_deliveries.c.message_id).limit(limit)).all()


def types_waiting(conn: Connection, webhook_id: str) -> list[str]:
    """Return the event types of what waits to be sent to a webhook."""
    query = (
        select(webhook_deliveries.c.event_type)
        .join(messages, messages.c.id == webhook_deliveries.c.message_id)
        .where((webhook_deliveries.c.webhook_id == webhook_id) & (messages.c.state == "waiting"))
    )
    return list(conn.execute(query.distinct()).scalars())


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete deliveries that were made before a moment or whose webhook is gone, unless they still wait; at most ``limit`` rows.

    Attempts go first, then messages, then deliveries: what was broken off is done by the next call.
    """
    is_over = (webhook_deliveries.c.created_at < before) | webhook_deliveries.c.webhook_id.not_in(select(webhooks.c.id))
    waits = exists().where((messages.c.id == webhook_deliveries.c.message_id) & (messages.c.state == "waiting"))
    old = select(webhook_deliveries.c.message_id).where(is_over & ~waits)
    done = delete_some(conn, attempts, attempts.c.message_id.in_(old), limit)
    done = done or delete_some(conn, messages, messages.c.id.in_(old), limit)
    return done or delete_some(conn, webhook_deliveries, is_over & ~waits, limit)
