"""Where somebody is signed in, and ending it (ASVS 5.0 §7.4.3, §7.5.2; security cases S092, S093)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_world import ADA, EVE, FIREFOX
from sqlalchemy import select

from idp.clock import shifted
from idp.identity import devices
from idp.store.tenant.outbox import outbox
from idp.store.tenant.sessions import sessions

if TYPE_CHECKING:
    from account_world import World


def ids(world: World, username: str = ADA) -> list[str]:
    """The sessions of somebody that are alive, the oldest first."""
    user_id = world.user(username).id
    here = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None)
    return [row.id for row in world.rows(select(sessions.c.id).where(here).order_by(sessions.c.created_at))]


def test_what_is_shown(any_world: World) -> None:
    """ASVS 5.0 §7.5.2: browser and system, address, times and applications of each session; this browser's is marked."""
    browser = any_world.browser()
    any_world.open(browser, "")
    any_world.tokens(browser)
    any_world.signed_in()
    page = any_world.open(browser, "/sessions")
    assert page.text.count("self-item") == 2
    assert page.text.count(">this browser<") == 1
    assert "An application" in page.text
    assert "127.0.0.1" in page.text


def test_ended_and_old_sessions_are_not_shown(world: World) -> None:
    """S093: what is over is over, idle or ended."""
    browser, other = world.signed_in(), world.signed_in()
    other.submit(other.get(f"{world.tenant.base_path}/logout"), action="logout")
    assert world.open(browser, "/sessions").text.count("self-item") == 1
    with shifted(9 * 3600):
        again = world.signed_in()
        assert world.open(again, "/sessions").text.count("self-item") == 1


def test_one_session_is_ended(any_world: World) -> None:
    """S092, S093: the other session is dead at once with its grants, its applications are told, this one stays; an event says who did it."""
    client = any_world.house.client(any_world.tenant, "told", backchannel_logout_uri="https://rp.example/bcl")
    browser, other = any_world.signed_in(), any_world.browser()
    tokens = client.redeem(other.sign_in(client)).json
    (other_id,) = [one for one in ids(any_world) if one not in any_world.open(browser, "").text][1:]
    answer = any_world.send(browser, "/sessions", action="end", session=other_id)
    assert answer.location == any_world.url("/sessions?done=session")
    assert client.userinfo(tokens["access_token"]).status == 401
    assert 'id="login-submit"' in any_world.open(other, "").text
    assert 'id="login-submit"' not in any_world.open(browser, "").text
    assert [row.target for row in any_world.rows(select(outbox.c.target).where(outbox.c.kind != "mail"))] == ["told"]
    event = any_world.events("session.ended")[-1]
    assert (event.actor, event.session_id, event.details) == (
        any_world.user().id,
        other_id,
        {"reason": "ended_by_user"},
    )


@pytest.mark.parametrize("kind", ["of eve", "unknown", "empty", "twice", "ended", "nul"])
def test_others_sessions_are_not_there(any_world: World, kind: str) -> None:
    """ASVS 5.0 §8.2.2 (BOLA): a session that is not one's own is answered like none, and nothing changes."""
    browser, eve, gone = any_world.signed_in(), any_world.signed_in(EVE), any_world.signed_in()
    ended = ids(any_world)[-1]
    gone.submit(gone.get(f"{any_world.tenant.base_path}/logout"), action="logout")
    any_world.signed_in()
    before = any_world.everything()
    given = {"of eve": ids(any_world, EVE)[0], "unknown": "f" * 32, "ended": ended, "nul": "\x00"}.get(kind, "")
    answer = any_world.send(browser, "/sessions", action="end", session=given)
    assert answer.status == 404
    assert any_world.everything() == before
    assert 'id="login-submit"' not in any_world.open(eve, "").text


def test_this_session_is_ended_by_signing_out(world: World) -> None:
    """RP-Initiated Logout §2: ending the session one sits at is signing out, which asks first."""
    browser = world.signed_in()
    world.signed_in()
    (mine, _) = ids(world)
    answer = world.send(browser, "/sessions", action="end", session=mine)
    assert answer.location == f"{world.tenant.base_path}/logout"
    assert mine in ids(world)


def test_all_others_are_ended(any_world: World) -> None:
    """S092, ASVS 5.0 §7.4.3: every other session and its tokens, offline ones too; the person is told by mail, in the same transaction."""
    browser, other, eve = any_world.signed_in(), any_world.signed_in(), any_world.signed_in(EVE)
    tokens, mine = any_world.tokens(other), any_world.tokens(browser)
    answer = any_world.send(browser, "/sessions", action="end_others")
    assert "All other devices are signed out." in browser.follow(answer).text
    assert any_world.rp.refresh(tokens["refresh_token"]).status == 400
    assert any_world.rp.userinfo(mine["access_token"]).status == 200
    assert 'id="login-submit"' in any_world.open(other, "").text
    assert 'id="login-submit"' not in any_world.open(eve, "").text
    (event,) = any_world.events("user.sessions_ended")
    assert event.details == {"sessions_ended": 1}
    (mail,) = any_world.mails()
    assert (mail["to"], mail["context"]["what"]) == (ADA, "sessions_ended")


def test_an_unknown_action_does_nothing(world: World) -> None:
    """Issue 5, account pages: a form that says nothing changes nothing."""
    browser = world.signed_in()
    world.signed_in()
    before = world.everything()
    assert world.send(browser, "/sessions", action="x").status == 303
    assert world.everything() == before


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
            "Chrome on Windows",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        ("Mozilla/5.0 (X11; CrOS x86_64) AppleWebKit/537.36", "A browser on ChromeOS"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "An unknown program"),
        (None, "An unknown program"),
        ("x" * 300, "x" * 59 + "…"),
    ],
)
def test_a_browser_in_words(header: str | None, words: str) -> None:
    """Issue 5, account pages: names that people know, as far as the header can be believed; never an error."""
    assert devices.described(header) == words
