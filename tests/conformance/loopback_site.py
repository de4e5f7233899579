"""A relying party's own web site on loopback, over TLS: what the provider fetches from it, and what it is told.

Documents are put up and taken down by a test (`jwks_uri`, `request_uri`, `sector_identifier_uri`); every request is kept
(`backchannel_logout_uri`).
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from certificates import Authority


@dataclass(frozen=True)
class Received:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as form fields."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Site:
    """A web site at ``https://localhost:PORT``."""

    def __init__(self, port: int, authority: Authority) -> None:
        """Listen at once."""
        self.url = f"https://localhost:{port}"
        self.documents: dict[str, tuple[int, str, bytes]] = {}
        self.received: list[Received] = []
        self._news = threading.Condition()
        certificate, key = authority.issue("localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, path: str, document: Any, media_type: str = "application/json", status: int = 200) -> str:
        """Put a document up (JSON, unless it is bytes or text) and return its address."""
        body = document if isinstance(document, bytes) else str(document).encode()
        if not isinstance(document, (bytes, str)):
            body = json.dumps(document).encode()
        self.documents[path] = (status, media_type, body)
        return self.url + path

    def fetched(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(each.path == path for each in self.received)

    def wait_for(self, path: str, *, number: int = 1, seconds: float = 20.0) -> list[Received]:
        """Wait until ``number`` requests for a path have come, and return them."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                found = [each for each in self.received if each.path == path]
                if len(found) >= number:
                    return found
                left = deadline - time.monotonic()
                assert left > 0, f"{len(found)} of {number} requests for {path} came in {seconds} s"
                self._news.wait(left)

    def note(self, received: Received) -> tuple[int, str, bytes]:
        """Keep a request and return what to answer."""
        with self._news:
            self.received.append(received)
            self._news.notify_all()
        return self.documents.get(received.path.partition("?")[0], (404, "text/plain", b"nothing here"))


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, self.rfile.read(length))
            status, media_type, body = site.note(received)
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
