"""`idp webhook`: a tenant's webhooks, what they were told, and sending it again; making them is the services' part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from idp.access.granting import Granter
from idp.cli.commands import Output, json_option, moment, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.clock import now
from idp.store.tenant import webhooks
from idp.webhooks.ledger import Ledger

if TYPE_CHECKING:
    from idp.store.rows import Row

MOST_LISTED = 1000
HOUR = 3600
_STATES = click.Choice(("waiting", "delivered", "dead", "discarded"))


@click.group()
def webhook() -> None:
    """See a tenant's webhooks and what they were told, and send again what they did not take."""


@webhook.command("list")
@click.argument("tenant")
@json_option
def list_(out: Output, tenant: str) -> None:
    """List webhooks, the oldest first."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        documents = [_document(row) for row in webhooks.list_all(conn)]

    def show() -> None:
        rows = [
            [
                each["id"],
                each["url"],
                " ".join(each["event_types"]),
                each["disabled_reason"] or each["state"],
                moment(each["failing_since"]),
            ]
            for each in documents
        ]
        table(["id", "url", "event types", "state", "failing since"], rows, "There are no webhooks.")

    out.result(documents, show)


@webhook.command()
@click.argument("tenant")
@click.argument("webhook_id", metavar="ID")
@click.option("--state", type=_STATES, help="Only these.")
@json_option
def deliveries(out: Output, tenant: str, webhook_id: str, state: str | None) -> None:
    """List what a webhook was told, the newest first; `idp outbox show` has the attempts of a message."""
    with opened_tenant(tenant) as place:
        found, total = Ledger(place.tenant.id, place.database).search(webhook_id, state=state, limit=MOST_LISTED)
    documents = [_delivery(row) for row in found]

    def show() -> None:
        rows = [
            [
                each["id"],
                str(each["message"]),
                each["event_type"],
                each["state"],
                str(each["attempts"]),
                moment(each["created_at"]),
                each["last_error"] or "",
            ]
            for each in documents
        ]
        headings = ["id", "message", "event type", "state", "attempts", "made", "last error"]
        table(headings, rows, "There are no such deliveries.")
        if total > len(rows):
            click.echo(f"{len(rows)} of {total}.")

    out.result(documents, show)


@webhook.command()
@click.argument("tenant")
@click.argument("webhook_id", metavar="ID")
@click.argument("delivery_id", metavar="[DELIVERY]", required=False)
@click.option("--hours", type=click.IntRange(1, 365 * 24), help="All that was given up of the last so many hours.")
@json_option
def replay(out: Output, tenant: str, webhook_id: str, delivery_id: str | None, hours: int | None) -> None:
    """Send a delivery again, or all that was given up, with the ids that they had."""
    if (delivery_id is None) == (hours is None):
        raise click.UsageError("give the id of a delivery, or --hours")
    granter = Granter(OPERATOR)
    with opened_tenant(tenant) as place:
        ledger = Ledger(place.tenant.id, place.database)
        if delivery_id is not None:
            ledger.replay(webhook_id, delivery_id, granter=granter)
            done = 1
        else:
            done, has_more = 0, True
            while has_more:
                number, has_more = ledger.replay_failed(webhook_id, now() - (hours or 0) * HOUR, granter=granter)
                done += number
    out.result({"replayed": done}, f"{done} {'delivery' if done == 1 else 'deliveries'} will be sent again.")


def _document(row: Row[Any]) -> dict[str, Any]:
    names = ("id", "url", "description", "event_types", "state", "disabled_reason", "failing_since", "created_by")
    return {name: getattr(row, name) for name in (*names, "created_at", "updated_at")}


def _delivery(row: Row[Any]) -> dict[str, Any]:
    names = ("id", "event_type", "event_id", "sequence", "state", "attempts", "last_status", "last_error")
    found = {name: getattr(row, name) for name in (*names, "created_at", "finished_at")}
    return {**found, "message": row.message_id}
