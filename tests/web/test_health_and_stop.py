"""Issue 3 §6, security.md §3: liveness, readiness, and stopping without losing a request."""

from __future__ import annotations

import signal
import threading
import time

import httpx
import pytest

from idp.web.health import Health


def test_ready_and_live(server):
    """Issue 3 §6: both answer; the body names no component."""
    assert httpx.get(server.url + "/health/live").json() == {"status": "live"}
    assert httpx.get(server.url + "/health/ready").json() == {"status": "ready"}
    assert httpx.post(server.url + "/health/ready").json()["request"]["method"] == "POST"


def test_lost_database(serve, tmp_path):
    """S113: ready is 503 while live is 200; recovery needs no restart; details stay in the log (S120)."""
    broken = tmp_path / "broken"
    server = serve(IDP_TEST_BROKEN=str(broken))
    assert httpx.get(server.url + "/health/ready").status_code == 200
    broken.touch()
    time.sleep(1.1)
    lost = httpx.get(server.url + "/health/ready")
    assert (lost.status_code, lost.json()) == (503, {"status": "unavailable"})
    assert lost.headers["retry-after"] == "1"
    assert httpx.get(server.url + "/health/live").status_code == 200
    assert '"probe": "database"' in server.text()
    broken.unlink()
    time.sleep(1.1)
    assert httpx.get(server.url + "/health/ready").status_code == 200


def test_hanging_probe_answers_within_a_second(serve, tmp_path):
    """Issue 3 §6: a probe that hangs makes 503 after about a second; live and other requests go on meanwhile."""
    hanging = tmp_path / "hanging"
    hanging.touch()
    server = serve(IDP_TEST_HANGING=str(hanging))
    started = time.monotonic()
    assert httpx.get(server.url + "/health/ready", timeout=5).status_code == 503
    assert time.monotonic() - started < 10
    assert httpx.get(server.url + "/health/live", timeout=1).status_code == 200


def test_probes_run_once_a_second_at_most():
    """Issue 3 §6: the answer is cached for a second; a probe that still hangs is not started again."""
    calls = []
    health = Health({"store": lambda: calls.append(1)})
    for _ in range(50):
        assert health.ready().status == 200
    assert len(calls) == 1
    started = []

    def hang() -> None:
        started.append(1)
        time.sleep(4)

    hanging = Health({"store": hang})
    assert hanging.ready().status == 503
    time.sleep(1.05)
    assert hanging.ready().status == 503
    assert len(started) == 1


def test_draining_comes_before_stopping(serve):
    """Security.md §3: on SIGTERM readiness is 503 first, requests are still served, then the server ends with 0."""
    server = serve(IDP_TEST_DRAIN="1.5")
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.4)
    ready = httpx.get(server.url + "/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
    assert httpx.get(server.url + "/health/live").status_code == 200
    assert httpx.get(server.url + "/inline").status_code == 200
    assert server.process.wait(timeout=10) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/health/live")


@pytest.mark.parametrize("path", ["/wait", "/app-waits"])
def test_requests_in_flight_are_finished(serve, path):
    """Security.md §3: a request that runs when SIGTERM comes is answered."""
    server = serve()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(server.url + path, timeout=10).status_code))
    asking.start()
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    asking.join()
    assert answers == [200]
    assert server.process.wait(timeout=10) == 0
