"""The one clock (architecture §4): tests move it, also from threads, and it is where it was when all of them have ended."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from time import time

from idp.clock import now, shifted


def test_blocks_add_up() -> None:
    """Issue 3: a block within a block is further away."""
    with shifted(100), shifted(-30):
        assert abs(now() - time() - 70) < 3
    assert abs(now() - time()) < 3


def test_blocks_of_threads_may_end_in_any_order() -> None:
    """Issue 3: the clock of the process is right again whichever of two overlapping blocks ends last."""
    entered, left = threading.Event(), threading.Event()

    def other() -> None:
        with shifted(1000):
            entered.set()
            left.wait(10)

    thread = threading.Thread(target=other)
    with ExitStack() as mine:
        mine.enter_context(shifted(10))
        thread.start()
        assert entered.wait(10)
    assert abs(now() - time() - 1000) < 3, "the other one still lives in the future"
    left.set()
    thread.join()
    assert abs(now() - time()) < 3
