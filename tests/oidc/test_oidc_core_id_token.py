"""The ID token (OpenID Connect Core §2, §3.1.3.6, §3.1.3.7), verified as a relying party does, with its own tools."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery
from house import decoded
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.clock import now, shifted

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: RS256 must be among the algorithms; `none` is not."""
    found = discovery(cast.house, cast.acme)
    assert found["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]
    assert found["subject_types_supported"] == ["public", "pairwise"]


def test_the_claims(any_cast: Cast) -> None:
    """OpenID Connect Core §2: iss, sub, aud, azp, exp, iat, auth_time, nonce, acr, amr; at_hash and sid; no claims of the person."""
    before = now()
    tokens = any_cast.tokens(any_cast.basic, scope="openid email profile", nonce="n-0S6_WzA2Mj ü")
    header, claims = _verified(any_cast.basic, tokens["id_token"])
    assert header["alg"] == "RS256"
    assert set(claims) == {
        "iss",
        "sub",
        "aud",
        "azp",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "at_hash",
        "sid",
    }
    assert claims["iss"] == any_cast.acme.issuer
    assert claims["aud"] == claims["azp"] == "basic"
    assert claims["nonce"] == "n-0S6_WzA2Mj ü"
    assert before <= claims["auth_time"] <= claims["iat"] <= now()
    assert claims["exp"] == claims["iat"] + 3600
    assert claims["amr"] == ["pwd"]
    assert claims["sub"].isascii()
    assert len(claims["sub"]) <= 255


def test_no_nonce_where_none_was_sent(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: optional in the code flow; passed through unmodified or absent."""
    for nonce in (None, ""):
        assert "nonce" not in decoded(cast.tokens(cast.basic, nonce=nonce)["id_token"])[1]


@pytest.mark.parametrize("alg", ["RS256", "ES256", "PS256", "EdDSA"])
def test_each_algorithm_and_its_at_hash(house: House, alg: str) -> None:
    """OpenID Connect Core §3.1.3.6: at_hash by the hash of the algorithm; the client's registered algorithm is used."""
    tenant = house.tenant("algs", signing_algorithms="ES256,RS256,PS256,EdDSA")
    assert alg in discovery(house, tenant)["id_token_signing_alg_values_supported"]
    rp = house.client(tenant, id_token_signed_response_alg=alg)
    tokens = rp.redeem(house.browser(tenant).sign_in(rp)).json
    header, claims = _verified(rp, tokens["id_token"])
    assert header["alg"] == alg
    digest = (hashlib.sha512 if alg == "EdDSA" else hashlib.sha256)(tokens["access_token"].encode()).digest()
    wanted = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    assert claims["at_hash"] == wanted
    assert rp.refresh(tokens["refresh_token"]).json["id_token"]


def test_at_hash_follows_the_refreshed_access_token(cast: Cast) -> None:
    """OpenID Connect Core §12.2, §3.1.3.6: the hash is of the token beside it."""
    tokens = cast.basic.refresh(cast.tokens(cast.basic)["refresh_token"]).json
    digest = hashlib.sha256(tokens["access_token"].encode()).digest()
    wanted = base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
    assert _verified(cast.basic, tokens["id_token"])[1]["at_hash"] == wanted


def test_one_person_two_clients_two_tenants(cast: Cast) -> None:
    """OpenID Connect Core §2, §8: sub is the same at all clients (public), never reassigned, and another at another tenant."""
    subs = [
        decoded(cast.tokens(client)["id_token"])[1]["sub"]
        for client in (cast.basic, cast.basic, cast.post, cast.public)
    ]
    assert len(set(subs)) == 1
    assert decoded(cast.tokens(cast.foreign)["id_token"])[1]["sub"] != subs[0]


def test_the_lifetimes_of_the_tenant(house: House) -> None:
    """OpenID Connect Core §2: exp as the tenant says; iat moves with time."""
    tenant = house.tenant("short", id_token_lifetime="120", access_token_lifetime="90")
    rp = house.client(tenant)
    with shifted(1000):
        tokens = rp.redeem(house.browser(tenant).sign_in(rp)).json
        claims = decoded(tokens["id_token"])[1]
        assert abs(claims["iat"] - now()) <= 2
    assert claims["exp"] - claims["iat"] == 120
    assert tokens["expires_in"] == 90


def test_the_session_is_named(cast: Cast) -> None:
    """OpenID Connect Back-Channel Logout §2.1: sid is the session's, not the cookie; another browser has another."""
    browser = cast.browser()
    first, second = (
        decoded(cast.basic.redeem(browser.sign_in(cast.basic)).json["id_token"])[1]["sid"] for _ in range(2)
    )
    other = decoded(cast.tokens(cast.basic)["id_token"])[1]["sid"]
    assert first == second != other
    assert first not in "".join(browser.cookies.values())


def _verified(client: RelyingParty, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    jwks = client.house.get(client.tenant, "/jwks").json
    header = decoded(token)[0]
    key = next(key for key in KeySet.import_key_set(jwks).keys if key.kid == header["kid"])
    found = jwt.decode(token, key, algorithms=[header["alg"]])
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": client.tenant.issuer},
        aud={"essential": True, "value": client.client_id},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    )
    registry.validate(found.claims)
    return header, found.claims
