from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from idp.keys.compact import InvalidToken, parse

QUICK = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SOME = settings(QUICK, max_examples=150)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "sid", "auth_time", "azp", "nonce"]
) | st.text(max_size=8)


def only_invalid_token(site, token) -> None:
    """Verify; any answer but claims or InvalidToken lets the test fail."""
    keys = site.keys()
    for _ in range(2):
        with suppress(InvalidToken):
            claims = keys.verify(token, typ="at+jwt", issuer=site.issuer, audience="https://api.example.com")
            assert type(claims) is dict
            assert type(claims["exp"]) is int
            assert claims["iss"] == site.issuer


@QUICK
@given(
    st.text(max_size=200)
    | st.binary(max_size=50)
    | st.none()
    | st.integers()
    | st.from_regex(r"[A-Za-z0-9_\-=+/]{0,40}(\.[A-Za-z0-9_\-=+/]{0,40}){1,4}")
)
@example("\x00.\x00.\x00")
@example("e30.e30.e30")
@example("bnVsbA.bnVsbA.bnVsbA")
def test_any_text(acme, token) -> None:
    """RFC 8725 §3.2, S034: whatever is presented as a token is refused as one, never an error of ours."""
    only_invalid_token(acme, token)
    if isinstance(token, str):
        with pytest.raises(InvalidToken):
            acme.keys().verify(token, typ="at+jwt", issuer=acme.issuer)


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]) | st.text(max_size=6), values, max_size=5
    ),
    st.binary(max_size=70) | st.binary(min_size=64, max_size=64) | st.binary(min_size=255, max_size=257),
    st.sampled_from(["ES256", "RS256", "EdDSA", "PS256"]),
)
def test_any_header_and_signature(acme, forge, header: dict, signature: bytes, alg: str) -> None:
    """RFC 8725 §3.1, S034: any JSON header and any signature is answered by claims or InvalidToken."""
    body = forge.segment(acme.claims())
    known = {"alg": alg, "kid": acme.keys().active_kid(alg), "typ": "at+jwt"}
    for head in (header, known | header, header | known, known):
        only_invalid_token(acme, f"{forge.segment(head)}.{body}.{forge.segment(signature)}")


@QUICK
@given(st.dictionaries(names, values, max_size=6))
def test_any_claims_rightly_signed(acme, forge, changes: dict) -> None:
    """RFC 8725 §3.2, S040: any JSON that our own key has signed is answered by claims of the right types or InvalidToken."""
    keys = acme.keys()
    header = {"alg": "ES256", "kid": keys.active_kid("ES256"), "typ": "at+jwt"}
    only_invalid_token(acme, forge.sealed(keys, header, json.dumps(acme.claims() | changes)))


@SOME
@given(st.binary(max_size=200))
def test_any_bytes_rightly_signed(acme, forge, payload: bytes) -> None:
    """RFC 7519 §7.2: a payload that is no JSON, though our own key has signed it, is refused."""
    keys = acme.keys()
    header = {"alg": "ES256", "kid": keys.active_kid("ES256"), "typ": "at+jwt"}
    only_invalid_token(acme, forge.sealed(keys, header, payload))


@SOME
@given(st.sampled_from(["ES256", "RS256", "EdDSA", "PS256"]), st.data())
def test_any_splice_of_right_tokens(acme, globex, alg: str, data: st.DataObject) -> None:
    """RFC 7515 §5.2, S037: parts of right tokens, of either tenant, put together anew are refused."""
    own = [acme.keys().sign(acme.claims(sub=sub), alg=alg, typ="at+jwt").split(".") for sub in ("u1", "u2")]
    parts = [*own, globex.keys().sign(acme.claims(), alg=alg, typ="at+jwt").split("."), own[0][::-1]]
    pieces = [data.draw(st.sampled_from(parts))[index] for index in range(3)]
    only_invalid_token(acme, ".".join(pieces))
    if pieces not in (own[0], own[1]) and pieces[1:] not in (own[0][1:], own[1][1:]):
        with pytest.raises(InvalidToken):
            acme.keys().verify(".".join(pieces), typ="at+jwt", issuer=acme.issuer)


@QUICK
@given(st.text(max_size=120))
def test_any_text_taken_apart(text: str) -> None:
    """RFC 7515 §3.1: what parses has one spelling: putting the parts together again gives the same text."""
    try:
        parts = parse(text, header_members=frozenset({"alg"}))
    except InvalidToken:
        return
    assert text.encode().startswith(parts.signing_input + b".")
