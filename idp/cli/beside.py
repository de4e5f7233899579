"""What runs beside the server: the worker process, on request the demo relying party, and the greeting when all answer."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING

from idp.jobs.companion import Companion

if TYPE_CHECKING:
    from idp.cli.commands import Output
    from idp.settings import Settings

PATIENCE = 60.0  # seconds that the first answer may take
DEMO_LISTEN = ("127.0.0.1", 8001)


class Beside:
    """The companions of one server process."""

    def __init__(self, settings: Settings, address: tuple[str, int], *, is_tls: bool, with_demo: bool, out: Output) -> None:
        """Prepare; nothing is started yet."""
        self._settings, self._address, self._is_tls, self._out = settings, address, is_tls, out
        self._with_demo = with_demo
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._running: list[Companion] = []

    def start(self) -> None:
        """Start the demo at once and the worker when the server answers: it must not delay the first answer."""
        if self._with_demo:
            self._run("demo-rp", "--listen", f"{DEMO_LISTEN[0]}:{DEMO_LISTEN[1]}")
        threading.Thread(target=self._greet_and_work, name="beside", daemon=True).start()

    def stop(self) -> None:
        """End the companions."""
        self._stopping.set()
        with self._guard:
            for companion in self._running:
                companion.stop()

    def _greet_and_work(self) -> None:
        is_up = self._wait(self._address, self._is_tls, "/health/live")
        if is_up and self._with_demo:
            self._wait(DEMO_LISTEN, False, "/")
        if self._stopping.is_set():
            return
        if is_up:
            self._greet()
        self._run("worker")

    def _greet(self) -> None:
        from idp.cli import greeting

        document = greeting.document(self._settings, self._address, is_tls=self._is_tls, with_demo=self._with_demo)
        self._out.result(document, lambda: greeting.show(document))
        sys.stdout.flush()

    def _run(self, *command: str) -> None:
        with self._guard:
            if self._stopping.is_set():
                return
            companion = Companion([sys.executable, "-m", "idp.cli", *command, "--parent", str(os.getpid())])
            self._running.append(companion)
            companion.start()

    def _wait(self, address: tuple[str, int], is_tls: bool, path: str) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._stopping.is_set():
            try:
                connection = _connection(address, is_tls)
                connection.request("GET", path, headers={"Host": "localhost"})
                if connection.getresponse().status < 500:
                    return True
            except (OSError, http.client.HTTPException):
                pass
            self._stopping.wait(0.02)
        return False


def _connection(address: tuple[str, int], is_tls: bool) -> http.client.HTTPConnection:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104 - compared, not bound
    if not is_tls:
        return http.client.HTTPConnection(host, address[1], timeout=2)
    # To see whether one's own listener answers; nothing is sent that anybody could learn from.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection(host, address[1], timeout=2, context=context)
