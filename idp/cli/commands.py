"""The shape of every command: `--json`, lazily imported groups, reading standard input, asking before what cannot be undone.

Owns how results are shown: tables and short sentences for people, one JSON document for programs. Must not know what the
commands do.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MOST_INPUT = 1_000_000  # characters that are read from standard input


class Failed(click.ClickException):
    """The command could not do its work; the sentence says what to do. Exit status 1."""

    exit_code = 1


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def __init__(self, *arguments: Any, commands_by_name: Mapping[str, tuple[str, str]], **more: Any) -> None:
        """Take the table: name → (module:attribute, one line of help)."""
        super().__init__(*arguments, **more)
        self._table = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the table's order."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])


class Output:
    """Where a command's result goes: a JSON document, or whatever reads well on a terminal."""

    def __init__(self, *, is_json: bool) -> None:
        """Choose."""
        self.is_json = is_json

    def result(self, document: Any, people: str | Callable[[], None] = "") -> None:
        """Show the result: ``document`` to a program; to a person a sentence, or what a function prints."""
        if self.is_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        elif callable(people):
            people()
        elif people:
            click.echo(people)

    def note(self, sentence: str) -> None:
        """Say something on standard error that is no part of the result."""
        click.echo(sentence, err=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print a plain table; ``empty`` is the sentence for no rows."""
    if not rows:
        click.echo(empty)
        return
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(_plain(cell) for cell in row))
    console().print(made)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(_plain(name), _plain(value))
    console().print(made)


def console() -> Any:
    """Return a console on the present standard output; nothing is cut off where no terminal gives a width."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=False, width=None if is_terminal else 200)


@contextmanager
def progress(out: Output, what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show a bar on a terminal's standard error; yields what to call after each step, or with how many there were."""
    if out.is_json or not sys.stderr.isatty():
        yield lambda _steps=1: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps=1: bar.advance(task, steps)


def _plain(text: str) -> Any:
    from rich.text import Text

    # What comes from a database may hold control characters that a terminal would obey.
    return Text("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--json``; the function gets an :class:`Output` first."""

    @click.option("--json", "is_json", is_flag=True, help="Print the result as JSON.")
    @functools.wraps(function)
    def wrapped(*arguments: Any, is_json: bool, **named: Any) -> Any:
        return function(Output(is_json=is_json), *arguments, **named)

    return wrapped


def standard_input() -> str:
    """Return everything on standard input; raises :class:`Failed` when it is too long or not UTF-8."""
    try:
        text = sys.stdin.read(MOST_INPUT + 1)
    except UnicodeDecodeError:
        raise Failed("Standard input is not UTF-8 text.") from None
    if len(text) > MOST_INPUT:
        raise Failed(f"Standard input is longer than {MOST_INPUT} characters.")
    return text


def password_from_input() -> str:
    """Return the password on standard input: everything but one trailing newline. On a terminal, ask without echo."""
    if sys.stdin.isatty():
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
        return asked
    return standard_input().removesuffix("\n").removesuffix("\r")


def json_from_input(what: str) -> dict[str, Any]:
    """Return the JSON object on standard input; raises :class:`Failed`."""
    if sys.stdin.isatty():
        click.echo(f"Type {what} as a JSON object, then Ctrl-D:", err=True)
    return json_object(standard_input(), f"Standard input must be {what} as a JSON object.")


def json_object(text: str, complaint: str) -> dict[str, Any]:
    """Read a JSON object; raises :class:`Failed` with the complaint and where the text goes wrong."""
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Failed(f"{complaint.rstrip('.')}{where}.") from None
    if not isinstance(found, dict):
        raise Failed(complaint)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def confirm(wanted: str, given: str | None, warning: str) -> None:
    """See to it that the person means it: ``wanted`` must be given by option, or typed on a terminal."""
    if given is None:
        click.echo(warning, err=True)
        if not sys.stdin.isatty():
            raise Failed(f"Nothing was done; to do it, add: --yes {wanted}")
        given = click.prompt(f"Type {wanted} to go on", err=True)
    if given != wanted:
        raise Failed(f"{given} is not {wanted}; nothing was done.")


def moment(seconds: int | None) -> str:
    """Return a time as people read it, in UTC."""
    from datetime import UTC, datetime

    return "" if not seconds else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
