"""The origins of a tenant's registered redirect URIs: scripts there may read protocol answers (CORS).

Read once for all clients, then client by client as they change: where thousands register themselves, one more costs one row.
Must not know what an answer is.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from idp.oauth.client import Client
from idp.store.tenant import clients

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from idp.store.db import Database
    from idp.store.rows import Row

MOST_CHANGED = 200  # clients that are read one by one; of more, all are read


class Origins:
    """The origins of one tenant's active clients."""

    def __init__(self, database: Database) -> None:
        """Take where the clients are; they are read when somebody asks."""
        self._database = database
        self._guard = threading.Lock()  # never held while the database is asked
        self._of: dict[str, frozenset[str]] | None = None
        self._changed: dict[str, int] = {}  # which clients changed since they were read, and at what count of changes
        self._changes = self._version = 0
        self._all: frozenset[str] | None = None

    def get(self) -> frozenset[str]:
        """Return the origins of all active clients."""
        found = self._all
        return self._read() if found is None else found

    def forget(self, client_id: str) -> None:
        """Note that a client has changed."""
        with self._guard:
            self._all = None
            self._changes += 1
            self._changed[client_id] = self._changes

    def _read(self) -> frozenset[str]:
        with self._guard:
            known, changed, version = self._of, dict(self._changed), self._version
        if known is None or len(changed) > MOST_CHANGED:
            with self._database.reading() as conn:
                merged = _of(clients.list_all(conn))
        else:
            with self._database.reading() as conn:
                rows = clients.list_some(conn, changed)
            merged = {name: origins for name, origins in known.items() if name not in changed} | _of(rows)
        found = frozenset().union(*merged.values())
        with self._guard:
            if version == self._version:  # else somebody else has read meanwhile, perhaps something newer
                self._version += 1
                self._of = merged
                for client_id, change in changed.items():
                    if self._changed.get(client_id) == change:
                        del self._changed[client_id]
                self._all = None if self._changed else found
        return found


def _of(rows: Iterable[Row[Any]]) -> dict[str, frozenset[str]]:
    return {row.client_id: Client(row).origins for row in rows if row.state == "active"}
