"""`idp outbox`: what waits in a tenant's outbox to be delivered, what could not be, and how each attempt went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from idp.cli.commands import Failed, Output, facts, json_option, moment, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.errors import NotFound
from idp.jobs import outbox as delivery
from idp.store.tenant import outbox as messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.cli.opening import Place
    from idp.store.rows import Row

MOST_LISTED = 1000
_LARGEST_ID = 2**63 - 1
_ID = click.IntRange(1, _LARGEST_ID)


@click.group()
def outbox() -> None:
    """See what must reach others (logout tokens, mails), and decide about what could not be delivered."""


@outbox.command("list")
@click.argument("tenant")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(messages.STATES),
    help="Only these; may be repeated. Without it, what waits and what is dead.",
)
@click.option("--target", help="Only messages to this client, or mails to this domain.")
@json_option
def list_(out: Output, tenant: str, states: tuple[str, ...], target: str | None) -> None:
    """List messages, the newest first."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        found = messages.list_some(conn, states or ("waiting", "dead"), target=target, limit=MOST_LISTED)
        counts = messages.count(conn)
    documents = [_document(row) for row in found]

    def show() -> None:
        rows = [
            [
                str(each["id"]),
                each["kind"],
                each["target"],
                each["state"],
                str(each["attempts"]),
                moment(each["next_attempt_at"]),
                each["last_error"] or "",
            ]
            for each in documents
        ]
        headings = ["id", "kind", "target", "state", "attempts", "next attempt", "last error"]
        table(headings, rows, "Nothing waits, and nothing is dead." if not states else "There are no such messages.")
        click.echo(", ".join(f"{number} {state}" for state, number in counts.items()))

    out.result(documents, show)


@outbox.command("show")
@click.argument("tenant")
@click.argument("message_id", metavar="ID", type=_ID)
@json_option
def show_message(out: Output, tenant: str, message_id: int) -> None:
    """Show a message with the ledger of its attempts."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        row = messages.find(conn, message_id)
        if row is None:
            raise NotFound(
                f"Tenant {tenant} has no message {message_id}; `idp outbox list {tenant}` shows those there are."
            )
        ledger = [_attempt(each) for each in messages.attempts_of(conn, message_id)]
    document = _document(row) | {"payload": row.payload, "ledger": ledger}

    def show() -> None:
        times = {name for name in document if name.endswith("_at")}
        shown = {name: document[name] for name in document if name not in ("payload", "ledger")} | document["payload"]
        facts(
            [
                (name, moment(value) if name in times else str(value))
                for name, value in shown.items()
                if value is not None
            ]
        )
        rows = [
            [
                str(each["number"]),
                moment(each["begun_at"]),
                "" if each["milliseconds"] is None else f"{each['milliseconds']} ms",
                each["outcome"] or "under way, or the worker was killed",
                each["address"] or "",
            ]
            for each in ledger
        ]
        click.echo()
        table(["attempt", "begun", "took", "outcome", "address"], rows, "It was not tried yet.")

    out.result(document, show)


@outbox.command()
@click.argument("tenant")
@click.argument("message_ids", metavar="[ID]...", nargs=-1, type=_ID)
@click.option("--all-dead", is_flag=True, help="Every message that is dead.")
@click.option("--target", help="With --all-dead: only those to this client or domain.")
@json_option
def retry(out: Output, *, tenant: str, message_ids: tuple[int, ...], all_dead: bool, target: str | None) -> None:
    """Deliver messages again, from now on; not those that were delivered."""
    with opened_tenant(tenant) as place:
        chosen = _chosen(place, message_ids, target, all_dead=all_dead)
        done = delivery.retry(place.database, chosen, actor=OPERATOR.actor)
    _report(out, chosen, done, "will be delivered again", "was delivered, or is not there")


@outbox.command()
@click.argument("tenant")
@click.argument("message_ids", metavar="[ID]...", nargs=-1, type=_ID)
@click.option("--all-dead", is_flag=True, help="Every message that is dead.")
@click.option("--target", help="With --all-dead: only those to this client or domain.")
@json_option
def discard(out: Output, *, tenant: str, message_ids: tuple[int, ...], all_dead: bool, target: str | None) -> None:
    """Give messages up that wait or are dead; they stay in the ledger for a week."""
    with opened_tenant(tenant) as place:
        chosen = _chosen(place, message_ids, target, all_dead=all_dead)
        done = delivery.discard(place.database, chosen, actor=OPERATOR.actor)
    _report(out, chosen, done, "discarded", "was delivered or discarded before, or is not there")


def _chosen(place: Place, ids: tuple[int, ...], target: str | None, *, all_dead: bool) -> Sequence[int]:
    if bool(ids) == all_dead or (target is not None and not all_dead):
        raise click.UsageError("give the ids of messages, or --all-dead (and with it --target)")
    if ids:
        return list(dict.fromkeys(ids))
    with place.database.reading() as conn:
        found = messages.list_some(conn, ("dead",), target=target, limit=MOST_LISTED)
    return [row.id for row in reversed(found)]


def _report(out: Output, chosen: Sequence[int], done: list[int], did: str, otherwise: str) -> None:
    left = [message for message in chosen if message not in set(done)]
    if left:
        raise Failed(f"Message {left[0]} {otherwise}; {len(done)} of {len(chosen)} {did}.")
    out.result({"messages": done}, f"{len(done)} message{'s' * (len(done) != 1)} {did}.")


def _document(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "target": row.target,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "next_attempt_at": row.next_attempt_at if row.state == "waiting" else None,
        "expires_at": row.expires_at if row.state == "waiting" else None,
        "finished_at": row.finished_at,
        "last_error": row.last_error,
    }


def _attempt(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("number", "begun_at", "milliseconds", "outcome", "address")}
