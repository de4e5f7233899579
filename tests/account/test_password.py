"""Changing the password: the current one is asked for and counted, others end, the person is told (NIST SP 800-63B-4 §3.1.1, §3.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_world import ADA
from house import PASSWORD

from idp.clock import shifted
from idp.identity import accounts, session_end

if TYPE_CHECKING:
    from account_world import World
    from house import Answer, Browser

NEW = "another battery of staples"


def change(world: World, browser: Browser, **fields: str) -> Answer:
    """Send the form, right but for what is given."""
    wanted = {"current_password": PASSWORD, "new_password": NEW, "confirm_password": NEW, **fields}
    return browser.submit(world.open(browser, "/password"), **wanted)


def test_s092_a_changed_password(any_world: World) -> None:
    """ASVS 5.0 §7.4.3, S092: other sessions and tokens end, this session stays, the address is told, all in one event."""
    browser, other = any_world.signed_in(), any_world.signed_in()
    tokens = any_world.tokens(other)
    answer = change(any_world, browser)
    assert answer.location == any_world.url("/password?done=password")
    assert "Your password is changed." in browser.follow(answer).text
    assert 'id="login-submit"' in any_world.open(other, "").text
    assert any_world.rp.userinfo(tokens["access_token"]).status == 401
    assert any_world.rp.refresh(tokens["refresh_token"]).status == 400
    (mail,) = any_world.mails()
    assert (mail["template"], mail["to"], mail["context"]["what"]) == ("notice", ADA, "password_changed")
    assert mail["context"]["link"] == f"{any_world.tenant.issuer}/account"
    (event,) = any_world.events("user.password_changed")
    assert event.actor == event.subject == any_world.user().id
    assert any_world.signed_in(password=NEW)


def test_a_password_that_had_to_be_changed_is_told_too(any_world: World) -> None:
    """ASVS 5.0 §6.3.7: the address is told of every new password, one that is chosen within a sign-in included, in the same transaction."""
    any_world.house.user(any_world.tenant, "new@example.com", must_change=True)
    browser = any_world.browser()
    page = any_world.log_in(browser, "", "new@example.com")
    assert any_world.mails() == []
    done = browser.follow(browser.submit(page, new_password=NEW, confirm_password=NEW))
    assert "<h1>Your account</h1>" in done.text
    (mail,) = any_world.mails()
    assert (mail["to"], mail["context"]["what"]) == ("new@example.com", "password_changed")


def test_a_refused_password_is_explained_in_german(world: World) -> None:
    """Issue 5, part 6: why a new password cannot be used is said in the language of the page."""
    browser = world.signed_in()
    browser.get(f"{world.tenant.base_path}/language?language=de&to={world.tenant.base_path}/account")
    answer = change(world, browser, new_password="short", confirm_password="short")
    assert answer.status == 400
    assert "Das neue Passwort ist zu kurz" in answer.text
    assert "too short" not in answer.text


def test_the_tenant_may_keep_other_sessions(world: World) -> None:
    """Issue 5, `password_change_ends_sessions`: where it is off, other sessions stay."""
    world.set(password_change_ends_sessions="off")
    browser, other = world.signed_in(), world.signed_in()
    change(world, browser)
    assert 'id="login-submit"' not in world.open(other, "").text


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"current_password": ""}, "current_password"),
        ({"current_password": "not the password"}, "current_password"),
        ({"new_password": ""}, "new_password"),
        ({"confirm_password": "something else"}, "confirm_password"),
        ({"new_password": "short", "confirm_password": "short"}, "new_password"),
        ({"new_password": PASSWORD, "confirm_password": PASSWORD}, "new_password"),
        ({"new_password": "x" * 129, "confirm_password": "x" * 129}, "new_password"),
        ({"new_password": "a" * 20 + "\x00", "confirm_password": "a" * 20 + "\x00"}, "new_password"),
    ],
)
def test_what_is_wrong_is_said(world: World, fields: dict[str, str], wrong: str) -> None:
    """WCAG 2.2 §3.3.1: beside its field; no password comes back, nothing is changed, nobody is told."""
    browser = world.signed_in()
    before = world.user().password_hash
    answer = change(world, browser, **fields)
    assert answer.status == 400
    assert f'id="{wrong}-error"' in answer.text
    assert NEW not in answer.text
    assert PASSWORD not in answer.text
    assert world.user().password_hash == before
    assert world.mails() == []


def test_a_stolen_session_cannot_guess_without_end(any_world: World) -> None:
    """NIST SP 800-63B-4 §3.2.2: wrong passwords here are counted with those of the sign-in; then the right one is refused too, alike, for a while."""
    any_world.set(account_attempts="3")
    browser = any_world.signed_in()
    answers = [change(any_world, browser, current_password=f"guess {number}") for number in range(3)]
    locked = change(any_world, browser)
    assert {answer.status for answer in answers} | {locked.status} == {400}
    assert "too many attempts" in locked.text
    assert "Your account" not in any_world.log_in(any_world.browser(), "").text  # the sign-in counts them as well
    with shifted(1000):
        browser = any_world.signed_in()
        assert change(any_world, browser).status == 303


def test_a_right_password_forgets_the_wrong_ones(world: World) -> None:
    """NIST SP 800-63B-4 §3.2.2: the counter begins anew after a success, so that a person's slips never add up."""
    world.set(account_attempts="3")
    browser = world.signed_in()
    for _ in range(3):
        change(world, browser, current_password="wrong")
        change(world, browser, current_password="wrong")
        change(world, browser, new_password="short", confirm_password="short")  # right, but the new one is refused
    assert change(world, browser).status == 303


def test_a_failure_is_recorded(any_world: World) -> None:
    """ASVS 5.0 §16.3.1: a refused password leaves an event with its reason, by way of the spool, and the person may see it."""
    browser = any_world.signed_in()
    change(any_world, browser, current_password="wrong")
    any_world.drain()
    (event,) = any_world.events("user.password_refused")
    assert (event.outcome, event.subject, event.details) == (
        "failure",
        any_world.user().id,
        {"reason": "wrong_password"},
    )
    assert "The password was wrong" in any_world.open(browser, "/history").text


def test_a_session_that_ends_this_moment_changes_nothing(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """S092, S093: the owner signs all devices out while the form of whoever stole the session is under way."""
    thief = any_world.signed_in()
    hasher, user = any_world.house.installation.services.hasher, any_world.user()
    real = hasher.hash

    def slow(password: str) -> str:
        monkeypatch.setattr(hasher, "hash", real)
        any_world.house.database(any_world.tenant).writing(lambda conn: session_end.end_all_of(conn, user.id, "test"))
        return real(password)

    monkeypatch.setattr(hasher, "hash", slow)
    answer = change(any_world, thief)
    assert answer.status == 409
    assert "signed out in the meantime" in answer.text
    assert any_world.user().password_hash == user.password_hash


def test_a_change_that_began_with_the_former_password_undoes_nothing(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S091, S092: who is about to change a password that they have stolen does not win over the owner, who changes it this moment."""
    thief = any_world.signed_in()
    hasher, user = any_world.house.installation.services.hasher, any_world.user()
    real, owners = hasher.hash, "what the owner has chosen by mail"

    def slow(password: str) -> str:
        monkeypatch.setattr(hasher, "hash", real)
        made = real(password)
        database = any_world.house.database(any_world.tenant)
        accounts.set_password(database, hasher, any_world.tenant, user, owners, by=accounts.By(user.id))
        return made

    monkeypatch.setattr(hasher, "hash", slow)
    answer = change(any_world, thief)
    assert answer.status == 409
    assert "changed in the meantime" in answer.text
    assert any_world.signed_in(password=owners)
