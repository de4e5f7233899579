"""A long answer through the front, as it is served: whole, in parts, and held by nobody."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from api_world import World
from serving import Served

from idp import opaque
from idp.clock import now
from idp.store.tenant import audit_events

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
EVENTS = 40_000
TEXT = "x" * 400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, World]]:
    """A server with a log of forty thousand events, 25 MB as lines."""
    with Served(tmp_path_factory.mktemp("served")) as served:
        made = World(served.house)
        empty = dict.fromkeys(("client_id", "subject", "session_id", "grant_id", "source", "correlation_id"))
        same = {
            "at": now(),
            "kind": "many.events",
            "outcome": "success",
            "actor": "ada",
            "details": {"text": TEXT},
            **empty,
        }
        rows = [{"id": opaque.new_id(), **same} for _ in range(EVENTS)]
        made.database().writing(lambda conn: audit_events.add(conn, rows))
        yield served, made


def head_of(served: Served, world: World, method: str = "GET") -> bytes:
    token = world.token(aud=f"http://localhost:{served.port}/uflow")
    path = "/uflow/tenants/acme/audit-events/export?kind=many.events"
    fields = f"Host: localhost:{served.port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    return f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode()


def taken(served: Served, sent: bytes) -> tuple[bytes, bytes]:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as line:
        line.sendall(sent)
        found = bytearray()
        while part := line.recv(1 << 20):
            found += part
    head, _, body = bytes(found).partition(b"\r\n\r\n")
    return head, body


def unchunked(body: bytes) -> bytes:
    """RFC 9112 §7.1: the parts of a chunked body together; the last, empty one must be there."""
    found, at = bytearray(), 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        if size == 0:
            return bytes(found)
        found += body[end + 2 : end + 2 + size]
        at = end + 2 + size + 2


def most_memory(served: Served) -> int:
    """The most that any of the server's processes holds, in KiB."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in served.workers()]
    found = [int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("VmHWM")]
    return max(found)


def test_a_long_export_over_http(world: tuple[Served, World]) -> None:
    """Issue 6 (export in bounded memory): 25 MB arrive whole, and no process of the server ever held them."""
    served, made = world
    short = head_of(served, made).replace(b"many.events", b"no.events")
    assert b" 200 " in taken(served, short)[0]  # what a first request loads is loaded
    before = most_memory(served)
    head, body = taken(served, head_of(served, made))
    assert b" 200 " in head
    assert b"transfer-encoding: chunked" in head.lower()
    assert f"x-total-count: {EVENTS}".encode() in head.lower()
    lines = unchunked(body).splitlines()
    assert len(body) > 20_000_000
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == EVENTS
    assert most_memory(served) - before < 10_000, "KiB"


def test_a_reader_who_leaves_takes_nothing_with_them(world: tuple[Served, World]) -> None:
    """S110: a connection that is dropped in the middle of the answer ends the export; the next one is answered."""
    served, made = world
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as line:
            line.sendall(head_of(served, made))
            assert line.recv(1000)
    assert taken(served, head_of(served, made))[1].endswith(b"0\r\n\r\n")


def test_the_head_alone(world: tuple[Served, World]) -> None:
    """RFC 9110 §9.3.2: HEAD has the fields and no body."""
    head, body = taken(served=world[0], sent=head_of(*world, method="HEAD"))
    assert b" 200 " in head
    assert f"x-total-count: {EVENTS}".encode() in head.lower()
    assert body == b""
