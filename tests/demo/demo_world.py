"""A real identity provider with a tenant, and the demo application in front of it; `python demo_world.py` serves both to look at."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import requests
from werkzeug.serving import make_server

from idp import opaque
from idp.demo.relying_party import _Quiet, create_app
from idp.identity import accounts
from idp.installation import Installation
from idp.keys.envelope import create_master_key
from idp.oauth import client_metadata
from idp.settings import Settings
from idp.store import placement
from idp.store.tenant import clients
from idp.tenancy.context import entered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD, NAME = "ada@example.com", "plum-kettle-orbit-77", "Ada Lovelace"
SECRET = "replace-me-with-43-random-characters-0123456"
SERVE = """
import sys
from granian import Granian
from idp.web.server import granian_options
Granian("idp.app:create_front", address="127.0.0.1", port=int(sys.argv[1]), workers=1, factory=True, **granian_options()).serve()
"""
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class IdentityProvider:
    """A served installation with the tenant `demo` and the user Ada."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The public address."""
        return f"http://localhost:{self.port}"

    @property
    def issuer(self) -> str:
        """The issuer of the tenant."""
        return f"{self.url}/t/demo"

    def prepare(self) -> None:
        """Make control database, tenant and user."""
        self.environ = {"IDP_PUBLIC_URL": self.url, "IDP_DATA_DIR": str(self.folder), "IDP_ACCESS_LOG": "off"}
        settings = Settings.from_env(self.environ)
        create_master_key(settings)
        placement.create_control(settings).close()
        installation = Installation(settings, "test")
        tenant = installation.provisioning.create("demo", "Demo")
        with entered(installation.store, tenant) as database:
            accounts.create_user(
                database,
                installation.services.hasher,
                tenant,
                username=EMAIL,
                password=PASSWORD,
                email=EMAIL,
                by=accounts.By("operator"),
                claims={
                    "name": NAME,
                    "given_name": "Ada",
                    "family_name": "Lovelace",
                    "locale": "en-GB",
                    "email_verified": True,
                },
            )
        installation.close()

    def register(self, base_url: str, client_id: str = "demo-rp", **metadata: Any) -> None:
        """Register the demo application."""
        given = {
            "client_name": "Demo application",
            "redirect_uris": [f"{base_url}/callback"],
            "post_logout_redirect_uris": [f"{base_url}/signed-out"],
            "grant_types": ["authorization_code", "refresh_token"],
        } | metadata
        installation = Installation(Settings.from_env(self.environ), "test")
        tenant = installation.resolver.by_slug("demo")
        stored = client_metadata.validate(given, "strict", tenant.settings.signing_algorithms)
        with entered(installation.store, tenant) as database:
            database.writing(
                lambda conn: clients.create(
                    conn,
                    client_id=client_id,
                    client_profile="strict",
                    secret_hash=opaque.digest(SECRET),
                    metadata=stored,
                    state="active",
                )
            )
        installation.close()

    def start(self) -> None:
        """Serve, and wait until it answers."""
        environ = {key: value for key, value in os.environ.items() if not key.startswith("IDP_")} | self.environ
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.port)], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise RuntimeError("the identity provider did not start")

    def stop(self) -> None:
        """Stop serving."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def refusals(self) -> list[dict[str, Any]]:
        """The records that `idp explain` reads."""
        files = sorted((self.folder / "spool").glob("*"))
        return [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines() if line.strip()]


@dataclass
class Demo:
    """The running demo application."""

    app: Flask
    url: str
    idp: IdentityProvider

    @property
    def visits(self) -> list[Any]:
        """What it remembers of browsers."""
        return list(self.app.session_interface._visits.values())  # type: ignore[attr-defined]

    def secrets(self) -> set[str]:
        """Every secret that any visit has seen: they are the keys of its mask."""
        return {secret for visit in self.visits for secret in visit.trace.mask._seen}


class Person:
    """Somebody with a browser without scripts: follows redirects, keeps cookies, fills in forms, and remembers every page."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.seen: list[requests.Response] = []

    def get(self, path: str, **more: Any) -> requests.Response:
        """Open an address of the demo, or any."""
        return self._see(self.session.get(path if "://" in path else self.url + path, timeout=15, **more))

    def post(self, path: str, data: dict[str, str] | None = None, **more: Any) -> requests.Response:
        """Press a button of the demo."""
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"} | more.pop("headers", {})
        return self._see(self.session.post(self.url + path, data=data or {}, headers=headers, timeout=15, **more))

    def submit(self, page: requests.Response, **values: str) -> requests.Response:
        """Send the form of a page of the identity provider."""
        action = html.unescape(re.search(r'<form[^>]* action="([^"]+)"', page.text)[1])  # type: ignore[index]
        hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        address = urljoin(page.url, action)
        headers = {"Origin": "/".join(address.split("/")[:3]), "Sec-Fetch-Site": "same-origin"}
        return self._see(self.session.post(address, data=hidden | values, headers=headers, timeout=15))

    def sign_in(self, path: str = "/sign-in", *, consent: str = "approve") -> requests.Response:
        """Sign in as Ada, from the demo's button to the page that the demo shows then."""
        page = self.get(path)
        if 'name="password"' in page.text:
            page = self.submit(page, username=EMAIL, password=PASSWORD)
        if 'id="consent-approve"' in page.text:
            page = self.submit(page, action=consent)
        return page

    def _see(self, page: requests.Response) -> requests.Response:
        self.seen += [*page.history, page]
        return page


@contextmanager
def identity_provider(folder: Path, port: int = 0) -> Iterator[IdentityProvider]:
    """An identity provider while the block runs."""
    made = IdentityProvider(folder, port or free_port())
    made.prepare()
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def demo_application(
    idp: IdentityProvider, port: int = 0, *, issuer: str | None = None, **options: Any
) -> Iterator[Demo]:
    """The demo application in a thread while the block runs, registered at the identity provider as a new client."""
    port = port or free_port()
    url, client_id = f"http://localhost:{port}", options.pop("client_id", f"demo-{opaque.new_id()[:8]}")
    if options.pop("registered", True):
        idp.register(url, client_id, **options.pop("metadata", {}))
    app = create_app(issuer or idp.issuer, client_id, options.pop("secret", SECRET), url, **options)
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield Demo(app, url, idp)
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    """Serve both until Ctrl-C."""
    with (
        tempfile.TemporaryDirectory() as folder,
        identity_provider(Path(folder), 18900) as idp,
        demo_application(idp, 18901) as demo,
    ):
        sys.stdout.write(f"{demo.url}  {EMAIL}  {PASSWORD}\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main()
