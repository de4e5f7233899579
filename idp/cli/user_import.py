"""`idp user import`: users of another system, with their password hashes, from a CSV file or JSON lines."""

from __future__ import annotations

import hashlib
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from idp.cli import import_rows
from idp.cli.commands import Output, json_option, progress
from idp.cli.opening import OPERATOR, opened_tenant
from idp.errors import Invalid
from idp.identity import user_import
from idp.identity.user_import import CREATED, THERE, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from idp.cli.import_rows import Row
    from idp.cli.opening import Place

BATCH = 500  # users in one transaction
MOST_NAMED = 1000  # bad rows that are named in the report; all are counted
MOST_SHOWN = 20  # of them on a terminal
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
STANDARD_INPUT = "-"


class _Stop(Exception):
    """A bad row, where the operator wants none."""


@dataclass
class _Import:
    """One run: what it has read and what became of it."""

    place: Place
    origin: Mapping[str, Any]  # which file, for the audit trail
    is_dry: bool
    is_strict: bool
    rows: int = 0
    created: int = 0
    there: int = 0
    bad: int = 0
    shared: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[tuple[Row, Person, int | None]] = field(default_factory=list)  # the line before with the same address
    seen: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)

    def take(self, row: Row) -> None:
        """Judge a row, and store the batch that it fills."""
        self.rows += 1
        if row.problem is not None:
            self.complain(row.line, row.problem)
            return
        try:
            who = user_import.person(row.fields)
        except Invalid as error:
            self.complain(row.line, error.title)
            return
        if who.key in self.seen:
            self.complain(row.line, f"Line {self.seen[who.key]} has the same username.")
            return
        self.seen[who.key] = row.line
        before = next((self.addresses[each] for each in sorted(who.addresses) if each in self.addresses), None)
        self.addresses |= dict.fromkeys(who.addresses - self.addresses.keys(), row.line)
        self.waiting.append((row, who, before))
        if len(self.waiting) >= BATCH:
            self.store()

    def store(self) -> None:
        """Store what is waiting."""
        batch, self.waiting = self.waiting, []
        if not batch:
            return
        people = [who for _, who, _ in batch]
        is_shared = user_import.are_shared(self.place.database, people)
        if self.is_dry:
            outcomes = user_import.look_up(self.place.database, people)
        else:
            lines = {"first_line": batch[0][0].line, "last_line": batch[-1][0].end}
            details = {**self.origin, **lines}
            outcomes = user_import.store(self.place.database, people, by=OPERATOR, details=details)
        self.created += outcomes.count(CREATED)
        self.there += outcomes.count(THERE)
        for (row, _, before), is_known, said in zip(batch, is_shared, outcomes, strict=True):
            if said == CREATED and (before is not None or is_known):
                self.warn(row.line, f"Line {before}" if before is not None else "An account that was there before")
            if said not in (CREATED, THERE):
                self.complain(row.line, said)

    def warn(self, line: int, who: str) -> None:
        """Note a row that was taken, but whose address is not its own."""
        self.shared += 1
        if len(self.warnings) < MOST_NAMED:
            self.warnings.append({"line": line, "warning": f"{who} has the same email address."})

    def complain(self, line: int, sentence: str) -> None:
        """Note a bad row."""
        self.bad += 1
        if len(self.problems) < MOST_NAMED:
            self.problems.append({"line": line, "problem": sentence})
        if self.is_strict:
            raise _Stop


@click.command("import")
@click.argument("tenant")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True))
@click.option(
    "--format", "kind", type=click.Choice(["csv", "jsonl"]), help="What the file is; by default its name says."
)
@click.option("--dry-run", is_flag=True, help="Judge every row and store nothing.")
@click.option(
    "--resume", is_flag=True, help="Go on after the last batch that an earlier import of this file has stored."
)
@click.option("--strict", is_flag=True, help="Stop at the first bad row; what came before it is stored.")
@json_option
def import_users(
    out: Output,
    *,
    tenant: str,
    file: str,
    kind: str | None,
    dry_run: bool,
    resume: bool,
    strict: bool,
) -> None:
    """Bring in users with their password hashes from FILE (docs/passwords.md); who is there already is left alone."""
    kind = kind or FORMATS.get(Path(file).suffix.lower())
    if kind is None:
        raise click.UsageError("say what the file is: --format csv or --format jsonl")
    digest = _digest(file)
    if resume and digest is None:
        raise click.UsageError("--resume needs a file that can be read again")
    with opened_tenant(tenant) as place, _opened(file) as stream:
        origin = {"file": Path(file).name, "file_digest": digest}
        after = user_import.last_line(place.database, digest) if resume and digest is not None else 0
        work = _Import(place, origin, is_dry=dry_run, is_strict=strict)
        size = None if digest is None else Path(file).stat().st_size
        with progress(out, "users", size) as step:
            is_stopped = _run(work, import_rows.read(stream, kind), after, step)
    if work.bad > 0 and not out.is_json:
        for problem in work.problems[:MOST_SHOWN]:
            out.note(f"Line {problem['line']}: {problem['problem']}")
        if work.bad > MOST_SHOWN:
            out.note(f"{work.bad - MOST_SHOWN} more bad rows; --json names up to {MOST_NAMED}.")
    if work.shared > 0 and not out.is_json:
        for warning in work.warnings[:MOST_SHOWN]:
            out.note(f"Warning, line {warning['line']}: {warning['warning']}")
        if work.shared > MOST_SHOWN:
            out.note(f"{work.shared - MOST_SHOWN} more warnings; --json names up to {MOST_NAMED}.")
    document = {
        "tenant": place.tenant.slug,
        "file": file,
        "dry_run": dry_run,
        "began_after_line": after,
        "stopped": is_stopped,
        "rows": work.rows,
        "created": work.created,
        "already_there": work.there,
        "bad": work.bad,
        "problems": work.problems,
        "shared_addresses": work.shared,
        "warnings": work.warnings,
    }
    out.result(document, _summary(document))
    if work.bad:
        sys.exit(1)


def _run(work: _Import, rows: Iterator[Row], after: int, step: Callable[..., None]) -> bool:
    """Bring in the rows that begin after a line; says whether a bad row has stopped it."""
    try:
        for row in rows:
            step(row.size)
            if row.line > after:
                work.take(row)
        work.store()
    except _Stop:
        work.is_strict = False  # for what is found out about the rows before
        work.store()
        return True
    return False


def _summary(report: Mapping[str, Any]) -> str:
    made = "would be made" if report["dry_run"] else "made"
    parts = [
        f"{report['created']} users {made}",
        f"{report['already_there']} already there",
        f"{report['bad']} bad rows",
        *([f"{report['shared_addresses']} with an address that another account has"] if report["warnings"] else []),
    ]
    begun = f"After line {report['began_after_line']}: " if report["began_after_line"] else ""
    ended = " Stopped at a bad row." if report["stopped"] else ""
    return f"{begun}{', '.join(parts)} of {report['rows']} rows.{ended}"


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream


def _digest(file: str) -> str | None:
    """Return what tells this file from others; None for what can be read only once."""
    if file == STANDARD_INPUT or not Path(file).is_file():
        return None
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]
