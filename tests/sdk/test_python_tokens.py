"""The Python SDK at a resource server: which access tokens it accepts, how it looks after keys."""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from house import challenge
from issuer import AUDIENCE, Issuer, Key, encoded, part
from running import FEED_SECONDS
from scripted import Asked, Says, Scripted
from sdk_world import PASSWORD

import authsec
from authsec import AccessTokenValidator, AsyncAccessTokenValidator, AuthSecClient, bearer, keys

if TYPE_CHECKING:
    from sdk_world import SdkWorld


def test_a_token_of_the_product(world: SdkWorld) -> None:
    """RFC 9068 §4, Interfaces §6: what the product issues for an audience is accepted there, and nowhere else."""
    client = AuthSecClient(world.url, tenant="acme")
    client.login("admin@acme.example", PASSWORD)
    session = client._connection.session
    assert session is not None
    issuer = world.tenants["acme"].issuer
    found = AccessTokenValidator(issuer, f"{world.url}/uflow").validate(session.access_token)
    assert (found.client_id, "authsec" in found.scopes) == ("authsec-sdk", True)
    found.require(scope="openid authsec")
    with pytest.raises(authsec.InvalidToken, match="audience"):
        AccessTokenValidator(issuer, "https://orders.example.com").validate(session.access_token)
    with pytest.raises(authsec.InvalidToken, match="issuer"):
        AccessTokenValidator(world.tenants["system"].issuer, f"{world.url}/uflow").validate(session.access_token)


def test_a_token_for_an_api_of_the_tenant_s_own(world: SdkWorld) -> None:
    """RFC 8707 §2, Interfaces §6: what a tenant lists as its API gets tokens that say what their holder may do there."""
    world.running.idp("tenant", "set", "acme", f"resources={AUDIENCE}")
    admin = AuthSecClient(world.url, tenant="acme")
    admin.login("admin@acme.example", PASSWORD)
    admin.permissions.create(name="orders:delete")
    admin.roles.create(name="orders-clerk", permissions=["orders:delete"])
    clerk = world.people["somebody@acme.example"]
    binding = admin.role_bindings.create(holder_type="user", holder_id=clerk, role="orders-clerk")
    issuer, own, verifier = world.tenants["acme"].issuer, {"client_id": "authsec-sdk", "resource": AUDIENCE}, "v" * 43
    given = {"username": "somebody@acme.example", "password": PASSWORD, "scope": "openid permissions"}
    pkce = {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
    until = time.monotonic() + FEED_SECONDS  # within which both workers know the setting
    while "error" in (asked := httpx.post(f"{issuer}/challenge", data=own | given | pkce).json()):
        assert time.monotonic() < until, asked
        time.sleep(0.1)
    redeemed = {"grant_type": "authorization_code", "code": asked["authorization_code"], "code_verifier": verifier}
    answer = httpx.post(f"{issuer}/token", data=own | redeemed)
    admin.role_bindings.delete(binding["id"])
    found = AccessTokenValidator(issuer, AUDIENCE).validate(answer.json()["access_token"])
    found.require(scope="permissions", permission="orders:delete")
    with pytest.raises(authsec.InsufficientScope):
        found.require(permission="orders:write")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
def test_each_algorithm(issuer: Issuer, algorithm: str) -> None:
    """RFC 7518 §3.3, §3.4, §3.5, RFC 8037 §3.1: what is signed is accepted; one changed bit, or another algorithm, is not."""
    key = Key("k", algorithm)
    issuer.publish(key)
    validator = AccessTokenValidator(issuer.url, AUDIENCE, algorithms=[algorithm])
    token = issuer.token(key)
    assert validator.validate(token).subject == "ada"
    head, body, signature = token.split(".")
    flipped = encoded(bytes([keys.decoded(signature)[0] ^ 1]) + keys.decoded(signature)[1:])
    for bad in (flipped, "", signature[:-8], encoded(bytes(64)), encoded(b"\xff" * 64)):
        with pytest.raises(authsec.InvalidToken):
            validator.validate(f"{head}.{body}.{bad}")
    others = [each for each in keys.ALGORITHMS if each != algorithm]
    with pytest.raises(authsec.InvalidToken, match="algorithm"):
        AccessTokenValidator(issuer.url, AUDIENCE, algorithms=others).validate(token)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "JWT"}, {}),
        ({"typ": None}, {}),
        ({"kid": None}, {}),
        ({"kid": "other"}, {}),
        ({"kid": 7}, {}),
        ({"alg": "none"}, {}),
        ({"alg": "HS256"}, {}),
        ({"alg": "ES384"}, {}),
        ({"alg": ["ES256"]}, {}),
        ({"crit": ["exp"]}, {}),
        ({"b64": False}, {}),
        ({}, {"iss": "https://other.example"}),
        ({}, {"iss": None}),
        ({}, {"aud": "https://other.example"}),
        ({}, {"aud": [["https://orders.example.com"]]}),
        ({}, {"aud": None}),
        ({}, {"exp": 1}),
        ({}, {"exp": None}),
        ({}, {"exp": "9999999999"}),
        ({}, {"exp": True}),
        ({}, {"exp": float("nan")}),
        ({}, {"exp": float("inf")}),
        ({}, {"exp": 1e308}),
        ({}, {"exp": 10**400}),
        ({}, {"nbf": 9_999_999_999}),
        ({}, {"nbf": float("nan")}),
        ({}, {"nbf": 10**400}),
        ({}, {"nbf": "x"}),
        ({}, {"sub": None}),
        ({}, {"sub": 7}),
        ({}, {"client_id": None}),
        ({}, {"scope": ["a"]}),
        ({}, {"cnf": {"jkt": "x"}}),
    ],
    ids=str,
)
def test_tokens_that_are_none(
    validator: AccessTokenValidator, issuer: Issuer, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """RFC 9068 §4, RFC 8725 §3: type, algorithm, key, issuer, audience and time are each looked at; bound tokens need their proof."""
    assert validator.validate(issuer.token()).scopes == {"openid", "orders:read"}
    with pytest.raises(authsec.InvalidToken):
        validator.validate(issuer.token(header=header, **claims))


def test_texts_that_are_no_tokens(validator: AccessTokenValidator, issuer: Issuer, scripted: Scripted) -> None:
    """RFC 7515 §5.2: whatever a stranger sends is InvalidToken, and asks nobody for keys."""
    good = issuer.token()
    head, body, signature = good.split(".")
    deep = encoded(b"[" * 5000)
    for bad in (
        "",
        ".",
        "..",
        "a.b.c",
        good + ".x",
        good + "=",
        good + " ",
        f"{head}.{body}",
        f"{head}..{signature}",
        f"{part([])}.{body}.{signature}",
        f"{part('x')}.{body}.{signature}",
        f"{head}.{part([])}.{signature}",
        f"{head}.{part({})}.{signature}",
        f"{head}.{deep}.{signature}",
        f"{deep}.{body}.{signature}",
        f"{head}.{encoded(b'{nonsense')}.{signature}",
        f"{head}.{encoded(bytes([0xFF, 0xFE]))}.{signature}",
        "x" * 20_000,
        "ä.ö.ü",
        f"{head}.{body}.ä",
        f"{head}.{body}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",  # spare bits
        f"{head}.{body}.{signature[:-3]}+/w",
        f"{head}.{body}.{signature}A",
        None,
        good.encode(),
    ):
        with pytest.raises(authsec.InvalidToken):
            validator.validate(bad)  # type: ignore[arg-type]
    assert scripted.times(issuer.jwks) <= 1


def test_a_public_key_is_no_secret(issuer: Issuer, validator: AccessTokenValidator) -> None:
    """RFC 8725 §2.1: a token signed with the public key as if it were a shared secret is refused."""
    from cryptography.hazmat.primitives import serialization

    public = issuer.key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{part({'alg': 'HS256', 'kid': 'k1', 'typ': 'at+jwt'})}.{issuer.token().split('.')[1]}"
    with pytest.raises(authsec.InvalidToken):
        validator.validate(f"{signed}.{encoded(hmac.digest(public, signed.encode(), 'sha256'))}")


def test_keys_that_are_none(issuer: Issuer) -> None:
    """RFC 7517 §4.2, §5, RFC 8725 §3.5: small keys, keys for encryption and nonsense in a set are passed over."""
    small, other, good = Key("small", "RS256", 1024), Key("enc"), Key("good")
    other.jwk["use"] = "enc"
    broken: list[dict[str, Any]] = [{}, {"kty": "EC", "crv": "P-256", "x": "!", "y": "!", "kid": "x"}, {"kty": 7}]
    off_curve = {**good.jwk, "kid": "off", "x": good.jwk["y"]}
    issuer.publish(small, other, *broken, off_curve, good)
    validator = AccessTokenValidator(issuer.url, AUDIENCE)
    assert validator.validate(issuer.token(good))
    for bad in (small, other):
        with pytest.raises(authsec.InvalidToken, match="key"):
            validator.validate(issuer.token(bad))


def test_a_new_key_is_found(issuer: Issuer, validator: AccessTokenValidator, scripted: Scripted) -> None:
    """RFC 9068 §4, Interfaces §6 (rotation-safe): a key that appears is fetched; one that is gone is refused afterwards."""
    old = issuer.token()
    validator.validate(old)
    new = Key("k2")
    issuer.publish(new)
    passed(validator, keys.PAUSE)
    assert validator.validate(issuer.token(new)).subject == "ada"
    assert scripted.times(issuer.jwks) == 2
    with pytest.raises(authsec.InvalidToken, match="key"):
        validator.validate(old)


def test_made_up_keys_ask_the_issuer_seldom(
    issuer: Issuer, validator: AccessTokenValidator, scripted: Scripted
) -> None:
    """Interfaces §6 (flood): a thousand tokens with keys that never were cost one fetch, and good ones go on."""
    good = issuer.token()
    validator.validate(good)
    passed(validator, keys.PAUSE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: refused(validator, issuer.token(header={"kid": f"x{number}"})), range(1000)))
    assert scripted.times(issuer.jwks) == 2
    assert validator.validate(good)


def refused(validator: AccessTokenValidator, token: str) -> None:
    with pytest.raises(authsec.InvalidToken):
        validator.validate(token)


def passed(validator: AccessTokenValidator | AsyncAccessTokenValidator, seconds: float) -> None:
    """Let time pass for the validator's keys."""
    cache = validator._rules.keys
    for name in ("_fetched_at", "_tried_at"):
        at = getattr(cache, name)
        setattr(cache, name, None if at is None else at - seconds)


def test_keys_are_kept_and_fetched_anew(issuer: Issuer, validator: AccessTokenValidator, scripted: Scripted) -> None:
    """Interfaces §6 (JWKS cached): one fetch for many tokens; a withdrawn key is refused after five minutes at most."""
    token = issuer.token()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(validator.validate, [token] * 50))
    assert scripted.times(issuer.jwks) == 1
    issuer.publish(Key("k2"))
    assert validator.validate(token)
    passed(validator, keys.FRESH)
    refused(validator, token)


def test_nobody_waits_for_who_fetches(issuer: Issuer, validator: AccessTokenValidator, scripted: Scripted) -> None:
    """Interfaces §6: while keys are fetched anew, the known ones do for everybody else."""
    token, answered = issuer.token(), threading.Event()
    validator.validate(token)
    passed(validator, keys.FRESH)
    asked = threading.Event()

    def slow(_: Asked) -> Says:
        asked.set()
        assert answered.wait(20)
        return Says(body={"keys": [issuer.key.jwk]})

    scripted.says(issuer.jwks, slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(validator.validate, token)
        assert asked.wait(20)
        assert validator.validate(token).subject == "ada"
        answered.set()
        assert first.result(20).subject == "ada"


@pytest.mark.parametrize(
    ("values", "error"),
    [([], bearer.NoToken), (["Basic x"], bearer.NoToken), (["Bearer a", "Bearer b"], bearer.MalformedRequest)],
)
def test_one_token_is_presented(values: list[str], error: type[Exception]) -> None:
    """RFC 6750 §2: a request carries one token, in one way."""
    with pytest.raises(error):
        bearer.presented(values)
    assert bearer.presented(["Bearer a.b-c~d+e/f=="]) == "a.b-c~d+e/f=="


def test_an_issuer_that_is_away(issuer: Issuer, validator: AccessTokenValidator, scripted: Scripted) -> None:
    """Interfaces §6: without the issuer the last keys do for an hour; without any keys nothing can be said."""
    token = issuer.token()
    validator.validate(token)
    scripted.says(issuer.jwks, Says(503))
    passed(validator, keys.FRESH)
    assert validator.validate(token)
    passed(validator, keys.STALE)
    for _ in range(2):
        with pytest.raises(authsec.KeysUnavailable):
            validator.validate(token)
    scripted.says(issuer.jwks, Says(body={"keys": "none"}))
    with pytest.raises(authsec.KeysUnavailable):
        AccessTokenValidator(issuer.url, AUDIENCE).validate(token)


def test_awaiting(issuer: Issuer, scripted: Scripted) -> None:
    """Interfaces §6: the same for asyncio, with one fetch for all who wait."""

    async def walk() -> None:
        validator = AsyncAccessTokenValidator(issuer.url, AUDIENCE, jwks_uri=f"{issuer.url}/jwks")
        token = issuer.token()
        assert len(await asyncio.gather(*(validator.validate(token) for _ in range(20)))) == 20
        assert scripted.times(issuer.jwks) == 1
        for number in range(20):
            with pytest.raises(authsec.InvalidToken):
                await validator.validate(issuer.token(header={"kid": f"x{number}"}))
        assert scripted.times(issuer.jwks) == 1
        scripted.says(issuer.jwks, Says(503))
        passed(validator, keys.FRESH)
        assert await validator.validate(token)

    asyncio.run(walk())


@pytest.mark.parametrize(
    "given",
    [
        {"issuer": "http://id.example.com"},
        {"audience": []},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"jwks_uri": "http://id.example.com/jwks"},
    ],
    ids=str,
)
def test_no_validator_is_made_unsafe(given: dict[str, Any]) -> None:
    """RFC 8725 §3.1, §3.9: an audience, safe addresses and safe algorithms are not optional."""
    with pytest.raises(ValueError, match=next(iter(given))):
        AccessTokenValidator(**{"issuer": "https://id.example.com", "audience": AUDIENCE, **given})
