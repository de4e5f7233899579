"""The product as an operator runs it: `idp serve` with two workers on a port, plain HTTP on loopback or TLS under a test CA.

Furnished through a :class:`~house.House` on the same data folder; clients through the registry that `idp client create` calls.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from certificates import Authority
from house import House

from idp.identity.accounts import By
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    from idp.tenancy.tenant import Tenant

ROOT = Path(__file__).resolve().parents[2]
PORTS = range(19400, 19600)
# Each process of a parallel run has a quarter of the range to itself.
_quarter = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4
_ports = itertools.cycle(PORTS[50 * _quarter : 50 * (_quarter + 1)])
START_SECONDS, STOP_SECONDS, FEED_SECONDS = 30.0, 10.0, 5.0


def need(program: str, package: str, *, is_there: bool) -> None:
    """Skip a test whose program is absent, naming the package that has it; with CI=true that is a failure."""
    if not is_there:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {program}: {package}")


def free_port() -> int:
    """A port that nobody listens on, never the same one twice; of a range of its own, so that tests beside this one keep theirs."""
    for port in itertools.islice(_ports, 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no free port in {PORTS}")


class Running:
    """One installation, served by `idp serve`."""

    def __init__(
        self,
        folder: Path,
        *,
        is_tls: bool,
        port: int = 0,
        public_url: str = "",
        names: tuple[str, ...] = ("localhost",),
        reaches: tuple[str, ...] = (),
    ) -> None:
        """Furnish an installation in ``folder``; nothing is started yet. ``names`` are those of the certificate.

        ``reaches`` are hosts on loopback that the product may fetch from and send to, under the test's root.
        """
        self.folder, self.is_tls, self.port = folder, is_tls, port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.url = public_url or f"{'https' if is_tls else 'http'}://localhost:{self.port}"
        self.authority = Authority(folder / "tls")
        self.certificate, self.key = self.authority.issue(*names)
        given = {"IDP_PUBLIC_URL": self.url, "IDP_ARGON2_MEMORY_KIB": "7168", "IDP_LOG_LEVEL": "warning"}
        if reaches:
            given |= {"IDP_ALLOWED_PRIVATE_HOSTS": ",".join(reaches), "IDP_CA_BUNDLE": str(self.authority.file)}
        self.house = House(folder / "var", **given)
        self.environ = {"IDP_DATA_DIR": str(folder / "var"), **given}
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.house.close()

    def start(self) -> Self:
        """Start the server and wait until it answers."""
        tls = ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)] if self.is_tls else []
        command = [
            sys.executable,
            "-m",
            "idp.cli",
            "serve",
            "--workers",
            "2",
            "--listen",
            f"127.0.0.1:{self.port}",
            *tls,
        ]
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                command,
                env=self._environ(),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self._is_live():
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """End the server and what it started."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def idp(self, *arguments: str, text: str = "") -> str:
        """Run the `idp` command on the installation and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "idp.cli", *arguments],
            env=self._environ(),
            cwd=ROOT,
            input=text,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tenant(self, slug: str, domain: str | None = None, **settings: str) -> Tenant:
        """Make a tenant with the user ada@example.com, for as many requests as a test sends."""
        return self.house.tenant(slug, domain, rate_limits="off", **settings)

    def client(self, tenant: Tenant, client_id: str, **metadata: Any) -> dict[str, Any]:
        """Register a client and return its document, with the secret."""
        registry = ClientRegistry(tenant, self.house.database(tenant), self.house.installation.feed)
        return registry.create({"client_id": client_id, **metadata}, by=By("operator")).document()

    def sql(self, tenant: Tenant, statement: str, *given: Any) -> None:
        """Change a tenant's database behind the product's back: what only time would do."""
        with (
            contextlib.closing(sqlite3.connect(tenant.database_url.removeprefix("sqlite:///"), timeout=10)) as database,
            database,
        ):
            database.execute(statement, given)

    def _environ(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | self.environ

    def _is_live(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.check_hostname = False
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
            if self.is_tls
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        )
        try:
            connection.request("GET", "/health/live", headers={"host": "localhost"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
