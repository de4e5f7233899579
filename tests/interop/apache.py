"""Apache with mod_auth_openidc, run in the foreground under a configuration of its own: one virtual host for each way to use it.

Behind it stands an application that answers with the headers it was sent, which is how the module tells it who is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey
from running import free_port, need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Running

    from idp.tenancy.tenant import Tenant

MODULES = Path("/usr/lib/apache2/modules")
SCOPE = "openid profile email offline_access"
LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http", "auth_openidc")
MAIN = """
ServerName localhost
PidFile {folder}/httpd.pid
ErrorLog {folder}/error.log
LogLevel warn auth_openidc:info
Mutex file:{folder}
StartServers 1
{modules}
{user}
OIDCCryptoPassphrase a-passphrase-for-one-run-of-tests
OIDCCABundlePath {trust}
OIDCSSLValidateServer On
OIDCOAuthSSLValidateServer On
OIDCInfoHook access_token id_token userinfo refresh_token session
"""
# How a person signs in: one host for each way to authenticate at the token endpoint.
SIGN_IN = """
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
    OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
    OIDCRedirectURI http://localhost:{port}/callback
    OIDCClientID {client_id}
    OIDCScope "{scope}"
    OIDCPKCEMethod S256
    {more}
    OIDCProviderTokenEndpointAuth {method}
    <Location />
        AuthType openid-connect
        Require valid-user
    </Location>
    <Location /fresh>
        OIDCRefreshAccessTokenBeforeExpiry 7200
    </Location>
    <Location /bye>
        AuthType None
        Require all granted
    </Location>
    ProxyPass /callback !
    ProxyPass / http://127.0.0.1:{application}/
</VirtualHost>
"""
# A resource server: one host that asks the server about tokens, one that checks signatures itself.
RESOURCE = """
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
    {more}
    <Location />
        AuthType oauth20
        Require valid-user
    </Location>
    ProxyPass / http://127.0.0.1:{application}/
</VirtualHost>
"""


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def version() -> str:
    """The module's version, as the package says it."""
    found = subprocess.run(
        ["dpkg-query", "-W", "-f=${Version}", "libapache2-mod-auth-openidc"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.partition("-")[0] or "of this machine"


class Apache:
    """A running Apache; ``at[kind]`` is the address of a virtual host: basic, post, jwt, public, introspecting, verifying."""

    def __init__(self, running: Running, tenant: Tenant, folder: Path, application: int) -> None:
        """Register the clients and write the configuration."""
        self.running, self.tenant, self.folder = running, tenant, folder
        self.at: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        shutil.copy(running.authority.file, folder / "ca.pem")
        named = {
            "folder": folder,
            "trust": folder / "ca.pem",
            "application": application,
            "issuer": tenant.issuer,
            "scope": SCOPE,
        }
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED)
        parts = [
            MAIN.format(**named, modules=modules, user="User www-data\nGroup www-data" if os.getuid() == 0 else "")
        ]
        for kind, method, more in (
            ("basic", "client_secret_basic", "OIDCClientSecret {secret}"),
            ("post", "client_secret_post", "OIDCClientSecret {secret}\n    OIDCResponseMode form_post"),
            (
                "jwt",
                "private_key_jwt",
                f"OIDCPrivateKeyFiles the-key#{folder}/client.key\n    OIDCPublicKeyFiles the-key#{folder}/client.pem",
            ),
            ("public", "none", ""),
        ):
            port = self._listen(kind)
            self.secrets[kind] = self._register(kind, method)
            parts.append(
                SIGN_IN.format(
                    **named, port=port, client_id=kind, method=method, more=more.format(secret=self.secrets[kind])
                )
            )
        introspecting = (
            f"OIDCOAuthIntrospectionEndpoint {tenant.issuer}/introspect\n    OIDCOAuthClientID basic\n    OIDCOAuthClientSecret {self.secrets['basic']}"
            "\n    OIDCOAuthIntrospectionEndpointAuth client_secret_basic\n    OIDCOAuthTokenIntrospectionInterval 0"
        )
        verifying = f"OIDCOAuthVerifyJwksUri {tenant.issuer}/jwks"
        for kind, more in (("introspecting", introspecting), ("verifying", verifying)):
            if not running.is_tls:
                break  # the module takes https addresses only for these
            parts.append(RESOURCE.format(**named, port=self._listen(kind), more=more))
        self.configuration = folder / "httpd.conf"
        self.configuration.write_text("\n".join(parts))

    def _listen(self, kind: str) -> int:
        port = free_port()
        self.at[kind] = f"http://localhost:{port}"
        return port

    def _register(self, kind: str, method: str) -> str:
        more: dict[str, Any] = {}
        if method == "private_key_jwt":
            key = rsa.generate_private_key(65537, 2048)
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
            (self.folder / "client.key").write_bytes(pem)
            (self.folder / "client.key").chmod(0o644)  # the folder is the test's own; the server's user has to read it
            (self.folder / "client.pem").write_bytes(self.running.authority.certify("Apache", key.public_key()))
            jwk = RSAKey.import_key(pem).as_dict(private=False)
            more["jwks"] = {"keys": [{**jwk, "kid": "the-key", "use": "sig", "alg": "RS256"}]}
        document = self.running.client(
            self.tenant,
            kind,
            client_name="Apache",
            client_profile="oidc" if method == "private_key_jwt" else "strict",
            redirect_uris=[f"{self.at[kind]}/callback"],
            post_logout_redirect_uris=[f"{self.at[kind]}/bye"],
            grant_types=["authorization_code", "refresh_token"],
            scope=SCOPE,
            token_endpoint_auth_method=method,
            **more,
        )
        return str(document.get("client_secret", ""))

    @property
    def version(self) -> str:
        """The module's version."""
        return version()

    @property
    def errors(self) -> str:
        """The end of the error log."""
        return (self.folder / "error.log").read_text()[-4000:]


@contextlib.contextmanager
def started(running: Running, tenant: Tenant) -> Iterator[Apache]:
    """Run Apache while the block runs."""
    with workplace() as (folder, application):
        made = Apache(running, tenant, folder, application)
        with serving(folder, made.configuration, made.at["public"] + "/bye", running.authority.file):
            yield made


@contextlib.contextmanager
def workplace() -> Iterator[tuple[Path, int]]:
    """A folder that Apache's workers may write to, and the port of the application behind it."""
    application = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    folder = Path(tempfile.mkdtemp(prefix="idp-apache-"))
    if os.getuid() == 0:  # Apache's workers give root up
        os.chown(folder, pwd.getpwnam("www-data").pw_uid, -1)
    try:
        yield folder, application.server_port
    finally:
        application.shutdown()
        application.server_close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(folder: Path, configuration: Path, probe: str, trust: Path) -> Iterator[None]:
    """Run Apache under a configuration, from when it answers at ``probe`` on."""
    program = shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin:/usr/local/sbin")
    there = program is not None and (MODULES / "mod_auth_openidc.so").exists()
    need("Apache with mod_auth_openidc", "Debian packages apache2 and libapache2-mod-auth-openidc", is_there=there)
    process = subprocess.Popen(
        [str(program), "-DFOREGROUND", "-d", str(folder), "-f", str(configuration)], stderr=subprocess.PIPE
    )
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(requests.ConnectionError):
                requests.get(probe, timeout=5, verify=str(trust))
                break
            assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
            assert time.monotonic() < until, (folder / "error.log").read_text()[-4000:]
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)
        if process.stderr:
            process.stderr.close()
