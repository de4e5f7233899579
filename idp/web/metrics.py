"""Prometheus metrics of all workers, served on a listener of their own.

Owns the request histogram, the counters of the web kit, and the listener at `IDP_METRICS_LISTEN` (never the public one).
Workers write into memory-mapped files below the data folder (prometheus-client's multiprocess mode); the supervising
process sums them when asked. Labels are the endpoint's name from a fixed set and the status: never a tenant, a path or
a client. Must not know an endpoint.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.settings import Settings

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_MAX_SERIES = 600


def prepare(settings: Settings) -> None:
    """Empty the metrics folder and point prometheus-client at it; call once, in the supervising process, before it is imported.

    Does nothing without `IDP_METRICS_LISTEN`. Workers inherit the folder through the environment.
    """
    if not settings.metrics_listen:
        return
    if "prometheus_client.values" in sys.modules:
        raise RuntimeError("metrics.prepare must run before prometheus_client is imported")
    folder = settings.data_dir.resolve() / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    os.environ[_FOLDER_VARIABLE] = str(folder)


class Metrics:
    """What one process measures; `observe` takes about two microseconds."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Histogram

        self._requests = Histogram(
            "idp_request_seconds",
            "Time to answer a request, by endpoint and status.",
            ("endpoint", "status"),
            buckets=_BUCKETS,
        )
        self._events = Counter("idp_events", "Things that happened in the web kit, by name.", ("event",))
        self._deliveries = Counter(
            "idp_deliveries", "Attempts to deliver a message of the outbox, by kind and verdict.", ("kind", "verdict")
        )
        self._series: dict[tuple[str, int], Callable[[float], None]] = {}
        self._counters: dict[str, Callable[[], None]] = {}

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Note one answered request; `endpoint` comes from a fixed set of names."""
        series = self._series.get((endpoint, status))
        if series is None:
            series = self._new_series(endpoint, status)
        series(seconds)

    def count(self, event: str) -> None:
        """Count one `event`, a constant in the code such as `limiter_fallback`."""
        counter = self._counters.get(event)
        if counter is None:
            counter = self._counters[event] = self._events.labels(event).inc
        counter()

    def count_delivery(self, kind: str, verdict: str) -> None:
        """Count one attempt to deliver; both are constants in the code."""
        self._deliveries.labels(kind, verdict).inc()

    def _new_series(self, endpoint: str, status: int) -> Callable[[float], None]:
        if len(self._series) >= _MAX_SERIES:
            # A name that is not from a fixed set after all must not grow the files without bound.
            endpoint, status = "other", 0
        observe: Callable[[float], None] = self._requests.labels(endpoint, str(status)).observe
        if len(self._series) < _MAX_SERIES:
            self._series[endpoint, status] = observe
        return observe


def recorder(settings: Settings) -> Metrics | None:
    """Return what this process measures with, or None when no listener is configured."""
    return Metrics() if settings.metrics_listen else None


class Listener:
    """The metrics listener of the supervising process."""

    def __init__(self, server: Any, thread: Any) -> None:
        self._server, self._thread = server, thread

    @property
    def port(self) -> int:
        """The port that is listened on."""
        port: int = self._server.server_port
        return port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def listen(settings: Settings) -> Listener | None:
    """Serve the sum of all workers at `IDP_METRICS_LISTEN`; None when that is empty. Call in the supervising process."""
    if not settings.metrics_listen:
        return None
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    host, _, port = settings.metrics_listen.rpartition(":")
    return Listener(*start_http_server(int(port), addr=host.strip("[]") or "127.0.0.1", registry=registry))
