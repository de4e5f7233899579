"""A real granian server on loopback, started once for each group of settings."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    """One response read from a raw socket."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    closed: bool
    rest: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    metrics_port: int = 0
    data: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def connect(self, timeout: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def raw(self, request: bytes, *, timeout: float = 10.0) -> Answer:
        """Send bytes and read one response, then see whether the server closes or has more to say."""
        with self.connect(timeout) as connection:
            with suppress(OSError):  # the server may answer and close before it has read a huge request
                connection.sendall(request)
            return read_answer(connection, head_only=request.startswith(b"HEAD"))

    def text(self) -> str:
        return self.log.read_text("utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=40)


def read_answer(connection: socket.socket, *, head_only: bool = False) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"closed without an answer: {data!r}")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    length = 0 if head_only else int(dict(headers).get("content-length", "0"))
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    connection.settimeout(0.3)
    rest, closed = body[length:], False
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                closed = True
                break
            rest += piece
    except TimeoutError:
        pass
    except ConnectionError:
        closed = True
    return Answer(int(lines[0].split()[1]), headers, body[:length], closed, rest)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Start servers with settings given as keywords: `serve(workers=2, IDP_ENV="production")`."""
    running: list[Served] = []

    def start(workers: int = 1, *, metrics: bool = False, **settings: str) -> Served:
        folder = tmp_path_factory.mktemp("served")
        port, metrics_port = free_port(), free_port() if metrics else 0
        environ = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
        environ |= {"PYTHONPATH": str(ROOT), "IDP_DATA_DIR": str(folder / "var")} | settings
        if metrics:
            environ["IDP_METRICS_LISTEN"] = f"127.0.0.1:{metrics_port}"
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("served.py")), str(port), str(workers)],
                env=environ,
                stdout=out,
                stderr=out,
                cwd=folder,
            )
        served = Served(port, process, log, metrics_port, folder)
        running.append(served)
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=2)
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise AssertionError(f"the server did not start:\n{served.text()}") from None
                time.sleep(0.05)
        return served

    yield start
    for served in running:
        served.stop()


@pytest.fixture(scope="module")
def server(serve: Callable[..., Served]) -> Served:
    """One worker with default settings, its bodies limited to two seconds."""
    return serve()
