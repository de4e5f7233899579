"""The servers of the bench and how a user starts each: the identity provider and its three peers.

Two worker processes each, on loopback, one server at a time. Nothing here knows what is asked of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from joserfc.jwk import ECKey, RSAKey

from bench import raw
from bench.processes import Server, StartError
from bench.targets import HYBRID, Client, Target, User, fresh_secret, hybrid_metadata, service_metadata, web_metadata
from bench.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BENCH = Path(__file__).parent
WORKERS = 2
AUTHSEC, FLASK, AUTHLIB, NODE = "authsec", "flask", "authlib", "node"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who appears at every server: the same user, password and clients."""

    user: User = field(default_factory=lambda: User("bench@bench.example", f"Bench-{fresh_secret()}"))
    service: Client = field(default_factory=lambda: Client("bench-service", fresh_secret()))
    web: Client = field(default_factory=lambda: Client("bench-web", fresh_secret()))
    portal: Client = field(default_factory=lambda: Client("bench-portal", fresh_secret()))
    hybrid: Client = field(
        default_factory=lambda: Client("bench-hybrid", fresh_secret(), response_type=HYBRID)
    )  # AuthSec alone has it

    def metadata(self) -> list[dict[str, object]]:
        """Return the three clients as RFC 7591 metadata."""
        return [
            service_metadata(self.service.client_id, self.service.client_secret),
            web_metadata(self.web.client_id, self.web.client_secret),
            web_metadata(self.portal.client_id, self.portal.client_secret),
        ]


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: what to ask it, the process to watch, and how long its first answer took."""

    target: Target
    process: Server
    cold_seconds: float


class Contestant:
    """One server: its command, its addresses and what it serves."""

    name = ""
    title = ""

    def __init__(self, cast: Cast, work: Path, port: int) -> None:
        self.cast, self.work, self.port = cast, work, port

    def prepare(self) -> None:
        """Do once what a user does before the first start."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command line and the environment."""
        raise NotImplementedError

    @property
    def issuer(self) -> str:
        """The issuer identifier."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """One address, or one a process where state lives in the process."""
        return (("127.0.0.1", self.port),)

    first_path = "/.well-known/openid-configuration"

    def endpoints(self) -> dict[str, str]:
        """Return the discovery document's URLs."""
        return self._discovered(self.first_path)

    def target(self) -> Target:
        """Return what is asked, once the server answers."""
        return Target(self.issuer, self.addresses, self.endpoints())

    def _discovered(self, path: str) -> dict[str, str]:
        with Connection(self.addresses[0], f"127.0.0.1:{self.port}") as connection:
            found: dict[str, str] = json.loads(connection.get(path).body)
        return found | {"discovery": f"{found['issuer']}/.well-known/openid-configuration"}

    @contextmanager
    def running(self, **extra: str) -> Iterator[Running]:
        """Start the server, wait for its first 200, and stop it at the end."""
        argv, environment = self.command()
        with Server(argv, environment | extra, self.work / f"{self.name}.log") as process:
            host = f"127.0.0.1:{self.port}"
            cold = max(process.first_answer(address, host, self.first_path) for address in self.addresses)
            target = self.target()
            process.watch()
            yield Running(target, process, cold)


def _granian(application: str, port: int) -> list[str]:
    return [
        str(Path(sys.executable).with_name("granian")),
        "--interface",
        "wsgi",
        "--workers",
        str(WORKERS),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ws",
        application,
    ]


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment without settings of the identity provider, which would change what is measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
    return kept | {"PYTHONPATH": str(BENCH.parent)} | extra


class FlaskHello(Contestant):
    """A bare Flask application on the same server program."""

    name, title, first_path = FLASK, "bare Flask “hello”", "/"

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Run it with granian."""
        return _granian("bench.peers.hello:app", self.port), clean_environment()

    def endpoints(self) -> dict[str, str]:
        """Return its one page."""
        return {"hello": f"{self.issuer}/"}


class BareAuthlib(Contestant):
    """Flask and Authlib with one client in memory."""

    name, title, first_path = AUTHLIB, "bare Authlib", "/jwks"

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Run it with granian."""
        environment = clean_environment(
            BENCH_ISSUER=self.issuer,
            BENCH_CLIENT_ID=self.cast.service.client_id,
            BENCH_CLIENT_SECRET=self.cast.service.client_secret,
            AUTHLIB_INSECURE_TRANSPORT="1",
        )
        return _granian("bench.peers.authlib_server:app", self.port), environment

    def endpoints(self) -> dict[str, str]:
        """Return its one endpoint; each worker makes a key at its start."""
        return {"token_endpoint": f"{self.issuer}/token"}


class NodeOidcProvider(Contestant):
    """node-oidc-provider, one port a process because its state lives in the process."""

    name, title = NODE, "node-oidc-provider"

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """One address a process."""
        return tuple(("127.0.0.1", self.port + number) for number in range(WORKERS))

    def prepare(self) -> None:
        """Install the locked packages when they are not there."""
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise StartError(
                "Node.js is not installed; install it (Debian: nodejs npm) or leave `node` out of --servers."
            )
        if not (BENCH / "node" / "node_modules" / "oidc-provider").is_dir():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=BENCH / "node", check=True)
        keys = [  # as the identity provider publishes them: of two kinds the key that signs and its successor
            key
            for _ in range(2)
            for key in (
                ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True),
                RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True),
            )
        ]
        user = {
            "id": uuid.uuid4().hex,
            "username": self.cast.user.username,
            "name": self.cast.user.name,
            "password_hash": raw.hasher().hash(self.cast.user.password),
        }
        self._settings = json.dumps(
            {
                "issuer": self.issuer,
                "first_port": self.port,
                "clients": self.cast.metadata(),
                "user": user,
                "keys": [key.as_dict(private=True) for key in keys],
                "cookie_key": fresh_secret(),
                "opaque_clients": [self.cast.portal.client_id],
            }
        )

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Run the cluster."""
        environment = clean_environment(NODE_ENV="production", BENCH_NODE_SETTINGS=self._settings)
        return ["node", str(BENCH / "node" / "server.mjs")], environment


class AuthSec(Contestant):
    """The identity provider, with the `idp` command as an operator uses it."""

    name, title = AUTHSEC, "AuthSec"
    # The hybrid flow has a tenant of its own: a tenant that allows it publishes keys to encrypt to as well.
    tenant, hybrid_tenant = "bench", "bench-hybrid"

    @property
    def issuer(self) -> str:
        """The issuer of the tenant."""
        return self._issuer(self.tenant)

    @property
    def first_path(self) -> str:  # type: ignore[override]
        """The tenant's discovery document."""
        return _discovery_path(self.tenant)

    def target(self) -> Target:
        """Return the tenant, and the one of the hybrid flow."""
        hybrid = Target(
            self._issuer(self.hybrid_tenant), self.addresses, self._discovered(_discovery_path(self.hybrid_tenant))
        )
        return replace(super().target(), hybrid=hybrid)

    def _issuer(self, tenant: str) -> str:
        return f"http://127.0.0.1:{self.port}/t/{tenant}"

    def environment(self) -> dict[str, str]:
        """Return the settings of a fresh installation in the work folder."""
        return clean_environment(
            IDP_PUBLIC_URL=f"http://127.0.0.1:{self.port}",
            IDP_DATA_DIR=str(self.work / "authsec"),
        )

    def idp(self, *arguments: str, given: str = "", environment: Mapping[str, str] | None = None) -> str:
        """Run one `idp` command with `given` on its standard input; raises StartError with its own sentence."""
        program = Path(sys.executable).with_name("idp")
        if not program.exists():
            raise StartError(
                "the `idp` command is not installed; run `make setup`, or leave `authsec` out of --servers."
            )
        done = subprocess.run(
            [str(program), *arguments],
            input=given,
            env=environment or self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartError(f"idp {' '.join(arguments)}: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def prepare(self) -> None:
        """Make the installation, the tenants, their user and their clients."""
        self.idp("init", "--json")
        hybrid = self.cast.hybrid
        self._make_tenant(self.tenant, self.cast.metadata())
        self._make_tenant(
            self.hybrid_tenant,
            [hybrid_metadata(hybrid.client_id, hybrid.client_secret)],
            "allowed_client_profiles=strict,oidc",
        )
        self.idp("worker", "--once")  # what is due in a new tenant: each key's successor is published

    def _make_tenant(self, tenant: str, clients: list[dict[str, object]], *settings: str) -> None:
        user = self.cast.user
        self.idp("tenant", "create", tenant, "--name", "Bench", "--json")
        self.idp("tenant", "set", tenant, "rate_limits=off", *settings, "--json")
        given = ("--name", user.name, "--password-stdin", "--json")
        self.idp("user", "create", tenant, user.username, *given, given=user.password)
        for metadata in clients:
            self.idp("client", "create", tenant, "--json", given=json.dumps(metadata))

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Serve with two workers, nothing else set."""
        program = str(Path(sys.executable).with_name("idp"))
        return [program, "serve", "--listen", f"127.0.0.1:{self.port}", "--workers", str(WORKERS)], self.environment()


def _discovery_path(tenant: str) -> str:
    return f"/t/{tenant}/.well-known/openid-configuration"


CONTESTANTS: dict[str, tuple[type[Contestant], int]] = {
    AUTHSEC: (AuthSec, 0),
    NODE: (NodeOidcProvider, 20),
    AUTHLIB: (BareAuthlib, 10),
    FLASK: (FlaskHello, 15),
}
