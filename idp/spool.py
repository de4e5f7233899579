"""The spool: an append-only file per worker process, for records that a request may not wait for.

A record is one line of JSON, handed to the kernel by one ``write`` in append mode: a killed process loses nothing, a power
cut at most what was written in the last 200 ms (one daemon thread flushes, only when something was written). Files change
when they are large; an owner holds a lock on its file, so that :mod:`idp.jobs.drain` knows which files are finished and
may be deleted. Nothing here ever raises into a request: what cannot be written is counted and reported once in the log.

This module must not know what the lines mean.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import threading
import time
import weakref
from json import JSONEncoder
from json import encoder as json_encoder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("idp.spool")

FLUSH_INTERVAL = 0.2  # seconds between a write and its flush to the disk, at most
MAX_FILE = 8 * 2**20  # bytes after which a new file is begun
MAX_TOTAL = 256 * 2**20  # bytes that all files of a folder may have together; more is lost, counted and reported
REMEASURE = 1.0  # seconds between looks at a folder that is full
CHUNK = 2**20  # bytes that a reader takes at once; far more than the longest record
SUFFIX = ".jsonl"


def _encoder() -> Callable[[Any], str]:
    make: Any = getattr(json_encoder, "c_make_encoder", None)
    if make is None:  # pragma: no cover - an interpreter without the C accelerator
        return JSONEncoder(separators=(",", ":")).encode
    # JSONEncoder.encode builds this object anew for each document, which is half of its time.
    prepared = make(None, None, json_encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda document: "".join(prepared(document, 0))


_encode = _encoder()


def files(directory: Path) -> list[Path]:
    """Return the spool files of a folder, oldest first."""
    found = [path for path in directory.iterdir() if path.name.endswith(SUFFIX)] if directory.is_dir() else []
    return sorted(found, key=lambda path: (path.name.rsplit("-", 2)[-2:], path.name))


def read_lines(fd: int, offset: int, size: int = CHUNK) -> tuple[list[tuple[int, bytes]], int]:
    """Return the complete lines from ``offset``, each with its place in the file, and where the next ones will begin."""
    block = os.pread(fd, size, offset)
    whole = block.rfind(b"\n") + 1
    if not whole and len(block) == size:  # no record is that long: skip what cannot be one
        return [], offset + size
    lines, place = [], offset
    for line in block[:whole].splitlines(keepends=True):
        lines.append((place, line))
        place += len(line)
    return lines, place


def lock_abandoned(fd: int) -> bool:
    """Say whether the owner of a spool file is gone or has moved on; its lock is then ours until ``fd`` is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class SpoolFile:
    """The spool of one worker process; open files are never shared with a forked child."""

    def __init__(
        self, directory: Path, worker_name: str, *, max_file: int = MAX_FILE, max_total: int = MAX_TOTAL
    ) -> None:
        """Create the folder; the file is created by the first record."""
        self.directory = directory
        self.lost = 0  # records that could not be written since the process started
        self._name = re.sub(r"[^A-Za-z0-9_-]", "_", worker_name)[:40] or "worker"
        self._max_file, self._max_total = max_file, max_total
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._retired: list[int] = []
        self._unreported = 0
        self._is_dirty = False
        self._begin_process()
        _living.add(self)

    def append(self, record: dict[str, Any], *, share: float = 1.0) -> bool:
        """Write one record; False when it was lost. ``share`` is the part of the space that this kind of record may fill."""
        line = _encode(record).encode("ascii") + b"\n"
        with self._guard:
            try:
                written = self._write(line, share)
            except OSError as error:
                written = False
                self._close()
                self._report(error)
            if not written:
                self.lost += 1
                self._unreported += 1
            elif self._unreported:
                log.error(
                    "the spool accepts records again; %d were lost", self._unreported, extra={"lost": self._unreported}
                )
                self._unreported = 0
        if written and not self._is_dirty:
            self._is_dirty = True
            self._wake.set()
        return written

    def flush(self) -> None:
        """Bring everything written so far to the disk."""
        with self._guard:
            self._is_dirty = False
            targets, self._retired = self._retired, []
            current = os.dup(self._fd) if self._fd >= 0 else -1
        for fd in (*targets, current):
            if fd >= 0:
                try:
                    os.fdatasync(fd)
                except OSError as error:
                    self._report(error)
                finally:
                    os.close(fd)

    def close(self) -> None:
        """Flush, and give the file up to whoever drains the folder."""
        self._stopped = True
        self._wake.set()
        with self._guard:
            self._close()
        self.flush()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _begin_process(self) -> None:
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._flusher: threading.Thread | None = None
        self._fd = -1
        self._size = 0  # of the file
        self._others = 0  # bytes in the folder beside the file
        self._measured = float("-inf")
        self._unreported = 0
        self._is_dirty = False
        self._is_torn = False
        self._stopped = False
        self._retired = []

    def _write(self, line: bytes, share: float) -> bool:
        if self._fd < 0 or self._size >= self._max_file:
            self._open_next()
        allowed = self._max_total * share
        if self._others + self._size + len(line) > allowed:
            if time.monotonic() - self._measured > REMEASURE:
                self._measure()
            if self._others + self._size + len(line) > allowed:
                self._report(
                    OSError(f"the spool folder holds {self._others + self._size} bytes that nobody has drained")
                )
                return False
        if self._is_torn:  # a line was cut short when the disk was full: end it, the reader skips it
            line = b"\n" + line
        done = os.write(self._fd, line)
        self._size += done
        self._is_torn = done < len(line)
        if self._is_torn:
            self._report(OSError("the disk took part of a record"))
        return not self._is_torn

    def _open_next(self) -> None:
        self._close()
        while True:
            path = self.directory / f"{self._name}-{time.time_ns():020}-{secrets.token_hex(4)}{SUFFIX}"
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # a drainer looked at the new file before we locked it
                os.close(fd)
                continue
            if os.fstat(fd).st_nlink:  # and had not deleted it
                break
            os.close(fd)
        self._fd, self._size, self._is_torn = fd, 0, False
        self._measure()
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_for_ever, name="spool-flush", daemon=True)
            self._flusher.start()

    def _measure(self) -> None:
        self._measured = time.monotonic()
        total = 0
        for entry in os.scandir(self.directory):
            try:
                total += entry.stat().st_size if entry.name.endswith(SUFFIX) else 0
            except FileNotFoundError:  # drained and deleted meanwhile
                continue
        self._others = max(0, total - self._size)

    def _close(self) -> None:
        if self._fd >= 0:
            self._retired.append(self._fd)
            self._fd = -1

    def _report(self, error: OSError) -> None:
        if not self._unreported:
            log.critical(
                "records are being lost: the spool cannot be written: %s", error, extra={"spool": str(self.directory)}
            )

    def _flush_for_ever(self) -> None:
        while not self._stopped:
            self._wake.wait()
            if not self._stopped:
                time.sleep(FLUSH_INTERVAL)
            self._wake.clear()
            self.flush()

    def _after_fork(self) -> None:
        inherited = (self._fd, *self._retired)
        self._begin_process()
        for fd in inherited:
            if fd >= 0:
                os.close(fd)


_living: weakref.WeakSet[SpoolFile] = weakref.WeakSet()


def _forget_inherited() -> None:
    for spool in list(_living):
        spool._after_fork()  # noqa: SLF001 - of this module


os.register_at_fork(after_in_child=_forget_inherited)
