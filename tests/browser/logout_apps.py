"""Two applications on registrable domains of their own, which keep a cookie, want a front-channel frame, and watch the session."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from house import basic, decoded

if TYPE_CHECKING:
    from site_pair import Site

HOSTS = ("app.first-example.org", "app.second-example.net")
VERIFIER = secrets.token_urlsafe(32)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
_SIGNED_IN = """<!doctype html><title>signed in</title><h1 id="signed-in">Signed in</h1><pre id="claims">{claims}</pre>
<pre id="session-state">{state}</pre><a id="sign-out" href="{logout}">Sign out</a>"""
_WATCH = """<!doctype html><title>watch</title><p id="status"></p><iframe id="op" src="{frame}"></iframe>
<script>
const op = document.getElementById("op");
window.question = {question};
addEventListener("message", e => {{ if (e.origin === {origin}) document.getElementById("status").textContent = e.data; }});
op.addEventListener("load", () => setInterval(() => op.contentWindow.postMessage(window.question, {origin}), 50));
</script>"""
_TELL = "<!doctype html><title>told</title><script>parent.postMessage(location.search, '*')</script>"
_SILENT = """<!doctype html><title>silent</title><p id="answer"></p>
<script>addEventListener("message", e => document.getElementById("answer").textContent = e.data)</script>
<iframe src="{url}"></iframe>"""


@dataclass
class App:
    """One application at one tenant."""

    host: str
    client_id: str
    secret: str
    told: list[dict[str, str]] = field(default_factory=list)  # queries of its front-channel address
    delay: float = 0.0  # seconds that its front-channel address takes

    @property
    def root(self) -> str:
        return f"https://{self.host}"


class Apps:
    """Serves both; which one it is, the Host header says."""

    def __init__(self, pair: Site) -> None:
        self.pair, self.tenant = pair, pair.acme
        suffix = secrets.token_hex(4)
        self.by_host: dict[str, App] = {}
        for host in HOSTS:
            root = f"https://{host}"
            document = pair.running.client(
                self.tenant,
                f"{host.split('.')[1]}-{suffix}",
                redirect_uris=[f"{root}/cb", f"{root}/told"],
                post_logout_redirect_uris=[f"{root}/bye"],
                frontchannel_logout_uri=f"{root}/out?from=idp",
                frontchannel_logout_session_required=True,
            )
            self.by_host[host] = App(host, document["client_id"], document["client_secret"])
        apps = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                apps.answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.running.certificate, pair.running.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, http_: BaseHTTPRequestHandler) -> None:
        """Answer one request of the browser."""
        app, url = self.by_host[http_.headers["host"]], urlsplit(http_.path)
        given = dict(parse_qsl(url.query, keep_blank_values=True))
        cookie = "app={}; Path=/; Secure; HttpOnly; SameSite=None"
        fields: dict[str, str] = {}
        text, status = f"<!doctype html><title>page</title><h1 id='{url.path[1:]}'>page</h1>", 200
        if url.path == "/start":
            status, fields["location"] = 303, self.authorize(app, given)
        elif url.path == "/cb":
            text, fields["set-cookie"] = self._signed_in(app, given), cookie.format("in")
        elif url.path == "/home":
            is_in = "app=in" in (http_.headers["cookie"] or "")
            text = f"<!doctype html><title>home</title><p id='home'>{'in' if is_in else 'out'}</p>"
        elif url.path == "/out":
            app.told.append(given)
            time.sleep(app.delay)
            fields["set-cookie"] = cookie.format("") + "; Max-Age=0"
        elif url.path == "/watch":
            origin = json.dumps(self.tenant.origin)
            question = json.dumps(f"{app.client_id} {given['session_state']}")
            text = _WATCH.format(frame=f"{self.tenant.issuer}/check-session", question=question, origin=origin)
        elif url.path == "/told":
            text = _TELL
        elif url.path == "/silent":
            wanted = {"prompt": "none", "redirect_uri": f"{app.root}/told"}
            text = _SILENT.format(url=html.escape(self.authorize(app, wanted)))
        raw = text.encode()
        http_.send_response(status)
        for name, value in {"content-type": "text/html; charset=utf-8", "content-length": len(raw), **fields}.items():
            http_.send_header(name, str(value))
        http_.end_headers()
        http_.wfile.write(raw)

    def authorize(self, app: App, more: dict[str, str]) -> str:
        """The address of an authorization request."""
        wanted = {
            "response_type": "code",
            "client_id": app.client_id,
            "redirect_uri": f"{app.root}/cb",
            "scope": "openid",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **more,
        }
        return f"{self.tenant.issuer}/authorize?{urlencode(wanted)}"

    def _signed_in(self, app: App, given: dict[str, str]) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": given["code"],
            "redirect_uri": f"{app.root}/cb",
            "code_verifier": VERIFIER,
        }
        call = self.pair.application._call
        tokens = call(self.tenant, "POST", "/token", urlencode(form), basic(app.client_id, app.secret))
        leave = {
            "id_token_hint": tokens["id_token"],
            "post_logout_redirect_uri": f"{app.root}/bye",
            "state": "the state",
        }
        return _SIGNED_IN.format(
            claims=html.escape(json.dumps(decoded(tokens["id_token"])[1])),
            state=html.escape(given["session_state"]),
            logout=html.escape(f"{self.tenant.issuer}/logout?{urlencode(leave)}"),
        )
