"""Applications that are told of a logout: one HTTPS server on loopback, an application a path, each with manners of its own."""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from house import decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from certificates import Authority


@dataclass
class Told:
    """One request that came."""

    path: str
    media_type: str
    form: list[tuple[str, str]]
    at: float

    @property
    def token(self) -> str:
        """The logout token, which is all there is."""
        ((name, value),) = self.form
        assert name == "logout_token"
        return value

    @property
    def claims(self) -> dict[str, Any]:
        """The token's claims, unverified."""
        return decoded(self.token)[1]


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: who sent may have hung up."""


class Receivers:
    """Receives at https://localhost:PORT/NAME; ``answers`` has what a path answers with: a status, or a function of the handler."""

    def __init__(self, authority: Authority) -> None:
        self.told: list[Told] = []
        self.answers: dict[str, int | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.release = threading.Event()  # those that hang
        receivers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
                receivers.told.append(Told(self.path, self.headers["content-type"], form, time.monotonic()))
                answer = receivers.answers.get(self.path, 200)
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                receivers.told.append(Told(self.path, "", [("method", "GET")], time.monotonic()))
                self.send_error(404)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, authority.issue("localhost")))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def uri(self, name: str) -> str:
        """The address of an application."""
        return f"https://localhost:{self.port}/{name}"

    def of(self, name: str) -> list[Told]:
        """What an application was told."""
        return [told for told in self.told if told.path == f"/{name}"]

    def hangs(self, _http: BaseHTTPRequestHandler) -> None:
        """Answer nothing until the end."""
        self.release.wait(120)

    def close(self) -> None:
        """Hang up."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
