"""A bare database with one table, what is really in it, and threads whose writes are sure to form one group."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from idp.store.db import Database

TABLE = "CREATE TABLE notes (name VARCHAR(50) PRIMARY KEY)"


@dataclass
class Place:
    """A database, and what is really in it."""

    database: Database

    def names(self) -> set[str]:
        """The rows, read by the driver."""
        return {row["name"] for row in rows(self.database.url, "SELECT name FROM notes")}


def note(name: str) -> Callable[[Connection], str]:
    """A piece of work that writes one row."""

    def work(conn: Connection) -> str:
        conn.exec_driver_sql(f"INSERT INTO notes VALUES ('{name}')")
        return name

    return work


class Group:
    """Works that are sure to run in one group commit: they queue up while the first of all is held."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._held, self._may_go = threading.Event(), threading.Event()
        self.outcomes: dict[str, Any] = {}
        self.runners: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._hold, name="holder", daemon=True)]
        self._threads[0].start()
        assert self._held.wait(5)

    def _hold(self) -> None:
        def work(_conn: Connection) -> None:
            self._held.set()
            self._may_go.wait(10)

        self.database.writing(work)

    def add(self, name: str, work: Callable[[Connection], Any]) -> None:
        """Queue a piece of work in a thread of its own, after those before it."""

        def observed(conn: Connection) -> Any:
            self.runners[name] = threading.current_thread().name
            return work(conn)

        def run() -> None:
            try:
                self.outcomes[name] = self.database.writing(observed)
            except BaseException as error:
                self.outcomes[name] = error

        before = len(self.database._group._queue)
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        while len(self.database._group._queue) == before:
            thread.join(0.001)

    def go(self) -> dict[str, Any]:
        """Let them run; returns what each got: its result, or its exception."""
        self._may_go.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), f"{thread.name} waits for ever"
        return self.outcomes
