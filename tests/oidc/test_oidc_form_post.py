"""OAuth 2.0 Form Post Response Mode: the response as a form that the browser posts to the registered address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import discovery
from house import CALLBACK
from refusals import posted_back

if TYPE_CHECKING:
    from cast import Cast

VERIFIER = "v" * 43


def test_advertised(cast: Cast) -> None:
    """OAuth 2.0 Multiple Response Types §2.1: response_modes_supported."""
    assert discovery(cast.house, cast.acme)["response_modes_supported"] == ["query", "fragment", "form_post"]


@pytest.mark.parametrize("state", ["abc", '"><script>alert(1)</script>', "a b&c=d'e", "ümläut ✓", "&quot;", "{{7*7}}"])
def test_a_code_by_form(any_cast: Cast, state: str) -> None:
    """OAuth 2.0 Form Post Response Mode §2: a form with the parameters and nothing else, each exactly and as text."""
    browser = any_cast.browser()
    browser.sign_in(any_cast.basic)
    answer = browser.authorize(any_cast.basic, verifier=VERIFIER, response_mode="form_post", state=state)
    assert answer.status == 200
    assert answer.header("location") is None
    action, fields = answer.form
    assert action == CALLBACK
    assert set(fields) == {"code", "state", "session_state", "iss"}
    assert fields["state"] == state
    assert "<script>alert" not in answer.text
    assert any_cast.basic.redeem({"code": fields["code"], "verifier": VERIFIER}).status == 200


def test_s003_the_page_may_post_there_only(cast: Cast) -> None:
    """OAuth 2.0 Form Post Response Mode §4, S003: no cache keeps it, no frame holds it, its form goes to one origin."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    answer = browser.authorize(cast.basic, verifier=VERIFIER, response_mode="form_post")
    policy = answer.header("content-security-policy") or ""
    assert "form-action 'self' https://rp.example;" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.header("cache-control") == "no-store"
    assert answer.header("x-frame-options") == "DENY"


def test_after_a_sign_in_too(cast: Cast) -> None:
    """OAuth 2.0 Form Post Response Mode §2: the mode of the request holds until its end."""
    cast.house.user(cast.acme, "form@example.com")
    browser = cast.browser()
    page = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, response_mode="form_post"))
    page = browser.follow(browser.submit(page, username="form@example.com", password="correct horse battery staple"))
    assert set(browser.follow(browser.submit(page, action="approve")).form[1]) == {
        "code",
        "state",
        "session_state",
        "iss",
    }


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"prompt": "none"}, "login_required"),
        ({"scope": '"'}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_errors_by_form(cast: Cast, given: dict[str, str], error: str) -> None:
    """OAuth 2.0 Form Post Response Mode §2: errors travel the same way."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, response_mode="form_post", **given)
    posted_back(cast.house, answer, cast.acme, error, to=CALLBACK)
