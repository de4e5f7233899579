"""What runs beside the server: the worker process, on request the demo relying party, and the greeting when all answer."""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from idp.jobs.companion import Companion
from idp.web import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.cli.commands import Output
    from idp.settings import Settings
    from idp.web.metrics import Listener

_COMMAND = (sys.executable, "-m", "idp.cli")
STOP_SECONDS = 3.0
PATIENCE = 60.0  # seconds that the first answer may take


class Beside:
    """The companions of one server process."""

    def __init__(
        self, settings: Settings, address: tuple[str, int], *, is_tls: bool, demo: tuple[str, int] | None, out: Output
    ) -> None:
        """Prepare; nothing is started yet. ``demo`` is where the demo relying party listens."""
        self._settings, self._address, self._is_tls, self._out = settings, address, is_tls, out
        self._demo = demo
        self._demo_process: subprocess.Popen[bytes] | None = None
        self._metrics: Listener | None = None
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._worker: Companion | None = None

    def start_demo(self) -> None:
        """Start the demo relying party, if it is wanted; call it before there is any thread."""
        if self._demo is not None:
            command = [
                *_COMMAND,
                "demo-rp",
                "--listen",
                f"{self._demo[0]}:{self._demo[1]}",
                "--parent",
                str(os.getpid()),
            ]
            self._demo_process = subprocess.Popen(command)  # noqa: S603 - our own program

    def start(self, is_forked: Callable[[], bool]) -> None:
        """Start everything once ``is_forked`` says that the server's workers have been forked.

        Until then nothing may run in a thread: a lock that it holds at that moment (of an import, for instance) would be
        held in the worker for ever.
        """
        threading.Thread(target=self._start_all, args=(is_forked,), name="beside", daemon=True).start()

    def stop(self) -> None:
        """End the companions."""
        self._stopping.set()
        with self._guard:
            if self._worker is not None:
                self._worker.stop()
        if self._demo_process is not None:
            self._demo_process.terminate()
            try:
                self._demo_process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._demo_process.kill()
                self._demo_process.wait()
        if self._metrics is not None:
            self._metrics.close()

    def _start_all(self, is_forked: Callable[[], bool]) -> None:
        while not is_forked() and not self._stopping.is_set():
            time.sleep(0.01)
        self._metrics = metrics.listen(self._settings)
        is_up = self._wait(self._address, "/health/live", is_tls=self._is_tls)
        if is_up and self._demo is not None:
            self._wait(self._demo, "/", is_tls=False)
        if self._stopping.is_set():
            return
        if is_up:
            self._greet()
        self._start_worker()  # last, for it must not delay the first answer

    def _greet(self) -> None:
        from idp.cli import greeting

        document = greeting.document(self._settings, self._address, is_tls=self._is_tls, demo=self._demo)
        self._out.result(document, lambda: greeting.show(document))
        sys.stdout.flush()

    def _start_worker(self) -> None:
        with self._guard:
            if not self._stopping.is_set():
                self._worker = Companion([*_COMMAND, "worker", "--parent", str(os.getpid())])
                self._worker.start()

    def _wait(self, address: tuple[str, int], path: str, *, is_tls: bool) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._stopping.is_set():
            try:
                connection = _connection(address, is_tls=is_tls)
                connection.request("GET", path, headers={"Host": "localhost"})
                if connection.getresponse().status < 500:
                    return True
            except (OSError, http.client.HTTPException):
                pass
            self._stopping.wait(0.02)
        return False


def _connection(address: tuple[str, int], *, is_tls: bool) -> http.client.HTTPConnection:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104 - compared, not bound
    if not is_tls:
        return http.client.HTTPConnection(host, address[1], timeout=2)
    # To see whether one's own listener answers; nothing is sent that anybody could learn from.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection(host, address[1], timeout=2, context=context)
