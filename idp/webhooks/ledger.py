"""The deliveries of a webhook: looking at them, sending one or all failed ones again, and sending a test.

A replay is the same message with the same ``webhook-id``: a receiver that has had it knows it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.clock import now
from idp.errors import Conflict, NotFound
from idp.jobs.outbox import announced
from idp.store.tenant import outbox, webhook_deliveries
from idp.webhooks import event_types, fan_out, registry, schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.access.granting import Granter
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

MOST_REPLAYED = 1000  # deliveries by one call


class Ledger:
    """The deliveries of one tenant's webhooks."""

    def __init__(self, tenant_id: str, database: Database) -> None:
        """Take the tenant's database."""
        self._tenant_id, self._database = tenant_id, database

    def search(self, webhook_id: str, **query: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of a webhook's deliveries, and how many there are; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            registry.get(conn, webhook_id)
            return webhook_deliveries.search(conn, webhook_id, **query)

    def get(self, webhook_id: str, delivery_id: str) -> tuple[Row[Any], Sequence[Row[Any]]]:
        """Return a delivery and its attempts, the first one first; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            registry.get(conn, webhook_id)
            row = _get(conn, webhook_id, delivery_id)
            return row, outbox.attempts_of(conn, row.message_id)

    def test(
        self,
        webhook_id: str,
        *,
        granter: Granter,
        finish: Callable[[Connection, Row[Any]], None] | None = None,
    ) -> Row[Any]:
        """Send a webhook a message that says nothing; ``finish`` runs in the same transaction."""

        def work(conn: Connection) -> Row[Any]:
            _enabled(conn, webhook_id)
            data = {"tenant_id": self._tenant_id, "webhook_id": webhook_id}
            body = fan_out.written(event_types.TEST, now(), data)
            made = fan_out.delivery(event_types.TEST, body, opaque.new_id(), None)
            webhook_deliveries.add(conn, webhook_id, [made], lifetime=schedule.LIFETIME, most=schedule.ATTEMPTS)
            registry.record(conn, "webhook.tested", granter, {"webhook": webhook_id})
            row = _get(conn, webhook_id, made["id"])
            if finish is not None:
                finish(conn, row)
            return row

        with announced(self._database):
            return self._database.writing(work)

    def replay(self, webhook_id: str, delivery_id: str, *, granter: Granter) -> Row[Any]:
        """Send a delivery again from now on, also one that was taken; one that waits is tried now.

        The webhook may be about other event types by now: whoever sends it again may read what it tells, else raises ``MoreThanHeld``.
        """

        def work(conn: Connection) -> Row[Any]:
            _enabled(conn, webhook_id)
            row = _get(conn, webhook_id, delivery_id)
            granter.require(event_types.permissions_for([row.event_type]))
            if row.state == "waiting":
                outbox.hasten(conn, row.message_id)
            else:
                _again(conn, [row.message_id])
            registry.record(
                conn, "webhook.replayed", granter, {"webhook": webhook_id, "delivery": delivery_id, "count": 1}
            )
            return _get(conn, webhook_id, delivery_id)

        with announced(self._database):
            return self._database.writing(work)

    def replay_failed(self, webhook_id: str, since: int, *, granter: Granter) -> tuple[int, bool]:
        """Send everything again that was given up since a moment; returns how much, and whether there is more of it.

        Raises ``MoreThanHeld`` as :meth:`replay` does.
        """

        def work(conn: Connection) -> tuple[int, bool]:
            _enabled(conn, webhook_id)
            found = webhook_deliveries.failed_since(conn, webhook_id, since, MOST_REPLAYED + 1)
            chosen = found[:MOST_REPLAYED]
            granter.require(event_types.permissions_for({row.event_type for row in chosen}))
            _again(conn, [row.message_id for row in chosen])
            if chosen:
                details = {"webhook": webhook_id, "since": since, "count": len(chosen)}
                registry.record(conn, "webhook.replayed", granter, details)
            return len(chosen), len(found) > len(chosen)

        with announced(self._database):
            return self._database.writing(work)


def _again(conn: Connection, messages: Sequence[int]) -> None:
    for message in messages:
        outbox.retry(conn, message, lifetime=schedule.LIFETIME, attempts=schedule.ATTEMPTS, even_delivered=True)


def _enabled(conn: Connection, webhook_id: str) -> None:
    if registry.get(conn, webhook_id).state != "enabled":
        raise Conflict("The webhook is disabled; enable it first.")


def _get(conn: Connection, webhook_id: str, delivery_id: str) -> Row[Any]:
    found = webhook_deliveries.find(conn, webhook_id, delivery_id)
    if found is None:
        raise NotFound("There is no such delivery.")
    return found
