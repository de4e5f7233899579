"""`idp explain`: what happened to a request whose error page or answer showed this id.

Prints the check that refused, its section of the specification, the private reason, what was received against what is
registered with the difference marked, and the fix with the command line for it.
"""

from __future__ import annotations

from dataclasses import asdict
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import click

from idp.cli import fixes
from idp.cli.commands import Failed, Output, console, json_option, moment
from idp.cli.opening import opened
from idp.jobs.refusals import find_refusal

if TYPE_CHECKING:
    from idp.installation import Installation
    from idp.jobs.refusals import FoundRefusal

MOST_SHOWN = 10  # registered values
ALIKE = 0.3  # from which likeness on a difference is worth marking


@click.command()
@click.argument("correlation_id", metavar="ID")
@click.option("--tenant", help="Look only into this tenant.")
@json_option
def explain(out: Output, correlation_id: str, tenant: str | None) -> None:
    """Say why a request was refused, by the id that its page or answer showed; records are kept for a week."""
    with opened() as installation:
        slug = installation.provisioning.find(tenant).slug if tenant else None
        found = find_refusal(installation.store, installation.settings.data_dir / "spool", correlation_id, slug)
        documents = [_document(installation, each) for each in found]
    if not documents:
        raise Failed(
            f"Nothing is recorded under {correlation_id[:40]}: look for a typing mistake; records are kept for a week, and on another node until its worker has drained them."
        )
    out.result(documents[0] if len(documents) == 1 else documents, lambda: _show_all(documents))


def _document(installation: Installation, found: FoundRefusal) -> dict[str, Any]:
    commands, remark = fixes.advice(installation, found)
    flat: dict[str, Any] = asdict(found)
    refusal: dict[str, Any] = flat.pop("refusal")
    received, registered = refusal["received"], list(refusal["registered"])
    near = _nearest(received, registered)
    return (
        flat
        | refusal
        | {
            "registered": registered,
            "fix": fixes.sentence(found),
            "remark": remark,
            "commands": commands,
            "difference": _difference(received, near) if received and near else None,
        }
    )


def _nearest(received: str | None, registered: list[str]) -> str | None:
    """Return the registered value that is most like what was received, if any is like it."""
    if not received or not registered:
        return None
    likeness = {each: SequenceMatcher(None, received, each, autojunk=False).ratio() for each in registered[:100]}
    best = max(likeness, key=lambda each: likeness[each])
    return best if ALIKE <= likeness[best] < 1 else None


def _difference(received: str, registered: str) -> dict[str, str]:
    """Return both values with marks below what differs."""
    left, right = [" "] * len(received), [" "] * len(registered)
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, received, registered, autojunk=False).get_opcodes():
        if tag != "equal":
            left[i1:i2] = "^" * (i2 - i1)
            right[j1:j2] = "^" * (j2 - j1)
    return {
        "received": received,
        "received_marks": "".join(left).rstrip(),
        "registered": registered,
        "registered_marks": "".join(right).rstrip(),
    }


def _show_all(documents: list[dict[str, Any]]) -> None:
    for number, document in enumerate(documents):
        if number:
            click.echo()
        _show(document)


def _show(document: dict[str, Any]) -> None:
    client = f", client {document['client_id']}" if document["client_id"] else ""
    where = f"tenant {document['tenant_slug']}{client}" if document["tenant_slug"] else f"no tenant{client}"
    lines = [
        ("Request", f"{document['method']} {document['path']}".strip()),
        ("When", f"{moment(document['at'])} from {document['source'] or 'an unknown address'}"),
        ("Where", where),
        ("Answered", document["error_code"]),
        ("Check", document["check"]),
        ("Section", document["spec"]),
        ("Reason", document["reason"]),
    ]
    _lines([(name, value) for name, value in lines if value])
    _show_values(document)
    click.echo()
    _lines([("Fix", document["fix"])])
    if document["remark"]:
        _lines([("", document["remark"])])
    for number, command in enumerate(document["commands"]):
        _lines([("Command" if number == 0 else "or", command)])


def _show_values(document: dict[str, Any]) -> None:
    difference = document["difference"]
    if difference is not None:
        click.echo()
        _lines(
            [
                ("Received", difference["received"]),
                ("", difference["received_marks"]),
                ("Registered", difference["registered"]),
                ("", difference["registered_marks"]),
            ]
        )
        others = [each for each in document["registered"] if each != difference["registered"]]
    else:
        if document["received"] is not None:
            _lines([("Received", document["received"])])
        others = document["registered"]
    for number, each in enumerate(others[:MOST_SHOWN]):
        _lines([("Registered" if number == 0 else "", each)])
    if len(others) > MOST_SHOWN:
        _lines([("", f"and {len(others) - MOST_SHOWN} more")])


def _lines(pairs: list[tuple[str, str]]) -> None:
    from rich.text import Text

    for name, value in pairs:
        if not value.strip():
            continue
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
        style = "bold yellow" if set(shown) <= {" ", "^"} else ""
        console().print(Text.assemble((f"{name:<12}", "bold"), (shown, style)), soft_wrap=True)
