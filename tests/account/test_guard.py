"""The guard of the account pages: who is signed in, how freshly, where a sign-in leads back to, and whose form it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_world import ADA, EVE
from house import PASSWORD

from idp.account.protocol import GOALS
from idp.clock import shifted
from idp.store.tenant import interactions, users

if TYPE_CHECKING:
    from account_world import World
    from house import Browser

PATHS = sorted(GOALS - {"/account/delete"})
SENSITIVE = ["/email", "/password", "/data", "/delete"]


@pytest.mark.parametrize("path", PATHS)
def test_a_sign_in_comes_back_to_the_page(any_world: World, path: str) -> None:
    """Issue 5, account pages: without a session the sign-in begins, and ends at the page that was asked for."""
    browser = any_world.browser()
    login = any_world.open(browser, path.removeprefix("/account"))
    assert 'id="login-submit"' in login.text
    answer = browser.submit(login, username=ADA, password=PASSWORD)
    assert answer.location == f"{any_world.tenant.base_path}{path}"
    assert browser.follow(answer).status == 200


@pytest.mark.parametrize("goal", ["https://evil.example/", "//evil.example", "/../admin", "/account/nowhere", None])
def test_nothing_leads_elsewhere(world: World, goal: str | None) -> None:
    """RFC 9700 §4.11 (open redirectors): the goal is one of a list, whatever the stored request says."""
    browser = world.browser()
    login = world.open(browser, "/profile")
    interaction = login.form[0].partition("interaction=")[2]

    def tamper(conn) -> None:
        row = interactions.find(conn, interaction)
        interactions.change(conn, interaction, request={**row.request, "goal": goal})

    world.house.database(world.tenant).writing(tamper)
    answer = browser.submit(login, username=ADA, password=PASSWORD)
    assert answer.location == world.url("")


def test_parameters_add_no_goal(world: World) -> None:
    """RFC 9700 §4.11: parameters of the address that was opened are not taken along."""
    browser = world.browser()
    login = browser.follow(browser.get(world.url("/profile?goal=https://evil.example/&next=//evil.example")))
    answer = browser.submit(login, username=ADA, password=PASSWORD)
    assert answer.location == world.url("/profile")


@pytest.mark.parametrize("path", SENSITIVE)
def test_a_sensitive_page_asks_for_a_fresh_sign_in(world: World, path: str) -> None:
    """ASVS 5.0 §7.5.1: after `sensitive_fresh_seconds` the person signs in again, as the same one, and comes back."""
    world.set(account_self_deletion="on")
    browser = world.signed_in()
    assert 'id="login-submit"' not in world.open(browser, path).text
    with shifted(600):
        login = world.open(browser, path)
        assert 'id="login-submit"' in login.text
        other = browser.follow(browser.submit(login, username=EVE, password=PASSWORD))
        assert "another account" in other.text
        answer = browser.submit(login, username=ADA, password=PASSWORD)
        assert answer.location == world.url(path)
        assert 'id="login-submit"' not in browser.follow(answer).text


def test_how_fresh_is_the_tenants_choice(world: World) -> None:
    """Issue 5, `sensitive_fresh_seconds`: a tenant may ask for more or less."""
    world.set(sensitive_fresh_seconds="3600")
    browser = world.signed_in()
    with shifted(3599):
        assert 'id="email-submit"' in world.open(browser, "/email").text
    with shifted(3601):
        assert 'id="login-submit"' in world.open(browser, "/email").text


def test_other_pages_ask_for_none(world: World) -> None:
    """Issue 5, account pages: what is read, and ending a stranger's session, waits for no second sign-in."""
    browser = world.signed_in()
    with shifted(3600):
        for path in ("", "/profile", "/sessions", "/applications", "/history"):
            assert 'id="login-submit"' not in world.open(browser, path).text, path


@pytest.mark.parametrize(("path", "field"), [("/email", "email"), ("/profile", "profile_nickname")])
def test_what_was_typed_survives_the_sign_in(any_world: World, path: str, field: str) -> None:
    """WCAG 2.2 §2.2.5 (re-authenticating): a form sent after the session ended, or grew old, is shown again as it was."""
    browser = any_world.signed_in()
    page = any_world.open(browser, path)
    with shifted(9 * 3600):  # the session ended idle
        login = browser.follow(browser.submit(page, **{field: "typed-before@example.org"}))
        assert 'id="login-submit"' in login.text
        back = browser.follow(browser.submit(login, username=ADA, password=PASSWORD))
    assert back.form[1][field] == "typed-before@example.org"
    assert any_world.user().email == ADA


def test_what_was_typed_is_shown_to_nobody_else(world: World) -> None:
    """Security rule 6: the interaction that keeps it is bound to the browser and to the session that came of it."""
    browser = world.signed_in()
    page = world.open(browser, "/email")
    with shifted(700):
        login = browser.follow(browser.submit(page, email="typed@example.org"))
        answer = browser.submit(login, username=ADA, password=PASSWORD)
        assert "again=" in answer.location
        for stranger in (world.signed_in(), world.signed_in(EVE)):
            assert "typed@example.org" not in stranger.get(answer.location).text
        path = answer.location.replace("/email?", "/profile?")
        assert "typed@example.org" not in browser.get(path).text


def test_passwords_are_not_kept(world: World) -> None:
    """Security rule on secrets at rest: what was typed as a password is never stored with the interaction."""
    browser = world.signed_in()
    page = world.open(browser, "/password")
    with shifted(700):
        browser.submit(page, current_password=PASSWORD, new_password="a new one that is long", confirm_password="x")
    stored = world.rows(interactions.interactions.select())
    assert stored
    assert all("a new one" not in repr(row) and PASSWORD not in repr(row) for row in stored)


def test_who_must_change_the_password_does_that_first(world: World) -> None:
    """Issue 5, account pages: whatever step of a sign-in is still needed comes before a page."""
    world.house.user(world.tenant, "new@example.com", must_change=True)
    answer = world.log_in(world.browser(), "/profile", "new@example.com")
    assert "Choose a new password" in answer.text


def test_a_disabled_account_sees_nothing(world: World) -> None:
    """S093, ASVS 7.4.1: the session of a disabled account opens no page."""
    browser = world.signed_in()
    world.house.database(world.tenant).writing(lambda conn: users.change(conn, world.user().id, state="disabled"))
    assert 'id="login-submit"' in world.open(browser, "").text


@pytest.mark.parametrize("path", ["/profile", "/email", "/password", "/sessions", "/applications", "/data"])
def test_s095_a_form_is_of_one_browser_session_and_page(any_world: World, path: str) -> None:
    """RFC 9700 §4.7, S095: another page's, browser's or session's token is refused, and nothing changes."""
    browser, again, eve = any_world.signed_in(), any_world.signed_in(), any_world.signed_in(EVE)
    any_world.signed_in(EVE)
    for one, username in ((browser, ADA), (eve, EVE)):  # so that the lists have something with a form
        any_world.tokens(one, username=username)

    def token_of(one: Browser, page: str) -> str:
        return str(one.get(any_world.url(page)).form[1]["csrf"])

    other_page = "/profile" if path != "/profile" else "/sessions"
    tokens = [token_of(again, path), token_of(eve, path), token_of(browser, other_page), "", "x" * 43]
    before = any_world.everything()
    for token in tokens:
        form = {"csrf": token, "action": "revoke", "email": "new@example.org", "name": "Mallory"}
        answer = browser.post(any_world.url(path), form)
        assert answer.status == 403, (token, answer.text)
    right = token_of(browser, path)
    for origin in ("https://evil.example", "null"):
        answer = browser.post(any_world.url(path), {"csrf": right, "name": "Mallory"}, {"origin": origin})
        assert answer.status == 403
    assert any_world.everything() == before


def test_s095_a_foreign_form_without_a_session_keeps_nothing(world: World) -> None:
    """RFC 9700 §4.7, S095: another site cannot have its texts filled into a form that the person then only has to send."""
    browser = world.browser()
    answer = browser.post(world.url("/email"), {"email": "eve@evil.example"}, {"origin": "https://evil.example"})
    assert answer.status == 403
    assert world.rows(interactions.interactions.select()) == []


def test_no_endless_form_is_kept(world: World) -> None:
    """Security rule on hostile input: what somebody without a session sends is kept only as far as a person would type it."""
    answer = world.browser().post(world.url("/email"), {"email": "x" * 9000})
    assert answer.status == 303
    (row,) = world.rows(interactions.interactions.select())
    assert row.request["typed"] == {}


def test_s014_pages_are_not_framed_or_cached(world: World) -> None:
    """RFC 9700 §4.16, S014: every account page has the headers of a page that nobody frames or stores."""
    world.set(account_self_deletion="on")
    browser = world.signed_in()
    for path in sorted(GOALS):
        answer = browser.follow(browser.get(f"{world.tenant.base_path}{path}"))
        assert answer.status == 200, path
        assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
        assert answer.header("x-frame-options") == "DENY"
        assert answer.header("cache-control") == "no-store"
        assert "<script" not in answer.text


def test_the_front_page_leads_here(world: World) -> None:
    """Issue 5, account pages: who is signed in finds them from the tenant's front page."""
    browser = world.signed_in()
    assert f'href="{world.url("")}"' in browser.get(f"{world.tenant.base_path}/").text
