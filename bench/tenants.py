"""A thousand tenants used in turn against one, and what it takes to make a tenant.

Everything is made with the `idp` command. One server with IDP_OPEN_TENANTS=1024 serves the whole comparison: first the one
tenant alone, for its memory, then one and all in turn, each workload as often as there are rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from bench import load, workloads
from bench.load import Measurement, Request, Run
from bench.processes import StartError
from bench.targets import SIGN_IN_SCOPE, Client, Target, service_metadata, web_metadata
from bench.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bench.servers import AuthSec, Running

OPEN_TENANTS = 1024
TIMED_TENANTS = 40
COMMANDS = 5


@dataclass(slots=True)
class Creation:
    """Seconds to make a tenant: inside a running program, and as a command with the start of Python."""

    inside: float
    command: float


@dataclass(slots=True)
class Crowd:
    """Figures of many tenants against one: rates by workload and MiB a worker."""

    count: int
    one: dict[str, list[Measurement]] = field(default_factory=dict)
    many: dict[str, list[Measurement]] = field(default_factory=dict)
    memory_one: float = 0.0
    memory_many: float = 0.0


class Provisioner:
    """One process that runs `idp` commands one after the other."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.provision"],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, *argv: str, given: str = "") -> float:
        """Run a command; return its seconds or raise StartError with its own sentence."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"argv": [*argv, "--json"], "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise StartError(f"idp {' '.join(argv)}: the provisioning process ended")
        answer: dict[str, Any] = json.loads(line)
        if answer["status"]:
            raise StartError(f"idp {' '.join(argv)}: {answer['err'].strip()[-800:]}")
        return float(answer["seconds"])


def creation(authsec: AuthSec, environment: Mapping[str, str]) -> Creation:
    """Make some tenants and return the medians."""
    with Provisioner(environment) as provisioner:
        provisioner.run("tenant", "create", f"timed-{uuid.uuid4().hex[:8]}", "--name", "First")
        inside = [
            provisioner.run("tenant", "create", f"timed-{uuid.uuid4().hex[:8]}", "--name", "Timed")
            for _ in range(TIMED_TENANTS)
        ]
    commands = []
    for _ in range(COMMANDS):
        began = time.perf_counter()
        slug = f"timed-{uuid.uuid4().hex[:8]}"
        authsec.idp("tenant", "create", slug, "--name", "Timed", "--json", environment=environment)
        commands.append(time.perf_counter() - began)
    return Creation(statistics.median(inside), statistics.median(commands))


@contextmanager
def postgresql(authsec: AuthSec, work: Path) -> Iterator[dict[str, str]]:
    """Make an installation in a database of its own beside $IDP_BENCH_PG_URL; drop it and its tenants' at the end."""
    import psycopg
    from psycopg import sql

    admin_url = os.environ["IDP_BENCH_PG_URL"]
    plain = admin_url.replace("postgresql+psycopg://", "postgresql://", 1)
    name = f"idp_bench_{uuid.uuid4().hex[:8]}"
    parts = urlsplit(admin_url)
    environment = authsec.environment() | {
        "IDP_DATABASE_URL": parts._replace(scheme="postgresql+psycopg", path=f"/{name}").geturl(),
        "IDP_DATA_DIR": str(work / "authsec-pg"),
    }
    with psycopg.connect(plain, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            authsec.idp("init", "--json", environment=environment)
            yield environment
        finally:
            beside = admin.execute("SELECT datname FROM pg_database").fetchall()
            for (database,) in beside:  # a tenant's database and the template are named after the control database
                if database == name or database.startswith(f"{name}_"):
                    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def populate(authsec: AuthSec, count: int) -> list[str]:
    """Make `count` tenants, each with the user and the clients; return their slugs."""
    cast, slugs = authsec.cast, []
    with Provisioner(authsec.environment()) as provisioner:
        for number in range(count):
            slug = f"crowd-{number:04d}"
            provisioner.run("tenant", "create", slug, "--name", f"Crowd {number}")
            provisioner.run("tenant", "set", slug, "rate_limits=off")
            user = cast.user
            provisioner.run(
                "user", "create", slug, user.username, "--name", user.name, "--password-stdin", given=user.password
            )
            service, portal = service_metadata(*_pair(cast.service)), web_metadata(*_pair(cast.portal))
            for metadata in (service, portal):
                provisioner.run("client", "create", slug, given=json.dumps(metadata))
            slugs.append(slug)
            if (number + 1) % 100 == 0:
                print(f"    {number + 1} tenants made")
    return slugs


def _pair(client: Client) -> tuple[str, str]:
    return client.client_id, client.client_secret


def _of(target: Target, slug: str) -> Target:
    """Return the same server as seen from another tenant."""
    old = urlsplit(target.issuer).path
    moved = {
        name: url.replace(f"{target.host}{old}", f"{target.host}/t/{slug}", 1)
        for name, url in target.endpoints.items()
        if isinstance(url, str)
    }
    return Target(f"http://{target.host}/t/{slug}", target.addresses, moved)


def _requests(authsec: AuthSec, targets: list[Target]) -> dict[str, list[Request]]:
    """Sign in at each tenant and return the requests of the two workloads, one a tenant."""
    cast, userinfo = authsec.cast, []
    for target in targets:
        (tokens,) = workloads.user_tokens(target, cast, cast.portal, SIGN_IN_SCOPE, 1)
        userinfo += workloads.userinfo_requests(target, [str(tokens["access_token"])])
    return {
        "client_credentials": [workloads.client_credentials_request(target, cast.service) for target in targets],
        "userinfo": userinfo,
    }


CHECKS = {"client_credentials": workloads.is_client_token, "userinfo": workloads.has_claims}


def crowd(authsec: AuthSec, count: int, rounds: int, folder: Path, warm: float, seconds: float) -> Crowd:
    """Compare one tenant with `count` tenants on one server."""
    slugs, found = populate(authsec, count), Crowd(count)
    with authsec.running(IDP_OPEN_TENANTS=str(OPEN_TENANTS)) as running:
        run = Run(folder, warm, seconds, running.process.processor_seconds)
        first = _of(running.target, slugs[0])
        for _ in range(2):  # both workers have hashed a password before memory is compared
            workloads.user_tokens(first, authsec.cast, authsec.cast.portal, SIGN_IN_SCOPE, 16)
        one = _requests(authsec, [first])
        for name, requests in one.items():
            load.steady(first, requests, CHECKS[name], run)
        found.memory_one = running.process.peak_worker()
        print(f"    {count} sign-ins, one a tenant")
        many = _requests(authsec, [_of(running.target, slug) for slug in slugs])
        _open_everywhere(running, many)
        for turn in range(rounds):
            for name, check in CHECKS.items():
                found.one.setdefault(name, []).append(load.steady(first, one[name], check, run))
                found.many.setdefault(name, []).append(load.steady(first, many[name], check, run))
                pair = found.one[name][-1].rate, found.many[name][-1].rate
                print(f"    round {turn + 1}: {name}: one tenant {pair[0]:,.0f}/s, {count} in turn {pair[1]:,.0f}/s")
        found.memory_many = running.process.peak_worker()
    return found


def _open_everywhere(running: Running, requests: dict[str, list[Request]]) -> None:
    """Ask every tenant once on several connections, so that every worker has opened it."""
    for _ in range(4):
        with Connection(running.target.addresses[0], running.target.host) as connection:
            for mine in requests.values():
                for request in mine:
                    request.send(connection)
