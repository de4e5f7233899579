from __future__ import annotations

import json

import pytest

from idp import clock
from idp.keys.compact import InvalidToken
from idp.keys.rotation import create_initial

AUDIENCE = "https://api.example.com"
FAR = 9_999_999_999


def verdict(site, forge, payload, **how):
    """Verify a rightly signed payload; the claims, or the reason of the refusal."""
    keys = site.keys()
    header = {"alg": "ES256", "kid": keys.active_kid("ES256"), "typ": "at+jwt"}
    token = forge.sealed(keys, header, payload)
    try:
        return keys.verify(token, **{"typ": "at+jwt", "issuer": site.issuer, "audience": AUDIENCE} | how)
    except InvalidToken as error:
        return error.reason


def raw(site, name: str, value: str) -> str:
    """The claims as JSON with one value written as it stands."""
    claims = {key: json.dumps(item) for key, item in site.claims().items()} | {name: value}
    return "{" + ",".join(f'"{key}":{item}' for key, item in claims.items()) + "}"


@pytest.mark.parametrize(
    "value",
    [
        '"9999999999"',
        "true",
        "false",
        "null",
        "-1",
        "9999999999.0",
        "9999999999.5",
        "1e10",
        "[]",
        "{}",
        "999999999999999",
    ],
)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
def test_a_date_is_a_whole_number(acme, forge, name: str, value: str) -> None:
    """RFC 7519 §2, S040 (joserfc 1.8.0): text, a truth value, a fraction, a negative or a distant number is no date of ours."""
    assert verdict(acme, forge, raw(acme, name, value)) == "a date is not a whole number of seconds"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000])
def test_a_number_is_finite(acme, forge, value: str) -> None:
    """RFC 8259 §6, S040: NaN, Infinity, an overflow or five thousand digits are refused as JSON."""
    assert verdict(acme, forge, raw(acme, "exp", value)) == "not a JSON object with unique members and finite numbers"
    assert verdict(acme, forge, raw(acme, "x", value)) == "not a JSON object with unique members and finite numbers"


def test_an_expiry_is_required(acme, forge) -> None:
    """RFC 9068 §2.2, security §2 (joserfc does not require it): a token without exp is refused."""
    assert verdict(acme, forge, acme.claims(exp=None)) == "there is no expiry"
    assert verdict(acme, forge, acme.claims(exp=None), allow_expired=True) == "there is no expiry"


@pytest.mark.parametrize(
    "value", [None, {}, [], [AUDIENCE, 1], [AUDIENCE, None], [[AUDIENCE]], 1, True, "", [""], {AUDIENCE: 1}]
)
def test_an_audience_is_text_or_a_list_of_it(acme, forge, value) -> None:
    """RFC 7519 §4.1.3, S040: an object, an empty list, a number or null is no audience, even where none is asked for."""
    payload = acme.claims() | {"aud": value}
    for how in ({}, {"audience": None}):
        assert verdict(acme, forge, payload, **how) == "the audience is not text or a list of text"


@pytest.mark.parametrize("value", [None, 1, True, [], ["u1"], {}, 1.5])
@pytest.mark.parametrize("name", ["iss", "sub", "jti", "client_id", "sid", "scope", "nonce", "azp"])
def test_a_claim_that_is_text(acme, forge, name: str, value) -> None:
    """RFC 7519 §4.1.1–4.1.7, S040 (CVE-2026-75509): null, a number or a list in the place of text is refused."""
    assert verdict(acme, forge, acme.claims() | {name: value}) == "a claim that is text has another type"


@pytest.mark.parametrize("name", ["iss", "sub"])
def test_an_empty_name(acme, forge, name: str) -> None:
    """RFC 7519 §4.1.1, §4.1.2: an empty issuer or subject is none."""
    assert verdict(acme, forge, acme.claims(**{name: ""})) == "the issuer or the subject is empty"


@pytest.mark.parametrize(
    "issuer",
    [
        "https://id.example.com/t/acm",
        "https://id.example.com/t/acme/",
        "https://ID.example.com/t/acme",
        "https://id.example.com/t/globex",
        "http://id.example.com/t/acme",
    ],
)
def test_the_issuer_is_compared_as_it_stands(acme, forge, issuer: str) -> None:
    """RFC 8725 §3.8 (CVE-2024-53861): the issuer must be the very text, no part of it and no other spelling."""
    assert verdict(acme, forge, acme.claims(iss=issuer)) == "another issuer"
    assert verdict(acme, forge, acme.claims(iss=None)) == "another issuer"


@pytest.mark.parametrize(
    ("stated", "wanted", "accepted"),
    [
        (AUDIENCE, AUDIENCE, True),
        ([AUDIENCE], AUDIENCE, True),
        (["https://b.example", AUDIENCE], AUDIENCE, True),
        (["https://b.example", AUDIENCE], ("https://c.example", AUDIENCE), True),
        (AUDIENCE, {AUDIENCE}, True),
        (AUDIENCE, None, True),
        (None, None, True),
        (None, AUDIENCE, False),
        (AUDIENCE + "/", AUDIENCE, False),
        (AUDIENCE[:-1], AUDIENCE, False),
        (AUDIENCE, AUDIENCE[:-1], False),
        (["https://b.example"], (AUDIENCE, "https://c.example"), False),
        (AUDIENCE, (), False),
    ],
)
def test_the_audience_must_contain_us(acme, forge, stated, wanted, accepted: bool) -> None:
    """RFC 7519 §4.1.3, RFC 8725 §3.9: one of the audiences asked for is among those stated, as whole text."""
    found = verdict(acme, forge, acme.claims(aud=stated), audience=wanted)
    assert isinstance(found, dict) if accepted else found == "another audience"


def test_the_edges_of_time(acme, forge) -> None:
    """RFC 7519 §4.1.4, §4.1.5, S041: valid before exp and from nbf on, with a leeway only where it is asked for."""
    now = clock.now()
    with clock.shifted(0):
        assert verdict(acme, forge, acme.claims(exp=now - 1)) == "expired"
        assert isinstance(verdict(acme, forge, acme.claims(exp=now + 30)), dict)
        assert isinstance(verdict(acme, forge, acme.claims(exp=now - 1), leeway=30), dict)
        assert verdict(acme, forge, acme.claims(exp=now - 31), leeway=30) == "expired"
        assert verdict(acme, forge, acme.claims(nbf=now + 30)) == "not valid yet"
        assert isinstance(verdict(acme, forge, acme.claims(nbf=now + 30), leeway=60), dict)
        assert verdict(acme, forge, acme.claims(exp=0)) == "expired"
    token_life = acme.claims()["exp"] - now
    with clock.shifted(token_life + 1):
        assert verdict(acme, forge, acme.claims(exp=now + token_life)) == "expired"
    with clock.shifted(-3600):  # the clock has jumped back: what is valid stays so
        assert isinstance(verdict(acme, forge, acme.claims(iat=now, exp=now + 60)), dict)


def test_an_expired_hint_is_still_a_hint(acme, forge) -> None:
    """OIDC RP-Initiated Logout §2: an expired ID token may be a hint; everything else about it must be right."""
    old = acme.claims(exp=clock.now() - 86400)
    assert verdict(acme, forge, old) == "expired"
    assert verdict(acme, forge, old, allow_expired=True)["sub"] == "u1"
    assert verdict(acme, forge, old | {"iss": "https://evil.example"}, allow_expired=True) == "another issuer"
    assert verdict(acme, forge, old | {"aud": "https://evil.example"}, allow_expired=True) == "another audience"
    assert verdict(acme, forge, old | {"nbf": FAR}, allow_expired=True) == "not valid yet"


def test_what_we_sign_is_what_we_accept(site) -> None:
    """RFC 7519 §7.2: a token of a new tenant is accepted by the same tenant on either kind of database."""
    create_initial(site.database, site.envelope, site.id)
    for alg in ("ES256", "RS256"):
        token = site.keys().sign(site.claims(jti="j"), alg=alg, typ="at+jwt")
        assert site.keys().verify(token, typ="at+jwt", issuer=site.issuer, audience=AUDIENCE)["jti"] == "j"
