"""Servers as process groups: started, watched for memory, and never left behind.

It reads /proc (Linux) and knows nothing of HTTP beyond "the first 200".
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.wire import Connection, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STOP_SECONDS = 10.0
START_SECONDS = 60.0
POLL_SECONDS = 0.005
SAMPLE_SECONDS = 0.5
PR_SET_PDEATHSIG = 1
MEBIBYTE_IN_KIB = 1024


class StartError(Exception):
    """A server did not answer in time; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Peaks in MiB: the largest process' RSS and PSS, and the PSS of the whole group."""

    worker_rss: float
    worker_pss: float
    group_pss: float


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                found.setdefault(parent, []).append(int(entry.name))
    return found


def _family(pid: int) -> Iterator[int]:
    children, waiting = _children(), [pid]
    while waiting:
        member = waiting.pop()
        yield member
        waiting += children.get(member, [])


def _kib(path: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0


class Server:
    """A started server, its process group and the peaks of its memory."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as sink:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )
        self._peaks: dict[int, tuple[float, float]] = {}
        self._group_peak = 0.0
        self._watching = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def first_answer(self, address: tuple[str, int], host: str, path: str) -> float:
        """Wait for the first 200 at `path`; return the seconds since the process was spawned."""
        while time.perf_counter() - self.started < START_SECONDS:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, WireError), Connection(address, host) as connection:
                if connection.get(path).status == 200:
                    return time.perf_counter() - self.started
            time.sleep(POLL_SECONDS)
        tail = self._log.read_text(errors="replace")[-2000:]
        self.stop()
        message = f"no 200 at {path} within {START_SECONDS:.0f} s:\n{tail}"
        raise StartError(message)

    def processor_seconds(self) -> float:
        """Return the processor time of the group so far, with that of children already gone."""
        total = 0
        for pid in _family(self._process.pid):
            with contextlib.suppress(OSError):
                cells = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, cells[11:15]))
        return total / os.sysconf("SC_CLK_TCK")

    def watch(self) -> None:
        """Sample the memory of every process of the group until it is asked for."""
        self._watcher = threading.Thread(target=self._sample, daemon=True)
        self._watcher.start()

    def memory(self) -> Memory:
        """Stop sampling and return the peaks; RSS is the kernel's own high-water mark."""
        self._watching.set()
        if self._watcher is not None:
            self._watcher.join()
        self._sample_once()
        workers = [peaks for pid, peaks in self._peaks.items() if pid != self._process.pid] or [(0.0, 0.0)]
        return Memory(max(rss for rss, _ in workers), max(pss for _, pss in workers), self._group_peak)

    def peak_worker(self) -> float:
        """Return the largest worker's peak RSS so far, in MiB."""
        self._sample_once()
        return max((rss for pid, (rss, _) in self._peaks.items() if pid != self._process.pid), default=0.0)

    def _sample(self) -> None:
        while not self._watching.wait(SAMPLE_SECONDS):
            self._sample_once()

    def _sample_once(self) -> None:
        total = 0.0
        for pid in _family(self._process.pid):
            folder = Path(f"/proc/{pid}")
            rss = _kib(folder / "status", "VmHWM:") / MEBIBYTE_IN_KIB
            pss = _kib(folder / "smaps_rollup", "Pss:") / MEBIBYTE_IN_KIB
            before = self._peaks.get(pid, (0.0, 0.0))
            self._peaks[pid] = (max(before[0], rss), max(before[1], pss))
            total += pss
        self._group_peak = max(self._group_peak, total)

    def stop(self) -> None:
        """Ask the group to end, then make it; nothing of it is alive afterwards."""
        self._watching.set()
        family = set(_family(self._process.pid))
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pid in family - {self._process.pid}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(pid) == self._process.pid:
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()
