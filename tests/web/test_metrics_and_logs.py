"""Issue 3 §6, S118, S120: metrics on their own listener with bounded labels; JSON logs without secrets."""

from __future__ import annotations

import io
import json
import logging
import re
import time
import urllib.error
import urllib.request

import httpx
import pytest
import structlog

from idp.opaque import new_secret
from idp.settings import Settings
from idp.web import logs
from idp.web.access_log import AccessLog, access_log
from idp.web.metrics import Metrics

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def measured(serve):
    return serve(workers=2, metrics=True)


def scrape(server) -> str:
    return urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=5).read().decode()


def total(text: str, endpoint: str, status: int) -> float:
    found = re.findall(rf'idp_request_seconds_count{{endpoint="{endpoint}",status="{status}"}} (\S+)', text)
    return sum(map(float, found))


def test_all_workers_are_summed(measured):
    """Issue 3 §6: 60 requests over many connections to two workers are 60 in the sum; refusals are counted too."""
    before = total(scrape(measured), "shared", 200)
    for _ in range(60):
        assert httpx.get(measured.url + "/shared").status_code == 200
    httpx.get(measured.url + "/inline", headers={"Host": "id.example"})
    httpx.get(measured.url + "/fail")
    text = scrape(measured)
    assert total(text, "shared", 200) - before == 60
    assert total(text, "refused", 400) == 1
    assert total(text, "failed", 500) == 1


def test_labels_are_bounded(measured):
    """S118: paths, hosts, tenants and tokens never become labels."""
    for number in range(50):
        httpx.get(f"{measured.url}/t/tenant-{number}/x?token={JWT}", headers={"Host": f"h{number}.localhost"})
    text = scrape(measured)
    assert set(re.findall(r'endpoint="([^"]*)"', text)) <= {"shared", "refused", "failed", "page", "health"}
    assert "tenant" not in text
    assert "eyJ" not in text


def test_series_are_bounded():
    """S111: a name that is not from a fixed set after all ends in `other`."""
    from prometheus_client import REGISTRY

    metrics = Metrics()
    for number in range(2000):
        metrics.observe(f"endpoint-{number}", 200, 0.01)
    metrics.count("limiter_fallback")
    assert REGISTRY.get_sample_value("idp_request_seconds_count", {"endpoint": "other", "status": "0"}) >= 1400
    assert len(metrics._series) <= 600
    assert REGISTRY.get_sample_value("idp_events_total", {"event": "limiter_fallback"}) == 1


def test_metrics_are_not_public(measured):
    """S120: `/metrics` answers on IDP_METRICS_LISTEN only."""
    assert "idp_request_seconds" not in httpx.get(measured.url + "/metrics").text


def test_no_listener_without_setting(server):
    """Interfaces §3: IDP_METRICS_LISTEN empty means no listener."""
    with pytest.raises((urllib.error.URLError, OSError)):
        urllib.request.urlopen("http://127.0.0.1:9090/metrics", timeout=0.5)
    assert not (server.data / "var" / "metrics").exists()


def access_lines(server) -> list[dict]:
    time.sleep(0.6)
    return [json.loads(line) for line in server.text().splitlines() if '"event":"request"' in line]


def test_one_line_a_request(server):
    """Issue 3 §6: each request leaves one JSON line with its id, never its query string or a secret in its path."""
    secret = new_secret("rt")
    answer = httpx.get(f"{server.url}/inline?code=planted-code&state=planted-state")
    other = httpx.get(f"{server.url}/reset/{secret}")
    refused = httpx.get(f"{server.url}/inline", headers={"Host": "id.example"})
    lines = access_lines(server)
    for sent, endpoint in ((answer, "inline"), (other, "page"), (refused, "refused")):
        found = [line for line in lines if line["request_id"] == sent.headers["x-correlation-id"]]
        assert len(found) == 1
        assert found[0]["endpoint"] == endpoint
        assert found[0]["status"] == sent.status_code
        assert found[0]["remote"] == "127.0.0.1"
    text = server.text()
    assert "planted-code" not in text
    assert "planted-state" not in text
    assert secret not in text


def test_every_log_line_is_json(server):
    """Issue 3 §6: once the worker runs, its log is JSON, the server's own lines too."""
    httpx.get(server.url + "/fail")
    time.sleep(0.3)
    lines = [line for line in server.text().splitlines() if not line.startswith("[INFO]")]
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_path_cannot_forge_a_line():
    """OWASP ASVS 16.4.1: quotes, newlines and control characters in a path stay inside the line."""
    written: list[str] = []
    log = AccessLog(written.append)
    log.add("GET", '/"},\n{"level":"x', "page", 200, 0.1, "::1", "ID")
    log.flush()
    assert len(written[0].splitlines()) == 1
    assert json.loads(written[0])["path"] == '/"},\n{"level":"x'


def test_access_log_is_bounded_and_configurable():
    """S111: lines that nobody reads are counted, not kept; the log can be switched off, or goes with the level."""
    written: list[str] = []
    log = AccessLog(written.append)
    log._thread = object()  # nobody writes
    for _ in range(25_000):
        log.add("GET", "/", "page", 200, 0.1, "::1", "ID")
    log.flush()
    lines = written[0].splitlines()
    assert len(lines) == 20_001
    assert json.loads(lines[-1]) == {"level": "warning", "event": "access_lines_dropped", "count": 5000}
    assert access_log(Settings(access_log=False)) is None
    assert access_log(Settings(log_level="warning")) is None
    assert access_log(Settings()) is not None


@pytest.fixture
def stream():
    """A configured log that is put back afterwards."""
    root, authlib = logging.getLogger(), logging.getLogger("authlib")
    before = (list(root.handlers), root.level, authlib.level)
    out = io.StringIO()
    logs.configure(Settings(log_level="debug"), out)
    yield out
    root.handlers[:], root.level = before[0], before[1]
    authlib.setLevel(before[2])
    structlog.reset_defaults()


def test_secrets_in_events(stream):
    """S118, ASVS 16.2.5: secrets by name, by shape and nested never reach the log; what is harmless does."""
    secret, basic = new_secret("at"), "Basic Y2xpZW50OnBsYW50ZWQ="
    logs.get_logger("test").warning(
        f"failed with {JWT}",
        password="planted",
        client_secret="planted",
        code="planted",
        Authorization="planted",
        totp_seed_secret=12345678,
        url="https://rp.example/cb?code=planted&state=planted&ok=shown",
        dsn="postgresql+psycopg://idp:planted@db/idp",
        header=basic,
        nested={"headers": [("cookie", "s-a=planted")], "cookies": {"s-a": "planted"}, "fine": ["shown", secret]},
        body=b"planted",
        form="grant_type=refresh_token&refresh_token=planted&client_assertion=planted",
        text='{"access_token": "planted", "scope": "shown"}',
        token_type="shown",
        status=400,
    )
    line = json.loads(stream.getvalue())
    text = stream.getvalue()
    for leaked in ("planted", secret, JWT, "Y2xpZW50", "12345678"):
        assert leaked not in text
    assert line["nested"]["fine"][0] == line["token_type"] == "shown"
    assert "ok=shown" in line["url"]
    assert '"scope": "shown"' in line["text"]
    assert line["status"] == 400


def test_secrets_in_exceptions_and_foreign_loggers(stream):
    """S118: tracebacks and the standard library's loggers pass the same redaction."""
    defect = RuntimeError(f"POST client_secret=planted {JWT}")
    try:
        raise defect
    except RuntimeError:
        logs.get_logger("test").exception("unhandled")
        logging.getLogger("some.library").exception(
            "gave up on %s", "Bearer planted-token-value", extra={"password": "planted"}
        )
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 2
    assert all("RuntimeError" in line["exception"] for line in lines)
    assert "planted" not in stream.getvalue()
    assert JWT not in stream.getvalue()


def test_authlib_is_silent_at_debug(stream):
    """Architecture §7: Authlib prints tokens at DEBUG; its logger stays at INFO even when ours is at debug."""
    logging.getLogger("authlib.oauth2.rfc6749").debug("planted-token")
    logging.getLogger("authlib").info("shown")
    logging.getLogger("other").debug("heard")
    assert "planted-token" not in stream.getvalue()
    assert "shown" in stream.getvalue()
    assert "heard" in stream.getvalue()
