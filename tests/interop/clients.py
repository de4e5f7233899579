"""The clients that are driven call by call: two Node libraries in processes of their own, and Authlib's client in a Flask app.

All answer to the same calls: discover, begin, finish, userinfo, refresh, introspect, revoke, client_credentials, logout and
resource. What a library refuses is raised as :class:`Refused`, with the code the library gives it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from flask import Flask, jsonify, session
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from running import need

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = Path(__file__).resolve().parent / "node"
PROGRAMS = {"openid-client": "openid_client.mjs", "oauth4webapi": "oauth4webapi.mjs"}


class Refused(Exception):
    """The client did not accept what it was given, or passed the server's refusal on."""

    def __init__(self, code: str, error: str | None, message: str) -> None:
        """Keep the library's code and the OAuth error."""
        super().__init__(f"{code}: {error} {message}")
        self.code, self.error = code, error


def modules() -> Path:
    """The folder of the Node packages, installed from the lock file when they are absent."""
    need("Node.js 20", "Debian package nodejs", is_there=shutil.which("node") is not None)
    installed, lock = NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        need("npm", "Debian package npm", is_there=shutil.which("npm") is not None)
        with lock.open() as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
                done = subprocess.run(
                    ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                    cwd=NODE,
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )
                need(
                    "the packages of tests/interop/node",
                    f"`npm ci` there says: {done.stderr[-500:]}",
                    is_there=done.returncode == 0,
                )
    return NODE / "node_modules"


class NodeClient:
    """A library in a Node process."""

    def __init__(self, name: str, trust: Path) -> None:
        """Start the process; it trusts the test's root as any operator would tell it to."""
        modules()
        environ = {**os.environ, "NODE_EXTRA_CA_CERTS": str(trust)}
        self._process = subprocess.Popen(
            ["node", PROGRAMS[name]], cwd=NODE, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __getattr__(self, call: str) -> Any:
        return lambda **given: self._ask(call, given)

    def _ask(self, call: str, given: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the client ended in {call}: {self._process.wait(10)}"
        answer = json.loads(line)
        if "refused" in answer:
            found = answer["refused"]
            raise Refused(found["code"], found["error"], f"{found['message']} {found['cause']}")
        return answer["result"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class AuthlibClient:
    """Authlib's Flask client for the sign-in, its requests session for what a program does alone."""

    def __init__(self, trust: Path) -> None:
        """Make a Flask app with the two routes of the documentation."""
        self._trust = trust
        app = Flask("relying-party")
        app.secret_key = os.urandom(32)
        self._oauth = OAuth(app)
        self._browser = app.test_client()
        self._given: dict[str, Any] = {}

        @app.get("/login")
        def login() -> Any:
            session.clear()
            return self._oauth.idp.authorize_redirect(self._given["redirect_uri"], **self._parameters)

        @app.route("/cb", methods=["GET", "POST"])
        def callback() -> Any:
            try:
                token = self._oauth.idp.authorize_access_token()
            except (OAuthError, JoseError) as error:
                return jsonify({"refused": [type(error).__name__, getattr(error, "error", None), str(error)]})
            return jsonify({**token, "claims": token["userinfo"]})

    def close(self) -> None:
        """Nothing to end."""

    def discover(self, **given: Any) -> dict[str, Any]:
        self._given = given
        more = {"client_auth_methods": [self._assertion()]} if given["method"] == "private_key_jwt" else {}
        self._oauth.register(
            "idp",
            client_id=given["client_id"],
            client_secret=self._secret,
            server_metadata_url=f"{given['issuer']}/.well-known/openid-configuration",
            client_kwargs={"code_challenge_method": "S256", "token_endpoint_auth_method": given["method"]},
            **more,
        )
        with self._trusting():
            self._metadata = dict(self._oauth.idp.load_server_metadata())
        return self._metadata

    def begin(self, **parameters: str) -> str:
        self._parameters = parameters
        with self._trusting():
            return str(self._browser.get("/login").headers["location"])

    def finish(self, url: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        with self._trusting():
            answer = (
                self._browser.post("/cb", data=form)
                if form is not None
                else self._browser.get("/cb?" + url.partition("?")[2])
            )
        if "refused" in answer.json:
            raise Refused(*answer.json["refused"])
        return dict(answer.json)

    def userinfo(self, access_token: str, sub: str) -> dict[str, Any]:
        with self._trusting():
            found = dict(self._oauth.idp.userinfo(token={"access_token": access_token, "token_type": "Bearer"}))
        assert found["sub"] == sub
        return found

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        with self._session() as line:
            return self._sent(lambda: line.refresh_token(self._metadata["token_endpoint"], refresh_token=refresh_token))

    def introspect(self, token: str) -> dict[str, Any]:
        with self._session() as line:
            return dict(line.introspect_token(self._metadata["introspection_endpoint"], token=token).json())

    def revoke(self, token: str) -> None:
        with self._session() as line:
            line.revoke_token(self._metadata["revocation_endpoint"], token=token).raise_for_status()

    def client_credentials(self, scope: str) -> dict[str, Any]:
        with self._session() as line:
            return self._sent(
                lambda: line.fetch_token(self._metadata["token_endpoint"], grant_type="client_credentials", scope=scope)
            )

    def exchange(self, **parameters: str) -> dict[str, Any]:
        grant = "urn:ietf:params:oauth:grant-type:token-exchange"
        with self._session() as line:
            return self._sent(
                lambda: line.fetch_token(self._metadata["token_endpoint"], grant_type=grant, **parameters)
            )

    def logout(self, id_token: str, post_logout_redirect_uri: str, state: str) -> str:
        return str(self._oauth.idp.create_logout_url(post_logout_redirect_uri, id_token, state)["url"])

    def resource(self, access_token: str, audience: str) -> dict[str, Any]:
        app = self._oauth.idp

        class Validator(JWTBearerTokenValidator):  # type: ignore[misc]  # Authlib is untyped
            def get_jwks(self) -> Any:
                return KeySet.import_key_set(app.fetch_jwk_set())

        validator = Validator(self._given["issuer"], audience)
        try:
            with self._trusting():
                token = validator.authenticate_token(access_token)
            validator.validate_token(token, ["openid"], None)
        except OAuth2Error as error:
            raise Refused(type(error).__name__, error.error, str(error)) from error
        return dict(token)

    @property
    def _secret(self) -> Any:
        key = self._given.get("key")
        return ECKey.import_key(key, {"kid": self._given["kid"]}) if key else self._given.get("secret")

    def _assertion(self) -> PrivateKeyJWT:
        return PrivateKeyJWT(f"{self._given['issuer']}/token", alg="ES256", headers={"kid": self._given["kid"]})

    @contextmanager
    def _session(self) -> Iterator[OAuth2Session]:
        method = self._given["method"]
        with (
            self._trusting(),
            OAuth2Session(
                self._given["client_id"],
                self._secret,
                token_endpoint_auth_method=method,
                revocation_endpoint_auth_method=method,
            ) as line,
        ):
            if method == "private_key_jwt":
                line.register_client_auth_method(self._assertion())
            yield line

    def _sent(self, send: Any) -> dict[str, Any]:
        try:
            return dict(send())
        except OAuthError as error:
            raise Refused(type(error).__name__, error.error, str(error)) from error

    def _trusting(self) -> Any:
        return patch.dict(os.environ, {"REQUESTS_CA_BUNDLE": str(self._trust)})


def client(name: str, trust: Path) -> Any:
    """Start a client by the name of its column."""
    return AuthlibClient(trust) if name == "authlib" else NodeClient(name, trust)
