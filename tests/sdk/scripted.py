"""A server on loopback that answers what a test has written down, and remembers what it was asked: for failures the product does not have."""

from __future__ import annotations

import json
import socket
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass
class Says:
    """One answer; a body that is None hangs up without one, `x-length` promises more than comes."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Scripted:
    """The server. Each address has a queue of answers, the last of which stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._says: dict[str, deque[Says | Callable[[Asked], Says]]] = defaultdict(deque)
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                says = outer.take(asked)
                if says.body is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = says.body if isinstance(says.body, bytes) else json.dumps(says.body).encode()
                self.send_response(says.status)
                for name, value in {"content-type": "application/json", **says.headers}.items():
                    self.send_header(name, value)
                promised = says.headers.get("x-length", str(len(body)))
                self.send_header("content-length", promised)
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = promised != str(len(body))

            def log_message(self, *_: object) -> None: ...

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def says(self, path: str, *answers: Says | Callable[[Asked], Says]) -> None:
        """Answer requests to a path with these, one after the other; the last one stays."""
        self._says[path] = deque(answers)

    def take(self, asked: Asked) -> Says:
        with self._lock:
            self.asked.append(asked)
            waiting = self._says.get(asked.path.partition("?")[0])
            if not waiting:
                return Says(404, {"code": "not_found", "detail": f"nothing is said of {asked.path}", "status": 404})
            found = waiting.popleft() if len(waiting) > 1 else waiting[0]
        return found(asked) if callable(found) else found

    def times(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(each.path.partition("?")[0] == path for each in self.asked)

    def is_issuer(self, tenant: str = "acme") -> str:
        """Be the server of a tenant; returns its issuer."""
        issuer = f"{self.url}/t/{tenant}"
        self.says(f"/t/{tenant}", Says(body={"issuer": issuer}))
        addresses = {
            "authorization_challenge_endpoint": f"{issuer}/challenge",
            "token_endpoint": f"{issuer}/token",
            "revocation_endpoint": f"{issuer}/revoke",
            "authorization_endpoint": f"{issuer}/authorize",
            "jwks_uri": f"{issuer}/jwks",
        }
        self.says(f"/t/{tenant}/.well-known/oauth-authorization-server", Says(body={"issuer": issuer, **addresses}))
        self.says(f"/t/{tenant}/challenge", Says(body={"authorization_code": "code-1"}))
        self.says(f"/t/{tenant}/token", Says(body=tokens(1)))
        self.says(f"/t/{tenant}/revoke", Says())
        return issuer


def tokens(number: int, **more: Any) -> dict[str, Any]:
    """A token response."""
    made = {"access_token": f"access-{number}", "token_type": "Bearer", "expires_in": 3600}
    return {**made, "refresh_token": f"refresh-{number}", **more}


def problem(status: int, code: str, **more: Any) -> Says:
    """A refusal."""
    headers = more.pop("headers", {})
    document = {"status": status, "code": code, "detail": f"It is {code}.", "request_id": "7Q2M4ZK9X1VB3NTC", **more}
    return Says(status, document, headers)
