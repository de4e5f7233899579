"""Apache with mod_auth_openidc that registers itself: a virtual host over TLS for each kind of client, each with its own metadata.

The module discovers a provider that a person names, registers at it and keeps what it was answered in ``OIDCMetadataDir``.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import apache
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from running import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from running import Running

    from idp.tenancy.tenant import Tenant

HOST = """
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
    SSLEngine on
    SSLCertificateFile {folder}/host.pem
    SSLCertificateKeyFile {folder}/host.key
    OIDCMetadataDir {folder}/{kind}
    OIDCRedirectURI https://localhost:{port}/callback
    OIDCScope "openid profile email"
    OIDCPKCEMethod S256
    OIDCDefaultLoggedOutURL https://localhost:{port}/bye
    {more}
    <Location />
        AuthType openid-connect
        Require valid-user
    </Location>
    <Location /bye>
        AuthType None
        Require all granted
    </Location>
    DocumentRoot {folder}/pages
    <Location /watching>
        ForceType text/html
    </Location>
    <Location /silent>
        OIDCPathAuthRequestParams prompt=none
    </Location>
    ProxyPass /callback !
    ProxyPass /watching !
    ProxyPass / http://127.0.0.1:{application}/
</VirtualHost>
"""
# A page of the application that watches the session, as the module's documentation shows.
WATCHING = """<!doctype html><title>watching</title><h1>Watching</h1>
<iframe id="openidc-op" src="/callback?session=iframe_op" hidden></iframe>
<iframe src="/callback?session=iframe_rp&amp;poll=500" hidden></iframe>"""
# What the module signs assertions and request objects with.
KEYS = "OIDCPrivateKeyFiles the-key#{folder}/client.key\n    OIDCPublicKeyFiles the-key#{folder}/client.pem"
_COPIED = [
    "response_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "client_id",
    "code_challenge",
    "code_challenge_method",
]


_REQUEST_OBJECT = json.dumps(
    {"copy_from_request": _COPIED, "static": {}, "crypto": {"sign_alg": "RS256"}, "request_object_type": "request"}
)
# By kind: what the module's file for the provider says, what it adds to its registration, and more of the configuration.
KINDS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "code": ({}, {}, ""),
    "token": ({"registration_token": "{token}"}, {}, ""),
    "jwt": ({"token_endpoint_auth": "private_key_jwt"}, {"token_endpoint_auth_method": "private_key_jwt"}, KEYS),
    "hybrid": ({"response_type": "code id_token"}, {}, ""),
    "implicit": ({"response_type": "id_token"}, {}, ""),
    "claims": (
        {"auth_request_params": "claims=" + quote(json.dumps({"id_token": {"given_name": {"essential": True}}}))},
        {},
        'OIDCScope "openid"',
    ),
    "request": ({"request_object": _REQUEST_OBJECT}, {"request_object_signing_alg": "RS256"}, KEYS),
    "userinfo": ({"userinfo_signed_response_alg": "RS256"}, {}, ""),
    "pairwise": ({}, {"subject_type": "pairwise"}, ""),
    "front": ({}, {"backchannel_logout_uri": None}, ""),
    "session": ({}, {"backchannel_logout_uri": None, "post_logout_redirect_uris": ["{at}/watching"]}, ""),
}


class RegisteredApache:
    """A running Apache; ``at[kind]`` is the address of a virtual host."""

    def __init__(
        self, running: Running, tenant: Tenant, closed: tuple[Tenant, str], folder: Path, application: int
    ) -> None:
        """Write the configuration; nothing is registered before somebody comes.

        At the tenant ``closed`` only who has a token registers: the kind ``token`` does, with the one that stands beside it.
        """
        self.running, self.folder = running, folder
        self.tenants = {kind: closed[0] if kind == "token" else tenant for kind in KINDS}
        self.at: dict[str, str] = {}
        shutil.copy(running.authority.file, folder / "ca.pem")
        certificate, key = running.authority.issue("apache.localhost", "localhost")
        shutil.copy(certificate, folder / "host.pem")
        shutil.copy(key, folder / "host.key")
        self._make_key()
        (folder / "pages").mkdir()
        (folder / "pages" / "watching").write_text(WATCHING)
        modules = "\n".join(
            f"LoadModule {name}_module {apache.MODULES}/mod_{name}.so" for name in (*apache.LOADED, "ssl")
        )
        user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
        parts = [apache.MAIN.format(folder=folder, trust=folder / "ca.pem", modules=modules, user=user)]
        for kind, (conf, added, more) in KINDS.items():
            port = free_port()
            self.at[kind] = f"https://localhost:{port}"
            self._tell(kind, conf, {"application_type": "native", **added}, closed[1])
            parts.append(
                HOST.format(
                    folder=folder, kind=kind, port=port, application=application, more=more.format(folder=folder)
                )
            )
        self.configuration = folder / "httpd.conf"
        self.configuration.write_text("\n".join(parts))

    def file(self, kind: str, suffix: str) -> Path:
        """The module's file for the tenant as a provider: conf, provider or client."""
        return self.folder / kind / f"{quote(self.tenants[kind].issuer.removeprefix('https://'), safe='')}.{suffix}"

    def client(self, kind: str) -> dict[str, Any]:
        """What the module was answered when it registered."""
        return dict(json.loads(self.file(kind, "client").read_text()))

    @property
    def errors(self) -> str:
        """The end of the error log."""
        return (self.folder / "error.log").read_text()[-6000:]

    def _tell(self, kind: str, conf: dict[str, str], added: dict[str, Any], token: str) -> None:
        (self.folder / kind).mkdir()
        text = json.dumps(added).replace("{at}", self.at[kind])
        conf = {name: value.replace("{token}", token) for name, value in conf.items()}
        self.file(kind, "conf").write_text(json.dumps({**conf, "registration_endpoint_json": text}))
        if os.getuid() == 0:
            os.chown(self.folder / kind, pwd.getpwnam("www-data").pw_uid, -1)

    def _make_key(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        kind = serialization.PrivateFormat.TraditionalOpenSSL
        pem = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
        (self.folder / "client.key").write_bytes(pem)
        (self.folder / "client.key").chmod(0o644)  # the folder is the test's own; the server's user has to read it
        (self.folder / "client.pem").write_bytes(self.running.authority.certify("Apache", key.public_key()))


@contextlib.contextmanager
def started(running: Running, tenant: Tenant, closed: tuple[Tenant, str]) -> Iterator[RegisteredApache]:
    """Run Apache while the block runs."""
    with apache.workplace() as (folder, application):
        made = RegisteredApache(running, tenant, closed, folder, application)
        with apache.serving(folder, made.configuration, made.at["code"] + "/bye", running.authority.file):
            yield made
