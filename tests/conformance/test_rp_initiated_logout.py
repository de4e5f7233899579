"""RP-Initiated Logout OP: OpenID Connect RP-Initiated Logout 1.0.

Modules of the plan (oidcc-rp-initiated-logout-certification-test-plan) beside the tests that hold them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from id_token_rules import payload_of
from op_under_test import OTHER_PERSON
from relying import RelyingParty

if TYPE_CHECKING:
    from collections.abc import Callable

    from op_under_test import Provider
    from user_agent import Arrival, UserAgent

BYE = "https://rp.example/bye"


@pytest.fixture(scope="module")
def leaving(provider: Provider) -> RelyingParty:
    """A client with an address to come back to after the logout."""
    return RelyingParty.register(provider, post_logout_redirect_uris=[BYE, f"{BYE}?foo=bar"])


def logout(rp: RelyingParty, agent: UserAgent, method: str = "GET", **params: str) -> Arrival:
    """Send the browser to the end session endpoint, and press what the page asks to be pressed."""
    url = rp.metadata["end_session_endpoint"]
    if method == "POST":
        return agent.open(url, form=params, origin="https://rp.example")
    return agent.open(f"{url}?{urlencode(params)}" if params else url)


def is_signed_in(rp: RelyingParty, agent: UserAgent) -> bool:
    """Ask the provider, without any page."""
    return rp.ask(agent, prompt="none").arrival.error is None


def test_the_endpoint_is_advertised(provider: Provider) -> None:
    """OpenID Connect RP-Initiated Logout §2.1: end_session_endpoint, https (oidcc-rp-initiated-logout-discovery-endpoint-verification)."""
    assert urlsplit(provider.discovery()["end_session_endpoint"]).scheme == "https"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_logout_with_everything(leaving: RelyingParty, agent: UserAgent, method: str) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: the session ends, the browser comes back with the state (oidcc-rp-initiated-logout)."""
    signed_in = leaving.sign_in(agent)
    arrival = logout(
        leaving, agent, method, id_token_hint=signed_in.id_token, post_logout_redirect_uri=BYE, state="a state&more"
    )
    assert (arrival.target.partition("?")[0], arrival.params) == (BYE, {"state": "a state&more"})
    assert not is_signed_in(leaving, agent)


def test_with_client_id_as_well(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2: client_id beside the hint, when it is the one the token was issued to."""
    signed_in = leaving.sign_in(agent)
    arrival = logout(
        leaving,
        agent,
        id_token_hint=signed_in.id_token,
        client_id=leaving.client_id,
        post_logout_redirect_uri=BYE,
        state="s",
    )
    assert arrival.params == {"state": "s"}
    assert not is_signed_in(leaving, agent)


def test_with_client_id_instead_of_the_hint(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: client_id says whose addresses count; without the hint the person is asked."""
    leaving.sign_in(agent)
    arrival = logout(leaving, agent, client_id=leaving.client_id, post_logout_redirect_uri=BYE, state="s")
    assert agent.pressed == ["logout-confirm"]
    assert (arrival.target.partition("?")[0], arrival.params) == (BYE, {"state": "s"})
    assert not is_signed_in(leaving, agent)


def test_another_client_id_than_the_hints(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2: when both are there, the provider verifies that they match."""
    signed_in = leaving.sign_in(agent)
    stranger = RelyingParty.register(leaving.provider, post_logout_redirect_uris=[BYE])
    arrival = logout(leaving, agent, id_token_hint=signed_in.id_token, client_id=stranger.client_id)
    assert arrival.error == "invalid_request"
    assert is_signed_in(leaving, agent)


def test_without_any_parameter(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2: the person is asked, and told that it is done (oidcc-rp-initiated-logout-no-params)."""
    leaving.sign_in(agent)
    arrival = logout(leaving, agent)
    assert agent.pressed == ["logout-confirm"]
    assert arrival.page is not None
    assert "signed out" in arrival.page.text
    assert not is_signed_in(leaving, agent)


def test_who_does_not_confirm_stays(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2, §6: a logout that nobody has proven is confirmed by the person, else nothing happens."""
    leaving.sign_in(agent)
    agent.ignored = frozenset({"logout-confirm"})
    assert "logout-confirm" in logout(leaving, agent).markup.buttons
    assert is_signed_in(leaving, agent)


def test_only_a_state(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: state alone leads nowhere (oidcc-rp-initiated-logout-only-state)."""
    leaving.sign_in(agent)
    arrival = logout(leaving, agent, state="s")
    assert arrival.page is not None
    assert "signed out" in arrival.page.text


def test_without_a_state(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: no state, none comes back (oidcc-rp-initiated-logout-no-state)."""
    signed_in = leaving.sign_in(agent)
    arrival = logout(leaving, agent, id_token_hint=signed_in.id_token, post_logout_redirect_uri=BYE)
    assert (arrival.target, arrival.params) == (BYE, {})
    assert not is_signed_in(leaving, agent)


def test_without_an_address(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2: the provider keeps the person (oidcc-rp-initiated-logout-no-post-logout-redirect-uri)."""
    signed_in = leaving.sign_in(agent)
    arrival = logout(leaving, agent, id_token_hint=signed_in.id_token, state="s")
    assert arrival.page is not None
    assert "signed out" in arrival.page.text
    assert not is_signed_in(leaving, agent)


def test_without_a_hint_there_is_no_redirect(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §3: an address without hint or client_id is not redirected to (…-no-id-token-hint)."""
    leaving.sign_in(agent)
    arrival = logout(leaving, agent, post_logout_redirect_uri=BYE, state="s")
    assert arrival.page is not None
    assert arrival.target == ""


@pytest.mark.parametrize(
    "address",
    [
        "https://rp.example/other",
        f"{BYE}/",
        f"{BYE}?x=y",
        f"{BYE}#x",
        "https://evil.example/bye",
        "https://rp.example/cb",
    ],
)
def test_an_address_that_was_not_registered(leaving: RelyingParty, agent: UserAgent, address: str) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: not redirected to.

    Modules …-bad-post-logout-redirect-uri, …-query-added-to-post-logout-redirect-uri.
    """
    signed_in = leaving.sign_in(agent)
    arrival = logout(leaving, agent, id_token_hint=signed_in.id_token, post_logout_redirect_uri=address, state="s")
    assert arrival.page is not None
    assert arrival.target == ""
    assert arrival.error == "invalid_request"


def test_a_registered_address_with_a_query(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §3.1: an address may have a query, to which state is added."""
    signed_in = leaving.sign_in(agent)
    arrival = logout(
        leaving, agent, id_token_hint=signed_in.id_token, post_logout_redirect_uri=f"{BYE}?foo=bar", state="s"
    )
    assert arrival.params == {"foo": "bar", "state": "s"}


def wrong_hint(kind: str, signed_in: Any, provider: Provider) -> str:
    """A hint that this provider did not issue as it is."""
    head, body, signature = signed_in.id_token.split(".")
    if kind == "garbage":
        return "foobar"
    if kind == "altered":
        return f"{head}.{body[:-8]}AAAAAAAA.{signature}"
    if kind == "access token":
        return str(signed_in.access_token)
    return provider.sign(signed_in.claims | {"iss": "https://other.example"})


@pytest.mark.parametrize("kind", ["garbage", "altered", "access token", "of another issuer"])
def test_a_wrong_hint(leaving: RelyingParty, agent: UserAgent, kind: str) -> None:
    """OpenID Connect RP-Initiated Logout §2, §4: a hint that cannot be verified ends no session and redirects nowhere.

    Modules …-bad-id-token-hint, …-modified-id-token-hint.
    """
    signed_in = leaving.sign_in(agent)
    hint = wrong_hint(kind, signed_in, leaving.provider)
    arrival = logout(leaving, agent, id_token_hint=hint, post_logout_redirect_uri=BYE, state="s")
    assert arrival.page is not None
    assert arrival.error == "invalid_request"
    assert is_signed_in(leaving, agent)


def test_an_expired_hint_is_a_good_one(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2: accepted even when its exp has passed, for the session it was issued in."""
    signed_in = leaving.sign_in(agent)
    past = payload_of(signed_in.id_token) | {"iat": int(time.time()) - 90000, "exp": int(time.time()) - 86400}
    arrival = logout(leaving, agent, id_token_hint=leaving.provider.sign(past), post_logout_redirect_uri=BYE, state="s")
    assert arrival.params == {"state": "s"}
    assert not is_signed_in(leaving, agent)


def test_a_hint_of_somebody_else(leaving: RelyingParty, agent: UserAgent, browsers: Callable[..., UserAgent]) -> None:
    """OpenID Connect RP-Initiated Logout §2, §6: a hint about another person than the one who is here: the person here is asked first."""
    bob = leaving.sign_in(browsers(username=OTHER_PERSON))
    leaving.sign_in(agent)
    agent.ignored = frozenset({"logout-confirm"})
    logout(leaving, agent, id_token_hint=bob.id_token, post_logout_redirect_uri=BYE)
    assert is_signed_in(leaving, agent)


def test_nobody_is_signed_in_any_more(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: a second logout is a success too, and comes back."""
    signed_in = leaving.sign_in(agent)
    for _ in range(2):
        arrival = logout(leaving, agent, id_token_hint=signed_in.id_token, post_logout_redirect_uri=BYE, state="s")
        assert arrival.params == {"state": "s"}


def test_logout_hint_and_languages_are_understood(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2 (logout_hint, ui_locales), OpenID Connect Core §3.1.2.1: hints are no error; unknown parameters are ignored."""
    signed_in = leaving.sign_in(agent)
    arrival = logout(
        leaving,
        agent,
        id_token_hint=signed_in.id_token,
        post_logout_redirect_uri=BYE,
        logout_hint="ada@example.com",
        ui_locales="fr-CA fr en",
        unheard_of="x",
    )
    assert arrival.target == BYE


def test_other_browsers_of_the_person_stay(
    leaving: RelyingParty, agent: UserAgent, browsers: Callable[..., UserAgent]
) -> None:
    """OpenID Connect RP-Initiated Logout §2: the session of this browser ends, not one of the same person elsewhere."""
    elsewhere = browsers()
    leaving.sign_in(elsewhere)
    signed_in = leaving.sign_in(agent)
    logout(leaving, agent, id_token_hint=signed_in.id_token)
    assert not is_signed_in(leaving, agent)
    assert is_signed_in(leaving, elsewhere)


def test_the_next_sign_in_asks_again(leaving: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §2: after it the person authenticates anew."""
    signed_in = leaving.sign_in(agent)
    logout(leaving, agent, id_token_hint=signed_in.id_token)
    again = leaving.sign_in(agent)
    assert "login-submit" in agent.pressed
    assert again.claims.get("sid") != signed_in.claims.get("sid") or "sid" not in again.claims
