"""`idp tenant`: the tenants of the installation."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from idp.cli.commands import Output, confirm, facts, json_option, table
from idp.cli.opening import OPERATOR, opened, opened_tenant, record
from idp.flow import assets
from idp.store.control import domains
from idp.tenancy.settings import TenantSettings

if TYPE_CHECKING:
    from idp.installation import Installation
    from idp.tenancy.tenant import Tenant


@click.group()
def tenant() -> None:
    """Tenants of the installation."""


@tenant.command()
@click.argument("slug")
@click.option("--name", required=True, help="The name that people are shown.")
@click.option("--domain", help="A host name of its own, such as login.example.com; it becomes the issuer.")
@json_option
def create(out: Output, slug: str, name: str, domain: str | None) -> None:
    """Make a tenant with its database and signing keys."""
    with opened() as installation:
        made = installation.tenants.create(slug, name, domain, by=OPERATOR)
        out.result(_document(installation, made), f"Tenant {made.slug}: issuer {made.issuer}")


@tenant.command("list")
@json_option
def list_(out: Output) -> None:
    """List the tenants."""
    with opened() as installation:
        found = installation.provisioning.list_all()
        documents = [_summary(each) for each in found]
    rows = [[each.slug, each.name, each.state, each.issuer] for each in found]
    out.result(
        documents, lambda: table(["slug", "name", "state", "issuer"], rows, "There are no tenants; run `idp init`.")
    )


@tenant.command()
@click.argument("slug")
@json_option
def show(out: Output, slug: str) -> None:
    """Show a tenant and its settings, each with its default and what it is for."""
    with opened() as installation:
        found = installation.provisioning.find(slug)
        document = _document(installation, found)
    out.result(document, lambda: _show(document, found))


@tenant.command("set")
@click.argument("slug")
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
@json_option
def set_(out: Output, slug: str, changes: tuple[str, ...]) -> None:
    """Change settings of a tenant; KEY= restores the default, name=... changes the name. `show` lists the keys."""
    wanted = {}
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign:
            raise click.UsageError(f"{change} is not KEY=VALUE")
        wanted[key.strip()] = value
    with opened() as installation:
        changed = installation.tenants.change(installation.provisioning.find(slug), wanted, by=OPERATOR)
        document = _document(installation, changed)
    out.result(document, f"Set for {changed.slug}: {', '.join(wanted)}.")


@tenant.command()
@click.argument("slug")
@click.option("--kind", type=click.Choice(list(assets.KINDS)), default="logo", show_default=True, help="Which picture.")
@click.option("--remove", "is_removed", is_flag=True, help="Take the picture away instead.")
@json_option
def logo(out: Output, slug: str, kind: str, *, is_removed: bool) -> None:
    """Keep a picture of a tenant's brand from standard input: PNG, JPEG or WebP, at most 256 KiB and 1024 pixels a side."""
    from idp.cli import pictures
    from idp.flow import pictures as keeping

    setting = assets.KINDS[kind]
    body = None if is_removed else pictures.from_input()
    with opened_tenant(slug) as place:
        changed = keeping.put(place.installation.provisioning, place.tenant, place.database, kind, body, by=OPERATOR)
    address = getattr(changed.settings, setting)
    shown = f"{changed.issuer}{address}" if address else ""
    out.result(
        {"kind": kind, "url": shown},
        f"The {kind} of {changed.slug} is shown from {shown}" if shown else f"{changed.slug} has no {kind} any more.",
    )


@tenant.command("set-issuer")
@click.argument("slug")
@click.argument("issuer", metavar="DOMAIN|default")
@click.option("--yes", "confirmation", metavar="SLUG", help="The slug once more, to do it without being asked.")
@json_option
def set_issuer(out: Output, slug: str, issuer: str, confirmation: str | None) -> None:
    """Move a tenant's issuer to a host name of its own, or back to the default, after listing what breaks."""
    from idp.cli.issuer_change import consequences

    with opened() as installation:
        found = installation.provisioning.find(slug)
        domain = None if issuer == "default" else issuer
        new = installation.provisioning.issuer_for(found, domain)
        if new != found.issuer:
            confirm(found.slug, confirmation, "\n".join(consequences(installation, found, new)))
        changed = installation.provisioning.set_issuer(found, domain)
        record(installation, changed, "tenant.issuer_changed", former=found.issuer, issuer=changed.issuer)
        document = _document(installation, changed)
    out.result(document, f"The issuer of {changed.slug} is {changed.issuer}.")


@tenant.command()
@click.argument("slug")
@json_option
def suspend(out: Output, slug: str) -> None:
    """Stop serving a tenant: everything of it answers 404 within a second."""
    with opened() as installation:
        suspended = installation.tenants.suspend(installation.provisioning.find(slug), by=OPERATOR)
    document = _summary(suspended)
    out.result(document, f"{document['slug']} is suspended.")


@tenant.command()
@click.argument("slug")
@json_option
def resume(out: Output, slug: str) -> None:
    """Serve a suspended tenant again."""
    with opened() as installation:
        resumed = installation.tenants.resume(installation.provisioning.find(slug), by=OPERATOR)
    document = _summary(resumed)
    out.result(document, f"{document['slug']} is served again.")


@tenant.command()
@click.argument("slug")
@click.option("--yes", "confirmation", metavar="SLUG", help="The slug once more, to do it without being asked.")
@json_option
def delete(out: Output, slug: str, confirmation: str | None) -> None:
    """Delete a tenant and its database for good."""
    with opened() as installation:
        found = installation.provisioning.find(slug)
        warning = (
            f"This deletes tenant {found.slug} ({found.name}) with its users, clients, keys and audit log for good."
        )
        confirm(found.slug, confirmation, warning)
        installation.tenants.delete(found, by=OPERATOR)
    out.result({"id": found.id, "slug": found.slug, "state": "deleted"}, f"{found.slug} is deleted.")


def _summary(found: Tenant) -> dict[str, Any]:
    return {"id": found.id, "slug": found.slug, "name": found.name, "state": found.state, "issuer": found.issuer}


def _document(installation: Installation, found: Tenant) -> dict[str, Any]:
    with installation.store.control.reading() as conn:
        hosts = [row.host for row in domains.list_of(conn, found.id)]
    values = {each.name: getattr(found.settings, each.name) for each in fields(TenantSettings)}
    return _summary(found) | {
        "domains": hosts,
        "discovery": f"{found.issuer}/.well-known/openid-configuration",
        "settings": json.loads(json.dumps(values)),
    }


def _show(document: dict[str, Any], found: Tenant) -> None:
    facts([(name, str(document[name])) for name in ("slug", "name", "state", "issuer", "discovery", "id")])
    if document["domains"]:
        facts([("domains", ", ".join(document["domains"]))])
    click.echo()
    rows = []
    for each in fields(TenantSettings):
        value = getattr(found.settings, each.name)
        default = "" if value == each.default else f"{_text(each.default)}"
        rows.append([each.name, _text(value), default, str(each.metadata["help"])])
    table(["setting", "value", "default, where it differs", "what it is for"], rows, "")


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
