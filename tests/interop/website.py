"""A relying party's web site over TLS on loopback: what it publishes, by path, and what it was sent."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable

    from certificates import Authority


class Website:
    """Publishes the files of ``folder`` at their own paths, and whatever is in ``pages``; keeps the forms that are posted."""

    def __init__(self, authority: Authority, folder: Path, *names: str) -> None:
        """Serve under a certificate of the test's root, for localhost and other names."""
        self.folder, self.pages = folder, dict[str, tuple[str, bytes]]()
        self.fetched: list[str] = []
        self.posted: list[dict[str, str]] = []
        self.receive: Callable[[dict[str, str]], int] = lambda _form: 200
        website = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                website.fetched.append(self.path)
                found = website.find(self.path.partition("?")[0])
                self._answer(404 if found is None else 200, *(found or ("text/plain", b"")))

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                status = website.receive(form)
                website.posted.append(form)
                self._answer(status, "text/plain", b"")

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("site.localhost", "localhost", *names))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def find(self, path: str) -> tuple[str, bytes] | None:
        """Return what is published at a path, with its type."""
        if path in self.pages:
            return self.pages[path]
        file = Path(path)
        is_ours = file.is_relative_to(self.folder) and file.is_file()
        return ("application/jwt", file.read_bytes()) if is_ours else None

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
