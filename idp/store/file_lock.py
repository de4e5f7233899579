"""The lock that writers of one SQLite file take turns on, across processes: quick, and fair.

SQLite's own waiting is a sleep without a queue. An ``flock`` on a file beside the database is quicker, but a process that
takes it again at once would leave one that sleeps behind for ever. So there is a turnstile, a second file: everybody passes
it on the way to the lock, and who has waited longer than :data:`PATIENCE` stands in it until the lock is free.
"""

from __future__ import annotations

import fcntl
import os
import time

PATIENCE = 0.004  # seconds of waiting after which the others have to let one go first
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0001, 0.002
SUFFIXES = (".lock", ".turn")


class FileLock:
    """The lock of one database file; one thread of a process uses it at a time."""

    def __init__(self, path: str) -> None:
        """Take the database's path; nothing is opened until the first :meth:`acquire`."""
        self._path = path
        self._lock = self._turnstile = -1

    def acquire(self, timeout: float) -> None:
        """Take the lock; raises :class:`BlockingIOError` after ``timeout`` seconds, OSError when the files cannot be opened."""
        if self._lock < 0:
            self._lock, self._turnstile = self._open()
        began = time.monotonic()
        deadline = began + timeout
        _wait_for(self._turnstile, deadline, _SHORTEST_PAUSE)
        fcntl.flock(self._turnstile, fcntl.LOCK_UN)
        if _try(self._lock):
            return
        try:
            _wait_for(self._lock, min(deadline, began + PATIENCE), _SHORTEST_PAUSE)
        except BlockingIOError:
            self._acquire_next(deadline)

    def is_free(self) -> bool:
        """Say whether nobody else holds the lock this moment; True also when that cannot be known yet."""
        if self._lock < 0:
            return True
        try:
            is_free = _try(self._lock)
            if is_free:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
        except OSError:  # whoever wants the lock will be told
            return True
        return is_free

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files; a later :meth:`acquire` opens them again."""
        for descriptor in (self._lock, self._turnstile):
            if descriptor >= 0:
                os.close(descriptor)
        self._lock = self._turnstile = -1

    def _acquire_next(self, deadline: float) -> None:
        """Stand in the turnstile until the lock is free: nobody who comes later gets it before."""
        _wait_for(self._turnstile, deadline, _SHORTEST_PAUSE)
        try:
            _wait_for(self._lock, deadline, _SHORTEST_PAUSE, grows=False)
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def _open(self) -> tuple[int, int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(self._path + SUFFIXES[0], flags, 0o600)
        try:
            return lock, os.open(self._path + SUFFIXES[1], flags, 0o600)
        except OSError:
            os.close(lock)
            raise


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for(descriptor: int, deadline: float, pause: float, *, grows: bool = True) -> None:
    while not _try(descriptor):
        if time.monotonic() > deadline:
            raise BlockingIOError
        time.sleep(pause)
        if grows:
            pause = min(pause * 1.5, _LONGEST_PAUSE)
