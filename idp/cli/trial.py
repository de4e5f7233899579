"""`idp test`: a sign-in with a client, step by step over HTTP, ending with the decoded tokens, or with why it was refused."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from idp.cli.commands import Failed, Output, json_option, password_from_input
from idp.cli.opening import opened_tenant
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    from idp.cli.trial_run import Result
    from idp.settings import Settings

SECRET_VARIABLE = "CLIENT_SECRET"


@click.command()
@click.argument("tenant")
@click.argument("client_id")
@click.option("--username", help="Who signs in; asked for when it is missing.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@json_option
def test(out: Output, *, tenant: str, client_id: str, username: str | None, password_stdin: bool) -> None:
    """Sign in with a client as its application would, and show the tokens.

    The redirect to the application is not followed, so that it gets nothing. The client's secret is asked for, or taken from
    the variable CLIENT_SECRET; only its digest is stored.
    """
    from idp.cli.trial_run import Client, Stopped, Trial

    password = password_from_input() if password_stdin else None
    with opened_tenant(tenant) as place:
        settings, issuer, slug = place.installation.settings, place.tenant.issuer, place.tenant.slug
        document = ClientRegistry(place.tenant, place.database, place.installation.feed).get(client_id).document()
    if document["state"] != "active":
        raise Failed(f"The client {client_id} is disabled; enable it: idp client enable {slug} {client_id}")
    steps: list[str] = []

    def tell(step: str) -> None:
        steps.append(step)
        if not out.is_json:
            click.echo(f"{len(steps):>2}. {step}")

    client = Client(
        document,
        client_id,
        ask_secret=lambda: os.environ.get(SECRET_VARIABLE) or _ask("The client's secret", None, hide=True),
        ask_username=lambda: _ask("Username", username),
        ask_password=lambda: _ask("Password", password, hide=True),
    )
    try:
        result = Trial(issuer, client, tell, _roots(settings, issuer)).run()
    except Stopped as stopped:
        if out.is_json:
            out.result({"ok": False, "steps": steps, "stopped": str(stopped), "correlation_id": stopped.correlation_id})
        raise Failed(
            f"{stopped}{f' Why: idp explain {stopped.correlation_id}' if stopped.correlation_id else ''}"
        ) from None
    found = {
        "ok": True,
        "steps": steps,
        "response": result.response,
        "tokens": result.tokens,
        "userinfo": result.userinfo,
    }
    out.result(found, lambda: _show(result))


def _ask(what: str, given: str | None, *, hide: bool = False) -> str:
    if given is not None:
        return given
    asked: str = click.prompt(what, hide_input=hide, err=True, default="" if hide else None, show_default=False)
    return asked


def _roots(settings: Settings, issuer: str) -> str | None:
    """Return the roots to trust: those of the settings, or our own certificate of `--tls-self-signed` on this machine."""
    own = settings.data_dir / "tls" / "self-signed.crt"
    if settings.ca_bundle:
        return settings.ca_bundle
    host = urlsplit(issuer).hostname or ""
    is_local = host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
    return str(own) if is_local and own.exists() else None


def _show(result: Result) -> None:
    for name, token in result.tokens.items():
        _print(f"{name} (header)", token["header"])
        if "claims" in token:
            _print(f"{name} (claims)", token["claims"])
    if result.userinfo is not None:
        _print("userinfo", result.userinfo)
    click.echo("\nThe client works.")


def _print(what: str, document: dict[str, Any]) -> None:
    click.echo(f"\n{what}")
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
