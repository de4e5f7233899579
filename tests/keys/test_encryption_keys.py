"""A tenant's keys for encryption: their life beside the signing keys, and what they open and refuse (RFC 7516 §5.2, §11.5)."""

from __future__ import annotations

import json
import random
import statistics
import time
from contextlib import suppress

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from idp import clock
from idp.keys.checkpoints import CheckpointKeys
from idp.keys.compact import InvalidToken
from idp.keys.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from idp.keys.envelope import CannotUnseal, Envelope
from idp.keys.jwks import jwks_document
from idp.keys.rewrap import rewrap
from idp.keys.rotation import DAY, HOUR, MARGIN, KeyPolicy, create_initial, revoke, rotate_due, rotate_now

POLICY = KeyPolicy(("ES256", *KEY_ALGORITHMS), rotation_period=90 * DAY, token_life=HOUR)
MOST = 16_384
TEXT = "a.b.c"
QUICK = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def act(site, what, *more, policy=POLICY):
    """Call an operation of the module on the tenant."""
    return what(site.database, site.envelope, site.id, policy, *more)


def published(site) -> list[dict]:
    """The keys for encryption in the JWK Set."""
    return [key for key in json.loads(jwks_document(site.keys())[0])["keys"] if key["use"] == "enc"]


def sealed(site, alg: str, enc: str = "A256GCM", text: str = TEXT, key: dict | None = None, **header) -> str:
    """What a client encrypts to a published key, with joserfc alone."""
    jwk = key or next(each for each in published(site) if each["alg"] == alg)
    members = {"alg": alg, "enc": enc, "kid": jwk["kid"], "cty": "JWT", **header}
    (imported,) = KeySet.import_key_set({"keys": [jwk]}).keys
    named = {name: value for name, value in members.items() if value is not None}
    return jwe.encrypt_compact(named, text, imported, algorithms=[alg, enc, "DEF"])


def opened(site, text: str) -> str:
    return site.keys().decryption.decrypt(text, max_length=MOST)


def refused(site, text: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        opened(site, text)
    assert caught.value.reason == "it cannot be decrypted"
    assert caught.value.__cause__ is None


@pytest.fixture
def keyed(site):
    """A tenant with keys of both kinds, each with one that comes next."""
    create_initial(site.database, site.envelope, site.id, POLICY.algorithms)
    act(site, rotate_due, policy=POLICY)
    return site


@pytest.fixture(scope="module")
def vault(new_site, envelope):
    """The same, for tests that leave the keys alone."""
    made = new_site(envelope)
    create_initial(made.database, made.envelope, made.id, POLICY.algorithms)
    return made


def test_only_the_active_key_is_published(keyed) -> None:
    """OIDC Core §10.2: one key an algorithm, for encryption alone, without any private member; the next one is not shown yet."""
    found = published(keyed)
    assert sorted(key["alg"] for key in found) == ["ECDH-ES", "RSA-OAEP-256"]
    assert all(key.keys() <= {"kty", "use", "alg", "kid", "crv", "x", "y", "n", "e"} for key in found)
    assert {key["kid"] for key in found} == {row.kid for row in keyed.rows("active") if row.alg in KEY_ALGORITHMS}
    assert len(keyed.rows("next")) == 3


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
@pytest.mark.parametrize("enc", CONTENT_ALGORITHMS)
def test_opened(keyed, alg: str, enc: str) -> None:
    """RFC 7516 §5.2: by kid or without one, with cty JWT in any spelling or none."""
    for header in ({}, {"kid": None}, {"cty": None}, {"cty": "jwt"}, {"cty": "application/jwt"}, {"typ": "JWT"}):
        assert opened(keyed, sealed(keyed, alg, enc, **header)) == TEXT


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
def test_the_life_of_a_key(keyed, alg: str) -> None:
    """Issue 4 §2: rotated with the signing keys; a retired key opens what it was given, until it is gone and erased."""
    first = next(key for key in published(keyed) if key["alg"] == alg)
    text = sealed(keyed, alg)
    done = act(keyed, rotate_now, policy=POLICY)
    assert "ES256" in done.warning
    assert alg not in done.warning, "nobody has to have seen a key for encryption beforehand"
    second = next(key for key in published(keyed) if key["alg"] == alg)
    assert second["kid"] != first["kid"]
    assert opened(keyed, text) == opened(keyed, sealed(keyed, alg)) == TEXT
    assert opened(keyed, sealed(keyed, alg, key=first)) == TEXT, "of a client with an older key set"
    retired = keyed.rows("retired")
    assert all(bool(row.sealed_private) == (row.alg in KEY_ALGORITHMS) for row in retired)
    act(keyed, rotate_due, clock.now() + HOUR + MARGIN + 60, policy=POLICY)
    assert not any(row.sealed_private for row in keyed.rows("gone"))
    refused(keyed, text)


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
def test_revoked(keyed, alg: str) -> None:
    """ASVS 5.0 §11.2: a key in wrong hands is erased at once, and another takes its place."""
    kid = next(key["kid"] for key in published(keyed) if key["alg"] == alg)
    text = sealed(keyed, alg)
    done = act(keyed, revoke, kid)
    assert [step.change for step in done.transitions] == ["revoked", "activated", "published"]
    refused(keyed, text)
    assert opened(keyed, sealed(keyed, alg)) == TEXT
    assert [row.sealed_private for row in keyed.rows("revoked")] == [""]


def test_given_up(keyed) -> None:
    """Issue 4 §2: a tenant that no longer allows the profile oidc retires them, and takes them back when it does."""
    text = sealed(keyed, "ECDH-ES")
    act(keyed, rotate_due, policy=KeyPolicy(("ES256",)))
    assert published(keyed) == []
    assert keyed.keys().decryption.algorithms == ()
    assert opened(keyed, text) == TEXT
    act(keyed, rotate_due, policy=POLICY)
    assert keyed.keys().decryption.algorithms == KEY_ALGORITHMS


def test_rewrapped(new_site) -> None:
    """ASVS 5.0 §11.2: sealed under the newest master key like every other private part."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    site = new_site(Envelope([old]))
    create_initial(site.database, site.envelope, site.id, POLICY.algorithms)
    text = sealed(site, "RSA-OAEP-256")
    with pytest.raises(CannotUnseal):
        site.keys(Envelope([new])).decryption.decrypt(text, max_length=MOST)
    assert rewrap(site.database, Envelope([new, old]), site.id) == 3
    assert site.keys(Envelope([new])).decryption.decrypt(text, max_length=MOST) == TEXT


def test_they_sign_nothing(keyed, forge) -> None:
    """RFC 7517 §4.2, RFC 8725 §3.1: a token or a seal that names a key for encryption is refused as any stranger's."""
    for key in published(keyed):
        for alg in (key["alg"], "RS256", "ES256"):
            text = forge.sealed(keyed.keys(), {"alg": alg, "kid": key["kid"], "typ": "at+jwt"}, keyed.claims())
            with pytest.raises(InvalidToken):
                keyed.keys().verify(text, typ="at+jwt", issuer=keyed.issuer)
            with keyed.database.reading() as conn:
                seals = CheckpointKeys(conn, keyed.envelope, keyed.id)
            with pytest.raises(InvalidToken):
                seals.verify(
                    forge.sealed(keyed.keys(), {"alg": alg, "kid": key["kid"], "typ": "audit-checkpoint+jwt"}, {})
                )


def test_another_tenants(keyed, globex) -> None:
    """S037: what is encrypted to one tenant is closed to another."""
    refused(globex, sealed(keyed, "ECDH-ES"))


def _mutated(random_: random.Random, good: str) -> str:
    """One of the ways to damage a JWE."""
    parts = good.split(".")
    way = random_.randrange(8)
    place = random_.randrange(5)
    if way == 0:
        part = bytearray(parts[place].encode() or b"A")
        part[random_.randrange(len(part))] = random_.choice(b"ABCxyz019-_")
        parts[place] = part.decode()
    elif way == 1:
        parts[place] = parts[place][: random_.randrange(len(parts[place]) + 1)]
    elif way == 2:
        parts[place] = parts[place] + random_.choice(["A", "AAAA", "=", "==", ".", " ", "é"])
    elif way == 3:
        other = random_.randrange(5)
        parts[place], parts[other] = parts[other], parts[place]
    elif way == 4:
        parts[1] = OctKey.generate_key(2048).as_dict()["k"][:342]
    elif way == 5:
        parts[place] = ""
    elif way == 6:
        parts[2] = "A" * random_.choice([16, 22, 24, 32])
    else:
        return good[: random_.randrange(len(good))]
    return ".".join(parts)


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
def test_s039_a_thousand_malformed_ones(vault, alg: str) -> None:
    """RFC 7516 §11.5, S039 (CVE-2026-28490): whatever is damaged, the refusal is the same one."""
    random_ = random.Random(39)  # noqa: S311 - the same damage each time
    goods = [sealed(vault, alg, enc) for enc in CONTENT_ALGORITHMS]
    for number in range(1000):
        good = goods[number % 2]
        damaged = _mutated(random_, good)
        if damaged != good:
            refused(vault, damaged)


HEADERS = [
    {"alg": "RSA1_5"},
    {"alg": "RSA-OAEP"},
    {"alg": "dir"},
    {"alg": "A128KW"},
    {"alg": "ECDH-ES+A128KW"},
    {"alg": "PBES2-HS256+A128KW", "p2s": "AAAA", "p2c": 10_000_000},
    {"alg": "none"},
    {"alg": ["RSA-OAEP-256"]},
    {"alg": None},
    {"enc": "A128GCM"},
    {"enc": "A256CBC-HS512"},
    {"enc": ["A256GCM"]},
    {"enc": None},
    {"zip": "DEF"},
    {"crit": ["exp"], "exp": 1},
    {"jwk": {"kty": "RSA"}},
    {"jku": "https://evil.example/jwks"},
    {"x5c": ["AAAA"]},
    {"kid": "nobody"},
    {"kid": 1},
    {"cty": "text"},
    {"cty": 1},
    {"apu": 1},
    {"apv": {}},
    {"epk": None},
    {"epk": "x"},
    {"epk": {}},
    {"epk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}},
    {"epk": {"kty": "EC", "crv": "P-256", "x": "A" * 43}},
    {"epk": dict(ECKey.generate_key("P-256").as_dict(private=True))},
    {"epk": dict(ECKey.generate_key("P-384").as_dict(private=False))},
    {"epk": dict(OKPKey.generate_key("X25519").as_dict(private=False))},
    {"epk": dict(RSAKey.generate_key(2048).as_dict(private=False))},
    {"epk": {"kty": "oct", "k": "AAAA"}},
]


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
@pytest.mark.parametrize("header", HEADERS, ids=[f"{number}-{next(iter(each))}" for number, each in enumerate(HEADERS)])
def test_s039_headers(vault, forge, alg: str, header: dict) -> None:
    """RFC 8725 §3.1, §3.6, S039: other algorithms, compression, keys in the header and wrong curves are refused, all the same."""
    head, *rest = sealed(vault, alg).split(".")
    members = {**json.loads(forge.unpack(f"{head}.{head}.{head}")[1]), **header}
    text = forge.segment({name: value for name, value in members.items() if value is not None})
    refused(vault, ".".join([text, *rest]))


@QUICK
@given(st.dictionaries(st.sampled_from(["alg", "enc", "kid", "cty", "epk", "apu", "apv", "zip"]), values, max_size=4))
def test_s039_any_header(vault, forge, header: dict) -> None:
    """RFC 8725 §3.2, S039: any JSON as header is answered by the one refusal."""
    for alg in KEY_ALGORITHMS:
        head, *rest = sealed(vault, alg).split(".")
        members = json.loads(forge.unpack(f"{head}.{head}.{head}")[1])
        text = ".".join([forge.segment(members | header), *rest])
        with suppress(InvalidToken):
            opened(vault, text)
            pytest.fail("a header that was changed opened")


def test_s039_compressed(vault) -> None:
    """RFC 8725 §3.6, S039: rightly encrypted, but compressed: a bomb is not unpacked."""
    for alg in KEY_ALGORITHMS:
        refused(vault, sealed(vault, alg, text="x" * 1_000_000, zip="DEF"))


def test_s039_long_and_strange(vault) -> None:
    """RFC 7516 §5.2: no JWE, too long a one, and one whose inside is no text of a token."""
    for text in ("", "....", "a.b.c.d.e", "a.b.c", "\x00.b.c.d.e", sealed(vault, "ECDH-ES", text="x" * MOST)):
        refused(vault, text)
    refused(vault, sealed(vault, "ECDH-ES", text="é"))


def test_s039_time_tells_nothing(vault) -> None:
    """RFC 7516 §11.5, S039: a key that does not unwrap takes as long as one that does and fits nothing."""
    keys = vault.keys().decryption
    head, wrapped, iv, ciphertext, _ = sealed(vault, "RSA-OAEP-256").split(".")
    other = OctKey.generate_key(2048).as_dict()["k"][:342]
    texts = (f"{head}.{wrapped}.{iv}.{ciphertext}.{'A' * 22}", f"{head}.A{other[1:-1]}A.{iv}.{ciphertext}.{'A' * 22}")
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(400):
        began = time.perf_counter()
        with suppress(InvalidToken):
            keys.decrypt(texts[number % 2], max_length=MOST)
        taken[number % 2].append(time.perf_counter() - began)
    first, second = map(statistics.median, taken)
    assert 0.5 < first / second < 2, (first, second)
