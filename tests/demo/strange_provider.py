"""An identity provider that answers whatever it is told to: what a demo for debugging has to survive."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = RSAKey.generate_key(2048, {"kid": "good", "use": "sig", "alg": "RS256"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "good", "use": "sig", "alg": "RS256"})


class StrangeProvider:
    """Right in everything that a test does not change."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://localhost:{port}"
        self.asked: list[tuple[str, str, dict[str, str]]] = []  # method, path, HTTP fields
        self.claims: dict[str, Any] = {}
        self.key = KEY
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}  # instead of the right ones, by path

    def say(self, path: str, document: Any, status: int = 200, **fields: str) -> None:
        """Answer ``path`` with something else: JSON, or the bytes themselves."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers[path] = (status, body, {"content-type": "application/json"} | fields)

    def metadata(self) -> dict[str, Any]:
        """The right discovery document."""
        names = ("authorization", "token", "userinfo", "introspection", "revocation", "end_session")
        return {
            "issuer": self.issuer,
            **{f"{name}_endpoint": f"{self.issuer}/{name}" for name in names},
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def id_token(self, **changes: Any) -> str:
        """An ID token with the claims of this test; a change to None leaves the claim out."""
        at = int(time.time())
        claims = {"iss": self.issuer, "sub": "u1", "aud": "demo", "iat": at, "exp": at + 300} | self.claims | changes
        return jwt.encode({"alg": "RS256", "kid": "good"}, {k: v for k, v in claims.items() if v is not None}, self.key)

    def right(self, path: str) -> Any:
        """The right answer."""
        if path == "/jwks":
            return KeySet([KEY]).as_dict(private=False)
        if path == "/token":
            return {
                "access_token": "opaque-access-token-0123456789abcdef",
                "token_type": "Bearer",
                "expires_in": 60,
                "id_token": self.id_token(),
            }
        return {"/userinfo": {"sub": "u1"}, "/introspection": {"active": True}}.get(path, self.metadata())


@contextmanager
def strange_provider() -> Iterator[StrangeProvider]:
    """Serve one on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            provider.asked.append((self.command, path, dict(self.headers.items())))
            status, body, fields = provider.answers.get(path) or (
                200,
                json.dumps(provider.right(path)).encode(),
                {"content-type": "application/json"},
            )
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = StrangeProvider(server.server_address[1])
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
