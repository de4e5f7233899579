"""`idp profile`: the schema of a tenant's profiles."""

from __future__ import annotations

from typing import Any

import click

from idp import audit
from idp.cli.commands import Output, json_from_input, json_option, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.identity import profile as profiles
from idp.identity import profile_schema


@click.group()
def profile() -> None:
    """Say which attributes a tenant's people have: standard claims and own ones."""


@profile.command()
@click.argument("tenant")
@json_option
def show(out: Output, tenant: str) -> None:
    """Show the schema; with --json as the document that `set` reads."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        document = profile_schema.dump(profiles.load(conn))
    out.result(document, lambda: _table(document))


@profile.command("set")
@click.argument("tenant")
@json_option
def set_(out: Output, tenant: str) -> None:
    """Replace the schema by the JSON document on standard input; values that people have stay stored."""
    schema = profile_schema.parse(json_from_input("a profile schema"))
    names = [attribute.name for attribute in schema.attributes]
    with opened_tenant(tenant) as place:

        def work(conn: Any) -> None:
            profiles.save(conn, schema)
            audit.record(
                conn, "profile.schema_changed", outcome="success", actor=OPERATOR.actor, details={"attributes": names}
            )

        with place.installation.feed.announced(place.tenant.id, "config"):
            place.database.writing(work)
        place.installation.spool.touch(place.tenant.id)
    out.result(profile_schema.dump(schema), f"Profiles of {tenant} have: {', '.join(names) or 'no attributes'}.")


def _table(document: dict[str, Any]) -> None:
    rows = [
        [
            each["name"],
            each["type"],
            "yes" if each["required"] else "no",
            "yes" if each["signup"] else "no",
            each["editable"],
            each.get("scope") or ("by the standard" if "scope" not in each else "none"),
        ]
        for each in document["attributes"]
    ]
    table(["name", "type", "required", "at sign-up", "changed by", "scope"], rows, "Profiles have no attributes.")
