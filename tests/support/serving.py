"""The product as it is served: real worker processes on a port, plain HTTP in front, and SQL of the test's own behind.

A :class:`Served` furnishes through a :class:`~house.House` on the same data folder, which is then one more process of the
installation: what it changes reaches the workers through the change feed. Its ``send`` has the signature of the house's, so
browsers and relying parties work in front of either. Ground truth is read with the driver, never through the product.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import psycopg
from house import Answer, Browser, House
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from house import RelyingParty

    from idp.tenancy.tenant import Tenant

T = TypeVar("T")

PORTS = range(19100, 19200)
START_SECONDS, STOP_SECONDS = 30.0, 10.0
FEED_SECONDS = 1.0  # within which every worker knows a change of configuration
_LISTEN, _ESTABLISHED = "0A", "01"


def free_port() -> int:
    """A port of this suite's range that nobody listens on."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise AssertionError(f"no free port in {PORTS}")


class Wire:
    """One keep-alive connection to the server."""

    def __init__(self, port: int, timeout: float = 30.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def send(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> Answer:
        """One request with exactly these headers."""
        line = self._connection
        line.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            line.putheader(name, value)
        if body is not None:
            line.putheader("content-length", str(len(body)))
        line.endheaders(body)
        response = line.getresponse()
        return Answer(response.status, response.getheaders(), response.read())

    @property
    def local_port(self) -> int:
        """The client's end, by which the worker at the other end can be found."""
        assert self._connection.sock is not None, "nothing was sent yet"
        return int(self._connection.sock.getsockname()[1])

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Served:
    """One installation, served by ``workers`` processes."""

    def __init__(self, folder: Path, *, workers: int = 2, **environ: str) -> None:
        """Furnish an installation in ``folder``; ``environ`` are further IDP_* variables. Nothing is started yet."""
        self.port = free_port()
        self.folder, self.count = folder, workers
        self.log = folder / "server.log"
        given = {
            "IDP_PUBLIC_URL": f"http://localhost:{self.port}",
            "IDP_ARGON2_MEMORY_KIB": "7168",
            "IDP_LOG_LEVEL": "warning",
            **environ,
        }
        self.house = House(folder / "var", **given)
        self.environ = {"IDP_DATA_DIR": str(folder / "var"), **given}
        self._process: subprocess.Popen[bytes] | None = None
        self._wires = threading.local()
        self._open: list[Wire] = []

    # -- the processes --------------------------------------------------------------------------------------------

    def command(self) -> list[str]:
        """The command line, as a user would type it."""
        listen = f"127.0.0.1:{self.port}"
        return [sys.executable, "-m", "idp.cli", "serve", "--listen", listen, "--workers", str(self.count)]

    def process_environ(self) -> dict[str, str]:
        """The environment of the server: this process's, with the installation's settings and no others."""
        return {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | self.environ

    def start(self, **environ: str) -> Self:
        """Start the server and wait until it answers."""
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                self.command(),
                env={**self.process_environ(), **environ},
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self.wait_for("/health/live", 200, START_SECONDS)
        eventually(lambda: len(self.workers()) == self.count, START_SECONDS, lambda: self.log.read_text()[-3000:])
        return self

    def wait_for(self, path: str, status: int, seconds: float) -> float:
        """Poll an address until it answers with ``status``; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self._process is not None and self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.once("GET", path).status == status:
                    return time.monotonic() - began
            time.sleep(0.02)
        raise AssertionError(f"{path} did not answer {status} in {seconds} s:\n{self.log.read_text()[-3000:]}")

    def workers(self) -> list[int]:
        """The process ids of the workers that hold the listening socket, without the process that watches over them."""
        assert self._process is not None
        listening = _inodes(self.port, _LISTEN)
        return [pid for pid in _group(self._process.pid) if pid != self._process.pid and listening & _sockets(pid)]

    @property
    def leader(self) -> int:
        """The process that was started: it watches over all others."""
        assert self._process is not None
        return self._process.pid

    def processes(self) -> list[int]:
        """Every process of the server."""
        assert self._process is not None
        return _group(self._process.pid)

    def worker_of(self, wire: Wire) -> int | None:
        """The process at the other end of a connection that has been answered once."""
        inode = _inodes(self.port, _ESTABLISHED, wire.local_port)
        return next((pid for pid in self.workers() if inode & _sockets(pid)), None)

    def kill(self) -> None:
        """SIGKILL every process of the server at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        self.hang_up()

    def stop(self) -> None:
        """Ask the server to end, then make it."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self.kill()

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.house.close()

    # -- requests -------------------------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        url: str,
        *,
        form: dict[str, str] | list[tuple[str, str]] | None = None,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        host: str | None = None,
        scheme: str = "http",
        wire: Wire | None = None,
    ) -> Answer:
        """Send any request on this thread's connection (or on ``wire``); one that the server has closed is opened anew."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        if form is not None:
            body = urlencode(form).encode()
            pairs.append(("content-type", "application/x-www-form-urlencoded"))
        del scheme
        lines = [("host", host or parts.netloc or f"localhost:{self.port}"), *pairs]
        if wire is not None:
            return wire.send(method, target, lines, body)
        kept: Wire | None = getattr(self._wires, "wire", None)
        if kept is not None:
            try:
                return kept.send(method, target, lines, body)
            except (
                http.client.RemoteDisconnected,
                http.client.CannotSendRequest,
                BrokenPipeError,
                ConnectionResetError,
            ):
                if method != "GET":  # it may have been done: whoever asked decides
                    self._wires.wire = None
                    raise
        self._wires.wire = self.wire()
        return self._wires.wire.send(method, target, lines, body)

    def once(self, method: str, url: str, **more: Any) -> Answer:
        """Send a request on a connection of its own."""
        wire = Wire(self.port)
        try:
            return self.send(method, url, wire=wire, **more)
        finally:
            wire.close()

    def get(self, tenant: Tenant, path: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
        """Get a path below the tenant's issuer."""
        return self.send("GET", tenant.base_path + path, headers=headers, host=tenant.host, **more)

    def post(
        self,
        tenant: Tenant,
        path: str,
        form: dict[str, str] | list[tuple[str, str]],
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        """Post a form to a path below the tenant's issuer."""
        return self.send("POST", tenant.base_path + path, form=form, headers=headers, host=tenant.host, **more)

    def wire(self) -> Wire:
        """A new connection, closed with the server."""
        made = Wire(self.port)
        self._open.append(made)
        return made

    def hang_up(self) -> None:
        """Close every connection."""
        for wire in self._open:
            wire.close()
        self._open.clear()
        self._wires = threading.local()

    # -- furnishing -----------------------------------------------------------------------------------------------

    def tenant(self, slug: str, domain: str | None = None, **settings: str) -> Tenant:
        """Make a tenant with the user ada@example.com."""
        return self.house.tenant(slug, domain, **settings)

    def client(self, tenant: Tenant, client_id: str = "rp", **more: Any) -> RelyingParty:
        """Register a client that speaks to the server."""
        return replace(self.house.client(tenant, client_id, **more), house=self)  # type: ignore[arg-type]

    def browser(self, tenant: Tenant) -> Browser:
        """A browser in front of the server."""
        return Browser(self, tenant)  # type: ignore[arg-type]

    # -- many at once ---------------------------------------------------------------------------------------------

    def race(self, number: int, work: Callable[[Wire, int], T]) -> tuple[list[T], Counter[int | None]]:
        """Run ``work(wire, i)`` in ``number`` threads that start together, each on a connection of its own that is open already.

        Returns the results, and how many of the connections each worker process had.
        """
        wires = [self.wire() for _ in range(number)]
        for wire in wires:
            assert self.send("GET", "/health/live", wire=wire).status == 200
        ends = Counter(self.worker_of(wire) for wire in wires)
        return together(number, lambda i: work(wires[i], i)), ends


def together(number: int, work: Callable[[int], T]) -> list[T]:
    """Run ``work(i)`` in ``number`` threads that start at one barrier; the first exception is raised."""
    barrier = threading.Barrier(number)
    results: list[Any] = [None] * number
    errors: list[BaseException] = []

    def one(i: int) -> None:
        try:
            barrier.wait(30)
            results[i] = work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread of the race hangs"
    if errors:
        raise errors[0]
    return results


def eventually(holds: Callable[[], Any], seconds: float, otherwise: Callable[[], Any] = lambda: "") -> float:
    """Wait until something holds; returns the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {otherwise()}"
        time.sleep(0.02)
    return time.monotonic() - began


# -- the databases, seen by the driver alone -----------------------------------------------------------------------------


@contextmanager
def sql(url: str) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Yield ``run(statement, *parameters)`` on a database by its URL; ``?`` marks a parameter on either kind."""
    if url.startswith("sqlite:///"):
        with contextlib.closing(
            sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
        ) as lite:
            lite.row_factory = sqlite3.Row
            yield lambda statement, *given: [dict(row) for row in lite.execute(statement, given).fetchall()]
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True, row_factory=dict_row) as line:

        def run(statement: str, *given: Any) -> list[dict[str, Any]]:
            cursor = line.execute(statement.replace("?", "%s"), given)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

        yield run


def rows(url: str, statement: str, *given: Any) -> list[dict[str, Any]]:
    """Run one statement and return its rows."""
    with sql(url) as run:
        return run(statement, *given)


def scalar(url: str, statement: str, *given: Any) -> Any:
    """Run one statement and return the only value."""
    (row,) = rows(url, statement, *given)
    (value,) = row.values()
    return value


# -- /proc: which process holds which socket -----------------------------------------------------------------------------


def _group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                cells = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(cells[2]) == leader and cells[0] != "Z":
                    found.append(int(entry.name))
    return found


def _inodes(port: int, state: str, remote_port: int | None = None) -> set[str]:
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        cells = line.split()
        is_here = int(cells[1].rpartition(":")[2], 16) == port and cells[3] == state
        if is_here and (remote_port is None or int(cells[2].rpartition(":")[2], 16) == remote_port):
            found.add(f"socket:[{cells[9]}]")
    return found


def _sockets(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(entry.readlink()))
    return found
