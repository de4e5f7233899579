"""The Python SDK in Flask: who is let in, and what everybody else is answered (RFC 6750 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask
from issuer import AUDIENCE, Issuer
from scripted import Says, Scripted

from authsec import AccessTokenValidator
from authsec.flask import AccessTokens, current_token

if TYPE_CHECKING:
    from flask.testing import FlaskClient


@pytest.fixture
def site(validator: AccessTokenValidator) -> FlaskClient:
    app = Flask("orders")
    tokens = AccessTokens(validator, realm="orders")

    @app.get("/any")
    @tokens.required()
    def any_token() -> str:
        return current_token.subject

    @app.get("/scope")
    @tokens.required(scope="orders:read openid")
    def scope() -> str:
        return current_token.client_id

    @app.get("/permission/<what>")
    @tokens.required(permission="orders:delete")
    def permission(what: str) -> str:
        return what

    @app.get("/open")
    def open_to_all() -> str:
        return current_token.subject

    return app.test_client()


def sent(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_flask_lets_in(site: FlaskClient, issuer: Issuer) -> None:
    """RFC 6750 §2.1, Interfaces §6: a good token opens a view, which sees whose it is."""
    token = issuer.token()
    assert site.get("/any", headers=sent(token)).text == "ada"
    assert site.get("/any", headers={"Authorization": f"bearer {token}"}).text == "ada"
    assert site.get("/scope", headers=sent(token)).text == "orders-web"
    assert site.get("/permission/7", headers=sent(token)).text == "7"
    site.application.testing = True
    with pytest.raises(RuntimeError, match="current_token"):
        site.get("/open")


@pytest.mark.parametrize(
    ("headers", "status", "challenge"),
    [
        ([], 401, 'Bearer realm="orders"'),
        ([("Authorization", "Basic eDp5")], 401, 'Bearer realm="orders"'),
        ([("Authorization", "Bearer")], 400, 'Bearer realm="orders", error="invalid_request"'),
        ([("Authorization", "Bearer a b")], 400, 'Bearer realm="orders", error="invalid_request"'),
        (
            [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
            400,
            'Bearer realm="orders", error="invalid_request"',
        ),
        ([("Authorization", "Bearer nonsense")], 401, 'Bearer realm="orders", error="invalid_token"'),
    ],
    ids=str,
)
def test_flask_refuses(site: FlaskClient, headers: list[tuple[str, str]], status: int, challenge: str) -> None:
    """RFC 6750 §3, §3.1: 401 and 400 with the challenge; no error code where no token was sent."""
    answer = site.get("/any", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (status, challenge)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json is not None
    assert answer.json["status"] == status


def test_flask_says_what_is_missing(site: FlaskClient, issuer: Issuer, scripted: Scripted) -> None:
    """RFC 6750 §3.1: 403 insufficient_scope with the scope; a permission is named in the document. 503 without keys."""
    less = sent(issuer.token(scope="orders:read", permissions=None))
    answer = site.get("/scope", headers=less)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (
        403,
        'Bearer realm="orders", error="insufficient_scope", scope="orders:read openid"',
    )
    answer = site.get("/permission/7", headers=less)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (
        403,
        'Bearer realm="orders", error="insufficient_scope"',
    )
    assert answer.json is not None
    assert answer.json["permission"] == "orders:delete"
    scripted.says(issuer.jwks, Says(503))
    app = Flask("away")
    tokens = AccessTokens(AccessTokenValidator(issuer.url, AUDIENCE))
    app.add_url_rule("/", view_func=tokens.required()(lambda: "in"))
    answer = app.test_client().get("/", headers=less)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    with pytest.raises(ValueError, match="realm"):
        AccessTokens(AccessTokenValidator(issuer.url, AUDIENCE), realm='a"b')
