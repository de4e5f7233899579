"""Webhooks: addresses of a tenant that are told of events, and how far in the audit chain each has been told.

``seen`` is the number of the last chained event that was looked at for the webhook; moving it forward and writing the deliveries
is one transaction (:mod:`idp.webhooks.fan_out`). Must not know what is sent, nor how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, func, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, number, text
from idp.store.paging import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

webhooks = db.Table(
    "webhooks",
    identifier(),
    text("url"),
    text("description"),
    document("event_types"),  # patterns: names, `family.*`, `*`
    text("state"),  # enabled, disabled
    text("disabled_reason", nullable=True),  # by_administrator, gone, failing
    document("sealed_secrets"),  # the present one first: [{"sealed": …, "expires_at": null or until when it signs too}]
    number("seen"),
    number("after_row"),  # events that were there before it, though not chained yet, are none of its business
    moment("failing_since", nullable=True),
    number("failures"),  # attempts one after another that failed
    text("created_by"),
    moment("created_at"),
    moment("updated_at"),
    bind_key="tenant",
)

SORTS = {"created_at": webhooks.c.created_at, "url": webhooks.c.url}


def find(conn: Connection, webhook_id: str) -> Row[Any] | None:
    """Return a webhook, or None."""
    return conn.execute(select(webhooks).where(webhooks.c.id == webhook_id)).first()


def find_locked(conn: Connection, webhook_id: str) -> Row[Any] | None:
    """Return a webhook, or None; within a write transaction nobody else changes the row until it ends."""
    return conn.execute(select(webhooks).where(webhooks.c.id == webhook_id).with_for_update()).first()


def search(conn: Connection, *, sort: str, is_descending: bool, **window: Any) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of webhooks (:func:`idp.store.paging.page`) and how many there are."""
    return page(conn, webhooks.c, webhooks.c.id, sort=SORTS[sort], is_descending=is_descending, **window)


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every webhook, the oldest first."""
    return conn.execute(select(webhooks).order_by(webhooks.c.created_at, webhooks.c.id)).all()


def list_enabled(conn: Connection) -> Sequence[Row[Any]]:
    """Return the webhooks that are told of events."""
    return conn.execute(select(webhooks).where(webhooks.c.state == "enabled").order_by(webhooks.c.id)).all()


def count(conn: Connection) -> int:
    """Return how many webhooks there are."""
    return conn.execute(select(func.count()).select_from(webhooks)).scalar_one()


def create(conn: Connection, **values: Any) -> None:
    """Insert a webhook; the columns by keyword."""
    at = now()
    same = {"disabled_reason": None, "failing_since": None, "failures": 0, "created_at": at, "updated_at": at}
    conn.execute(insert(webhooks).values(**same, **values))


def change(conn: Connection, webhook_id: str, **values: Any) -> None:
    """Update columns of a webhook."""
    conn.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(updated_at=now(), **values))


def delete_one(conn: Connection, webhook_id: str) -> bool:
    """Delete a webhook; says whether it was there."""
    return conn.execute(delete(webhooks).where(webhooks.c.id == webhook_id)).rowcount == 1


def advance(conn: Connection, webhook_id: str, seen: int, until: int) -> bool:
    """Note that a webhook has been told of everything up to a number; False when somebody else did, or it is enabled no more."""
    here = (webhooks.c.id == webhook_id) & (webhooks.c.seen == seen) & (webhooks.c.state == "enabled")
    return conn.execute(update(webhooks).where(here).values(seen=until)).rowcount == 1


def note_success(conn: Connection, webhook_id: str) -> None:
    """Note that the address has taken a message."""
    here = (webhooks.c.id == webhook_id) & webhooks.c.failing_since.is_not(None)
    conn.execute(update(webhooks).where(here).values(failing_since=None, failures=0))


def note_failure(conn: Connection, webhook_id: str) -> Row[Any] | None:
    """Note that the address has not taken a message; returns the webhook as it is then, None when it is enabled no more."""
    at = now()
    first = case((webhooks.c.failing_since.is_(None), at), else_=webhooks.c.failing_since)
    here = (webhooks.c.id == webhook_id) & (webhooks.c.state == "enabled")
    values = {"failing_since": first, "failures": webhooks.c.failures + 1}
    return conn.execute(update(webhooks).where(here).values(values).returning(*webhooks.c)).first()


def disable(conn: Connection, webhook_id: str, reason: str) -> bool:
    """Tell a webhook nothing more; False when it was disabled already, or is gone."""
    here = (webhooks.c.id == webhook_id) & (webhooks.c.state == "enabled")
    values = {"state": "disabled", "disabled_reason": reason, "updated_at": now()}
    return conn.execute(update(webhooks).where(here).values(**values)).rowcount == 1


def reseal(conn: Connection, webhook_id: str, sealed_secrets: list[dict[str, Any]]) -> None:
    """Store the secrets as they are sealed now."""
    conn.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(sealed_secrets=sealed_secrets))
