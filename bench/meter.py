"""Who used the processors while a measurement ran: the server, the bench itself, or somebody else.

A figure taken while other programs compete is worth less than it looks; processor time a request hardly changes. It reads
/proc (Linux), in clock ticks of 10 ms.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Meter:
    """Processor seconds between `with` and its end; `server` reads those of the server's process group."""

    server: Callable[[], float]
    server_seconds: float = 0.0
    foreign_share: float = 0.0

    def __enter__(self) -> Self:
        self._before = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        total, idle, server, own = (now - then for now, then in zip(self._read(), self._before, strict=True))
        self.server_seconds = server
        self.foreign_share = max(0.0, (total - idle - server - own) / max(total, 1e-9))

    _before: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def _read(self) -> tuple[float, float, float, float]:
        cells = [int(cell) / TICKS for cell in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        own = sum(
            usage.ru_utime + usage.ru_stime
            for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        )
        return sum(cells), cells[3] + cells[4], self.server(), own
