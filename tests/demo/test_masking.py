"""What may be seen of a secret."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.demo.masking import KINDS, Mask

TOKEN = "rt_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF" + "0123456789x"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0." + "s" * 60
# Without lower-case letters no secret is by chance one of the words that describe it.
secrets = st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), min_size=12, max_size=200)


@given(st.sampled_from(sorted(KINDS)), secrets)
def test_a_secret_by_its_name_shows_its_kind_and_at_most_eleven_characters(name, secret):
    """RFC 6749 §10: whatever it is, a secret is named and shortened; a short one and the most precious kinds show nothing."""
    shown = Mask().value(name, secret)
    assert KINDS[name] in shown
    assert f"{len(secret)} characters" in shown
    nothing = len(secret) < 32 or name in ("client_secret", "code_verifier", "password", "client_assertion")
    hidden = "x" * len(secret) if nothing else secret[:7] + "x" * (len(secret) - 11) + secret[-4:]
    assert Mask().value(name, hidden) == shown


@given(secrets)
def test_a_secret_that_was_seen_is_masked_everywhere(secret):
    """RFC 6749 §10: in a text, in nested JSON under an innocent name, in a field of HTTP."""
    mask = Mask()
    mask.learn(secret, "code")
    assert secret not in mask.text(f"before {secret} after {secret}")
    told = mask.json({"note": [{"deep": f"x{secret}y"}], secret: 1})
    assert secret not in json.dumps(told)
    assert secret not in mask.header("location", f"https://rp.example/?c={secret}")


def test_credentials_in_http_fields():
    """RFC 7617 §2, RFC 6750 §2.1, RFC 6265 §4: Basic shows the id only, Bearer is shortened, a cookie has no value."""
    mask = Mask()
    basic = base64.b64encode(b"demo:hunter2-planted-secret").decode()
    assert mask.header("Authorization", f"Basic {basic}").startswith("Basic demo:••••••••")
    assert "hunter2" not in mask.header("Authorization", f"Basic {basic}")
    assert mask.header("authorization", "Basic %%%") == "Basic ••••••••"
    assert (
        mask.header("Authorization", f"Bearer {JWT}")
        == f"Bearer eyJhbGc…ssss (access token, a JWT, {len(JWT)} characters)"
    )
    assert mask.header("Set-Cookie", "s=planted; Path=/") == "s=••••••••"
    assert mask.header("Accept", "*/*") == "*/*"


def test_the_same_token_looks_the_same_under_another_name():
    """RFC 7662 §2.1: `token` is whatever it was when it was seen first, so that sightings can be compared."""
    mask = Mask()
    as_answer = mask.json({"refresh_token": TOKEN})["refresh_token"]
    assert mask.value("token", TOKEN) == as_answer
    assert "refresh token" in as_answer


@pytest.mark.parametrize("value", ["", "a", "pwd"])
def test_short_words_are_not_taken_for_secrets(value):
    """A secret of three letters would hide half of every text."""
    mask = Mask()
    mask.learn(value, "client_secret")
    assert mask.text("a password pwd") == "a password pwd"
