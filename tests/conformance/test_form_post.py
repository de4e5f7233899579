"""Form Post OP: OAuth 2.0 Form Post Response Mode, over the flows of OpenID Connect Core (oidcc-formpost-*-certification-test-plan).

The plan repeats the modules of the other plans with response_mode=form_post; what is particular to the mode is asserted from the
page, and one walk of each response type shows that the rest is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from relying import REDIRECT, RelyingParty
from user_agent import Markup

if TYPE_CHECKING:
    import httpx
    from op_under_test import Provider
    from user_agent import UserAgent

TYPES = ("code", "id_token", "id_token token", "code id_token", "code token", "code id_token token")


def page_of(agent: UserAgent) -> httpx.Response:
    """The page with the form, which the browser has just submitted."""
    return agent.trail[-1]


@pytest.mark.parametrize("response_type", TYPES)
def test_a_sign_in_by_form_post(provider: Provider, agent: UserAgent, response_type: str) -> None:
    """OAuth 2.0 Form Post Response Mode §2, OpenID Connect Core §3.1, §3.2, §3.3: the same parameters, in the body of a POST to the redirect URI."""
    rp = RelyingParty.register(provider, response_types=[response_type])
    signed_in = rp.sign_in(agent, response_mode="form_post")
    assert signed_in.asked.arrival.mode == "form_post"
    assert signed_in.claims["sub"]


def test_the_page_is_a_form_that_sends_itself(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Form Post Response Mode §2: HTML, method POST, action the redirect URI, hidden fields only, submitted without the person."""
    asked = rp.ask(agent, response_mode="form_post")
    page = page_of(agent)
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")
    markup = Markup(page.text)
    assert (markup.method, markup.action) == ("post", REDIRECT)
    assert markup.fields == asked.arrival.params
    assert page.text.count('type="hidden"') == len(markup.fields)
    assert "<script" in page.text


def test_the_page_is_not_kept(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Form Post Response Mode §2, §4: no cache keeps the page, no other page frames it, and its form goes to the client only."""
    rp.ask(agent, response_mode="form_post")
    headers = page_of(agent).headers
    assert "no-store" in headers["cache-control"]
    policy = headers["content-security-policy"]
    (targets,) = [rule.split()[1:] for rule in policy.split("; ") if rule.startswith("form-action ")]
    assert set(targets) <= {"'self'", "https://rp.example"}
    assert "frame-ancestors 'none'" in policy


def test_values_are_escaped(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Form Post Response Mode §2: the values are those of the answer, HTML-escaped."""
    state = """"><script>alert('x')</script>&amp; é"""
    asked = rp.ask(agent, response_mode="form_post", state=state)
    assert asked.arrival.params["state"] == state
    assert "alert('x')" not in page_of(agent).text


def test_errors_are_posted_too(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Form Post Response Mode §2, OpenID Connect Core §3.1.2.6: an error goes the same way, with state and iss."""
    asked = rp.ask(agent, response_mode="form_post", prompt="none")
    assert asked.arrival.mode == "form_post"
    assert asked.arrival.error == "login_required"
    assert asked.arrival.params["state"] == asked.params["state"]
    assert asked.arrival.params["iss"] == rp.metadata["issuer"]


def test_an_error_of_the_request_is_posted_too(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Form Post Response Mode §2: a request that is refused before any page, too."""
    asked = rp.ask(agent, response_mode="form_post", max_age="abc")
    assert (asked.arrival.mode, asked.arrival.error) == ("form_post", "invalid_request")


def test_an_unregistered_redirect_uri_is_not_posted_to(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1, OAuth 2.0 Form Post Response Mode §4: nothing is sent to an address that was not registered."""
    arrival = rp.ask(agent, response_mode="form_post", redirect_uri="https://evil.example/cb").arrival
    assert arrival.page is not None
    assert "evil.example" not in str(arrival.markup.action)
    assert arrival.error == "invalid_redirect_uri"


def test_the_query_of_a_redirect_uri_stays(provider: Provider, agent: UserAgent) -> None:
    """OAuth 2.0 Form Post Response Mode §2, RFC 6749 §3.1.2: the form goes to the redirect URI as it was registered, query included."""
    rp = RelyingParty.register(provider, redirect_uris=[f"{REDIRECT}?foo=bar"])
    asked = rp.ask(agent, response_mode="form_post")
    assert asked.arrival.target == f"{REDIRECT}?foo=bar"
    assert rp.tokens(asked).claims["sub"]


def test_silently_with_a_session(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Form Post Response Mode §2, OpenID Connect Core §3.1.2.1: prompt=none answers with the form at once."""
    rp.sign_in(agent)
    assert rp.sign_in(agent, response_mode="form_post", prompt="none").claims["sub"]
    assert agent.pressed == []


def test_an_unknown_mode_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Multiple Response Types §2.1: a mode that is not supported is an error, in the default mode."""
    asked = rp.ask(agent, response_mode="smoke_signal")
    assert (asked.arrival.mode, asked.arrival.error) == ("query", "invalid_request")


def test_the_mode_is_advertised(rp: RelyingParty) -> None:
    """OpenID Connect Discovery §3 (response_modes_supported): form_post is on the list."""
    assert "form_post" in rp.metadata["response_modes_supported"]
