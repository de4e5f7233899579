"""One JSON line a request, cheap enough for the hot path.

Owns the access log: a line is a formatted string handed to one writing thread, so that neither the event loop nor a
worker thread ever waits for the log. Query strings are never written, and secrets in a path are replaced. Must not
know what is asked.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import deque
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.settings import Settings

_FLUSH_SECONDS = 0.2
_MAX_PENDING = 20_000
# The secret of a webhook is base64, of which a slash makes shorter pieces.
_long_piece = re.compile(r"whsec_[A-Za-z0-9+/_=%-]{16,}|[A-Za-z0-9_.~-]{40,}")


class AccessLog:
    """Collects lines and writes them in batches, at most 20,000 waiting; more are counted and dropped."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._pending: deque[str] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._second, self._stamp = 0, ""

    def add(
        self, method: str, path: str, endpoint: str, status: int, seconds: float, remote: str, request_id: str
    ) -> None:
        """Note one answered request; `seconds` is how long the answer took."""
        pending = self._pending
        if len(pending) >= _MAX_PENDING:
            self._dropped += 1
            return
        now = int(time.time())
        if now != self._second:
            self._second, self._stamp = now, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        if len(path) >= 40:
            path = _long_piece.sub("[redacted]", path[:500])
        pending.append(
            f'{{"timestamp":"{self._stamp}","level":"info","event":"request","method":{quoted(method[:20])},'
            f'"path":{quoted(path)},"endpoint":"{endpoint}","status":{status},"ms":{seconds * 1000:.2f},'
            f'"remote":{quoted(remote)},"request_id":"{request_id}"}}\n'
        )
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what is waiting."""
        pending, lines = self._pending, []
        while pending:
            lines.append(pending.popleft())
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(f'{{"level":"warning","event":"access_lines_dropped","count":{dropped}}}\n')
        if lines:
            self._write("".join(lines))

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(_FLUSH_SECONDS)
            self._wake.clear()
            try:
                self.flush()
            except (OSError, ValueError):
                # The log's other end is gone; requests go on.
                self._dropped += 1


def access_log(settings: Settings, stream: TextIO | None = None) -> AccessLog | None:
    """Return the access log of the settings, or None when it is switched off or the level is above info."""
    if not settings.access_log or settings.log_level not in ("debug", "info"):
        return None
    out = stream or sys.stderr

    def write(text: str) -> None:
        out.write(text)
        out.flush()

    return AccessLog(write)
