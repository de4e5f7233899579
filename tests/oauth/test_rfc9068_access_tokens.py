"""JWT access tokens (RFC 9068): what is in them, and everything that is not one (RFC 8725 §3)."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, asserted, assertion_claims, discovery, segment
from house import decoded
from refusals import harmless, refused

from idp.clock import now
from idp.keys.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from cast import Cast

    from idp.keys.signer import TenantKeys
    from idp.tenancy.tenant import Tenant


def test_the_algorithm_is_advertised(cast: Cast) -> None:
    """RFC 9068 §2.1: signed, never `none`, with a key of the tenant's JWK set whose kid it names."""
    header, _ = decoded(cast.tokens(cast.basic)["access_token"])
    keys = {key["kid"]: key for key in cast.house.get(cast.acme, "/jwks").json["keys"]}
    assert header == {"alg": "ES256", "kid": header["kid"], "typ": "at+jwt"}
    assert keys[header["kid"]]["alg"] == "ES256"
    assert discovery(cast.house, cast.acme)["jwks_uri"] == f"{cast.acme.issuer}/jwks"


def test_the_claims(cast: Cast) -> None:
    """RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat, jti; auth_time, acr, amr and scope of the grant; no identity."""
    at = now()
    first, second = (cast.tokens(cast.basic, scope="openid email profile")["access_token"] for _ in range(2))
    claims = decoded(first)[1]
    assert set(claims) == {
        "iss",
        "sub",
        "aud",
        "client_id",
        "iat",
        "exp",
        "jti",
        "scope",
        "grant_id",
        "auth_time",
        "acr",
        "amr",
    }
    assert claims["iss"] == claims["aud"] == cast.acme.issuer
    assert claims["sub"] == cast.house.user_id(cast.acme)
    assert (claims["client_id"], claims["scope"]) == ("basic", "openid email profile")
    assert at <= claims["auth_time"] <= claims["iat"] <= now()
    assert claims["exp"] == claims["iat"] + 3600
    assert claims["amr"] == ["pwd"]
    assert claims["jti"] != decoded(second)[1]["jti"]
    assert "ada@example.com" not in json.dumps(claims)


def test_s034_no_signature(cast: Cast) -> None:
    """RFC 8725 §3.2, S034: alg none in every spelling, with the signature, without, or with another's."""
    head, body, tail = cast.tokens(cast.basic)["access_token"].split(".")
    kid = decoded(f"{head}.{body}.{tail}")[0]["kid"]
    for alg in ("none", "None", "nOnE", "NONE", "", None, 0):
        for signature in ("", tail, "AA"):
            for header in ({"alg": alg, "kid": kid, "typ": "at+jwt"}, {"alg": alg, "typ": "at+jwt"}):
                _dead(cast, f"{segment(header)}.{body}.{signature}")
    _dead(cast, f"{head}.{body}.")
    _dead(cast, f"{head}.{body}")


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "jwk-json", "x"])
def test_s034_a_public_key_is_no_secret(cast: Cast, form: str) -> None:
    """RFC 8725 §3.1, S034: HS256 keyed with a key of the JWK set."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from joserfc.jwk import ECKey

    jwk = next(key for key in cast.house.get(cast.acme, "/jwks").json["keys"] if key["kty"] == "EC")
    public = ECKey.import_key(jwk).public_key
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(jwk).encode(),
        "jwk-json": json.dumps(jwk, separators=(",", ":")).encode(),
        "x": jwk["x"].encode(),
    }[form]
    body = cast.tokens(cast.basic)["access_token"].split(".")[1]
    text = f"{segment({'alg': 'HS256', 'kid': jwk['kid'], 'typ': 'at+jwt'})}.{body}"
    _dead(cast, f"{text}.{segment(hmac.digest(secret, text.encode(), hashlib.sha256))}")


def test_s034_other_keys(cast: Cast) -> None:
    """RFC 8725 §3.8, S034: a stranger's key, another tenant's, a key that the header brings."""
    token = cast.tokens(cast.basic)["access_token"]
    header, claims = decoded(token)
    stranger = SigningKey.new("ES256", header["kid"])
    foreign = _keys(cast, cast.globex)
    _dead(cast, stranger.sign(claims, typ="at+jwt"))
    _dead(cast, stranger.sign(claims, typ="at+jwt", jwk=stranger.public_jwk))
    _dead(cast, stranger.sign(claims, typ="at+jwt", jku="http://127.0.0.1:19001/jwks"))
    _dead(cast, stranger.sign(claims, typ="at+jwt", x5c=["MIIB"]))
    _dead(cast, stranger.sign(claims, typ="at+jwt", kid=None))
    _dead(cast, foreign.sign(claims, alg="ES256", typ="at+jwt"))
    _dead(cast, _sealed(foreign, header, json.dumps(claims)))


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["x"]},
        {"crit": []},
        {"b64": False},
        {"crit": ["b64"], "b64": False},
        {"jwk": {}},
        {"zip": "DEF"},
        {"x": 1},
    ],
)
def test_s034_what_the_header_may_not_say(cast: Cast, more: dict[str, Any]) -> None:
    """RFC 7515 §4.1.11, S034: an extension we do not know is refused, also under our own signature."""
    header, claims = decoded(cast.tokens(cast.basic)["access_token"])
    _dead(cast, _sealed(_keys(cast, cast.acme), {**header, **more}, json.dumps(claims)))


def test_s034_altered_texts(cast: Cast) -> None:
    """RFC 7515 §5.2, S034: r=s=0, trailing data, repeated members, padding, and every flipped character."""
    token = cast.tokens(cast.basic)["access_token"]
    head, body, tail = token.split(".")
    header, claims = decoded(token)
    keys = _keys(cast, cast.acme)
    doubled = json.dumps(claims)[:-1] + ', "sub": "somebody-else"}'
    for wrong in (
        f"{head}.{body}.{segment(bytes(64))}",
        f"{head}.{body}.{segment(bytes(63) + bytes([1]))}",
        f"{head}.{body}.{tail}.",
        f"{head}.{body}.{tail}x",
        f"{head}.{body}.{tail}=",
        f"{head}.{body}.{tail}.{tail}",
        f"{head}.{body}=.{tail}",
        f" {token}x",
        _sealed(keys, header, doubled),
        _sealed(keys, header, json.dumps([claims])),
        _sealed(keys, header, json.dumps(claims) + "{}"),
    ):
        _dead(cast, wrong)
    for place in range(0, len(token), 7):
        if token[place] != ".":
            _dead(cast, token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :])


def test_s035_other_kinds_are_no_access_tokens(cast: Cast) -> None:
    """RFC 8725 §3.11, §3.12, RFC 9068 §4, S035: ID token, client assertion, code, refresh token, and types of our own keys."""
    grant = cast.grant(cast.basic)
    tokens = cast.basic.redeem(grant).json
    form = asserted(cast.signed, cast.key)
    for wrong in (tokens["id_token"], tokens["refresh_token"], grant.code, form["client_assertion"]):
        _dead(cast, wrong, is_refresh=wrong == tokens["refresh_token"])
    keys, claims = _keys(cast, cast.acme), decoded(tokens["access_token"])[1]
    for typ in ("JWT", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt", "token-introspection+jwt", "at+JWT2", ""):
        _dead(cast, keys.sign(claims, alg="ES256", typ=typ))
    assert cast.basic.userinfo(keys.sign(claims, alg="ES256", typ="application/at+jwt")).status == 200
    assert cast.key.sign(assertion_claims(cast.signed)).count(".") == 2


def test_s035_an_access_token_is_no_hint(cast: Cast) -> None:
    """RFC 9068 §4, S035: not taken for an ID token, neither at authorize nor at logout."""
    token = cast.tokens(cast.basic)["access_token"]
    answer = cast.browser().authorize(cast.basic, verifier="v" * 43, id_token_hint=token)
    assert answer.params["error"] == "invalid_request"
    assert cast.browser().get(f"{cast.acme.base_path}/logout?id_token_hint={token}").status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            ("exp", value)
            for value in ('"9999999999"', "NaN", "Infinity", "1e400", "true", "-1", "null", "[]", "{}", "9e99", "1.5")
        ],
        *[("iat", value) for value in ('"1"', "NaN", "[]")],
        *[("nbf", value) for value in ('"1"', "NaN", "99999999999", "true")],
        *[("aud", value) for value in ("{}", "[]", "null", "[1]", '""', "7", '["https://other.example"]')],
        *[("iss", value) for value in ("[]", "{}", "null", "7", '""', '"http://localhost:8000/t/globex"')],
        *[("sub", value) for value in ("null", "7", "[]", "{}", '""')],
        *[("jti", value) for value in ("null", "7", "[]")],
        *[("client_id", value) for value in ("null", "7", "[]", '"nobody"')],
        *[("scope", value) for value in ("null", "7", "[]")],
        *[("came_from", value) for value in ("7", "null", "{}", "[7]", "[[]]", '"x"', '["\\u0000"]')],
        *[("grant_id", value) for value in ("7", "[]", "{}", '""', '"nobody"', '"\\u0000"')],
    ],
)
def test_s040_claims_of_odd_types(any_cast: Cast, name: str, value: str) -> None:
    """RFC 7519 §4.1, S040: refused, never a failure of ours, also where our own key has signed it."""
    header, claims = decoded(any_cast.tokens(any_cast.basic)["access_token"])
    text = json.dumps({**claims, name: "@@"}).replace('"@@"', value)
    token = _sealed(_keys(any_cast, any_cast.acme), header, text)
    _dead(any_cast, token)
    harmless(any_cast.basic.post("/revoke", {"token": token}))


@pytest.mark.parametrize("name", ["exp", "iss", "aud", "sub", "jti", "client_id"])
def test_s040_claims_that_are_missing(cast: Cast, name: str) -> None:
    """RFC 9068 §2.2, §4, S040: what is required and missing makes it no access token."""
    header, claims = decoded(cast.tokens(cast.basic)["access_token"])
    del claims[name]
    _dead(cast, _sealed(_keys(cast, cast.acme), header, json.dumps(claims)))


def _keys(cast: Cast, tenant: Tenant) -> TenantKeys:
    return cast.house.installation.servers.get(tenant).keys


def _sealed(keys: TenantKeys, header: Any, payload: str) -> str:
    text = f"{segment(header)}.{segment(payload)}"
    return f"{text}.{segment(ALGORITHMS['ES256'].jws.sign(text.encode(), keys._signer('ES256').key))}"


def _dead(cast: Cast, token: str, *, is_refresh: bool = False) -> None:
    refused(cast.house, cast.basic.userinfo(token), 401, "invalid_token", withheld=[token] if len(token) > 20 else [])
    if not is_refresh:
        answer = cast.basic.post("/introspect", {"token": token})
        harmless(answer)
        assert (answer.status, answer.json) == (200, {"active": False}), answer.text
