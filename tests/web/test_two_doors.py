"""Architecture §3 'One handler, two doors': what an endpoint learns and answers does not depend on the door."""

from __future__ import annotations

import io
import json
import re
from wsgiref.validate import validator

import httpx
import pytest

from idp.errors import StorageUnavailable
from idp.settings import Settings
from idp.web.http import Headers, Request
from idp.web.wsgi import call, environ_of, guarded, request_of


def test_same_request_through_all_doors(server):
    """Architecture §3: inline, threaded and WSGI see the same method, host, path, query, form and client."""
    body = {"grant_type": "x", "scope": "a b", "é": "ü+&"}
    shown = {}
    for path in ("/inline", "/threaded", "/page"):
        answer = httpx.post(f"{server.url}{path}?q=%2F&x=1", data=body).json()
        shown[path] = answer.get("request", answer)
    for facts in shown.values():
        facts.pop("correlation_id")
        facts.pop("thread", None)
        facts.pop("path")
    assert shown["/inline"] == shown["/threaded"] == shown["/page"]
    assert shown["/inline"]["form"] == [["grant_type", "x"], ["scope", "a b"], ["é", "ü+&"]]
    assert shown["/inline"]["query"] == "q=%2F&x=1"


def test_inline_runs_on_the_loop_and_the_other_in_a_thread(server):
    """Architecture §3: inline answers do not pay for a thread, what may wait never stands on the loop."""
    assert httpx.get(server.url + "/inline").json()["thread"] == "MainThread"
    assert httpx.get(server.url + "/threaded").json()["thread"].startswith("request")
    # The endpoint decides by the request: what will write goes to a thread.
    assert httpx.post(server.url + "/either", data={"a": "1"}).json()["thread"] == "MainThread"
    assert httpx.post(server.url + "/either", data={"a": "1", "b": "2"}).json()["thread"].startswith("request")
    assert (
        httpx.post(
            server.url + "/either", content=b"a=%", headers={"Content-Type": "application/x-www-form-urlencoded"}
        ).status_code
        == 400
    )


def test_environ_is_pep_3333(server):
    """PEP 3333: SCRIPT_NAME is empty, the path is decoded, the query raw, the address the client's."""
    answer = httpx.get(server.url + "/a%20b/c%C3%A9?x=%zz&y=1", headers={"X-Thing": "1"}).json()
    environ = answer["environ"]
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/cé"
    assert environ["QUERY_STRING"] == "x=%zz&y=1"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", str(server.port))
    assert environ["HTTP_HOST"] == f"localhost:{server.port}"
    assert environ["HTTP_X_THING"] == "1"


def test_environ_carries_nothing_forged(server):
    """CVE-2016-5385, S120: `Proxy`, forwarded headers and names with underscores never reach an application."""
    raw = b"\r\n".join(
        [
            b"GET /page HTTP/1.1",
            b"Host: localhost",
            b"Proxy: http://evil.example",
            b"X-Forwarded-For: 6.6.6.6",
            b"X-Forwarded-Prefix: /evil",
            b"X_Forwarded_For: 6.6.6.6",
            b"Forwarded: for=6.6.6.6",
            b"X-Real-IP: 6.6.6.6",
            b"",
            b"",
        ]
    )
    environ = server.raw(raw).json()["environ"]
    assert [name for name in environ if "FORWARDED" in name or "PROXY" in name or "REAL" in name] == []
    assert "6.6.6.6" not in str(environ)


def test_connection_headers_of_an_application_stay_behind(server):
    """RFC 9110 §7.6.1: framing belongs to the server; an application's Connection header is not sent on."""
    answer = httpx.get(server.url + "/page")
    assert "connection" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_shared_response_is_never_changed(server):
    """Architecture §5: a cached Response is answered many times; only the copy carries the correlation id."""
    answers = [httpx.get(server.url + "/shared") for _ in range(3)]
    assert {len(answer.headers.get_list("x-correlation-id")) for answer in answers} == {1}
    assert len({answer.headers["x-correlation-id"] for answer in answers}) == 3
    assert answers[0].headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize("path", ["/fail", "/fail-threaded", "/app-fails"])
def test_a_defect_is_a_500_without_a_traceback(server, path):
    """S120, RFC 9457: the answer shows the correlation id only; the log has the traceback once, without the secret."""
    answer = httpx.get(server.url + path)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert "hunter2" not in answer.text
    lines = [line for line in server.text().splitlines() if answer.json()["request_id"] in line and "Traceback" in line]
    assert len(lines) == 1
    assert "hunter2-planted" not in server.text()


def test_an_idp_error_is_a_problem_document(server):
    """RFC 9457 §3: status, title, detail and code; RFC 9110 §10.2.3: Retry-After."""
    answer = httpx.get(server.url + "/limit")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json() == {
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Too many requests. Please wait a moment and try again.",
        "code": "too_many_requests",
        "request_id": answer.headers["x-correlation-id"],
    }


def test_debug_surface_is_absent(server):
    """S120: no debugger, no metrics on the public listener: such addresses are like any other path."""
    for path in ("/?__debugger__=yes&cmd=resource&f=debugger.js", "/metrics", "/.git/config", "/console"):
        answer = httpx.get(server.url + path)
        assert "request" in answer.json()
        assert "idp_request_seconds" not in answer.text


def environ(**changes):
    made = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/page",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


def app(given, start_response):
    if given["PATH_INFO"] == "/lost":
        raise StorageUnavailable
    if given["PATH_INFO"] == "/boom":
        raise RuntimeError("hunter2")
    request = request_of(given)
    body = json.dumps([request.method, request.host, request.remote_addr, len(request.body)]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body] if request.method != "HEAD" else []


SETTINGS = Settings()


def ask(settings=SETTINGS, **changes):
    answered = {}

    def start_response(status, headers, _exc_info=None):
        answered["status"], answered["headers"] = int(status[:3]), {name.lower(): value for name, value in headers}
        return lambda _piece: None

    checked = validator(guarded(app, settings, max_body=1000))
    pieces = checked(environ(**changes), start_response)
    body = b"".join(pieces)
    pieces.close()
    return answered["status"], answered["headers"], body


@pytest.mark.filterwarnings("ignore::wsgiref.validate.WSGIWarning")
class TestGuardedWsgi:
    """`wsgi.py` behind another server: the same checks, validated by wsgiref."""

    def test_answers(self):
        """PEP 3333: the guarded application answers and carries the correlation id."""
        status, headers, body = ask()
        assert (status, json.loads(body)) == (200, ["GET", "localhost", "127.0.0.1", 0])
        assert re.fullmatch(r"[0-9A-Z]{16}", headers["x-correlation-id"])
        assert "strict-transport-security" not in headers

    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [
            ({"HTTP_HOST": None}, 400, "bad_host"),
            ({"HTTP_HOST": "a,b"}, 400, "bad_host"),
            ({"HTTP_HOST": "id.example"}, 400, "https_required"),
            ({"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"}, 400, "ambiguous_length"),
            ({"HTTP_TRANSFER_ENCODING": "chunked"}, 400, "ambiguous_length"),
            ({"CONTENT_LENGTH": "5"}, 400, "ambiguous_length"),
            ({"CONTENT_LENGTH": "1001"}, 413, "body_too_large"),
            ({"HTTP_X_BOMB": "a" * 40_000}, 431, "headers_too_large"),
            ({"PATH_INFO": "/\xff"}, 400, "invalid_request"),
            ({"PATH_INFO": "/boom"}, 500, "internal_error"),
            ({"PATH_INFO": "/lost"}, 503, "temporarily_unavailable"),
        ],
    )
    def test_refuses(self, changes, status, code):
        """RFC 9112 §3.2 and §6.1: the guard refuses what the front refuses, here also where both lengths are seen."""
        got, headers, body = ask(**changes)
        assert (got, json.loads(body)["code"]) == (status, code)
        assert json.loads(body)["request_id"] == headers["x-correlation-id"]
        assert b"hunter2" not in body

    def test_https_and_head(self):
        """RFC 6797 §7.1: HTTPS answers carry HSTS; RFC 9110 §9.3.2: HEAD has no body."""
        status, headers, body = ask(**{"wsgi.url_scheme": "https", "HTTP_HOST": "id.example", "REQUEST_METHOD": "HEAD"})
        assert (status, body) == (200, b"")
        assert headers["strict-transport-security"].startswith("max-age=63072000")

    def test_environ_of_and_call_satisfy_wsgiref(self):
        """PEP 3333: the environ the front builds passes wsgiref's validator, and close() is called."""
        request = Request(
            "POST", "https", "[::1]:8443", "/é", "a=ü", Headers.of([("X-A", "1"), ("X-A", "2")]), b"abc", "::1", "ID"
        )
        seen = {}

        class Body(list):
            def close(self):
                seen["closed"] = True

        def inner(given, start_response):
            seen.update(given)
            write = start_response("201 Created", [("Content-Type", "text/plain")])
            write(b"first ")
            return Body([b"second"])

        assert environ_of(request)["SERVER_PORT"] == "8443"
        assert environ_of(request)["SERVER_NAME"] == "[::1]"
        answer = call(inner, request)
        assert (answer.status, answer.body) == (201, b"first second")
        assert seen["closed"]
        assert seen["HTTP_X_A"] == "1, 2"
        call(validator(lambda _environ, start: (start("200 OK", [("Content-Type", "text/plain")]), [b"x"])[1]), request)
