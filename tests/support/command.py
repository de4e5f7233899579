"""The `idp` command: in this process, as `bench/provision.py` calls it, and as a program that serves."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idp.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "plum-kettle-orbit-77"
PORTS = range(18820, 18900)


@dataclass
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, f"{self.status}: {self.err}"
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The error, which is one line and no traceback."""
        assert self.status != 0, self.out
        assert "Traceback" not in self.err
        lines = self.err.strip().splitlines()
        assert lines, "nothing was said"
        return lines[-1]


class Idp:
    """The command, with an environment of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
        self.environ = environ
        for name in [name for name in os.environ if name.startswith("IDP_") and not name.startswith("IDP_TEST_")]:
            monkeypatch.delenv(name)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    @property
    def folder(self) -> Path:
        return Path(self.environ["IDP_DATA_DIR"])

    def __call__(self, *arguments: str, given: str = "") -> Ran:
        """Run a command with ``given`` on its standard input."""
        argv, stdin = sys.argv, sys.stdin
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        sys.argv, sys.stdin = ["idp", *arguments], io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")
        status: object = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            status = end.code
        finally:
            sys.argv, sys.stdin = argv, stdin
        texts = []
        for stream in (out, err):
            stream.flush()
            stream.seek(0)
            texts.append(stream.read())
        return Ran(int(str(status or 0)), *texts)

    def client(self, tenant: str, **metadata: Any) -> dict[str, Any]:
        """Register a client."""
        found: dict[str, Any] = self("client", "create", tenant, "--json", given=json.dumps(metadata)).json
        return found


def free_port() -> int:
    """A port of this suite's range."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


class Program:
    """`idp serve` as a process group of its own."""

    def __init__(self, environ: dict[str, str], *arguments: str, terminal: int = subprocess.DEVNULL) -> None:
        self.url = environ["IDP_PUBLIC_URL"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "idp.cli", "serve", *arguments],
            env={**kept, **environ},
            cwd=ROOT,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def get(self, path: str, url: str | None = None) -> tuple[int, str]:
        """Status and body of an address."""
        context = ssl._create_unverified_context() if self.url.startswith("https") else None  # noqa: S323 - our own
        try:
            with urllib.request.urlopen((url or self.url) + path, timeout=5, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait(self, path: str = "/health/live", url: str | None = None, seconds: float = 30) -> float:
        """Wait for a 200; returns the seconds since the start."""
        while time.monotonic() - self.began < seconds:
            assert self.process.poll() is None, self.output()
            with contextlib.suppress(OSError):
                if self.get(path, url)[0] == 200:
                    return time.monotonic() - self.began
            time.sleep(0.02)
        raise AssertionError(f"no 200 at {path} in {seconds} s")

    def family(self) -> set[int]:
        """Every process of the group that lives."""
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    cells = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(cells[2]) == self.process.pid and cells[0] != "Z":
                        found.add(int(entry.name))
        return found

    def commands(self) -> str:
        """The command lines of the group."""
        lines = []
        for pid in self.family():
            with contextlib.suppress(OSError):
                lines.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        return "\n".join(lines)

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the server, or to the whole group as a terminal does."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def output(self) -> str:
        """What was written, once the process has ended."""
        return self.process.communicate(timeout=60)[0]

    def close(self) -> None:
        """End whatever is left."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def until(condition: Callable[[], object], seconds: float = 10) -> bool:
    """Wait for something; says whether it came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.03)
    return bool(condition())
