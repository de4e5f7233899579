"""The application that the tests of the web kit serve: `python served.py PORT WORKERS`, settings from the environment.

Its doors and its WSGI application belong to no product; they only show what reached them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from idp.errors import TooManyRequests
from idp.settings import Settings
from idp.web import csrf, metrics
from idp.web.health import Health
from idp.web.http import Request, Response, json_response
from idp.web.server import Front, granian_options
from idp.web.wsgi import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = Settings.from_env(os.environ)
SHARED = json_response(200, {"ok": True}, [("cache-control", "public, max-age=300")])
CSRF_KEY = b"k" * 32


class Door(NamedTuple):
    """A door as the front asks for it."""

    handle: Callable[[Request], Response]
    inline: Callable[[Request], bool]
    name: str
    is_task: bool = False


def seen(request: Request) -> dict[str, Any]:
    """What an endpoint learns about its request."""
    return {
        "method": request.method,
        "scheme": request.scheme,
        "host": request.host,
        "path": request.path,
        "query": request.query,
        "body": len(request.body),
        "form": request.form if request.media_type.endswith("urlencoded") else None,
        "remote_addr": request.remote_addr,
        "correlation_id": request.correlation_id,
    }


def echo(request: Request) -> Response:
    return json_response(200, seen(request) | {"thread": threading.current_thread().name})


def fail(_request: Request) -> Response:
    raise RuntimeError("client_secret=hunter2-planted")


def limit(_request: Request) -> Response:
    raise TooManyRequests(retry_after=7)


def wait(_request: Request) -> Response:
    time.sleep(1.0)
    return json_response(200, {"waited": True})


def form(request: Request) -> Response:
    csrf.require(request, CSRF_KEY, request.cookies.get("b-acme"), "login", "interaction-1")
    return json_response(200, {"accepted": True})


def always(_request: Request) -> bool:
    return True


def never(_request: Request) -> bool:
    return False


def small(request: Request) -> bool:
    """Inline as long as the form has one field: what may wait is decided by the request."""
    return len(request.form) < 2


DOORS = {
    "/either": Door(echo, small, "either"),
    "/inline": Door(echo, always, "inline"),
    "/threaded": Door(echo, never, "threaded"),
    "/shared": Door(lambda _request: SHARED, always, "shared"),
    "/fail": Door(fail, always, "fail"),
    "/fail-threaded": Door(fail, never, "fail"),
    "/limit": Door(limit, always, "limit"),
    "/wait": Door(wait, never, "wait"),
    "/form": Door(form, always, "form"),
}


def doors(method: str, _host: str, path: str) -> Door | None:
    return DOORS.get(path) if method in ("GET", "POST") else None


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The second door: shows its environ."""
    if environ["PATH_INFO"] == "/app-fails":
        raise RuntimeError("password=hunter2-planted")
    if environ["PATH_INFO"] == "/app-waits":
        time.sleep(1.0)
    request = request_of(environ)
    shown = {key: value for key, value in environ.items() if isinstance(value, str)}
    body = json.dumps({"environ": shown, "request": seen(request), "input": len(environ["wsgi.input"].read())}).encode()
    start_response(
        "200 OK",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "keep-alive")],
    )
    return [body]


def probe() -> None:
    """Ready as long as the file the test made is not there."""
    if Path(os.environ.get("IDP_TEST_BROKEN", "/nonexistent")).exists():
        raise OSError("database-host-planted is lost")
    if Path(os.environ.get("IDP_TEST_HANGING", "/nonexistent")).exists():
        time.sleep(5)


def build() -> Front:
    """Granian's target: one front a worker."""
    return Front(
        application,
        doors,
        SETTINGS,
        health=Health({"database": probe}),
        body_seconds=float(os.environ.get("IDP_TEST_BODY_SECONDS", "2")),
        queue=int(os.environ.get("IDP_TEST_QUEUE", "128")),
        drain_seconds=float(os.environ.get("IDP_TEST_DRAIN", "0")),
    )


def main() -> None:
    from granian import Granian

    metrics.prepare(SETTINGS)
    listener = metrics.listen(SETTINGS)
    Granian(
        f"{__file__}:build",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        workers=int(sys.argv[2]),
        factory=True,
        **granian_options(),
    ).serve()
    if listener is not None:
        listener.close()


if __name__ == "__main__":
    main()
