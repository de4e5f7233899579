"""Two sites as the world has them: the identity provider on idp-example.test and acme-example.test, the application on rp-example.org.

The application is small and does by hand what a relying party does: PKCE, state, redemption over a connection of its own. It
shows what happened in elements that tests read; ports never appear, so that a site is what Chromium takes for one.
"""

from __future__ import annotations

import base64
import hashlib
import html
import http.client
import json
import secrets
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from house import basic, decoded
from running import Running, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from idp.tenancy.tenant import Tenant

IDP, OWN, APP = "login.idp-example.test", "login.acme-example.test", "app.rp-example.org"
RP = f"https://{APP}"
SCOPE = "openid profile email offline_access"
# An iframe of the silent page ends here and says to the page around it what it got.
_TELL = "<!doctype html><title>told</title><script>parent.postMessage(location.search, '*')</script>"
_SILENT = """<!doctype html><title>silent</title><p id="answer"></p>
<script>addEventListener("message", e => document.getElementById("answer").textContent = e.data)</script>
<iframe src="{url}"></iframe>"""
_FRAMED = '<!doctype html><title>framed</title><iframe src="{url}"></iframe>'
_TOKENS = """<!doctype html><title>signed in</title><h1 id="signed-in">Signed in</h1>
<pre id="claims">{claims}</pre><pre id="userinfo">{userinfo}</pre><p id="method">{method}</p>
<a id="sign-out" href="{logout}">Sign out</a>"""
_POSTING = """<!doctype html><title>posting</title><form method="post" action="{url}">{fields}<button id="go">Go</button></form>"""


@dataclass
class Registered:
    """A client of one tenant, and what the application knows of requests under way."""

    tenant: Tenant
    client_id: str
    secret: str
    states: dict[str, str] = field(default_factory=dict)


class Application:
    """The relying party: pages under /TENANT/CLIENT/…, one registration each."""

    def __init__(self, running: Running, certificate: tuple[Path, Path]) -> None:
        """Prepare to serve under a certificate."""
        self.running = running
        self.clients: dict[str, Registered] = {}
        self.is_deaf = False  # whether answers of the identity provider get lost on the way
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                application.answer(self, None)

            def do_POST(self) -> None:
                application.answer(self, self.rfile.read(int(self.headers["content-length"])).decode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def register(self, tenant: Tenant, client_id: str = "app", **metadata: Any) -> str:
        """Register at a tenant; returns the address of the client's pages."""
        root = f"{RP}/{tenant.slug}/{client_id}"
        given = {
            "client_name": "Example application",
            "client_uri": RP,
            "policy_uri": f"{RP}/privacy",
            "tos_uri": f"{RP}/terms",
            "redirect_uris": [f"{root}/callback", f"{root}/told"],
            "post_logout_redirect_uris": [f"{root}/bye"],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": SCOPE,
        }
        document = self.running.client(tenant, client_id, **{**given, **metadata})
        self.clients[f"/{tenant.slug}/{client_id}"] = Registered(tenant, client_id, document["client_secret"])
        return root

    def answer(self, http_: BaseHTTPRequestHandler, body: str | None) -> None:
        """Answer one request of the browser."""
        url = urlsplit(http_.path)
        root, _, page = url.path.rpartition("/")
        registered = self.clients.get(root)
        if registered is None:
            self._send(http_, "<!doctype html><title>rp</title>", status=404)
            return
        if page == "callback" and self.is_deaf:
            http_.close_connection = True
            return
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        if page in ("start", "silent", "framed", "posting"):
            wanted = self._request(registered, root, params)
            target = f"{registered.tenant.issuer}/authorize"
            address = f"{target}?{urlencode(wanted)}"
            if page == "start":
                self._send(http_, "", status=303, location=address)
            elif page == "posting":
                fields = "".join(
                    f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
                    for name, value in wanted.items()
                )
                self._send(http_, _POSTING.format(url=target, fields=fields))
            else:
                self._send(http_, (_SILENT if page == "silent" else _FRAMED).format(url=html.escape(address)))
        elif page == "told":
            self._send(http_, _TELL)
        elif page == "callback":
            self._send(
                http_,
                self._finish(
                    registered,
                    root,
                    dict(parse_qsl(body)) if body is not None else params,
                    "post" if body is not None else "get",
                ),
            )
        else:
            self._send(http_, f"<!doctype html><title>{page}</title><h1 id='{page}'>{page}</h1>")

    def _request(self, registered: Registered, root: str, more: dict[str, str]) -> dict[str, str]:
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        registered.states[state] = verifier
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        return {
            "response_type": "code",
            "client_id": registered.client_id,
            "redirect_uri": f"{RP}{root}/callback",
            "scope": SCOPE,
            "state": state,
            "nonce": state[::-1],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **more,
        }

    def _finish(self, registered: Registered, root: str, params: dict[str, str], method: str) -> str:
        verifier = registered.states.pop(params.get("state", ""), None)
        if "error" in params or verifier is None:
            said = html.escape(params.get("error", "unknown state"))
            return f"<!doctype html><title>refused</title><h1 id='error'>{said}</h1>"
        assert params["iss"] == registered.tenant.issuer
        form = {
            "grant_type": "authorization_code",
            "code": params["code"],
            "redirect_uri": f"{RP}{root}/callback",
            "code_verifier": verifier,
        }
        tokens = self._call(
            registered.tenant, "POST", "/token", urlencode(form), basic(registered.client_id, registered.secret)
        )
        if "id_token" not in tokens:
            return f"<!doctype html><title>refused</title><h1 id='error'>{html.escape(tokens['error'])}</h1>"
        claims = decoded(tokens["id_token"])[1]
        assert claims["nonce"] == params["state"][::-1]
        userinfo = self._call(
            registered.tenant, "GET", "/userinfo", None, {"authorization": f"Bearer {tokens['access_token']}"}
        )
        leave = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": f"{RP}{root}/bye", "state": "s"}
        logout = html.escape(f"{registered.tenant.issuer}/logout?{urlencode(leave)}")
        return _TOKENS.format(
            claims=html.escape(json.dumps(claims)),
            userinfo=html.escape(json.dumps(userinfo)),
            method=method,
            logout=logout,
        )

    def _call(
        self, tenant: Tenant, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        context = ssl.create_default_context(cafile=str(self.running.authority.file))
        context.check_hostname = False  # the name belongs to 127.0.0.1 in the browser only
        line = http.client.HTTPSConnection("127.0.0.1", self.running.port, timeout=30, context=context)
        kind = {"content-type": "application/x-www-form-urlencoded"} if body is not None else {}
        line.request(method, tenant.base_path + path, body, {"host": tenant.host, **kind, **headers})
        answer = json.loads(line.getresponse().read())
        line.close()
        return dict(answer)

    @staticmethod
    def _send(http_: BaseHTTPRequestHandler, text: str, *, status: int = 200, location: str = "") -> None:
        raw = text.encode()
        http_.send_response(status)
        http_.send_header("content-type", "text/html; charset=utf-8")
        http_.send_header("content-length", str(len(raw)))
        if location:
            http_.send_header("location", location)
        http_.end_headers()
        http_.wfile.write(raw)


@dataclass
class Site:
    """Both, running: tenant demo below the public address, tenant acme on a domain of its own, the application at each."""

    running: Running
    application: Application
    demo: Tenant
    acme: Tenant
    roots: dict[str, str]
    ports: dict[str, int]


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Start both while the block runs."""
    with Running(folder, is_tls=True, port=free_port(), public_url=f"https://{IDP}", names=(IDP, OWN, APP)) as running:
        demo, acme = running.tenant("demo"), running.tenant("acme", OWN)
        application = Application(running, (running.certificate, running.key))
        roots = {tenant.slug: application.register(tenant) for tenant in (demo, acme)}
        ports = {IDP: running.port, OWN: running.port, APP: application.server.server_port}
        try:
            yield Site(running, application, demo, acme, roots, ports)
        finally:
            application.server.shutdown()
            application.server.server_close()
