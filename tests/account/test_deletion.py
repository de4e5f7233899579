"""Deleting one's own account: only where the tenant lets people, freshly signed in, with its name typed (GDPR Article 17)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from account_world import ADA, EVE
from serving import together
from sqlalchemy import select

from idp.store.tenant import role_bindings
from idp.store.tenant.sessions import sessions

if TYPE_CHECKING:
    from account_world import World


def test_it_is_off_by_default(any_world: World) -> None:
    """Issue 5, `account_self_deletion`: without it there is no such page, no form and no link."""
    browser = any_world.signed_in()
    before = any_world.everything()
    assert any_world.browser().get(any_world.url("/delete")).status == 404
    assert browser.get(any_world.url("/delete")).status == 404
    assert browser.post(any_world.url("/delete"), {"username": ADA, "csrf": "x"}).status == 404
    assert "account/delete" not in any_world.open(browser, "").text
    assert any_world.everything() == before


def test_the_account_is_gone_with_all_it_had(any_world: World) -> None:
    """GDPR Article 17, S093: sessions and tokens are dead at once, the cookie is taken away, the address is told."""
    any_world.set(account_self_deletion="on")
    browser, other = any_world.signed_in(), any_world.signed_in()
    tokens = any_world.tokens(other)
    user_id = any_world.user().id
    answer = browser.submit(any_world.open(browser, "/delete"), username=f" {ADA.upper()} ")
    assert (answer.status, answer.location) == (303, any_world.url("/deleted"))
    assert not any(name.startswith("s-") for name in browser.cookies)
    assert any_world.rp.userinfo(tokens["access_token"]).status == 401
    assert any_world.rp.refresh(tokens["refresh_token"]).status == 400
    live = (sessions.c.user_id == user_id) & sessions.c.ended_at.is_(None)
    assert any_world.rows(select(sessions.c.id).where(live)) == []
    (event,) = any_world.events("user.deleted")
    assert event.actor == event.subject == user_id
    mail = any_world.mails()[-1]
    assert (mail["template"], mail["to"], mail["context"]["what"]) == ("notice", ADA, "account_deleted")
    refused = any_world.log_in(any_world.browser(), "")
    assert 'id="login-submit"' in refused.text


def test_the_last_page_needs_no_session_and_no_form(any_world: World) -> None:
    """RFC 9110 §15.4.4: the form is answered by a redirect, so that a reload sends nothing again; the page works with no session."""
    any_world.set(account_self_deletion="on")
    browser, other = any_world.signed_in(), any_world.signed_in(EVE)
    answer = browser.submit(any_world.open(browser, "/delete"), username=ADA)
    before = any_world.everything()
    for one in (browser, browser, any_world.browser()):
        page = one.get(answer.location)
        assert (page.status, "Your account is deleted" in page.text) == (200, True)
    # Who has an account is told nothing about it that is not so.
    assert other.get(answer.location).location == any_world.url("")
    assert any_world.everything() == before
    any_world.set(account_self_deletion="off")
    assert browser.get(answer.location).status == 404


def test_a_double_click_is_one_deletion(any_world: World) -> None:
    """RFC 9110 §9.2.2: of two forms at once one deletes; neither ends at an error, and one mail is written."""
    any_world.set(account_self_deletion="on")
    browser = any_world.signed_in()
    action, fields = any_world.open(browser, "/delete").form
    browsers = [replace(browser, cookies=dict(browser.cookies)) for _ in range(2)]
    answers = together(2, lambda i: browsers[i].post(action, {**fields, "username": ADA}))
    # Who came after it was done is asked to sign in, as anybody without a session.
    assert [answer.status for answer in answers] == [303, 303], [answer.text for answer in answers]
    assert any(answer.location == any_world.url("/deleted") for answer in answers)
    assert len(any_world.events("user.deleted")) == 1
    assert [mail["context"]["what"] for mail in any_world.mails()] == ["account_deleted"]


def test_another_name_deletes_nothing(any_world: World) -> None:
    """Issue 5, account pages: what is typed must be the account's name; what was typed stays."""
    any_world.set(account_self_deletion="on")
    browser = any_world.signed_in()
    before = any_world.everything()
    for typed in ("", "eve@example.com", "ada", "\x00", "x" * 5000):
        answer = browser.submit(any_world.open(browser, "/delete"), username=typed)
        assert answer.status == 400
        assert 'id="username-error"' in answer.text
    assert any_world.everything() == before


def test_the_last_administrator_cannot_leave(any_world: World) -> None:
    """Issue 6 (last-admin deletion): told on the page, with what was typed kept; once somebody else administers it goes."""
    any_world.set(account_self_deletion="on")
    database = any_world.house.database(any_world.tenant)
    database.writing(lambda conn: role_bindings.create(conn, any_world.user().id, "tenant-admin"))
    browser = any_world.signed_in()
    before = any_world.everything()
    answer = browser.submit(any_world.open(browser, "/delete"), username=ADA)
    assert answer.status == 409
    assert "You are the last administrator here" in answer.text
    assert f'value="{ADA}"' in answer.text
    assert any_world.everything() == before
    database.writing(lambda conn: role_bindings.create(conn, any_world.user(EVE).id, "tenant-admin"))
    assert browser.submit(answer, username=ADA).status == 303
