"""The change feed: each worker learns within a second what any other has changed, by one query for all tenants.

Whoever changes configuration wraps the change in :meth:`ChangeFeed.announced`; whoever caches configuration subscribes.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from idp.errors import StorageUnavailable
from idp.store.control import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from idp.store.db import Database

log = logging.getLogger("idp.tenancy.feed")

INTERVAL = 0.5  # seconds between two looks at the feed

Subscriber = "Callable[[str, str, str], None]"  # tenant id, kind, subject


class ChangeFeed:
    """Reads the feed, by hand or by a daemon thread, and tells its subscribers."""

    def __init__(self, control: Database) -> None:
        """Start at the newest change: nothing older can be in a cache of this process."""
        self._control = control
        self._subscribers: list[Callable[[str, str, str], None]] = []
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        with control.reading() as conn:
            self.seq = changes.latest(conn)

    def subscribe(self, tell: Callable[[str, str, str], None]) -> None:
        """Have ``tell(tenant_id, kind, subject)`` called for each change; it must be quick and must not raise."""
        self._subscribers.append(tell)

    def poll(self) -> None:
        """Read what is new and tell the subscribers."""
        with self._guard:
            with self._control.reading() as conn:
                found = changes.after(conn, self.seq)
            for change in found:
                self.seq = change.seq
                for tell in self._subscribers:
                    tell(change.tenant_id, change.kind, change.subject)

    @contextmanager
    def announced(self, tenant_id: str, kind: str, subject: str = "") -> Iterator[None]:
        """Announce a change before and after it is made; this process has applied it when the block is left."""
        self._control.writing(lambda conn: changes.announce(conn, tenant_id, kind, subject))
        try:
            yield
        finally:
            self._control.writing(lambda conn: changes.announce(conn, tenant_id, kind, subject))
            self.poll()

    def start(self) -> None:
        """Poll from a daemon thread until :meth:`stop`; a lost control database is retried for ever."""
        self._thread = threading.Thread(target=self._run, name="change-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL):
            try:
                self.poll()
            except StorageUnavailable:  # served from memory meanwhile; readiness reports the loss
                continue
            except Exception:
                # A worker that hears of no change any more would go on letting disabled clients in.
                log.exception("the change feed could not be read")
