"""`idp terms`: the terms that a tenant's people accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from idp.cli.commands import Output, json_option, moment, table
from idp.cli.opening import OPERATOR, opened_tenant
from idp.errors import NotFound
from idp.identity import terms as people
from idp.store.tenant import terms as store

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.cli.opening import Place
    from idp.store.rows import Connection, Row


@click.group()
def terms() -> None:
    """Say which terms of a tenant are in force, and where they can be read."""


@terms.command("set")
@click.argument("tenant")
@click.option("--version", required=True, help="Name of the version, such as 2026-03.")
@click.option(
    "--url", "urls", required=True, multiple=True, help="Where it can be read; once more as de=https://… by language."
)
@json_option
def set_(out: Output, tenant: str, version: str, urls: tuple[str, ...]) -> None:
    """Put a version into force: everybody who has not accepted it is asked at the next sign-in."""
    by_language = dict(_by_language(url) for url in urls)
    if len(by_language) < len(urls):
        raise click.UsageError("--url names a language twice")
    with opened_tenant(tenant) as place:
        _write(place, lambda conn: people.put_in_force(conn, version, by_language, OPERATOR))
    document = {"version": version, "urls": by_language, "in_force": True}
    out.result(document, f"The terms {version} are in force at {tenant}.")


@terms.command("list")
@click.argument("tenant")
@json_option
def list_(out: Output, tenant: str) -> None:
    """List the versions, the newest first."""
    with opened_tenant(tenant) as place, place.database.reading() as conn:
        documents = [_document(row) for row in store.list_all(conn)]

    def show() -> None:
        rows = [
            [
                each["version"],
                "in force" if each["in_force"] else "replaced",
                moment(each["begins_at"]),
                ", ".join(f"{language}={url}" if language else url for language, url in each["urls"].items()),
            ]
            for each in documents
        ]
        nothing = f"There are no terms; put some into force: idp terms set {tenant} --version VERSION --url URL"
        table(["version", "state", "since", "where"], rows, nothing)

    out.result(documents, show)


@terms.command()
@click.argument("tenant")
@json_option
def end(out: Output, tenant: str) -> None:
    """Put no terms into force; who accepted what stays on record."""
    with opened_tenant(tenant) as place:
        if not _write(place, lambda conn: people.end(conn, OPERATOR)):
            message = f"No terms are in force at {tenant}."
            raise NotFound(message)
    out.result({"in_force": None}, f"No terms are in force at {tenant} any more.")


def _by_language(url: str) -> tuple[str, str]:
    language, sign, address = url.partition("=")
    return (language, address) if sign and "/" not in language and ":" not in language else (people.EVERY, url)


def _write(place: Place, work: Callable[[Connection], Any]) -> Any:
    with place.installation.feed.announced(place.tenant.id, "config"):
        result = place.database.writing(work)
    place.installation.spool.touch(place.tenant.id)
    return result


def _document(row: Row[Any]) -> dict[str, Any]:
    return {"version": row.version, "urls": row.urls, "begins_at": row.begins_at, "in_force": row.ends_at is None}
