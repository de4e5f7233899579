"""Production mode: what must not be switched on refuses the start, what must not be seen is not there (S120)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from serving import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
PRODUCTION = {"IDP_ENV": "production", "IDP_PUBLIC_URL": "https://id.example.com", "IDP_TRUSTED_PROXIES": "127.0.0.1"}
TLS = {"x-forwarded-proto": "https"}


def refused_start(served: Served, **environ: str) -> str:
    """Start it and return the sentence it ends with."""
    done = subprocess.run(
        served.command(),
        env={**served.process_environ(), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode not in (0, None), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A production server behind a trusted proxy."""
    with Served(tmp_path_factory.mktemp("production"), **PRODUCTION) as served:
        served.tenant("acme")
        yield served


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"IDP_PUBLIC_URL": "http://localhost:8000"}, "IDP_PUBLIC_URL"),
        ({"AUTHLIB_INSECURE_TRANSPORT": "1"}, "AUTHLIB_INSECURE_TRANSPORT"),
        ({"FLASK_DEBUG": "1"}, "FLASK_DEBUG"),
        ({"PYTHONOPTIMIZE": "1"}, "PYTHONOPTIMIZE"),
        ({"IDP_ENV": "prod"}, "IDP_ENV"),
        ({"IDP_TYPO": "1"}, "IDP_TYPO"),
    ],
)
def test_s120_an_unsafe_environment_starts_nothing(tmp_path: Path, environ: dict[str, str], named: str) -> None:
    """S120, issue 3: the start is refused with one sentence that names the variable."""
    served = Served(tmp_path, **PRODUCTION)
    assert named in refused_start(served, **environ)
    served.house.close()


def test_s120_optimised_python_starts_nothing(tmp_path: Path) -> None:
    """S120, pysaml2 CVE-2017-1000433: ``python -O`` strips the asserts that libraries check with."""
    served = Served(tmp_path, **PRODUCTION)
    command = [sys.executable, "-O", *served.command()[1:]]
    done = subprocess.run(
        command, env=served.process_environ(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "PYTHONOPTIMIZE" in done.stderr
    served.house.close()


def test_s120_no_demo_in_production(tmp_path: Path) -> None:
    """S120: no demo data, no default credentials."""
    served = Served(tmp_path, **PRODUCTION)
    done = subprocess.run(
        [*served.command(), "--demo"],
        env=served.process_environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    done = subprocess.run(
        [sys.executable, "-m", "idp.cli", "init"],
        env=served.process_environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "var" / "credentials").exists()
    served.house.close()


@pytest.mark.parametrize(
    "path",
    [
        "/?__debugger__=yes&cmd=resource&f=style.css",
        "/t/acme/authorize?__debugger__=yes&cmd=printpin&s=x",
        "/console",
        "/.git/config",
        "/.git/HEAD",
        "/.env",
        "/metrics",
        "/debug",
        "/health",
        "/health/",
        "/health/details",
        "/server-status",
        "/static/../idp/settings.py",
        "/static/%2e%2e/idp/settings.py",
        "/static/..%2fwsgi.py",
        "/static/",
        "/var/control.db",
        "/var/master.key",
    ],
)
def test_s120_nothing_of_the_workshop_is_there(site: Served, path: str) -> None:
    """S120: debugger, repository, metrics, files and details are 404 on the public listener."""
    answer = site.once("GET", path, headers=TLS, host="id.example.com")
    if path.startswith("/?"):
        assert answer.status == 200
    else:
        assert answer.status in (400, 404), answer.text
    for trace in ("werkzeug", "debugger", "traceback", "pin", "[core]", "master"):
        assert trace not in answer.text.lower() or trace == "pin"
    assert "EVALEX" not in answer.text


def test_plain_http_is_refused_and_never_redirected(site: Served) -> None:
    """RFC 9700 §2.6: 400 `https_required` on every path and method, loopback too; health is for the load balancer."""
    for host in ("id.example.com", "localhost", "127.0.0.1"):
        for method, path in (
            ("GET", "/"),
            ("GET", "/t/acme/authorize"),
            ("POST", "/t/acme/token"),
            ("GET", "/t/acme/jwks"),
        ):
            answer = site.once(method, path, host=host, body=b"" if method == "POST" else None)
            assert (answer.status, answer.json["code"]) == (400, "https_required")
            assert answer.header("location") is None
    assert site.once("GET", "/health/live", host="10.0.0.1").status == 200


def test_https_says_so(site: Served) -> None:
    """RFC 6797, browser rules: HSTS on every answer, `__Host-` cookies, `Secure`."""
    acme = site.house.installation.provisioning.find("acme")
    for path in ("/jwks", "/.well-known/openid-configuration", "/nothing"):
        assert "max-age=" in (site.get(acme, path, headers=TLS).header("strict-transport-security") or "")
    assert acme.issuer == "https://id.example.com/t/acme"
    rp = site.client(acme)
    browser: Any = site.browser(acme)
    answer = browser.get(
        f"{acme.base_path}/authorize?response_type=code&client_id={rp.client_id}&redirect_uri=https%3A%2F%2Frp.example%2Fcb&scope=openid&code_challenge={'c' * 43}&code_challenge_method=S256",
        headers=TLS,
    )
    cookie = answer.header("set-cookie") or ""
    assert cookie.startswith("__Host-b-acme=")
    assert "; Secure" in cookie
    assert "; HttpOnly" in cookie


def test_health_tells_strangers_nothing(site: Served) -> None:
    """S120: the health answers name no component, version or address."""
    assert site.once("GET", "/health/live").json == {"status": "live"}
    assert site.once("GET", "/health/ready").json == {"status": "ready"}
    for path in ("/health/live", "/t/acme/jwks", "/"):
        headers = {
            name.lower(): value for name, value in site.once("GET", path, headers=TLS, host="id.example.com").headers
        }
        assert not {"x-powered-by", "via"} & headers.keys()
        assert not any(word in headers.get("server", "").lower() for word in ("python", "granian/", "werkzeug"))


def test_metrics_answer_on_their_own_listener_only(tmp_path: Path) -> None:
    """S120: /metrics is on IDP_METRICS_LISTEN, and carries no secret, user or address as a label."""
    from serving import free_port

    port = free_port()
    with Served(tmp_path, IDP_METRICS_LISTEN=f"127.0.0.1:{port}") as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        tokens = rp.redeem(served.browser(acme).sign_in(rp)).json
        rp.userinfo(tokens["access_token"])
        assert served.once("GET", "/metrics").status == 404
        import urllib.request

        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        assert "userinfo" in text
        for planted in (rp.secret or "", tokens["access_token"], "ada@example.com", "127.0.0.1", acme.id):
            assert planted not in text


def test_a_defect_shows_nothing(site: Served, tmp_path: Path) -> None:
    """Security rule 10: an answer to anything at all has no traceback, no path of a file and no name of a library."""
    acme = site.house.installation.provisioning.find("acme")
    for method, path, body in (
        ("GET", "/authorize?client_id=%00", None),
        ("GET", "/authorize?client_id=%F0%9F%92%A9&state=%ED%A0%80", None),
        ("POST", "/token", b"\xff\xfe=\x00"),
        ("POST", "/token", b"grant_type=client_credentials&grant_type=x"),
        ("GET", "/userinfo", None),
        ("DELETE", "/token", None),
        ("POST", "/login?interaction=x", b"a=b"),
    ):
        answer = site.send(
            method,
            acme.base_path + path,
            body=body,
            headers={**TLS, "content-type": "application/x-www-form-urlencoded"},
            host=acme.host,
        )
        assert 400 <= answer.status < 500, (path, answer.status)
        for trace in ("Traceback", "/idp/", "sqlalchemy", "authlib", "site-packages", ".py"):
            assert trace not in answer.text
