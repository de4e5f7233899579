"""Reading a file of users row by row: CSV with a header, or JSON lines. Memory is bounded by the longest row that is accepted.

What is wrong with one row is told with its line and stops nothing: an open quotation mark loses its own line only, not the file.
Must not know what a row's fields mean, beyond the types that CSV has no spelling for.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from idp.cli.commands import Failed
from idp.identity import standard_claims
from idp.identity.user_import import OWN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_LINE = 64 << 10  # bytes
MOST_LINES = 50  # of one row, whose quoted fields may contain line ends
DELIMITERS = ",;\t"
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it begins and ends, how many bytes were read for it, and its fields or what is wrong with it."""

    line: int
    end: int
    size: int
    fields: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    size: int
    text: str
    problem: str | None = None


def read(stream: IO[bytes], kind: str) -> Iterator[Row]:
    """Yield the rows of a file of ``kind`` csv or jsonl; raises :class:`Failed` when the file as a whole is none."""
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        raise Failed("The file is empty.")
    if first.problem is not None:
        raise Failed(f"This is no {kind} file of UTF-8 text: {first.problem}")
    return _csv(first, lines) if kind == "csv" else _json(first, lines)


def _lines(stream: IO[bytes]) -> Iterator[_Line]:
    """Yield the lines, without the mark that some programs write before the first; one that is too long is read past."""
    number = 0
    while raw := stream.readline(LONGEST_LINE + 1):
        number, size = number + 1, len(raw)
        if size > LONGEST_LINE:
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(LONGEST_LINE)
                size += len(raw)
            yield _Line(number, size, "", f"The line is longer than {LONGEST_LINE} bytes.")
            continue
        try:
            yield _Line(number, size, raw.removeprefix(_BYTE_ORDER_MARK if number == 1 else b"").decode())
        except UnicodeDecodeError as error:
            yield _Line(number, size, "", f"The line is not UTF-8 text (byte {error.start + 1}).")


def _json(first: _Line, lines: Iterator[_Line]) -> Iterator[Row]:
    if first.text.lstrip().startswith("["):
        raise Failed("This is a JSON array; write one object a line instead (jq -c '.[]').")
    return _json_rows(first, lines)


def _json_rows(first: _Line, lines: Iterator[_Line]) -> Iterator[Row]:
    waiting = deque([first])
    while line := waiting.popleft() if waiting else next(lines, None):
        fields, problem = _json_object(line)
        if line.text.strip() or problem:
            yield Row(line.number, line.number, line.size, fields, problem)


def _json_object(line: _Line) -> tuple[dict[str, Any], str | None]:
    if line.problem is not None or not line.text.strip():
        return {}, line.problem
    try:
        found = json.loads(line.text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        where = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        return {}, f"The line is not a JSON object{where}."
    return (found, None) if isinstance(found, dict) else ({}, "The line is not a JSON object.")


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _csv(first: _Line, lines: Iterator[_Line]) -> Iterator[Row]:
    delimiter = max(DELIMITERS, key=first.text.count)
    return _csv_rows(_header(first.text, delimiter), lines, delimiter)


def _header(text: str, delimiter: str) -> list[str]:
    try:
        names = [name.strip() for name in _cells(text, delimiter)]
    except csv.Error:
        raise Failed("The first line is not a header of CSV.") from None
    for name in names:
        base = name.partition(".")[0] if name.startswith("address.") else name.partition("#")[0]
        if base not in OWN_COLUMNS and not standard_claims.is_known(base):
            shown = f"{name[:40]!r}"
            raise Failed(
                f"The column {shown} is not known; there are {', '.join(OWN_COLUMNS)} and the standard claims of OpenID Connect."
                " Delete it, or give it one of these names."
            )
    if len(set(names)) < len(names):
        raise Failed("The header has a name twice.")
    if not {"username", "email"} & set(names):
        raise Failed("The header has neither username nor email.")
    return names


def _csv_rows(names: list[str], lines: Iterator[_Line], delimiter: str) -> Iterator[Row]:
    waiting: deque[_Line] = deque()  # lines that were taken for a part of a row before and are rows of their own
    while first := waiting.popleft() if waiting else next(lines, None):
        taken, is_open = [first], first.problem is None and first.text.count('"') % 2 == 1
        while is_open and len(taken) < MOST_LINES and sum(line.size for line in taken) < LONGEST_LINE:
            more = waiting.popleft() if waiting else next(lines, None)
            if more is None:
                break
            taken.append(more)
            if more.problem is not None:
                break
            is_open ^= more.text.count('"') % 2 == 1
        if is_open:
            waiting.extendleft(reversed(taken[1:]))
            yield Row(first.number, first.number, first.size, {}, "A quotation mark is not closed.")
            continue
        size, end = sum(line.size for line in taken), taken[-1].number
        if first.problem is not None:
            yield Row(first.number, end, size, {}, first.problem)
        elif text := "".join(line.text for line in taken).rstrip("\r\n"):
            try:
                yield Row(first.number, end, size, _fields(names, _cells(text, delimiter)))
            except (csv.Error, ValueError) as error:
                yield Row(first.number, end, size, {}, f"The row cannot be read: {error}.")


def _cells(text: str, delimiter: str) -> list[str]:
    rows = list(csv.reader(text.rstrip("\r\n").splitlines(keepends=True), delimiter=delimiter, strict=True))
    if len(rows) != 1:
        raise csv.Error("a line ends inside it")
    return rows[0]


def _fields(names: list[str], cells: list[str]) -> dict[str, Any]:
    """Return the cells by name with the types that they have in JSON; an empty cell says nothing. Raises ValueError."""
    if len(cells) != len(names):
        raise ValueError(f"it has {len(cells)} fields, the header {len(names)}")
    found: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        text = cell.strip()
        if not text:
            continue
        if name.endswith("_verified"):
            if text.lower() not in _BOOLEANS:
                raise ValueError(f"{name} must be true or false")
            found[name] = _BOOLEANS[text.lower()]
        elif name == "roles":
            found[name] = text.replace(",", " ").replace(";", " ").replace("|", " ").split()
        elif name.startswith("address."):
            found.setdefault("address", {})[name.removeprefix("address.")] = text
        elif name == "address":
            found.setdefault("address", {})["formatted"] = text
        else:
            found[name] = text
    return found
