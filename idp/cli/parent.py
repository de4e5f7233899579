"""Ending with one's parent: a process beside the server never outlives it, not even when the server is killed with SIGKILL."""

from __future__ import annotations

import os
import signal
import threading
import time

INTERVAL = 0.25  # seconds between two looks
GRACE = 5.0  # seconds to stop in good order before the end


def end_with(parent: int) -> None:
    """Watch from a daemon thread: when ``parent`` is no longer this process's parent, stop as on SIGTERM, then at once."""
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    # SIGINT, not SIGTERM: there is nobody left whose readiness answer a load balancer would wait for.
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE)
    os._exit(1)
