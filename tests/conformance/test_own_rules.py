"""The relying party of these walks is not credulous: each rule it applies is seen to fail (negative controls of the harness)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from id_token_rules import Expectation, left_half, validate
from joserfc import jwt
from joserfc.jwk import RSAKey
from relying import unsigned
from user_agent import Markup

KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
STRANGER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
EXPECTED = Expectation(
    issuer="https://op.example",
    client_id="rp",
    keys=[KEY.as_dict(private=False)],
    nonce="n",
    code="a code",
    access_token="a token",
    state="a state",
    max_age=60,
    is_from_authorization_endpoint=True,
    response_type="code id_token token",
)


def claims() -> dict[str, Any]:
    """A right set of claims."""
    at = int(time.time())
    return {
        "iss": "https://op.example",
        "sub": "ada",
        "aud": "rp",
        "azp": "rp",
        "iat": at,
        "exp": at + 300,
        "auth_time": at - 5,
        "nonce": "n",
        "acr": "1",
        "amr": ["pwd"],
        "at_hash": left_half("RS256", "a token"),
        "c_hash": left_half("RS256", "a code"),
        "s_hash": left_half("RS256", "a state"),
    }


def signed(given: dict[str, Any], key: RSAKey = KEY, **header: Any) -> str:
    """An ID token of these claims."""
    return jwt.encode({"alg": "RS256", "kid": "one", **header}, given, key, algorithms=["RS256"])


def test_a_right_token_is_believed() -> None:
    """OpenID Connect Core §3.1.3.7: every rule holds; the hashes are those of §3.1.3.6 and of Appendix A of the specification."""
    assert validate(signed(claims()), EXPECTED)["sub"] == "ada"
    # Core Appendix A.4, A.6: the specification's own access token and code with their hashes.
    assert left_half("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"
    assert left_half("RS256", "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk") == "LDktKdoQak3Pk0cnXxCltA"


WRONG: dict[str, dict[str, Any]] = {
    "iss": {"iss": "https://op.example/"},
    "aud": {"aud": "other"},
    "a second audience": {"aud": ["rp", "other"]},
    "azp": {"azp": "other"},
    "no sub": {"sub": ""},
    "a sub that is no text": {"sub": 7},
    "expired": {"exp": 1_000_000_000},
    "exp as text": {"exp": "4000000000"},
    "issued long ago": {"iat": 1_000_000_000},
    "nonce": {"nonce": "m"},
    "signed in too long ago": {"auth_time": 1_000_000_000},
    "signed in in the future": {"auth_time": 4_000_000_000},
    "amr": {"amr": "pwd"},
    "at_hash": {"at_hash": left_half("RS256", "another token")},
    "no at_hash": {"at_hash": None},
    "c_hash": {"c_hash": left_half("RS256", "another code")},
    "no c_hash": {"c_hash": None},
    "s_hash": {"s_hash": left_half("RS256", "another state")},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_claim_is_seen(case: str) -> None:
    """OpenID Connect Core §3.1.3.7, §3.2.2.9, §3.3.2.10: one claim is wrong, and the token is not believed."""
    given = {name: value for name, value in {**claims(), **WRONG[case]}.items() if value is not None}
    with pytest.raises(AssertionError, match=r"Core §"):
        validate(signed(given), EXPECTED)


def test_a_wrong_signature_is_seen() -> None:
    """OpenID Connect Core §3.1.3.7 (6, 7), §10.1: another key, another name, another algorithm, none."""
    for token in (signed(claims(), STRANGER), signed(claims(), kid="two"), unsigned(claims())):
        with pytest.raises(Exception, match=r"Core §|bad_signature"):
            validate(token, EXPECTED)
    with pytest.raises(AssertionError, match=r"Core §3\.1\.3\.7"):
        validate(signed(claims()), replace(EXPECTED, alg="ES256"))


def test_a_nonce_that_nobody_sent_is_seen() -> None:
    """OpenID Connect Core §2 (nonce): it comes from the request, or not at all."""
    with pytest.raises(AssertionError, match="nonce nobody sent"):
        validate(signed(claims()), replace(EXPECTED, nonce=None))


def test_a_page_is_read_as_a_browser_reads_it() -> None:
    """HTML (forms): entities are resolved, the first form counts, what is not sent is not read."""
    markup = Markup(
        '<form method="post" action="/a?x=1&amp;y=2"><input type="hidden" name="s" value="&quot;&gt;">'
        '<input type="checkbox" name="c" value="1"><button id="b" name="go" value="yes">Go</button></form>'
        '<form action="/other"></form><code id="error-code">invalid_request</code><iframe src="https://x/?a&amp;b"></iframe>'
    )
    assert (markup.method, markup.action, markup.fields) == ("post", "/a?x=1&y=2", {"s": '">'})
    assert markup.buttons["b"]["value"] == "yes"
    assert markup.by_id["error-code"] == "invalid_request"
    assert markup.sources["iframe"] == ["https://x/?a&b"]
