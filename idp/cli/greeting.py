"""What `idp serve` says when it answers: where to click first, with which credentials, and what next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from idp.cli import credentials
from idp.cli.commands import facts

if TYPE_CHECKING:
    from idp.settings import Settings


def document(
    settings: Settings, address: tuple[str, int], *, is_tls: bool, demo: tuple[str, int] | None
) -> dict[str, Any]:
    """Return what there is to say, as a document."""
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    found: dict[str, Any] = {
        "listening": f"{'https' if is_tls else 'http'}://{host}:{address[1]}",
        "public_url": settings.public_url,
    }
    if demo is not None:
        found["demo"] = f"http://localhost:{demo[1]}"
        # Administrators' passwords stay in the file.
        user = credentials.read(settings).get("demo_user")
        found["user"] = {name: user.get(name) for name in ("username", "password")} if user else None
        found["credentials"] = str(credentials.path(settings))
    return found


def show(found: dict[str, Any]) -> None:
    """Print it."""
    if found.get("demo"):
        click.echo(f"\n  Open  {found['demo']}\n")
        if found["user"]:
            facts([("  user", str(found["user"]["username"])), ("  password", str(found["user"]["password"]))])
        click.echo(
            f"\n  The identity provider is at {found['public_url']}; more credentials are in {found['credentials']}."
        )
        click.echo("  A refused sign-in shows an id: `.venv/bin/idp explain ID`. Ctrl-C stops everything.\n")
        return
    click.echo(f"AuthSec serves {found['public_url']} (listening on {found['listening']}). Ctrl-C stops it.")
