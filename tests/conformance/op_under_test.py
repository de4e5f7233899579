"""The provider under test, as an operator runs it: `idp serve` with two workers behind TLS, furnished by the `idp` command alone.

Its tenant lets anybody register clients of the profile `oidc`, and people sign up. What it fetches and calls on loopback is trusted through the test's
own authority. The one thing that only time could do, an ID token that has expired, is signed in its data folder with its keys.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from idp.installation import Installation
from idp.keys.signer import TenantKeys
from idp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from certificates import Authority

ROOT = Path(__file__).resolve().parents[2]
PORTS = range(19300, 19400)
# Each process of a parallel run has a quarter of the range to itself.
_quarter = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4
_ports = itertools.cycle(random.sample(PORTS[25 * _quarter : 25 * (_quarter + 1)], 25))
START_SECONDS, STOP_SECONDS, FEED_SECONDS = 40.0, 10.0, 10.0
ALGORITHMS = ("ES256", "RS256", "EdDSA", "PS256")

TENANT = "acme"
PASSWORD = "plum-kettle-orbit-77"
PERSON, OTHER_PERSON = "ada@example.com", "bob@example.com"
# OpenID Connect Core §5.1: a value for every standard claim.
CLAIMS: dict[str, Any] = {
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "middle_name": "King",
    "nickname": "ada",
    "preferred_username": "ada.l",
    "profile": "https://people.example/ada",
    "picture": "https://people.example/ada.png",
    "website": "https://ada.example/",
    "gender": "female",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "phone_number": "+44 20 7946 0123",
    "phone_number_verified": True,
    "address": {"street_address": "12 St James's Square", "locality": "London", "country": "GB"},
}


def free_port() -> int:
    """A port that nobody listens on, never the same one twice in 25."""
    for port in itertools.islice(_ports, 25):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no free port in {PORTS}")


class Provider:
    """One served installation with the tenant acme and two people."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        """Prepare an installation in ``folder``; nothing is made yet."""
        self.port, self.authority = free_port(), authority
        self.url = f"https://localhost:{self.port}"
        self.issuer = f"{self.url}/t/{TENANT}"
        self.certificate, self.key = authority.issue("localhost")
        self.trust = ssl.create_default_context(cafile=str(authority.file))
        self.environ = {
            "IDP_DATA_DIR": str(folder / "var"),
            "IDP_PUBLIC_URL": self.url,
            "IDP_ARGON2_MEMORY_KIB": "7168",
            "IDP_LOG_LEVEL": "warning",
            "IDP_CA_BUNDLE": str(authority.file),
            "IDP_ALLOWED_PRIVATE_HOSTS": "localhost",
            "NO_COLOR": "1",
        }
        self.log, self._mails = folder / "server.log", folder / "var" / "outbox"
        self.http = httpx.Client(verify=self.trust, timeout=30, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._furnish()
            self.start()
            self._await_keys(lambda keys: {key["alg"] for key in keys} >= set(ALGORITHMS))
        except BaseException:
            self.stop()  # nobody leaves what was never entered
            raise
        return self

    def _furnish(self) -> None:
        self.idp("init")
        self.idp("tenant", "create", TENANT, "--name", "Acme")
        self.idp(
            *("tenant", "set", TENANT, "registration=open", "registration_quota=100000", "rate_limits=off"),
            *("signup=on", "signup_source_limit=100000"),
            *("allowed_client_profiles=strict,oidc", "registration_client_profile=oidc"),
            f"signing_algorithms={','.join(ALGORITHMS)}",
        )
        self.idp("user", "create", TENANT, PERSON, "--password-stdin", "--claims", json.dumps(CLAIMS), text=PASSWORD)
        self.idp("user", "create", TENANT, OTHER_PERSON, "--name", "Bob", "--password-stdin", text=PASSWORD)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.http.close()

    def start(self) -> Self:
        """Serve, and wait until it answers."""
        listen = f"127.0.0.1:{self.port}"
        tls = ("--tls-cert", str(self.certificate), "--tls-key", str(self.key))
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "idp.cli", "serve", "--workers", "2", "--listen", listen, *tls],
                env=self._environment(),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while True:
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            with contextlib.suppress(httpx.HTTPError):
                if self.http.get(f"{self.url}/health/ready").status_code == 200:
                    return self
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server and what it started."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def idp(self, *arguments: str, text: str = "") -> str:
        """Run the `idp` command on the installation and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "idp.cli", *arguments],
            env=self._environment(),
            cwd=ROOT,
            input=text,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"idp {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def discovery(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery §4), fetched anew."""
        answer = self.http.get(f"{self.issuer}/.well-known/openid-configuration")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def keys(self) -> list[dict[str, Any]]:
        """The published keys, fetched anew."""
        found: list[dict[str, Any]] = self.http.get(self.discovery()["jwks_uri"]).json()["keys"]
        return found

    def code_for(self, address: str) -> str:
        """The code that a sign-up's address was mailed."""
        until = time.monotonic() + FEED_SECONDS
        while True:
            assert time.monotonic() < until, f"no mail to {address}"
            for file in self._mails.glob("*.eml"):
                mail = message_from_bytes(file.read_bytes(), policy=policy.default)
                text = mail.get_body(("plain",))
                if mail["to"] == address and text is not None:
                    return re.findall(r"\b\d{4} \d{4}\b", text.get_content())[0]
            time.sleep(0.05)

    def rotate_keys(self) -> None:
        """Replace the keys that sign, and wait until both web workers publish the new ones."""
        before = {key["kid"] for key in self.keys()}
        self.idp("keys", "rotate", TENANT, "--now")
        self._await_keys(lambda keys: bool({key["kid"] for key in keys if key["use"] == "sig"} - before))

    def _await_keys(self, are_there: Callable[[list[dict[str, Any]]], bool]) -> None:
        until, seen = time.monotonic() + FEED_SECONDS, 0
        while seen < 6:  # in a row, so that each of the two processes has answered
            assert time.monotonic() < until, "the keys are not published"
            with httpx.Client(verify=self.trust, trust_env=False) as fresh:
                found = fresh.get(f"{self.issuer}/jwks").json()["keys"]
            seen = seen + 1 if are_there(found) else 0
            time.sleep(0.05)

    def sign(self, claims: dict[str, Any], alg: str = "RS256") -> str:
        """An ID token of this very provider with any claims: what it would have issued long ago."""
        settings = Settings.from_env(self.environ)
        installation = Installation(settings, "test")
        try:
            tenant = installation.provisioning.find(TENANT)
            with installation.store.tenant(tenant.id, tenant.database_url).reading() as conn:
                keys = TenantKeys.load(conn, installation.envelope, tenant.id)
            return keys.sign(claims, alg=alg, typ="JWT")
        finally:
            installation.close()

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | self.environ
