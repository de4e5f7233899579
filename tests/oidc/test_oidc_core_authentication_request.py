"""The authentication request (OpenID Connect Core §3.1.2.1): prompt, max_age, hints, and what is not served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery
from house import CALLBACK, PASSWORD, challenge, decoded
from refusals import error_page, sent_back, text_of

from idp.clock import now, shifted

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, Browser, Grant

VERIFIER = "v" * 43


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: prompts, displays, and the claims parameter."""
    found = discovery(cast.house, cast.acme)
    assert found["prompt_values_supported"] == ["none", "login", "consent", "select_account"]
    assert found["claims_parameter_supported"] is True
    assert found["display_values_supported"] == ["page", "popup", "touch", "wap"]


def test_s008_prompt_none_without_a_session(any_cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.6, S008: login_required and no page."""
    answer = any_cast.browser().authorize(any_cast.basic, verifier=VERIFIER, prompt="none")
    sent_back(any_cast.house, answer, any_cast.acme, "login_required", to=CALLBACK)


def test_s008_prompt_none_without_consent(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.6, S008: consent_required where a scope was not granted yet, or to this client."""
    cast.house.user(cast.acme, "s008@example.com")
    browser = cast.browser()
    browser.sign_in(cast.basic, username="s008@example.com", scope="openid")
    for client, scope in ((cast.basic, "openid email"), (cast.post, "openid")):
        answer = browser.authorize(client, verifier=VERIFIER, prompt="none", scope=scope)
        sent_back(cast.house, answer, cast.acme, "consent_required", to=CALLBACK)
    assert "code" in browser.authorize(cast.basic, verifier=VERIFIER, prompt="none").params


def test_s008_prompt_none_after_max_age(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.6, S008: login_required when the sign-in is too old."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    assert "code" in browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", max_age="100").params
    with shifted(101):
        answer = browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", max_age="100")
    sent_back(cast.house, answer, cast.acme, "login_required", to=CALLBACK)


def test_s008_prompt_none_answers_at_once(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1 (conformance oidcc-prompt-none-logged-in): the same auth_time, no page."""
    browser = cast.browser()
    first = _claims(cast, browser.sign_in(cast.basic))
    with shifted(30):
        answer = browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", code_challenge=challenge(VERIFIER))
        second = decoded(cast.basic.redeem({"code": answer.params["code"], "verifier": VERIFIER}).json["id_token"])[1]
    assert (first["sub"], first["auth_time"], first["sid"]) == (second["sub"], second["auth_time"], second["sid"])


def test_s008_acr_values_are_voluntary(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1, S008: what cannot be met is no error; acr says what was done."""
    grant = cast.grant(cast.basic, acr_values="urn:example:gold phr")
    assert _claims(cast, grant)["acr"] == discovery(cast.house, cast.acme)["acr_values_supported"][0]


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "login"},
        {"prompt": "login consent"},
        {"max_age": "0"},
        {"max_age": "1"},
        {"max_age": "4"},
    ],
)
def test_s009_authentication_is_real_and_auth_time_says_so(cast: Cast, given: dict[str, str]) -> None:
    """OpenID Connect Core §3.1.2.1, §2, S009 (conformance oidcc-prompt-login, oidcc-max-age-1): the password again, a new auth_time."""
    browser = cast.browser()
    first = _claims(cast, browser.sign_in(cast.basic))
    with shifted(5):
        page = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, **given))
        assert 'id="login-submit"' in page.text
        wrong = browser.submit(page, username="ada@example.com", password="wrong")
        assert wrong.status == 400
        assert "code=" not in (wrong.header("location") or "")
        second = _claims(cast, browser.sign_in(cast.basic, **given))
    assert second["auth_time"] >= first["auth_time"] + 5
    assert second["sub"] == first["sub"]


def test_max_age_that_is_not_reached(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1 (conformance oidcc-max-age-10000): no page, and auth_time is in the ID token."""
    browser = cast.browser()
    first = _claims(cast, browser.sign_in(cast.basic))
    with shifted(50):
        answer = browser.authorize(cast.basic, verifier=VERIFIER, max_age="10000")
        second = decoded(cast.basic.redeem({"code": answer.params["code"], "verifier": VERIFIER}).json["id_token"])[1]
    assert second["auth_time"] == first["auth_time"]


def test_default_max_age_of_the_client(cast: Cast) -> None:
    """OpenID Connect Registration §2: default_max_age stands in; the request's own value counts before it."""
    client = cast.house.client(cast.acme, "max-age", default_max_age=60)
    browser = cast.browser()
    browser.sign_in(client)
    with shifted(61):
        assert 'id="login-submit"' in browser.follow(browser.authorize(client, verifier=VERIFIER)).text
        assert "code" in browser.authorize(client, verifier=VERIFIER, max_age="1000").params


@pytest.mark.parametrize(
    "max_age", ["-1", "abc", "1" + "0" * 20, "1.5", "1e3", "٣", "0x10", " 1", "+1", "1_000", "NaN", "²"]
)
def test_s009_a_max_age_that_is_no_number(cast: Cast, max_age: str) -> None:
    """OpenID Connect Core §3.1.2.1, S009: invalid_request."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, max_age=max_age)
    sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)


def test_a_huge_max_age_is_a_number(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: the largest that is taken is no failure."""
    assert cast.grant(cast.basic, max_age="9" * 10).code


@pytest.mark.parametrize(
    "prompt", ["none login", "login none", "none none consent", "create", "NONE", "login,consent", "bad"]
)
def test_a_prompt_that_makes_no_sense(cast: Cast, prompt: str) -> None:
    """OpenID Connect Core §3.1.2.1: none stands alone; an unknown value is invalid_request."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, prompt=prompt)
    sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)


def test_prompt_consent_asks_again(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: the consent page although it was granted; the sign-in is kept."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    page = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, prompt="consent"))
    assert 'id="consent-approve"' in page.text
    assert "code" in browser.follow(browser.submit(page, action="approve")).params


def test_login_hint_is_filled_in_and_no_more(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1 (conformance oidcc-login-hint): a hint about the name, as text."""
    page = _login_page(cast, login_hint="ada@example.com")
    assert page.form[1]["username"] == "ada@example.com"
    page = _login_page(cast, login_hint='"><script>alert(1)</script>')
    assert "<script>alert" not in page.text
    assert _login_page(cast, login_hint="x" * 5000).status == 200


def test_id_token_hint_of_the_person_who_is_there(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1 (conformance oidcc-id-token-hint): answered at once, also by an expired hint."""
    browser = cast.browser()
    hint = cast.basic.redeem(browser.sign_in(cast.basic)).json["id_token"]
    assert "code" in browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", id_token_hint=hint).params
    with shifted(4000):
        assert "code" in browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", id_token_hint=hint).params


def test_id_token_hint_of_somebody_else(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: the answer is about that person or it is login_required; another's sign-in is not taken."""
    cast.house.user(cast.acme, "hinted@example.com")
    hint = cast.basic.redeem(cast.browser().sign_in(cast.basic, username="hinted@example.com")).json["id_token"]
    browser = cast.browser()
    browser.sign_in(cast.basic)
    answer = browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", id_token_hint=hint)
    sent_back(cast.house, answer, cast.acme, "login_required", to=CALLBACK)
    page = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, id_token_hint=hint))
    refused = browser.submit(page, username="ada@example.com", password=PASSWORD)
    assert refused.status == 400
    assert "another account" in text_of(refused)
    assert (
        _claims(cast, browser.sign_in(cast.basic, username="hinted@example.com", id_token_hint=hint))["sub"]
        == decoded(hint)[1]["sub"]
    )


@pytest.mark.parametrize(
    "kind", ["garbage", "other client", "other tenant", "altered", "access token", "unsigned", "long"]
)
def test_an_id_token_hint_that_is_none_of_ours(cast: Cast, kind: str) -> None:
    """OpenID Connect Core §3.1.2.1, S035: issued by this server, to this client; else invalid_request and no hint of whose it is."""
    own, other = cast.tokens(cast.basic), cast.tokens(cast.post)
    head, body, tail = own["id_token"].split(".")
    hint = {
        "garbage": "x.y.z",
        "other client": other["id_token"],
        "other tenant": cast.tokens(cast.foreign)["id_token"],
        "altered": f"{head}.{body}.{'A' * len(tail)}",
        "access token": own["access_token"],
        "unsigned": f"eyJhbGciOiJub25lIn0.{body}.",
        "long": "a" * 16000,
    }[kind]
    browser = cast.browser()
    browser.sign_in(cast.basic)
    for prompt in ("none", None):
        answer = browser.authorize(cast.basic, verifier=VERIFIER, id_token_hint=hint, prompt=prompt)
        record = sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK, withheld=[hint])
        assert record["check"] == "id_token_hint"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "invalid_request_object"),
        ({"request_uri": "https://rp.example/request"}, "request_uri_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"),
        ({"registration": '{"client_name": "x"}'}, "registration_not_supported"),
    ],
)
def test_what_is_not_served_is_said(cast: Cast, given: dict[str, str], error: str) -> None:
    """OpenID Connect Core §3.1.2.6 (conformance oidcc-request-uri-unsigned): its own error, and nothing is fetched."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, **given)
    sent_back(cast.house, answer, cast.acme, error, to=CALLBACK)


@pytest.mark.parametrize(
    "given",
    [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se fr-CA"},
        {"claims_locales": "se"},
        {"claims": '{"userinfo": {"name": {"essential": true}}}'},
        {"nonce": None},
        {"scope": "email openid profile"},
        {"extra": "foobar"},
        {"prompt": ""},
        {"max_age": ""},
        {"id_token_hint": ""},
    ],
)
def test_what_is_optional_does_not_hinder(cast: Cast, given: dict[str, str | None]) -> None:
    """OpenID Connect Core §3.1.2.1, §15.1 (conformance oidcc-ensure-request-with-…-succeeds): accepted, and nothing breaks."""
    assert "id_token" in cast.basic.redeem(cast.grant(cast.basic, **given)).json


def test_redirect_uri_is_required(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: also where only one is registered."""
    error_page(cast.house, cast.browser().authorize(cast.basic, verifier=VERIFIER, redirect_uri=None))


def test_a_session_that_ended_answers_nobody(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.3: after logout prompt=none is login_required."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    browser.submit(browser.get(f"{cast.acme.base_path}/logout"), action="logout")
    answer = browser.authorize(cast.basic, verifier=VERIFIER, prompt="none")
    sent_back(cast.house, answer, cast.acme, "login_required", to=CALLBACK)


def _claims(cast: Cast, grant: Grant) -> dict[str, Any]:
    claims = decoded(cast.basic.redeem(grant).json["id_token"])[1]
    assert claims["auth_time"] <= now()
    return claims


def _login_page(cast: Cast, **params: str) -> Answer:
    browser: Browser = cast.browser()
    return browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, **params))
