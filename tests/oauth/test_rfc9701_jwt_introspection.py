"""Introspection answers as JWTs (RFC 9701): asked for by Accept, or registered; about living tokens and all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery
from encryption import new_key, opened, public, verified
from house import decoded
from refusals import refused

from idp.clock import now

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, RelyingParty

MEDIA_TYPE = "application/token-introspection+jwt"


def introspected(client: RelyingParty, token: str, accept: str | None = MEDIA_TYPE) -> Answer:
    answer = client.post("/introspect", {"token": token}, headers={} if accept is None else {"accept": accept})
    assert answer.status == 200, answer.text
    assert answer.header("cache-control") == "no-store"
    return answer


def test_advertised(cast: Cast) -> None:
    """RFC 9701 §7: the algorithms of signing."""
    assert discovery(cast.house, cast.acme)["introspection_signing_alg_values_supported"] == ["ES256", "RS256"]


def test_asked_for(any_cast: Cast) -> None:
    """RFC 9701 §4, §5: typ, iss, aud and iat at the top, the description inside; RS256 where nothing is registered."""
    token = any_cast.tokens(any_cast.basic)["access_token"]
    answer = introspected(any_cast.basic, token)
    assert answer.header("content-type") == MEDIA_TYPE
    header, claims = verified(any_cast.house, any_cast.acme, answer.text, "RS256")
    assert header["typ"] == "token-introspection+jwt"
    assert claims.keys() == {"iss", "aud", "iat", "token_introspection"}
    assert (claims["iss"], claims["aud"]) == (any_cast.acme.issuer, "basic")
    assert abs(claims["iat"] - now()) < 5
    assert claims["token_introspection"] == any_cast.basic.introspect(token)
    assert claims["token_introspection"]["active"] is True


@pytest.mark.parametrize("token", ["x", "rt_" + "x" * 43, "a.b.c"])
def test_dead_tokens(cast: Cast, token: str) -> None:
    """RFC 9701 §5: of an inactive token the JWT says that alone."""
    _, claims = verified(cast.house, cast.acme, introspected(cast.basic, token).text, "RS256")
    assert claims["token_introspection"] == {"active": False}


def test_another_clients_token(cast: Cast) -> None:
    """RFC 7662 §4, RFC 9701 §5: who may not know is told the same, signed."""
    token = cast.tokens(cast.basic)["access_token"]
    _, claims = verified(cast.house, cast.acme, introspected(cast.lax, token).text, "RS256")
    assert (claims["aud"], claims["token_introspection"]) == ("lax", {"active": False})


@pytest.mark.parametrize(
    ("accept", "is_jwt"),
    [
        (MEDIA_TYPE, True),
        (MEDIA_TYPE.upper(), True),
        (f"application/json;q=0.5, {MEDIA_TYPE}", True),
        (f"{MEDIA_TYPE};q=0.5", True),
        (f"{MEDIA_TYPE};q=0", False),
        (f"{MEDIA_TYPE}; q=0.000", False),
        ("application/json", False),
        ("*/*", False),
        ("application/jwt", False),
        ("", False),
        (None, False),
    ],
)
def test_how_it_is_asked_for(cast: Cast, accept: str | None, is_jwt: bool) -> None:
    """RFC 9701 §4, RFC 9110 §12.5.1: by its media type in the Accept header; everybody else gets JSON."""
    answer = introspected(cast.basic, "x", accept)
    assert answer.header("content-type") == (MEDIA_TYPE if is_jwt else "application/json")


@pytest.mark.parametrize("accept", [None, "application/json", MEDIA_TYPE])
def test_registered(cast: Cast, accept: str | None) -> None:
    """RFC 9701 §6: who registered an algorithm gets JWTs signed with it, and no request makes it less."""
    client = cast.house.client(cast.acme, f"rs-{len(accept or '')}", introspection_signed_response_alg="ES256")
    token = client.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    _, claims = verified(cast.house, cast.acme, introspected(client, token, accept).text, "ES256")
    assert claims["token_introspection"]["active"] is True


@pytest.mark.parametrize("signed", [{}, {"introspection_signed_response_alg": "ES256"}])
def test_encrypted(cast: Cast, signed: dict[str, Any]) -> None:
    """RFC 9701 §6: signed, then encrypted, to the resource server's key."""
    key = new_key("ECDH-ES")
    client = cast.house.client(
        cast.acme, f"rs-enc-{len(signed)}", introspection_encrypted_response_alg="ECDH-ES", jwks=public(key), **signed
    )
    answer = introspected(client, "x", None)
    assert answer.header("content-type") == MEDIA_TYPE
    header, inner = opened(answer.text, key, "ECDH-ES", "A128CBC-HS256")
    assert header["cty"] == "JWT"
    verified(cast.house, cast.acme, inner, "ES256" if signed else "RS256")


def test_s035_it_is_no_token(cast: Cast) -> None:
    """RFC 9701 §8.1, RFC 8725 §3.11, S035: the answer is good for nothing else here."""
    token = cast.tokens(cast.basic)["access_token"]
    text = introspected(cast.basic, token).text
    assert not {"sub", "exp", "client_id"} & decoded(text)[1].keys()
    refused(cast.house, cast.basic.userinfo(text), 401, "invalid_token")
    assert cast.basic.introspect(text) == {"active": False}


def test_who_may_not_ask(cast: Cast) -> None:
    """RFC 9701 §5: without authentication the error is JSON, and nothing is signed."""
    answer = cast.house.post(cast.acme, "/introspect", {"token": "x"}, headers={"accept": MEDIA_TYPE})
    refused(cast.house, answer, 401, "invalid_client")


def test_no_key_to_be_had(cast: Cast) -> None:
    """RFC 9701 §6: where it is to be encrypted and no key can be had, nothing is told in clear."""
    client = cast.house.client(
        cast.acme, "rs-gone", introspection_encrypted_response_alg="ECDH-ES", jwks_uri="https://127.0.0.1:1/jwks"
    )
    record = refused(cast.house, client.post("/introspect", {"token": "x"}), 400, "invalid_request")
    assert record["check"] == "encryption_key"
