"""Somebody who publishes a document over TLS on this machine: a key set, a request object, a list of redirect URIs."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Publisher:
    """Publishes one document at every path of https://localhost:PORT and counts how often it is fetched."""

    def __init__(self, authority: Authority) -> None:
        self.document: Any = {"keys": []}
        self.status, self.fetches, self.cache_control = 200, 0, ""
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.fetches += 1
                publisher.before(self.path)
                body = (
                    publisher.document
                    if isinstance(publisher.document, bytes)
                    else json.dumps(publisher.document).encode()
                )
                self.send_response(publisher.status)
                self.send_header("content-type", "application/jwk-set+json")
                self.send_header("content-length", str(len(body)))
                if publisher.cache_control:
                    self.send_header("cache-control", publisher.cache_control)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, authority.issue("localhost")))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.base = f"https://localhost:{self._server.server_port}"
        self.uri = f"{self.base}/jwks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def before(self, path: str) -> None:
        """Happens before each answer; a test may put a wait here."""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    """Somebody who publishes something."""
    made = Publisher(Authority(tmp_path / "ca"))
    yield made
    made.close()
