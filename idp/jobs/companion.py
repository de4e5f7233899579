"""The worker process beside a server: started with it, started again when it dies, gone when the server is gone."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger("idp.jobs.companion")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds until a worker that died is started again
STABLE = 60.0  # seconds after which a worker counts as having worked


class Companion:
    """Keeps one process running. The process must watch its parent by itself (see :func:`idp.jobs.worker.run_process`)."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        """Take the command, with the server's process id among its arguments; nothing is started yet."""
        self._command, self._environ = list(command), environ
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="companion", daemon=True)

    def start(self) -> None:
        """Start the process and watch over it."""
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        """Ask the process to end, and end it when it does not."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(seconds)

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._process = subprocess.Popen(self._command, env=self._environ)  # noqa: S603 - our own program
                if self._stopping.is_set():  # stop() came in between and did not see it
                    self._process.terminate()
                code = self._process.wait()
            except OSError as error:
                code = error.errno or 1
            if self._stopping.is_set():
                return
            pause = FIRST_PAUSE if time.monotonic() - began > STABLE else min(LONGEST_PAUSE, pause * 2)
            log.error("the worker process ended with %s; another is started in %.0f s", code, pause)
            self._stopping.wait(pause)
