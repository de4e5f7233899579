"""What reaches the databases, as their drivers see it: every statement of this process, BEGIN and COMMIT too."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import event
from sqlalchemy.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from house import House

PING = ("SELECT 1", ";", "")  # the pool's question whether a connection of PostgreSQL is alive
_VALUE = re.compile(r"'(?:[^']|'')*'|\bNULL\b|\b\d+\b")


@dataclass
class Counted:
    """The statements that reached a database."""

    statements: list[str] = field(default_factory=list)

    def add(self, statement: str) -> None:
        words = statement.strip()
        if words not in PING:
            self.statements.append(" ".join(words.split()))

    def starting(self, *words: str) -> int:
        return sum(statement.upper().startswith(words) for statement in self.statements)

    @property
    def cost(self) -> tuple[int, int, int]:
        """(reads, writes, transactions)."""
        return self.starting("SELECT", "WITH"), self.starting("INSERT", "UPDATE", "DELETE"), self.starting("BEGIN")

    @property
    def shapes(self) -> list[str]:
        """The statements without their values, which SQLite's driver shows filled in."""
        return [_VALUE.sub("?", statement) for statement in self.statements]


@contextmanager
def counting(house: House) -> Iterator[Counted]:
    """Count what every driver connection executes, BEGIN and COMMIT too; none is kept from before or for afterwards."""
    counted = Counted()

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            counted.add(query if isinstance(query, str) else str(query))
            return super().execute(query, params, **more)

    def watch(connection: Any, *_: Any) -> None:
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(counted.add)
        else:
            connection.cursor_factory = Cursor

    def leave(connection: Any, *_: Any) -> None:
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(None)
        else:
            connection.cursor_factory = psycopg.Cursor

    store = house.installation.store
    store.close_idle(0)
    store.control.connections.close()
    event.listen(Pool, "checkout", watch)
    event.listen(Pool, "checkin", leave)
    try:
        yield counted
    finally:
        store.close_idle(0)
        store.control.connections.close()
        event.remove(Pool, "checkout", watch)
        event.remove(Pool, "checkin", leave)
