"""RFC 9112 (HTTP/1.1) and RFC 6585: what the front refuses before anything reads it."""

from __future__ import annotations

import re

import pytest

CORRELATION_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{16}")


def get(path: str = "/inline", *lines: str, host: str | None = "localhost") -> bytes:
    head = [f"GET {path} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


def assert_problem(answer, status: int, code: str) -> None:
    assert answer.status == status, answer
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    document = answer.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["request_id"] == answer.header("x-correlation-id")
    assert CORRELATION_ID.fullmatch(document["request_id"])


def test_control_an_ordinary_request_is_answered(server):
    """RFC 9112 §3.2, control: one Host, one answer."""
    answer = server.raw(get())
    assert answer.status == 200
    assert CORRELATION_ID.fullmatch(answer.header("x-correlation-id"))


def test_each_answer_has_its_own_correlation_id_never_the_clients(server):
    """Issue 3, refusals: the correlation id is made here, for every answer."""
    found = {
        server.raw(get("/inline", "X-Correlation-Id: AAAAAAAAAAAAAAAA")).header("x-correlation-id") for _ in range(3)
    }
    assert len(found) == 3
    assert "AAAAAAAAAAAAAAAA" not in found


@pytest.mark.parametrize("path", ["/inline", "/page"])
def test_missing_host(server, path):
    """RFC 9112 §3.2: a request without Host is answered 400, at both doors."""
    assert_problem(server.raw(get(path, host=None)), 400, "bad_host")


def test_missing_host_in_http_1_0(server):
    """RFC 9112 §3.2: HTTP/1.0 without Host names no tenant and is refused alike."""
    assert_problem(server.raw(b"GET /inline HTTP/1.0\r\n\r\n"), 400, "bad_host")


def test_two_hosts(server):
    """RFC 9112 §3.2: more than one Host line is answered 400."""
    assert_problem(server.raw(get("/inline", "Host: evil.example")), 400, "bad_host")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "localhost:0",
        "localhost:70000",
        "localhost:x",
        "evil/..",
        "a@b",
        "[::1",
        "[zz]",
        "a..b",
        "-a",
        "a,b",
        "x" * 300,
        "löcal",
    ],
)
def test_malformed_host(server, host):
    """RFC 9112 §3.2: a Host with an invalid value is answered 400."""
    assert_problem(server.raw(get(host=host)), 400, "bad_host")


def test_absolute_target_that_disagrees_with_host(server):
    """RFC 9112 §3.2.2: the target's authority replaces Host; two different ones are refused."""
    assert_problem(server.raw(get("http://localhost:9/inline", host="localhost:8")), 400, "bad_host")
    assert server.raw(get("http://localhost:9/inline", host="localhost:9")).json()["host"] == "localhost:9"


@pytest.mark.parametrize("path", ["/%ff", "/a%00b", "/a%0d%0ab", "*"])
def test_unreadable_path(server, path):
    """RFC 3986 §2.5: a path that is not UTF-8, or hides control characters, is answered 400."""
    assert_problem(server.raw(get(path)), 400, "invalid_request")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
    ],
)
def test_ambiguous_length_smuggles_nothing(server, lines):
    """RFC 9112 §6.3: with an ambiguous length the second request is never taken for one, and the connection ends."""
    smuggled = b"GET /shared HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = server.raw(b"POST /inline HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n0\r\n\r\n" + smuggled)
    assert answer.closed
    assert answer.rest == b""
    assert b'"ok":true' not in answer.body
    assert answer.status in (200, 400)


def test_large_header(server):
    """RFC 6585 §5: header fields of more than 32 KiB together are answered 431."""
    assert_problem(server.raw(get("/inline", "X-Bomb: " + "a" * 33_000)), 431, "headers_too_large")
    assert_problem(
        server.raw(get("/inline", "Cookie: " + "; ".join(f"c{n}=1" for n in range(6000)))), 431, "headers_too_large"
    )


@pytest.mark.parametrize("lines", [["X-Bomb: " + "a" * 200_000], [f"X-{n}: a" for n in range(5000)]])
def test_header_bombs(server, lines):
    """RFC 6585 §5, S111: 200 kB in one field, and 5,000 fields, end with 431 and a closed connection."""
    answer = server.raw(get("/inline", *lines))
    assert answer.status == 431
    assert answer.closed


def test_long_target(server):
    """RFC 9110 §15.5.15: an address beyond 8 KiB of path or 16 KiB of query is answered 414."""
    assert_problem(server.raw(get("/" + "a" * 9000)), 414, "uri_too_long")
    assert_problem(server.raw(get("/inline?" + "a" * 17000)), 414, "uri_too_long")
    assert server.raw(get("/inline?" + "a" * 15000)).status == 200


def test_head(server):
    """RFC 9110 §9.3.2: HEAD is answered like GET without a body, at both doors."""
    for path in ("/shared", "/page", "/nothing-special", "/health/live"):
        got, headed = server.raw(get(path)), server.raw(get(path).replace(b"GET", b"HEAD"))
        assert headed.status == got.status == 200
        assert headed.body == b""
        assert headed.rest == b""
        assert int(headed.header("content-length")) > 0
        assert headed.header("content-type") == got.header("content-type")
    assert server.raw(get("/shared").replace(b"GET", b"HEAD")).header("content-length") == "11"
