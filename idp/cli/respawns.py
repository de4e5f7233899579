"""When a worker that dies again and again ends the server.

granian takes two deaths of a worker within five and a half seconds for a crash loop and stops everything. Workers are also killed
from outside (memory pressure, an operator, a test of failures), and a server that stops serving for that is worse than the
trouble. So it counts: only a worker that was respawned ten times in fifteen seconds cannot be helped.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque

MANY = 10
WINDOW = 15.0  # seconds


class Respawns(dict[int, float]):
    """In the place of granian's ``respawned_wrks``: worker number → when it was last respawned, if that is too often."""

    def __init__(self) -> None:
        """Begin without history."""
        super().__init__()
        self._times: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=MANY))

    def __setitem__(self, worker: int, at: float) -> None:
        """Note a respawn."""
        self._times[worker].append(at)

    def get(self, worker: int, default: float = 0) -> float:  # type: ignore[override]  # granian asks with a number
        """Return the last respawn of a worker in a crash loop, else a time long past, which granian takes for health."""
        times = self._times[worker]
        if len(times) == MANY and time.monotonic() - times[0] <= WINDOW:
            return times[-1]
        return default - 3600

    def clear(self) -> None:
        """Keep the history: granian clears it before each respawn."""
