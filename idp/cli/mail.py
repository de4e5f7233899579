"""`idp mail`: what a tenant's mails say, how they look, through which server they go, and whether one arrives."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from idp import audit, work
from idp.cli.commands import Failed, Output, json_option, standard_input, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.jobs import outbox as delivery
from idp.jobs.schedule import JobContext
from idp.keys import sealed_state
from idp.notify import catalogue, message, rendering, smtp, wording
from idp.outbound import FetchFailed, FetchRefused
from idp.store.tenant import mail_templates, outbox, tenant_state

if TYPE_CHECKING:
    from idp.cli.opening import Place
    from idp.store.rows import Connection

PATIENCE = 40.0  # seconds for which `test` waits for another process that has taken the mail
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_PARTS = click.Choice(mail_templates.PARTS)


@click.group()
def mail() -> None:
    """Mails of a tenant: see them, word them differently, choose the mail server, send one to try."""


@mail.command("list")
@click.argument("tenant")
@json_option
def list_(out: Output, tenant: str) -> None:
    """List the mails there are, and which of them the tenant has worded itself."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        own = mail_templates.list_all(conn)
    documents: list[dict[str, Any]] = [
        {
            "name": each.name,
            "about": each.about,
            "own": [{"language": row.language or None, "part": row.part} for row in own if row.name == each.name],
        }
        for each in catalogue.MAILS
    ]

    def show() -> None:
        rows = [
            [
                str(each["name"]),
                str(each["about"]),
                ", ".join(f"{row['part']} ({row['language'] or 'any language'})" for row in each["own"]),
            ]
            for each in documents
        ]
        table(["mail", "what it is for", "worded by the tenant"], rows, "")

    out.result(documents, show)


@mail.command()
@click.argument("tenant")
@click.argument("name")
@click.option("--language", help="In this language (BCP 47, such as de); by default the tenant's.")
@click.option("--html", "kind", flag_value="html", help="The HTML part alone.")
@click.option("--text", "kind", flag_value="text", help="The text part alone.")
@click.option("--out", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file.")
@json_option
def preview(out: Output, *, tenant: str, name: str, language: str | None, kind: str | None, file: Path | None) -> None:
    """Show a mail with sample values, as people get it."""
    tag = _tag(language) if language else None
    with opened_tenant(tenant) as place:
        sample = catalogue.get(name).sample_for(place.tenant.issuer)
        made = work.mail_delivery(place.installation)
        written, spoken = made.write(place.tenant, place.database, name, sample, tag)
        origin = made.origin(place.tenant)
    shown = f"From: {origin.name} <{origin.address}>\nSubject: {written.subject}\n\n{written.text}"
    if kind is not None:
        shown = written.text if kind == "text" else written.html or ""
    if file is not None:
        file.write_text(shown, "utf-8")
    document = {
        "name": name,
        "language": spoken.tag,
        "from": origin.address,
        "from_name": origin.name,
        "reply_to": origin.reply_to or None,
        "subject": written.subject,
        "text": written.text,
        "html": written.html,
        "file": str(file) if file is not None else None,
    }
    out.result(document, f"Written to {file}." if file is not None else shown.rstrip("\n"))


@mail.command("set")
@click.argument("tenant")
@click.argument("name")
@click.option("--part", type=_PARTS, required=True, help="Which part the wording is.")
@click.option("--language", help="For this language; by default for every one that has no wording of its own.")
@json_option
def set_(out: Output, *, tenant: str, name: str, part: str, language: str | None) -> None:
    """Word a part of a mail differently: the wording is read from standard input and tried before it is kept.

    It is a Jinja template of names, conditions and button(label, link); `idp mail preview` shows what it makes.
    """
    known, tag = catalogue.get(name), _tag(language) if language else ""
    body = standard_input()
    with opened_tenant(tenant) as place:
        made = work.mail_delivery(place.installation)
        sample = known.sample_for(place.tenant.issuer)
        values = rendering.values_for(
            part, sample, made.sender(place.tenant), made.language(place.tenant, place.database, tag)
        )
        wording.check(part, body, values)

        def change(conn: Connection) -> None:
            mail_templates.put(conn, name, tag, part, body)
            _record(conn, "mail.wording_changed", mail=name, part=part, language=tag)

        place.database.writing(change)
        with place.database.reading() as conn:
            parts = {row.part for row in mail_templates.list_of(conn, name) if row.language == tag}
    document = {"name": name, "part": part, "language": tag or None}
    out.result(document, f"The {part} of {name} is the tenant's own now; idp mail preview {tenant} {name} shows it.")
    if not out.is_json and len({"text", "html"} & parts) == 1:
        (other,) = {"text", "html"} - parts
        out.note(f"The {other} part still says what came with the product; people read one or the other.")


@mail.command()
@click.argument("tenant")
@click.argument("name")
@click.option("--part", type=_PARTS, help="Only this part.")
@click.option("--language", help="Only the wording for this language.")
@json_option
def reset(out: Output, *, tenant: str, name: str, part: str | None, language: str | None) -> None:
    """Let a mail say again what came with the product."""
    catalogue.get(name)
    tag = _tag(language) if language else None

    def change(conn: Connection) -> int:
        count = mail_templates.remove(conn, name, tag, part)
        if count:
            _record(conn, "mail.wording_reset", mail=name, part=part, language=tag)
        return count

    with opened_tenant(tenant) as place:
        count = place.database.writing(change)
    people = f"{count} wording{'s' * (count != 1)} forgotten." if count else "There was no such wording."
    out.result({"name": name, "forgotten": count}, people)


@mail.command("test")
@click.argument("tenant")
@click.argument("address")
@json_option
def test_(out: Output, tenant: str, address: str) -> None:
    """Send a test mail through the outbox, as every mail is sent, and say what became of it."""
    try:
        domain = message.domain_of(message.deliverable(address))
    except message.CannotAddress:
        raise Failed(f"{address} is not an address that mail can be sent to.") from None
    with opened_tenant(tenant) as place:
        if place.tenant.state != "active":
            raise Failed(f"The tenant {tenant} is suspended and sends nothing; idp tenant resume {tenant}")

        def put(conn: Connection) -> int:
            place.installation.services.mailer.enqueue(conn, place.tenant, "test", address)
            (row,) = outbox.list_some(conn, ("waiting",), target=domain, limit=1)
            return int(row.id)

        with delivery.announced(place.database):
            number = place.database.writing(put)
        state, words, where = _outcome(place, number)
    document = {"message": number, "state": state, "outcome": words, "server": where}
    if state != "delivered":
        again = " It is tried again." if state == "waiting" else ""
        if out.is_json:
            out.result(document)
        raise Failed(
            f"Not delivered: {words or 'nobody came to deliver it'}.{again} idp outbox show {tenant} {number} says more."
        )
    out.result(document, f"Delivered: {words} ({where}).")


@mail.command("smtp")
@click.argument("tenant")
@click.option(
    "--url-stdin", is_flag=True, help="Read smtp://user:password@host:587 or smtps://host:465 from standard input."
)
@click.option("--remove", is_flag=True, help="Send through the installation's server again.")
@json_option
def smtp_(out: Output, *, tenant: str, url_stdin: bool, remove: bool) -> None:
    """Choose a mail server of the tenant's own; without an option, say which one is used. Its address is kept sealed."""
    if url_stdin and remove:
        raise click.UsageError("--url-stdin and --remove exclude one another")
    url = _secret_input() if url_stdin else ""
    with opened_tenant(tenant) as place:
        if url_stdin:
            _use(out, place, url)
        elif remove:
            _remove(place)
        own = work.mail_delivery(place.installation).own_server(place.database, place.tenant)
        other = place.installation.settings.smtp_url
    server = smtp.parse(own or other).shown if own or other else None
    whose = "its own" if own else "the installation's"
    people = f"Mails of {tenant} go through {whose} server {server}." if server else "There is no mail server."
    out.result({"server": server, "is_own": bool(own)}, people)


def _use(out: Output, place: Place, url: str) -> None:
    server = smtp.parse(url)
    try:
        place.installation.services.outbound.resolve(server.host, server.port, seconds=smtp.CONNECT_SECONDS)
    except FetchRefused as error:
        raise Failed(f"{server.host} cannot be a tenant's mail server: {error}.") from None
    except FetchFailed as error:
        out.note(f"{server.host} is not reached from here now: {error}.")
    envelope, tenant_id = place.installation.envelope, place.tenant.id

    def change(conn: Connection) -> None:
        sealed_state.put(conn, envelope, tenant_id, sealed_state.SMTP_URL, url.encode())
        _record(conn, "mail.server_changed", server=server.shown)

    place.database.writing(change)


def _remove(place: Place) -> None:
    def change(conn: Connection) -> None:
        tenant_state.remove(conn, sealed_state.SMTP_URL)
        _record(conn, "mail.server_changed", server=None)

    place.database.writing(change)


def _outcome(place: Place, number: int) -> tuple[str, str | None, str | None]:
    """Deliver the tenant's mails as a worker does, or wait for the worker that was faster; returns state, words, server."""
    job = delivery.outbox_job(work.senders(place.installation))
    job.run(JobContext(place.installation.store, place.database, place.tenant, lambda: False))
    deadline = time.monotonic() + PATIENCE
    while True:
        with place.database.reading() as conn:
            row, attempts = outbox.find(conn, number), outbox.attempts_of(conn, number)
        done = [each for each in attempts if each.outcome is not None]
        state = row.state if row is not None else "discarded"
        if done or state != "waiting" or time.monotonic() > deadline:
            return state, done[-1].outcome if done else None, done[-1].address if done else None
        time.sleep(0.1)


def _record(conn: Connection, kind: str, **details: Any) -> None:
    audit.record(conn, kind, outcome="success", actor=OPERATOR.actor, details=details)


def _tag(language: str) -> str:
    tag = language.strip().lower()
    if not _TAG.fullmatch(tag) or len(tag) > 35:
        raise click.UsageError(f"{language} is not a language tag such as de or pt-BR")
    return tag


def _secret_input() -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt("Address of the mail server", hide_input=True, err=True)
        return asked.strip()
    return standard_input().strip()
