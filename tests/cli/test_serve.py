"""`idp serve` as a process: it answers, takes up changes at once, stops in order and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from command import Program, free_port, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from command import Idp

    Serve = Callable[..., Program]

pytestmark = pytest.mark.slow


def _token(program: Program, client: dict[str, str], tenant: str = "acme") -> int:
    form = {
        "grant_type": "client_credentials",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
    }
    request = urllib.request.Request(f"{program.url}/t/{tenant}/token", urllib.parse.urlencode(form).encode())
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _service(idp: Idp) -> dict[str, str]:
    return idp.client(
        "acme", grant_types=["client_credentials"], scope="api", token_endpoint_auth_method="client_secret_post"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_serves_and_stops_in_order(serve: Serve, number: int) -> None:
    """Interfaces §2: two workers and a job process; a signal to the server ends them all, with status 0."""
    program = serve("--workers", "2")
    program.wait()
    assert program.get("/t/acme/.well-known/openid-configuration")[0] == 200
    assert until(lambda: "idp.cli worker" in program.commands())
    assert len(program.family()) == 4  # the server, two workers, the job process
    program.signal(number)
    output = program.output()
    assert program.process.returncode == 0, output
    assert until(lambda: not program.family(), 3)
    assert "Traceback" not in output
    assert '"error"' not in output


def test_ctrl_c_reaches_the_whole_group(serve: Serve) -> None:
    """Interfaces §1: Ctrl-C on a terminal, which signals every process of the group, ends all of them quietly."""
    demo = free_port()
    program = serve("--demo", "--demo-listen", f"127.0.0.1:{demo}")
    program.wait()
    program.wait("/", f"http://localhost:{demo}")
    assert until(lambda: "idp.cli worker" in program.commands())
    time.sleep(3)  # the job process has set up its signals
    program.signal(signal.SIGINT, group=True)
    output = program.output()
    assert program.process.returncode == 0, output
    assert until(lambda: not program.family(), 3)
    assert "Traceback" not in output
    assert '"error"' not in output


def test_a_closed_terminal_ends_it(idp: Idp) -> None:
    """Interfaces §1: nothing is left over when the terminal of `make run` is closed, which sends SIGHUP to its processes."""
    leader, follower = os.openpty()
    program = Program(idp.environ, terminal=follower)
    try:
        program.wait()
        assert until(lambda: "idp.cli worker" in program.commands())
        program.signal(signal.SIGHUP, group=True)
        assert until(lambda: not program.family(), 5), program.commands()
    finally:
        program.close()
        os.close(leader)
        os.close(follower)


def test_kill_9_of_the_server_takes_everything_with_it(serve: Serve) -> None:
    """Issue 3: nothing outlives a server that was killed: workers, job process, demo."""
    demo = free_port()
    program = serve("--workers", "2", "--demo", "--demo-listen", f"127.0.0.1:{demo}")
    program.wait()
    program.wait("/", f"http://localhost:{demo}")
    assert until(lambda: "idp.cli worker" in program.commands())
    program.signal(signal.SIGKILL)
    assert until(lambda: not program.family(), 5), program.commands()


def test_a_killed_worker_is_replaced(serve: Serve) -> None:
    """Interfaces §2: granian starts a worker that died anew; the server goes on."""
    program = serve("--workers", "2")
    program.wait()
    assert until(lambda: "idp.cli worker" in program.commands())
    workers = {pid for pid in program.family() if pid != program.process.pid and "idp.cli serve" in _command(pid)}
    assert len(workers) == 2
    os.kill(next(iter(workers)), signal.SIGKILL)
    assert until(lambda: len({pid for pid in program.family() if "idp.cli serve" in _command(pid)} - workers) >= 2)
    for _ in range(20):
        assert program.get("/t/acme/.well-known/openid-configuration")[0] == 200


def _command(pid: int) -> str:
    from pathlib import Path

    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def test_changes_take_effect_within_a_second(idp: Idp, serve: Serve) -> None:
    """Architecture §4, change feed: what the command changes, every worker knows within a second."""
    client = _service(idp)
    program = serve("--workers", "2")
    program.wait()
    assert {_token(program, client) for _ in range(20)} == {200}
    assert idp("client", "disable", "acme", client["client_id"]).status == 0
    time.sleep(1.0)
    assert {_token(program, client) for _ in range(20)} == {401}
    assert idp("client", "enable", "acme", client["client_id"]).status == 0
    time.sleep(1.0)
    assert {_token(program, client) for _ in range(20)} == {200}
    fresh = idp("client", "rotate-secret", "acme", client["client_id"], "--json").json
    time.sleep(1.0)
    assert {_token(program, client) for _ in range(20)} == {401}
    assert {_token(program, {**client, **fresh}) for _ in range(20)} == {200}
    assert idp("tenant", "suspend", "acme").status == 0
    time.sleep(1.0)
    assert {program.get("/t/acme/jwks")[0] for _ in range(20)} == {404}
    assert idp("tenant", "resume", "acme").status == 0
    time.sleep(1.0)
    before = program.get("/t/acme/jwks")[1]
    assert idp("keys", "rotate", "acme", "--now").status == 0
    time.sleep(1.0)
    assert program.get("/t/acme/jwks")[1] != before
    assert idp("tenant", "delete", "acme", "--yes", "acme").status == 0
    time.sleep(1.0)
    assert {program.get("/t/acme/jwks")[0] for _ in range(20)} == {404}


def test_it_says_where_to_click_first(idp: Idp, serve: Serve) -> None:
    """Interfaces §1: the first thing said is the demo's address, with a user's credentials; the demo begins the sign-in."""
    demo = free_port()
    program = serve("--demo", "--demo-listen", f"127.0.0.1:{demo}")
    program.wait()
    program.wait("/", f"http://localhost:{demo}")
    assert until(lambda: "idp.cli worker" in program.commands())  # which starts after the greeting
    program.signal(signal.SIGTERM)
    output = program.output()
    known = json.loads((idp.folder / "credentials").read_text())
    lines = [line for line in output.splitlines() if line.strip()]
    assert f"http://localhost:{demo}" in lines[0]
    assert known["demo_user"]["username"] in output
    assert known["demo_user"]["password"] in output
    assert known["platform_admin"]["password"] not in output


def test_tls_with_a_certificate_of_its_own(serve: Serve, idp: Idp) -> None:
    """Interfaces §2, --tls-self-signed: TLS with a certificate for this machine's names, whose key nobody else can read."""
    url = idp.environ["IDP_PUBLIC_URL"].replace("http:", "https:")
    program = serve("--tls-self-signed", IDP_PUBLIC_URL=url, IDP_ENV="production")
    program.url = url
    program.wait()
    assert program.get("/health/ready")[0] == 200
    assert (idp.folder / "tls" / "self-signed.key").stat().st_mode & 0o077 == 0


def test_metrics_have_a_listener_of_their_own(serve: Serve, idp: Idp) -> None:
    """Interfaces §3: IDP_METRICS_LISTEN serves /metrics, the public listener never does."""
    own = urlsplit(idp.environ["IDP_PUBLIC_URL"]).port
    port = next(found for found in iter(free_port, None) if found != own)
    program = serve("--workers", "2", IDP_METRICS_LISTEN=f"127.0.0.1:{port}")
    program.wait()
    program.get("/t/acme/jwks")
    program.wait("/metrics", f"http://127.0.0.1:{port}")
    assert re.search(
        r"idp_request_seconds_count\{[^}]*endpoint=\"jwks\"", program.get("/metrics", f"http://127.0.0.1:{port}")[1]
    )
    assert program.get("/metrics")[0] == 404
