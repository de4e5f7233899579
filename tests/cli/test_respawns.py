"""Security §3, availability: workers that are killed come back, however often; one that cannot start ends the server."""

from __future__ import annotations

import time

from idp.cli.respawns import MANY, WINDOW, Respawns


def test_a_worker_killed_now_and_then_is_no_crash_loop() -> None:
    """Security S112: killed every two seconds, a worker is still respawned."""
    history, now = Respawns(), time.monotonic()
    for i in range(100):
        history[0] = now - 2.0 * (100 - i)
        history.clear()
        assert now - history.get(0, 0) > 5.5


def test_a_worker_that_never_starts_is_one() -> None:
    """Security §3: a worker that dies at once each time stops the server, which says so, instead of spinning."""
    history, now = Respawns(), time.monotonic()
    for i in range(MANY):
        assert now - history.get(0, 0) > 5.5
        history[0] = now - WINDOW / 2 + 0.01 * i
    assert history.get(0, 0) > now - WINDOW
    assert now - history.get(1, 0) > 5.5
