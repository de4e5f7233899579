"""The one clock: UTC as whole epoch seconds.

Every lifetime in the product is computed from :func:`now`, so that a test can move time without touching the machine.
Durations inside a process (timeouts, rates) use ``time.monotonic`` instead, which no clock jump can disturb.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_offset = 0
_guard = threading.Lock()


def now() -> int:
    """Return the current time in seconds since the epoch, UTC."""
    return int(time.time()) + _offset


@contextmanager
def shifted(seconds: int) -> Iterator[None]:
    """Let the process live ``seconds`` in the future (or past, if negative) for the duration of the block; blocks add up."""
    _move(seconds)
    try:
        yield
    finally:
        _move(-seconds)  # not back to what it was: blocks of two threads need not end in the order in which they began


def _move(seconds: int) -> None:
    global _offset  # noqa: PLW0603 - the process has one clock
    with _guard:
        _offset += seconds
