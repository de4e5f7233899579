"""`idp demo-rp`: a small application that signs people in at a tenant and shows the tokens and every request of the flow.

It is an application like any other: it knows its issuer, client id and secret, and talks HTTP. Werkzeug's own server with a
thread a request is enough for the few people of a demo, starts at once and needs no further dependency; production
applications stand behind something else, and this one is not made for production.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, abort, redirect, request
from werkzeug.serving import WSGIRequestHandler, make_server

from idp.demo.application import SCOPE, Application
from idp.demo.routes import Site
from idp.demo.visits import Visits
from idp.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response as AnyResponse

_LARGEST_BODY = 64 * 1024
_WATCH = 0.5  # seconds between two looks for the parent


def create_app(
    issuer: str,
    client_id: str,
    client_secret: str,
    base_url: str,
    *,
    ca_bundle: str | None = None,
    hint: str | None = None,
    scope: str = SCOPE,
) -> Flask:
    """Return the application of one client at ``issuer``; browsers reach it at ``base_url`` (http://localhost:8001).

    Registered have to be ``{base_url}/callback`` and, for after the logout, ``{base_url}/signed-out``. An empty secret is a
    public client. ``ca_bundle`` is a file with the root certificates to trust instead of the system's; ``hint`` a sentence
    for the first page, such as where the password is to be found; ``scope`` what is asked for. Raises
    :class:`SettingError` when ``issuer`` or ``base_url`` is no web address.
    """
    for what, url in (("issuer", issuer), ("address of the application", base_url)):
        if not _is_web_address(url):
            raise SettingError(f"{url} cannot be the {what}; give http(s)://host[:port] without query or fragment.")
    application = Application(issuer, client_id, client_secret, base_url, ca_bundle, scope)
    address = urlsplit(application.base_url)
    app = Flask("idp.demo", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    # Cookies know no ports, so the port is in the name; else two applications on localhost would sign each other out.
    port = address.port or (443 if address.scheme == "https" else 80)
    app.session_interface = Visits(f"demo-rp-{port}", is_secure=address.scheme == "https")

    @app.before_request
    def at_home() -> AnyResponse | None:
        """Keep to one origin: the cookie, the redirect URI and the forms belong to ``base_url``."""
        if request.method == "POST":
            # SameSite=Lax is no protection between ports of one host.
            if request.headers.get("Origin", application.base_url) != application.base_url:
                abort(403)
            if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
                abort(403)
        elif request.host != address.netloc:
            return redirect(f"{application.base_url}{request.full_path.removesuffix('?')}", 307)
        return None

    @app.after_request
    def bare(response: Response) -> Response:
        """Send redirects without the page that Flask writes for them: it would repeat an address that may hold an ID token."""
        if 300 <= response.status_code < 400:
            response.set_data(b"")
            response.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "same-origin"})
        return response

    app.register_blueprint(Site(application, hint).blueprint())
    return app


def serve(app: Flask, listen: str, *, tls: tuple[str, str] | None = None, parent: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the process ``parent`` is not the parent any more; ``listen`` is HOST:PORT.

    ``tls`` are the files of certificate and key. Raises :class:`SettingError` when it cannot listen there.
    """
    listener = _listener(listen)
    host, port = listener.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, request_handler=_Quiet, ssl_context=tls, fd=listener.fileno())

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()  # the loop that is to end runs in this thread

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    if parent is not None:
        threading.Thread(target=_watch, args=(parent, server.shutdown), daemon=True).start()
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        listener.close()
        for number, handler in earlier.items():
            signal.signal(number, handler)


class _Quiet(WSGIRequestHandler):
    """A request handler that writes nothing: the line of a request would hold an authorization code."""

    timeout = 30  # seconds that a connection may be silent

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def version_string(self) -> str:
        """Return the name in the field Server."""
        return "demo"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_plain = not (parts.query or parts.fragment or "@" in parts.netloc or "\\" in url) and parts.port != 0
    except ValueError:
        return False
    return (
        is_plain
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
    )


def _listener(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingError(
            f"{listen} is no address to listen on; give HOST:PORT, for instance --listen 127.0.0.1:8001."
        )
    host = host.strip("[]")
    try:
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = "something else listens there" if error.errno == errno.EADDRINUSE else "that is not possible"
        raise SettingError(
            f"The demo cannot listen on {listen}: {reason}; give another address with --listen HOST:PORT."
        ) from None


def _watch(parent: int, stop: Callable[[], None]) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH)
    stop()
