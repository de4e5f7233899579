"""S111: slow and large requests cost only themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from idp.web.bodies import BodyReader

if TYPE_CHECKING:
    import socket


def post(path: str, length: int, body: bytes = b"") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def patient(serve):
    """Bodies may take six seconds here, so that slow ones are still open while the test looks."""
    return serve(IDP_TEST_BODY_SECONDS="6")


def memory(process_id: int) -> int:
    """Resident memory of a process and its children, in KiB."""
    import pathlib

    total = 0
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "status").read_text()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if int(entry.name) == process_id or int(fields["PPid"]) == process_id:
            total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total


def test_500_slow_connections_do_not_delay_anybody(patient):
    """S111: 500 connections that stall in head or body; 20 of 20 GETs are answered, inline, threaded and by the app."""
    slow: list[socket.socket] = []
    try:
        for number in range(500):
            connection = patient.connect()
            connection.sendall(
                [post("/inline", 1000, b"a"), post("/page", 100_000, b"a"), b"GET /inline HTTP/1.1\r\nHo", b""][
                    number % 4
                ]
            )
            slow.append(connection)
        started = time.monotonic()
        statuses = [
            httpx.get(
                patient.url + ("/inline", "/page", "/threaded", "/health/ready")[number % 4], timeout=2
            ).status_code
            for number in range(20)
        ]
        took = time.monotonic() - started
        assert statuses == [200] * 20
        assert took < 3
        # The bodies that stalled are answered when their time is over, and let go.
        slow[0].settimeout(12)
        assert slow[0].recv(100).startswith(b"HTTP/1.1 408")
    finally:
        for connection in slow:
            connection.close()


def test_silent_connections_are_closed(server):
    """S111: a connection that sends nothing, or half a head, is closed after ten seconds."""
    with server.connect(13) as idle, server.connect(13) as half:
        half.sendall(b"GET /inline HTTP/1.1\r\nHos")
        started = time.monotonic()
        assert idle.recv(100) == b""
        assert half.recv(100) == b""
        assert 8 < time.monotonic() - started < 40


@pytest.mark.parametrize("length", [30, 100_000])
def test_stalled_body(server, length):
    """RFC 9110 §15.5.9: a body that does not arrive in time is answered 408 and the connection closed."""
    started = time.monotonic()
    answer = server.raw(post("/inline", length, b"ab"))
    assert answer.status == 408
    assert answer.json()["code"] == "request_timeout"
    assert answer.closed
    assert 1.5 < time.monotonic() - started < 20


def test_dripping_body(server):
    """S111: the limit is on the whole body: a byte every 0.2 s does not extend it."""
    with server.connect() as connection:
        connection.sendall(post("/inline", 50_000))
        started = time.monotonic()
        connection.settimeout(0.2)
        answered = b""
        while not answered and time.monotonic() - started < 6:
            try:
                answered = connection.recv(100)
            except TimeoutError:
                connection.sendall(b"a")
        assert answered.startswith(b"HTTP/1.1 408")
        assert time.monotonic() - started < 20


def test_body_of_100_mb(server):
    """RFC 9110 §15.5.14: 100 MB announced are answered 413 before they are read; memory stays flat."""
    before = memory(server.process.pid)
    answer = server.raw(post("/inline", 100_000_000, b"a" * 1_000_000))
    assert answer.status == 413
    assert answer.json()["code"] == "body_too_large"
    assert answer.closed
    assert memory(server.process.pid) - before < 20_000


def test_chunked_body_of_100_mb(server):
    """RFC 9110 §15.5.14: 100 MB in chunks are answered 413 after the cap; memory stays flat."""
    before = memory(server.process.pid)
    chunk = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
    with server.connect() as connection:
        connection.sendall(b"POST /inline HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(chunk)
        except OSError:
            pass  # refused while we are still sending, as it should be
        else:
            pytest.fail("100 MB were read")
    assert memory(server.process.pid) - before < 20_000
    small = server.raw(
        b"POST /inline HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"10000\r\n" + b"a" * 65536 + b"\r\n" + b"10000\r\n" + b"a" * 65536 + b"\r\n0\r\n\r\n"
    )
    assert small.json()["body"] == 131_072


def test_body_at_the_cap(server):
    """RFC 9110 §15.5.14: 256 KiB are accepted, one byte more is not."""
    assert server.raw(post("/inline", 262_144, b"a" * 262_144)).json()["body"] == 262_144
    assert server.raw(post("/inline", 262_145, b"a" * 262_145)).status == 413


def test_10_000_form_fields(server):
    """S111: a form of 10,000 fields is answered 400, not parsed."""
    for path in ("/inline", "/threaded"):
        answer = httpx.post(server.url + path, data={f"f{n}": "x" for n in range(10_000)})
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_request"


def test_clients_that_leave_are_forgotten(server):
    """S111: 200 clients that leave in the middle of their body leave no task, no log of an error, and no delay."""
    for _ in range(200):
        with server.connect() as connection:
            connection.sendall(post("/inline", 50_000, b"a" * 1000))
    assert httpx.get(server.url + "/inline", timeout=2).status_code == 200
    time.sleep(0.5)
    assert '"level": "error"' not in server.text().split("unhandled")[0]


def test_bodies_together_are_bounded():
    """S111: what all unfinished bodies of a worker hold together is bounded; beyond it new data is answered 503."""
    import asyncio

    from idp.errors import Unavailable

    gate = asyncio.Event()

    class Proto:
        """The chunks of one client that then stalls."""

        def __init__(self) -> None:
            self.sent = 0

        def __aiter__(self):
            return self

        async def __anext__(self) -> bytes:
            if self.sent == 3:
                await gate.wait()
                raise StopAsyncIteration
            self.sent += 1
            return b"a" * 0x10000

    async def scenario() -> list[str]:
        reader = BodyReader(0x40000, 60)
        tasks = [asyncio.ensure_future(reader.read(Proto(), None)) for _ in range(200)]
        await asyncio.sleep(0.2)
        refused = [task for task in tasks if task.done() and isinstance(task.exception(), Unavailable)]
        gate.set()
        kept = [await task for task in tasks if task not in refused]
        return [f"{len(refused) > 20}", f"{len(kept) * 0x30000 <= 32 * 1024 * 1024}", f"{reader._held}"]

    assert asyncio.run(scenario()) == ["True", "True", "0"]


def test_full_pool_answers_503(serve):
    """S111: when all threads and places are taken, the next request is told at once when to come back; inline goes on."""
    server = serve(IDP_THREADS="2", IDP_TEST_QUEUE="3")
    connections = [server.connect() for _ in range(9)]
    try:
        for connection in connections:
            connection.sendall(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        started = time.monotonic()
        refused = httpx.get(server.url + "/wait")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["code"] == "temporarily_unavailable"
        assert httpx.get(server.url + "/inline").status_code == 200
        assert httpx.get(server.url + "/health/ready").status_code == 200
        assert time.monotonic() - started < 10
        firsts = [connection.recv(12) for connection in connections]
        assert sorted(firsts) == [b"HTTP/1.1 200"] * 5 + [b"HTTP/1.1 503"] * 4
    finally:
        for connection in connections:
            connection.close()
