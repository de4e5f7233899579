"""Statements that are compiled once and then go straight to the driver: what a hot request runs.

SQLAlchemy's way to execute a statement takes 40 µs of processor each time, the driver's 5. A statement is written as a Core
expression all the same; its text, the order of its parameters and the conversions of its types are SQLAlchemy's own, kept for
each dialect. Errors of the driver leave as SQLAlchemy's.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy.engine import Connection, Dialect, Row
    from sqlalchemy.sql.compiler import SQLCompiler

    Convert = Callable[[Any], Any]


class Answer:
    """What one execution gave: rows with attributes, or a count; to be read once and at once."""

    __slots__ = ("_cursor", "_text", "rowcount")

    def __init__(self, cursor: Any, text: _Text) -> None:
        self._cursor, self._text = cursor, text
        self.rowcount: int = cursor.rowcount

    def first(self) -> Row[Any] | None:
        """Return the first row, or None."""
        found = self._cursor.fetchone()
        self._cursor.close()  # on SQLite an open cursor holds on to the state of the database that it read
        return None if found is None else self._text.row(found)

    def scalar(self) -> Any:
        """Return the first column of the first row, or None."""
        found = self.first()
        return None if found is None else found[0]

    def all(self) -> list[Row[Any]]:
        """Return every row."""
        found = self._cursor.fetchall()
        self._cursor.close()
        return [self._text.row(row) for row in found]


class Prepared:
    """A statement, or one for each dialect's name; parameters are given by name."""

    __slots__ = ("_statement", "_texts")

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._texts: dict[tuple[str, ...], _Text] = {}

    def execute(self, conn: Connection, parameters: Mapping[str, Any]) -> Answer:
        """Run the statement; raises what SQLAlchemy raises."""
        dialect = conn.dialect
        key = (dialect.name, *parameters)
        text = self._texts.get(key)
        if text is None:
            statement = self._statement[dialect.name] if isinstance(self._statement, dict) else self._statement
            text = self._texts[key] = _Text(statement, dialect, list(parameters))
        driver: Any = conn.connection.driver_connection
        try:
            return Answer(driver.execute(text.sql, text.bound(parameters)), text)
        except dialect.loaded_dbapi.Error as error:
            raise exc.DBAPIError.instance(
                text.sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
            ) from error


class _Text:
    """A statement as one dialect's driver takes it, for parameters of these names."""

    __slots__ = ("_constants", "_conversions", "_make", "_order", "_read", "sql")

    def __init__(self, statement: Any, dialect: Dialect, names: list[str]) -> None:
        compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=names)
        self.sql = compiled.string
        self._order = tuple(compiled.positiontup or ()) if compiled.positional else None
        conversions = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        self._conversions: list[tuple[str, Convert]] = [
            (name, convert) for name, convert in conversions.items() if convert is not None and name in names
        ]
        # What the expression itself says (`count - 1`), and the defaults of columns that were not named.
        constants = dict(compiled.construct_params(dict.fromkeys(names)))
        for column in compiled.insert_prefetch:
            default: Any = column.default
            constants[column.key] = default.arg
        self._constants: dict[str, Any] = {}
        for name in constants.keys() - set(names):
            convert = conversions.get(name)
            self._constants[name] = constants[name] if convert is None else convert(constants[name])
        columns = compiled._result_columns  # noqa: SLF001 - those of RETURNING too, which have no public name
        self._make: Callable[[Iterable[Any]], Any] = namedtuple(  # type: ignore[attr-defined]  # noqa: PYI024 - made here
            "Row", [column.keyname for column in columns], rename=True
        )._make
        reads = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._read: list[tuple[int, Convert]] = [(place, read) for place, read in enumerate(reads) if read is not None]

    def bound(self, parameters: Mapping[str, Any]) -> Any:
        """Return the parameters as the driver takes them."""
        values = {**self._constants, **parameters} if self._constants else dict(parameters)
        for name, convert in self._conversions:
            values[name] = convert(values[name])
        return values if self._order is None else [values[name] for name in self._order]

    def row(self, found: Any) -> Row[Any]:
        """Return a row of the driver with its attributes."""
        if self._read:
            found = list(found)
            for place, read in self._read:
                found[place] = read(found[place])
        made: Row[Any] = self._make(found)
        return made
