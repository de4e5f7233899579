"""Liveness and readiness for load balancers and operators.

Owns `/health/live` (the process answers; no database) and `/health/ready` (each probe passed within a second; 503 while
draining). The answer names no component: details go to the log, which operators read. Must not know what a probe does.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from idp.web.http import Response, json_response
from idp.web.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIVE_PATH = "/health/live"
READY_PATH = "/health/ready"
_CACHE_SECONDS = 1.0
_PROBE_SECONDS = 1.0


class Draining:
    """Whether this process is about to stop; set once, read by readiness before anything stops."""

    def __init__(self) -> None:
        self.active = False

    def begin(self) -> None:
        """From now on readiness answers 503, while requests are still served."""
        self.active = True


class Health:
    """The two health answers of a process; a probe is a callable that raises when its component is not usable."""

    def __init__(self, probes: Mapping[str, Callable[[], object]], draining: Draining | None = None) -> None:
        self.draining = draining or Draining()
        self._probes = dict(probes)
        self._running: dict[str, Future[object]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._failing: tuple[str, ...] = ()

    def live(self) -> Response:
        """Answer that the process runs."""
        return json_response(200, {"status": "live"})

    def fresh(self) -> Response | None:
        """Return the readiness answer when it needs no probing, else None; never blocks."""
        if self.draining.active:
            return _unready("draining")
        if time.monotonic() - self._checked_at < _CACHE_SECONDS:
            return _unready("unavailable") if self._failing else json_response(200, {"status": "ready"})
        return None

    def ready(self) -> Response:
        """Answer whether requests can be served; blocks for a second at most."""
        with self._lock:
            known = self.fresh()
            if known is not None:
                return known
            failing = self._probe()
            if failing != self._failing:
                get_logger(__name__).warning("readiness_changed", failing=list(failing))
            self._failing = failing
            self._checked_at = time.monotonic()
        return self.fresh() or _unready("unavailable")

    def _probe(self) -> tuple[str, ...]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max(1, len(self._probes)), thread_name_prefix="probe")
        for name, probe in self._probes.items():
            # A probe that still hangs from the last time is not started again: it holds its one thread.
            if name not in self._running:
                self._running[name] = self._pool.submit(probe)
        wait(self._running.values(), timeout=_PROBE_SECONDS)
        failing = []
        for name, running in list(self._running.items()):
            if not running.done():
                failing.append(name)
                continue
            del self._running[name]
            error = running.exception()
            if error is not None:
                failing.append(name)
                get_logger(__name__).warning("probe_failed", probe=name, error=type(error).__name__)
        return tuple(failing)


def _unready(status: str) -> Response:
    return json_response(503, {"status": status}, [("retry-after", "1")])
