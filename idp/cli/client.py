"""`idp client`: the clients (relying parties) of a tenant."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from idp.cli.commands import Failed, Output, confirm, json_from_input, json_option, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.oauth import client_metadata, sectors
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from idp.cli.opening import Place

WHAT = "client metadata (RFC 7591)"


@click.group()
def client() -> None:
    """Clients (relying parties) of a tenant."""


@client.command()
@click.argument("tenant")
@json_option
def create(out: Output, tenant: str) -> None:
    """Register a client from RFC 7591 metadata on standard input; its secret is shown once, now.

    "client_id", "client_secret", "client_profile" and "first_party" are honoured. Example:
    echo '{"client_name": "Acme", "redirect_uris": ["https://acme.example/callback"]}' | idp client create acme
    """
    given = json_from_input(WHAT)
    with opened_tenant(tenant) as place:
        registry = _registry_of(place)
        _require_sector(place, given)
        _show(out, registry.create(given, by=OPERATOR).document())


@client.command("list")
@click.argument("tenant")
@json_option
def list_(out: Output, tenant: str) -> None:
    """List the clients of a tenant."""
    with _registry(tenant) as registry:
        documents = [found.document() for found in registry.list_all()]

    def show() -> None:
        rows = [
            [
                each["client_id"],
                each.get("client_name", ""),
                each["state"],
                each["client_profile"],
                each["token_endpoint_auth_method"],
                " ".join(each["grant_types"]),
            ]
            for each in documents
        ]
        headings = ["client_id", "name", "state", "profile", "authentication", "grant types"]
        table(headings, rows, f"There are no clients; register one: idp client create {tenant} < metadata.json")

    out.result(documents, show)


@client.command("show")
@click.argument("tenant")
@click.argument("client_id")
@json_option
def show_client(out: Output, tenant: str, client_id: str) -> None:
    """Show a client's registration (never its secret)."""
    with _registry(tenant) as registry:
        _show(out, registry.get(client_id).document())


@client.command()
@click.argument("tenant")
@click.argument("client_id")
@json_option
def update(out: Output, tenant: str, client_id: str) -> None:
    """Merge metadata on standard input into a client's; a null removes a member.

    Example: echo '{"redirect_uris": ["https://acme.example/callback"]}' | idp client update acme acme-web
    """
    changes = json_from_input(WHAT)
    with opened_tenant(tenant) as place:
        registry = _registry_of(place)
        if "sector_identifier_uri" in changes or "redirect_uris" in changes:
            _require_sector(place, registry.get(client_id).row.metadata | changes)
        _show(out, registry.update(client_id, changes, by=OPERATOR).document())


@client.command("rotate-secret")
@click.argument("tenant")
@click.argument("client_id")
@json_option
def rotate_secret(out: Output, tenant: str, client_id: str) -> None:
    """Replace a client's secret and show the new one, once; the former one is worthless at once."""
    with _registry(tenant) as registry:
        document = registry.rotate_secret(client_id, by=OPERATOR).document()
    shown = {name: document[name] for name in ("client_id", "client_secret", "client_secret_expires_at")}
    _show(out, shown)


@client.command()
@click.argument("tenant")
@click.argument("client_id")
@json_option
def disable(out: Output, tenant: str, client_id: str) -> None:
    """Refuse a client everywhere from now on; its grants end."""
    with _registry(tenant) as registry:
        registry.disable(client_id, by=OPERATOR)
    out.result({"client_id": client_id, "state": "disabled"}, f"{client_id} is disabled; its grants have ended.")


@client.command()
@click.argument("tenant")
@click.argument("client_id")
@json_option
def enable(out: Output, tenant: str, client_id: str) -> None:
    """Serve a disabled client again."""
    with _registry(tenant) as registry:
        registry.enable(client_id, by=OPERATOR)
    out.result({"client_id": client_id, "state": "active"}, f"{client_id} is served again.")


@client.command()
@click.argument("tenant")
@click.argument("client_id")
@click.option(
    "--yes", "confirmation", metavar="CLIENT_ID", help="The client_id once more, to do it without being asked."
)
@json_option
def delete(out: Output, tenant: str, client_id: str, confirmation: str | None) -> None:
    """Delete a client for good, with the consents given to it; its grants end."""
    with _registry(tenant) as registry:
        registry.get(client_id)
        confirm(client_id, confirmation, f"This deletes the client {client_id} of tenant {tenant} for good.")
        registry.delete(client_id, by=OPERATOR)
    out.result({"client_id": client_id, "state": "deleted"}, f"{client_id} is deleted.")


@contextmanager
def _registry(slug: str) -> Iterator[ClientRegistry]:
    with opened_tenant(slug) as place:
        yield _registry_of(place)


def _registry_of(place: Place) -> ClientRegistry:
    services = place.installation.services
    return ClientRegistry(place.tenant, place.database, services.feed, services.outbound)


def _require_sector(place: Place, metadata: Mapping[str, Any]) -> None:
    """Look whether the redirect URIs are those of the sector_identifier_uri, as for who registers (Registration §5)."""
    try:
        sectors.verify(place.installation.services.outbound, client_metadata.validated_alone(metadata))
    except sectors.NotInSector as error:
        raise Failed(f"{error}.") from None


def _show(out: Output, document: dict[str, Any]) -> None:
    # JSON to people too: it is what goes into a client's configuration, and what `update` takes.
    out.result(document, json.dumps(document, indent=2, ensure_ascii=False))
