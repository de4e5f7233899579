"""The write-ahead log of one SQLite file, made durable after its lock was let go: whoever commits meanwhile shares the next sync.

A transaction that tasks share is committed with ``synchronous=NORMAL``, so that neither the lock nor the loop waits for the
disk; what it wrote counts as written only when a sync of the log that began afterwards has ended. Must not know who waits.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    Done = Callable[[OSError | None], None]


class LogSync:
    """Syncs the log of one file, one sync at a time."""

    def __init__(self, path: str, pool: Callable[[], Executor], rescue: Callable[[], bool]) -> None:
        """Take the database's path, the threads, and what copies the log into the database, sets :attr:`is_sound` and returns True."""
        self._log = f"{path}-wal"
        self._pool = pool
        self._rescue = rescue
        self.is_sound = True  # else the log has a gap: what follows it would be lost with it, so that nobody may write
        self._guard = threading.Lock()
        self._waiting: list[Done] = []
        self._is_running = False

    def later(self, done: Done) -> None:
        """Call ``done`` when all that is in the log now is durable, or with the error that prevents it; from another thread."""
        with self._guard:
            self._waiting.append(done)
            if self._is_running:
                return
            self._is_running = True
        try:
            self._pool().submit(self._run)
        except RuntimeError:  # no new thread can be started, or the process ends: here then
            self._run()

    def _run(self) -> None:
        while True:
            with self._guard:
                served, self._waiting = self._waiting, []
                if not served:
                    self._is_running = False
                    return
            error = self._sync()
            for done in served:
                done(error)

    def _sync(self) -> OSError | None:
        failed: OSError | None = None
        try:
            if self.is_sound:
                self._sync_log()
            else:
                failed = OSError(errno.EIO, os.strerror(errno.EIO))
        except FileNotFoundError:  # the last connection was closed: it has copied the log into the database, durably
            return None
        except OSError as error:  # asked again, the kernel may say yes though it has given the pages up
            self.is_sound = False
            failed = error
        if failed is not None and self._rescue():
            return None
        return failed

    def _sync_log(self) -> None:
        descriptor = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
