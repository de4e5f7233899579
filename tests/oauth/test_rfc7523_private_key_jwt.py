"""Client authentication by a signed assertion (RFC 7523 §2.2, §3; OpenID Connect Core §9): private_key_jwt."""

from __future__ import annotations

import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from cast import JWT_BEARER, SigningKey, asserted, assertion_claims, discovery, segment
from refusals import refused

from idp.clock import now, shifted

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, House, RelyingParty

    from idp.tenancy.tenant import Tenant

FORM = {"grant_type": "client_credentials"}


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: the method and its algorithms, none of them symmetric and none of them `none`, at each endpoint."""
    found = discovery(cast.house, cast.acme)
    for endpoint in ("token", "introspection", "revocation"):
        assert "private_key_jwt" in found[f"{endpoint}_endpoint_auth_methods_supported"]
        assert found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == ["RS256", "PS256", "ES256", "EdDSA"]


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
def test_every_advertised_algorithm_works(cast: Cast, alg: str) -> None:
    """RFC 7518 §3.1, RFC 8037 §3.1: what discovery lists verifies, with the kid and without it."""
    key = SigningKey.new(alg)
    client = cast.house.client(
        cast.acme, f"alg-{alg}", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
    )
    assert client.post("/token", {**FORM, **asserted(client, key)}).status == 200
    bare = {
        "client_assertion_type": JWT_BEARER,
        "client_assertion": key.sign(assertion_claims(client), kid=None, typ=None),
    }
    assert client.post("/token", {**FORM, **bare}).status == 200


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
def test_it_works_at_each_endpoint_without_client_id(any_cast: Cast, path: str) -> None:
    """RFC 7521 §4.2: client_id is optional, the assertion names the client; each endpoint that authenticates takes it."""
    form = {**FORM, "token": "x", **asserted(any_cast.signed, any_cast.key)}
    assert any_cast.house.post(any_cast.acme, path, form).status == 200


@pytest.mark.parametrize("kind", ["signed", "lax_signed"])
@pytest.mark.parametrize(
    ("audience", "strict", "oidc"),
    [
        ("{issuer}", True, True),
        ("{issuer}/token", False, True),
        (["{issuer}"], False, True),
        (["{issuer}/token"], False, True),
        (["{issuer}", "https://other.example"], False, True),
        ("{issuer}/", False, False),
        ("{issuer}/authorize", False, False),
        ("{issuer}/token/", False, False),
        ("{foreign}", False, False),
        ("{foreign}/token", False, False),
        (["{foreign}"], False, False),
        ("https://evil.example", False, False),
        ([], False, False),
        ([["{issuer}"]], False, False),
        ({}, False, False),
        ({"{issuer}": 1}, False, False),
        (1, False, False),
        (True, False, False),
        ("", False, False),
        (None, False, False),
        ("{issuer} ", False, False),
        ("{upper}", False, False),
    ],
)
def test_s027_audience_as_the_profile_says(cast: Cast, kind: str, audience: Any, strict: bool, oidc: bool) -> None:
    """RFC 7523 §3 (3), S027: profile strict takes the issuer as one string; oidc also the endpoint's address and arrays."""
    client: RelyingParty = getattr(cast, kind)
    names = {"issuer": cast.acme.issuer, "foreign": cast.globex.issuer, "upper": cast.acme.issuer.upper()}
    filled = json.loads(_fill(json.dumps(audience), names))
    answer = client.post("/token", {**FORM, **asserted(client, cast.key, aud=filled)})
    if oidc if kind == "lax_signed" else strict:
        assert answer.status == 200, answer.text
    else:
        _refused(cast, answer)


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"exp": -61},
        {"exp": 86400},
        {"exp": 3700},
        {"exp": "later"},
        {"exp": True},
        {"exp": [1]},
        {"exp": 1e300},
        {"iat": 70},
        {"nbf": 70},
        {"iat": "now"},
        {"nbf": []},
        {"iss": "basic"},
        {"iss": None},
        {"iss": ["signed"]},
        {"iss": ""},
        {"sub": "basic"},
        {"sub": "lax-signed"},
        {"sub": None},
        {"sub": ["signed"]},
        {"sub": 1},
        {"sub": {"signed": 1}},
        {"jti": None},
        {"jti": 7},
        {"jti": ["a"]},
        {"jti": ""},
        {"jti": "x" * 300},
        {"jti": True},
    ],
)
def test_s027_claims(cast: Cast, change: dict[str, Any]) -> None:
    """RFC 7523 §3, S027: iss and sub are the client, exp is near, jti is text; anything else is invalid_client."""
    at = now()
    filled = {
        name: at + value if name in ("exp", "iat", "nbf") and type(value) is int else value
        for name, value in change.items()
    }
    _refused(cast, cast.signed.post("/token", {**FORM, **asserted(cast.signed, cast.key, **filled)}))


def test_clocks_may_differ_by_a_minute(cast: Cast) -> None:
    """RFC 7523 §3 (4)-(6): the leeway is sixty seconds, and no more."""
    for seconds, status in ((-50, 200), (50, 200), (-130, 401), (70, 401)):
        form = {
            **FORM,
            **asserted(cast.signed, cast.key, iat=now() + seconds, nbf=now() + seconds, exp=now() + seconds + 60),
        }
        assert cast.signed.post("/token", form).status == status, seconds


def test_s027_an_assertion_works_once(any_cast: Cast) -> None:
    """RFC 7523 §3 (7), S027: one of fifty at once, none later, none at another endpoint."""
    form = {**FORM, "token": "x", **asserted(any_cast.signed, any_cast.key)}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _n: any_cast.signed.post("/token", form), range(50)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 49
    for path in ("/token", "/introspect", "/revoke"):
        record = _refused(any_cast, any_cast.signed.post(path, form))
        assert "used before" in record["reason"]


def test_s027_after_a_restart_too(house: House, acme: Tenant) -> None:
    """RFC 7523 §3 (7), S027: a spent jti is spent in the database, as long as its assertion could be used."""
    key = SigningKey.new("ES256")
    client = house.client(acme, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]})
    form = {**FORM, **asserted(client, key)}
    assert client.post("/token", form).status == 200
    house.restart()
    assert client.post("/token", form).status == 401
    from idp.store.tenant import replays

    with shifted(115):
        house.database(acme).writing(lambda conn: replays.purge_expired(conn, now()))
        assert client.post("/token", form).status == 401


def test_the_jti_of_one_client_is_not_anothers(cast: Cast) -> None:
    """RFC 7523 §3 (7): jti is unique for an issuer; a client cannot spend another's."""
    assert cast.signed.post("/token", {**FORM, **asserted(cast.signed, cast.key, jti="shared")}).status == 200
    assert cast.lax_signed.post("/token", {**FORM, **asserted(cast.lax_signed, cast.key, jti="shared")}).status == 200


def test_a_refused_assertion_spends_no_jti(cast: Cast) -> None:
    """RFC 7523 §3: who cannot sign for a client cannot spend its jti."""
    stranger = SigningKey.new("ES256", cast.key.kid)
    _refused(cast, cast.signed.post("/token", {**FORM, **asserted(cast.signed, stranger, jti="mine")}))
    assert cast.signed.post("/token", {**FORM, **asserted(cast.signed, cast.key, jti="mine")}).status == 200


@pytest.mark.parametrize(
    "secret",
    ["pem", "pem-stripped", "jwk", "jwk-compact", "x", "raw", "empty"],
)
def test_s028_a_public_key_is_no_shared_secret(cast: Cast, secret: str) -> None:
    """RFC 8725 §3.1, S028: HS256 keyed with what everybody knows (algorithm confusion) is refused."""
    jwk = cast.key.public_jwk
    key = {
        "pem": cast.key.public_pem,
        "pem-stripped": cast.key.public_pem.strip(),
        "jwk": json.dumps(jwk).encode(),
        "jwk-compact": json.dumps(jwk, separators=(",", ":")).encode(),
        "x": jwk["x"].encode(),
        "raw": b"\x04" + cast.key.private.public_key().public_numbers().x.to_bytes(32, "big"),
        "empty": b"",
    }[secret]
    for alg, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        text = f"{segment({'alg': alg, 'kid': cast.key.kid, 'typ': 'JWT'})}.{segment(assertion_claims(cast.signed))}"
        forged = f"{text}.{segment(hmac.digest(key, text.encode(), digest))}"
        _refused(cast, _present(cast, forged))


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "", " "])
@pytest.mark.parametrize("signature", ["", "AA", "right"])
def test_s028_unsigned(cast: Cast, alg: str, signature: str) -> None:
    """RFC 8725 §3.2, S028: an assertion without a signature is refused however `none` is spelled."""
    claims = assertion_claims(cast.signed)
    text = f"{segment({'alg': alg, 'kid': cast.key.kid})}.{segment(claims)}"
    right = segment(cast.key.signature(text.encode()))
    _refused(cast, _present(cast, f"{text}.{right if signature == 'right' else signature}"))


def test_s028_another_algorithm_than_registered(cast: Cast) -> None:
    """OpenID Connect Registration §2 (token_endpoint_auth_signing_alg), S028: the registered one only."""
    keys = {alg: SigningKey.new(alg) for alg in ("ES256", "RS256")}
    client = cast.house.client(
        cast.acme,
        "es-only",
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg="ES256",
        jwks={"keys": [key.public_jwk for key in keys.values()]},
    )
    _refused(cast, client.post("/token", {**FORM, **asserted(client, keys["RS256"])}))
    assert client.post("/token", {**FORM, **asserted(client, keys["ES256"])}).status == 200


def test_s028_one_rsa_key_is_not_for_both_paddings(cast: Cast) -> None:
    """RFC 8725 §3.1, RFC 7517 §4.4: a key that names its algorithm verifies no other."""
    key = SigningKey.new("RS256")
    client = cast.house.client(
        cast.acme, "rs", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
    )
    pss = SigningKey("PS256", key.kid, key.private)
    _refused(cast, client.post("/token", {**FORM, **asserted(client, pss)}))


def test_s028_the_key_of_another_client(cast: Cast) -> None:
    """RFC 7523 §3 (9), S028: signed by another client's key, under its kid or under one's own."""
    other = SigningKey.new("ES256", "other-key")
    cast.house.client(
        cast.acme, "other", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [other.public_jwk]}
    )
    for kid in ("other-key", cast.key.kid, None, "unknown"):
        _refused(cast, _present(cast, other.sign(assertion_claims(cast.signed), kid=kid)))


@pytest.mark.parametrize("kid", ["other-key-2", "unknown", "", "../../../dev/null", "' OR 1=1 --", "x" * 200])
def test_s028_a_kid_that_is_not_the_clients(cast: Cast, kid: str) -> None:
    """RFC 7515 §4.1.4, S028: a kid names one of the client's keys; another client's, or nobody's, is refused."""
    if kid == "other-key-2":
        other = SigningKey.new("ES256", kid)
        cast.house.client(
            cast.acme, "other-2", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [other.public_jwk]}
        )
    _refused(cast, _present(cast, cast.key.sign(assertion_claims(cast.signed), kid=kid)))


def test_a_key_registered_without_a_kid_may_be_called_anything(cast: Cast) -> None:
    """RFC 7515 §4.1.4: a kid is a hint where none was registered; the signature decides."""
    key = SigningKey.new("ES256", "whatever")
    jwk = {name: value for name, value in key.public_jwk.items() if name not in ("kid", "alg")}
    client = cast.house.client(
        cast.acme, "kidless", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [cast.key.public_jwk, jwk]}
    )
    assert client.post("/token", {**FORM, **asserted(client, key)}).status == 200
    assert client.post("/token", {**FORM, **asserted(client, cast.key)}).status == 200
    stranger = SigningKey.new("ES256", "whatever")
    _refused(cast, client.post("/token", {**FORM, **asserted(client, stranger)}))


@pytest.mark.parametrize("kid", [7, ["the-key"], {"the-key": 1}, True])
def test_s028_a_kid_of_another_type(cast: Cast, kid: Any) -> None:
    """RFC 7515 §4.1.4: a kid is text."""
    _refused(cast, _present(cast, cast.key.sign(assertion_claims(cast.signed), kid=kid)))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"])
def test_s028_a_header_brings_no_key(cast: Cast, name: str) -> None:
    """RFC 8725 §3.10, RFC 7515 §4.1.11, S028: no key, no address and no extension from the header, even rightly signed."""
    stranger = SigningKey.new("ES256", cast.key.kid)
    value = {
        "jwk": stranger.public_jwk,
        "jku": "http://127.0.0.1:19001/jwks",
        "x5u": "http://127.0.0.1:19001/x",
        "x5c": ["MII"],
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "enc": "A128GCM",
    }[name]
    for key in (stranger, cast.key):
        _refused(cast, _present(cast, key.sign(assertion_claims(cast.signed), **{name: value})))


@pytest.mark.parametrize("where", ["signature", "claims", "header"])
def test_s028_every_change_is_seen(cast: Cast, where: str) -> None:
    """RFC 7515 §5.2: what was changed after it was signed does not verify."""
    head, body, tail = cast.key.sign(assertion_claims(cast.signed)).split(".")
    changed = {
        "signature": f"{head}.{body}.{'A' * len(tail)}",
        "claims": f"{head}.{segment(assertion_claims(cast.signed))}.{tail}",
        "header": f"{segment({'alg': 'ES256', 'kid': cast.key.kid})}.{body}.{tail}",
    }[where]
    _refused(cast, _present(cast, changed))


@pytest.mark.parametrize(
    "assertion",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b",
        "ü",
        "e30.e30.",
        "e30.e30.AA",
        "W10.W10.AA",
        "x" * 9000,
        "bnVsbA.bnVsbA.AA",
        "eyJhbGciOiJFUzI1NiJ9..AA",
    ],
)
def test_what_is_no_assertion(cast: Cast, assertion: str) -> None:
    """RFC 7523 §3: a single JWT; whatever else is sent is invalid_client."""
    _refused(cast, _present(cast, assertion))


@pytest.mark.parametrize(
    "kind", [None, "", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", JWT_BEARER.upper()]
)
def test_the_type_is_named(cast: Cast, kind: str | None) -> None:
    """RFC 7523 §2.2: client_assertion_type says jwt-bearer."""
    form = {**FORM, **asserted(cast.signed, cast.key)}
    if kind is None:
        del form["client_assertion_type"]
    else:
        form["client_assertion_type"] = kind
    _refused(cast, cast.signed.post("/token", form))


@pytest.mark.parametrize("kind", ["basic", "post", "public"])
def test_another_method_than_registered(cast: Cast, kind: str) -> None:
    """RFC 7591 §2 (token_endpoint_auth_method): a client of another method cannot switch to an assertion."""
    client = getattr(cast, kind)
    answer = cast.house.post(cast.acme, "/token", {**FORM, **asserted(client, cast.key)})
    _refused(cast, answer)


def test_the_subject_of_another_tenant(cast: Cast) -> None:
    """RFC 7523 §3 (2): a client is known at its own tenant, also with the same keys and id."""
    jwks = {"keys": [cast.key.public_jwk]}
    twin = cast.house.client(cast.globex, "signed", token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    _refused(cast, cast.signed.post("/token", {**FORM, **asserted(twin, cast.key)}))
    form = asserted(cast.signed, cast.key)
    assert cast.signed.post("/token", {**FORM, **form}).status == 200


def test_repeated_members(cast: Cast) -> None:
    """RFC 7519 §4, RFC 8725 §2.4: of two equal members nobody may choose."""
    claims = json.dumps(assertion_claims(cast.signed))
    _refused(cast, _present(cast, cast.key.sign(claims[:-1] + f', "exp": {now() + 30}}}')))


@pytest.mark.parametrize("exp", ["NaN", "Infinity", "1e400", "-1", '"9999999999"', "null", "true"])
def test_s040_odd_numbers(cast: Cast, exp: str) -> None:
    """RFC 7519 §2, S040: a NumericDate is a finite number."""
    claims = json.dumps(assertion_claims(cast.signed, exp=12345)).replace("12345", exp)
    _refused(cast, _present(cast, cast.key.sign(claims)))


def _present(cast: Cast, assertion: str) -> Answer:
    return cast.signed.post("/token", {**FORM, "client_assertion_type": JWT_BEARER, "client_assertion": assertion})


def _refused(cast: Cast, answer: Answer) -> dict[str, Any]:
    record = refused(cast.house, answer, 401, "invalid_client")
    assert record["check"] == "client_authentication"
    return record


def _fill(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text
