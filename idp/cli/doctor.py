"""`idp doctor`: configuration and health of this node, one line a finding with its fix. It changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from idp.cli import doctor_data, doctor_mail, doctor_node
from idp.cli.commands import Failed, Output, json_option
from idp.cli.doctor_node import Finding
from idp.cli.preflight import read_settings
from idp.errors import IdpError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.settings import Settings

_SIGNS = {
    "ok": ("ok     ", "green"),
    "note": ("note   ", "cyan"),
    "warning": ("warning", "yellow"),
    "error": ("error  ", "red"),
}


@click.command()
@json_option
def doctor(out: Output) -> None:
    """Check settings, master key, permissions, schemas, clock, disk, jobs, keys, mail servers, Redis and proxies. Exit status 1 on an error."""
    found = list(_findings())
    document = [{"level": each.level, "what": each.what, "fix": each.fix or None} for each in found]
    out.result(document, lambda: _show(found))
    errors = sum(each.level == "error" for each in found)
    if errors:
        raise Failed(f"{errors} of {len(found)} checks failed; each line above says what to do.")


def _findings() -> Iterator[Finding]:
    try:
        settings = read_settings()
    except SettingError as error:
        yield Finding("error", str(error), "Correct the variable; docs/settings.md lists them all.")
        return
    yield Finding("ok", "every setting has a value that can be used")
    yield from doctor_node.findings(settings)
    yield from doctor_mail.of_installation(settings)
    yield from _of_data(settings)


def _of_data(settings: Settings) -> Iterator[Finding]:
    try:
        yield from doctor_data.findings(settings)
    except SettingError as error:
        yield Finding("error", str(error), "")
    except (click.ClickException, IdpError) as error:
        text = error.title if isinstance(error, IdpError) else error.format_message()
        yield Finding("error", text, "")


def _show(found: list[Finding]) -> None:
    for each in found:
        sign, colour = _SIGNS[each.level]
        fix = f" → {each.fix}" if each.fix else ""
        click.echo(f"{click.style(sign, fg=colour)}  {each.what}{fix}")
