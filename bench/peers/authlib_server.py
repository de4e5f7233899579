"""The bare Authlib server: one client in memory, ES256 at+jwt for client_credentials (RFC 6749 §4.4, RFC 9068)."""

# As few lines as a bare server can have.
# ruff: noqa: D101, E731, ARG005
# mypy: disable-error-code="misc"

from __future__ import annotations

import os

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask
from joserfc.jwk import ECKey

KEY = ECKey.generate_key("P-256", auto_kid=True)
CLIENT_ID, SECRET = os.environ["BENCH_CLIENT_ID"], os.environ["BENCH_CLIENT_SECRET"]


class Client(ClientMixin):
    get_client_id = lambda self: CLIENT_ID
    get_allowed_scope = lambda self, scope: scope or ""
    check_client_secret = lambda self, secret: secret == SECRET
    check_endpoint_auth_method = lambda self, method, endpoint: method == "client_secret_basic"
    check_grant_type = lambda self, grant_type: grant_type == "client_credentials"


class Tokens(JWTBearerTokenGenerator):
    get_jwks = lambda self: KEY


app = Flask(__name__)
server = AuthorizationServer(app, lambda client_id: Client() if client_id == CLIENT_ID else None, lambda *_: None)
server.register_token_generator("default", Tokens(os.environ["BENCH_ISSUER"], alg="ES256"))
server.register_grant(ClientCredentialsGrant)
app.post("/token")(server.create_token_response)
app.get("/jwks")(lambda: {"keys": [KEY.as_dict(private=False)]})
