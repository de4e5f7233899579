"""Session Management OP: OpenID Connect Session Management 1.0, as far as it can be seen without running the frame's script.

The frame itself, and what it answers to messages, is walked in Chromium elsewhere. Modules of the plan
(oidcc-session-management-certification-test-plan): oidcc-session-management-discovery-endpoint-verification,
oidcc-session-management-rp-initiated-logout.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest
from relying import RelyingParty

if TYPE_CHECKING:
    from collections.abc import Callable

    from op_under_test import Provider
    from user_agent import UserAgent

STATE = re.compile(r"[!-~]+")  # §2: no spaces, a JSON string without escapes


def test_it_is_advertised(provider: Provider) -> None:
    """OpenID Connect Session Management §3.3: check_session_iframe, https; end_session_endpoint beside it."""
    document = provider.discovery()
    assert urlsplit(document["check_session_iframe"]).scheme == "https"
    assert document["end_session_endpoint"]


def test_the_frame_is_a_page_that_anybody_may_frame(provider: Provider) -> None:
    """OpenID Connect Session Management §3.3: HTML with a script, to be loaded in a frame of any relying party."""
    answer = provider.http.get(provider.discovery()["check_session_iframe"])
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert "<script" in answer.text
    assert "x-frame-options" not in answer.headers
    policy = answer.headers.get("content-security-policy", "")
    rules = [rule.split()[1:] for rule in policy.split("; ") if rule.startswith("frame-ancestors ")]
    assert all(not {"'none'", "'self'"} & set(rule) for rule in rules)


def test_the_answer_has_a_session_state(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Session Management §2: session_state in the authentication response, opaque, without spaces; §3.2: with its salt."""
    state = rp.sign_in(agent).asked.arrival.params["session_state"]
    assert STATE.fullmatch(state)
    assert re.search(r"\.[^.]+\Z", state), "§3.2: the salt stands behind a dot"


@pytest.mark.parametrize("response_type", ["code", "id_token", "id_token token", "code id_token token"])
@pytest.mark.parametrize("mode", [None, "form_post"])
def test_every_flow_has_it(provider: Provider, agent: UserAgent, response_type: str, mode: str | None) -> None:
    """OpenID Connect Session Management §2: REQUIRED for every response type, in every response mode."""
    rp = RelyingParty.register(provider, response_types=[response_type])
    assert rp.sign_in(agent, response_mode=mode).asked.arrival.params["session_state"]


def test_it_is_computed_for_the_client(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Session Management §3.2: from client id, origin of the redirect URI and browser state: no two clients have the same."""
    first, second = RelyingParty.register(provider), RelyingParty.register(provider)
    states = {rp.sign_in(agent).asked.arrival.params["session_state"] for rp in (first, second)}
    assert len(states) == 2


def test_the_browser_state_can_be_read_by_the_frame(provider: Provider, rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Session Management §3.2, §3.3: what the frame compares with is in the browser: a cookie that its script can read.

    It is not the session itself, and it is sent in frames of other sites.
    """
    rp.sign_in(agent)
    cookies = [
        header for answer in agent.trail for name, header in answer.headers.multi_items() if name == "set-cookie"
    ]
    readable = [each for each in cookies if "httponly" not in each.lower()]
    assert readable
    assert all("samesite=none" in each.lower() and "secure" in each.lower() for each in readable)


def test_the_state_changes_with_the_session(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Session Management §3.1, §3.2: after a logout the browser state is another, so the frame will say changed."""

    def readable() -> dict[str, str]:
        return {
            cookie.name: str(cookie.value)
            for cookie in agent.http.cookies.jar
            if not cookie.has_nonstandard_attr("HttpOnly") and not cookie.has_nonstandard_attr("httponly")
        }

    signed_in = rp.sign_in(agent)
    before = readable()
    assert before
    rp.sign_in(agent, prompt="none")
    assert readable() == before
    agent.open(f"{rp.metadata['end_session_endpoint']}?{urlencode({'id_token_hint': signed_in.id_token})}")
    assert readable() != before
    # §3.1: the relying party then asks with prompt=none, and learns that nobody is here (oidcc-session-management-rp-initiated-logout).
    assert rp.ask(agent, prompt="none", id_token_hint=signed_in.id_token).arrival.error == "login_required"


def test_another_sign_in_is_another_state(
    rp: RelyingParty, agent: UserAgent, browsers: Callable[..., UserAgent]
) -> None:
    """OpenID Connect Session Management §3.2: two browsers have two states."""
    states = {rp.sign_in(each).asked.arrival.params["session_state"] for each in (agent, browsers())}
    assert len(states) == 2
