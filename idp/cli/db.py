"""`idp db`: the schemas of the control database and of every tenant's database."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import click

from idp.cli.commands import Failed, Output, json_option, progress, table
from idp.cli.preflight import read_settings, require_installation
from idp.errors import IdpError, StorageUnavailable
from idp.store import migrate
from idp.store.control import tenants
from idp.store.db import Database
from idp.store.location import locate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.settings import Settings

CONTROL = "control"
Target = tuple[str, str, str]  # name, kind of schema, URL


@click.group()
def db() -> None:
    """Schemas of the databases."""


@db.command()
@json_option
def status(out: Output) -> None:
    """Say which schema each database has, and which this release serves."""
    settings = read_settings()
    require_installation(settings)
    rows = [state_of(*target) for target in targets(settings)]
    document = {"control": migrate.head("control"), "tenant": migrate.head("tenant"), "databases": rows}

    def show() -> None:
        behind = [row for row in rows if row["state"] != "current"]
        table(
            ["database", "schema", "state"],
            [[row["database"], row["version"] or "none", row["state"]] for row in behind],
            "",
        )
        click.echo(f"{len(rows) - len(behind)} of {len(rows)} databases have this release's schema.")
        if any(row["state"] == "behind" for row in behind):
            click.echo("A tenant is upgraded when it is first used; `idp db upgrade` upgrades all of them now.")

    out.result(document, show)


@db.command()
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that upgrade tenants."
)
@json_option
def upgrade(out: Output, jobs: int) -> None:
    """Bring every database to this release's schema; may be broken off and repeated."""
    settings = read_settings()
    require_installation(settings)
    control, *others = targets(settings)
    failures = [(control[0], reason)] if (reason := upgrade_one(*control)) else []
    if failures:
        raise Failed(f"The control database was not upgraded: {reason}")
    waiting = [target for target in others if state_of(*target)["state"] != "current"]
    with progress(out, "databases", len(waiting)) as advance:
        for name, why in _upgraded(waiting, jobs):
            if why:
                failures.append((name, why))
            advance()
    document = {
        "upgraded": len(waiting) - len(failures),
        "failed": [{"tenant": name, "reason": why} for name, why in failures],
    }
    if failures:
        out.result(document, lambda: table(["tenant", "reason"], [list(each) for each in failures], ""))
        raise Failed(f"{len(failures)} databases were not upgraded; see the reasons, then repeat `idp db upgrade`.")
    out.result(document, f"Every database has this release's schema ({len(waiting)} were upgraded).")


def upgrade_one(name: str, kind: str, url: str) -> str:
    """Upgrade one database and return why it failed, or nothing; a process of its own may do it."""
    database = Database(url)
    try:
        migrate.check(database, kind)
    except IdpError as error:
        return (
            "it cannot be reached or is locked" if error.title == StorageUnavailable.title else error.title.rstrip(".")
        )
    except Exception as error:  # noqa: BLE001 - one broken database must not keep the others from being upgraded
        return f"{type(error).__name__} while the schema of {name} was changed; it is as it was"
    finally:
        database.close()
    return ""


def _upgraded(waiting: list[Target], jobs: int) -> Iterator[tuple[str, str]]:
    if jobs == 1:
        for target in waiting:
            yield target[0], upgrade_one(*target)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(upgrade_one, *target): target[0] for target in waiting}
        for done in as_completed(running):
            yield running[done], done.result()


def targets(settings: Settings) -> list[Target]:
    """Return every database, the control database first."""
    control = Database(settings.control_url)
    try:
        with control.reading() as conn:
            rows = [row for row in tenants.list_all(conn) if row.database_url and row.state in ("active", "suspended")]
    finally:
        control.close()
    return [
        (CONTROL, "control", settings.control_url),
        *((row.slug, "tenant", locate(settings, row.database_url)) for row in rows),
    ]


def state_of(name: str, kind: str, url: str) -> dict[str, Any]:
    """Return one database, its version, and whether that is this release's."""
    database = Database(url)
    try:
        found = migrate.version(database)
    except StorageUnavailable:
        return {"database": name, "version": None, "state": "unreachable"}
    finally:
        database.close()
    if found == migrate.head(kind):
        return {"database": name, "version": found, "state": "current"}
    is_newer = found is not None and found not in migrate.versions(kind)
    return {"database": name, "version": found, "state": "newer than this release" if is_newer else "behind"}
