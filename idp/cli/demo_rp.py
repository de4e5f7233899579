"""`idp demo-rp`: the demo relying party as a process of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from idp.cli.commands import Failed, Output, json_option
from idp.cli.credentials import path as credentials_path

if TYPE_CHECKING:
    from idp.settings import Settings


@click.command("demo-rp")
@click.option("--listen", default="127.0.0.1:8001", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--tenant", help="The tenant to sign in at; by default `demo`.")
@click.option("--client-id", help="The client to be; by default `demo-rp` with its credentials of the data folder.")
@click.option("--client-secret", help="The client's secret; or set CLIENT_SECRET, which no process list shows.")
@click.option("--parent", type=int, hidden=True, help="End when this process is gone.")
@json_option
def demo_rp(
    out: Output, listen: str, tenant: str | None, client_id: str | None, client_secret: str | None, parent: int | None
) -> None:
    """Run a small relying party that signs in and shows tokens, requests and responses; for trying things only."""
    from idp.cli.preflight import read_settings

    settings = read_settings()
    if settings.is_production:
        raise Failed("The demo relying party shows tokens; it does not run with IDP_ENV=production.")
    if client_id is None:
        from idp.cli import credentials

        known = credentials.read(settings).get("demo_rp")
        if known is None:
            raise Failed(
                "There is no demo client in the data folder; run `idp init`, or give --tenant, --client-id and --client-secret."
            )
        tenant = tenant or str(known["tenant"])
        client_id, client_secret = str(known["client_id"]), str(known["client_secret"])
    client_secret = client_secret or os.environ.get("CLIENT_SECRET") or ""
    from idp.demo import relying_party

    base_url = _base_url(listen)
    application = relying_party.create_app(
        _issuer(settings, tenant or "demo"),
        client_id,
        client_secret,
        base_url,
        ca_bundle=settings.ca_bundle or None,
        hint=f"The password is in {credentials_path(settings)}." if (tenant or "demo") == "demo" else None,
    )
    if parent is None:
        out.result({"url": base_url, "client_id": client_id}, f"Open {base_url} (client {client_id}). Ctrl-C stops it.")
    relying_party.serve(application, listen, parent=parent)


def _base_url(listen: str) -> str:
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise click.UsageError("--listen must be HOST:PORT, such as localhost:8001")
    # One name for one machine: the redirect URI is compared as text.
    return f"http://{'localhost' if host in ('', '127.0.0.1', '[::1]', 'localhost') else host}:{port}"


def _issuer(settings: Settings, slug: str) -> str:
    from idp.cli.preflight import require_installation
    from idp.store.control import tenants
    from idp.store.db import Database

    require_installation(settings)
    control = Database(settings.control_url)
    try:
        with control.reading() as conn:
            row = tenants.find_by_slug(conn, slug)
    finally:
        control.close()
    if row is None:
        raise Failed(f"There is no tenant {slug}; `idp tenant list` shows those there are.")
    return str(row.issuer)
