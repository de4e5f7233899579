"""Userinfo as a JWT (OpenID Connect Core §5.3.2): signed, encrypted or both, as the client registered; JSON for all others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery
from encryption import new_key, opened, public, verified
from house import CALLBACK, decoded
from refusals import refused, sent_back
from request_objects import VERIFIER

if TYPE_CHECKING:
    from cast import Cast
    from house import RelyingParty


def answered(cast: Cast, client: RelyingParty) -> Any:
    tokens = cast.tokens(client, scope="openid email")
    answer = client.userinfo(tokens["access_token"])
    assert answer.status == 200, answer.text
    assert answer.header("cache-control") == "no-store"
    return answer


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: the tenant's algorithms."""
    assert discovery(cast.house, cast.acme)["userinfo_signing_alg_values_supported"] == ["ES256", "RS256"]


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_signed(cast: Cast, alg: str) -> None:
    """OpenID Connect Core §5.3.2: application/jwt with iss, aud and sub, by the registered algorithm."""
    client = cast.house.client(cast.acme, f"ui-{alg}", userinfo_signed_response_alg=alg)
    answer = answered(cast, client)
    assert answer.header("content-type") == "application/jwt"
    header, claims = verified(cast.house, cast.acme, answer.text, alg)
    assert header["alg"] == alg
    assert claims == {
        "iss": cast.acme.issuer,
        "aud": client.client_id,
        "sub": cast.house.user_id(cast.acme),
        "email": "ada@example.com",
        "email_verified": claims["email_verified"],
    }


def test_signed_then_encrypted(cast: Cast) -> None:
    """OpenID Connect Core §5.3.2: both are a nested JWT."""
    key = new_key("RSA-OAEP-256")
    client = cast.house.client(
        cast.acme,
        "ui-both",
        userinfo_signed_response_alg="ES256",
        userinfo_encrypted_response_alg="RSA-OAEP-256",
        userinfo_encrypted_response_enc="A256GCM",
        jwks=public(key),
    )
    answer = answered(cast, client)
    assert answer.header("content-type") == "application/jwt"
    header, inner = opened(answer.text, key, "RSA-OAEP-256", "A256GCM")
    assert header["cty"] == "JWT"
    assert verified(cast.house, cast.acme, inner, "ES256")[1]["email"] == "ada@example.com"


def test_encrypted_alone(cast: Cast) -> None:
    """OpenID Registration §2: where only encryption is registered, the claims are encrypted and not signed."""
    key = new_key("ECDH-ES")
    client = cast.house.client(cast.acme, "ui-enc", userinfo_encrypted_response_alg="ECDH-ES", jwks=public(key))
    header, inner = opened(answered(cast, client).text, key, "ECDH-ES", "A128CBC-HS256")
    assert "cty" not in header
    assert json.loads(inner)["sub"] == cast.house.user_id(cast.acme)


def test_others_get_json(cast: Cast) -> None:
    """OpenID Connect Core §5.3.2: without a registration it is JSON, whatever the Accept header says."""
    token = cast.tokens(cast.basic)["access_token"]
    headers = {"authorization": f"Bearer {token}", "accept": "application/jwt"}
    answer = cast.house.get(cast.acme, "/userinfo", headers=headers)
    assert answer.header("content-type") == "application/json"
    assert answer.json["sub"]


def test_s035_it_is_nothing_else(cast: Cast) -> None:
    """RFC 8725 §3.11, S035: the answer passes neither for a hint nor for an access token."""
    client = cast.house.client(cast.acme, "ui-confused", userinfo_signed_response_alg="RS256")
    text = answered(cast, client).text
    assert "exp" not in decoded(text)[1]
    answer = cast.browser().authorize(client, verifier=VERIFIER, id_token_hint=text)
    sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)
    refused(cast.house, client.userinfo(text), 401, "invalid_token")
    assert client.introspect(text) == {"active": False}


def test_errors_stay_json(cast: Cast) -> None:
    """RFC 6750 §3: what is refused is refused in clear, whatever was registered."""
    client = cast.house.client(cast.acme, "ui-errors", userinfo_signed_response_alg="RS256")
    refused(cast.house, client.userinfo("x"), 401, "invalid_token")
