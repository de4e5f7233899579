"""The profile: what may be changed, what a form becomes, and two changes at once (OpenID Connect Core §5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_world import ADA

from idp.store.tenant import users

if TYPE_CHECKING:
    from account_world import World


def test_a_change_is_saved_and_recorded(any_world: World) -> None:
    """OIDC Core §5.1: claims change, the others stay; the event names the claims and none of their values."""
    browser = any_world.signed_in()
    page = any_world.open(browser, "/profile")
    answer = browser.submit(page, name="Augusta Ada King", nickname="Ada", locality="London", birthdate="1815-12-10")
    assert answer.location == any_world.url("/profile?done=profile")
    assert "Your profile is saved." in browser.follow(answer).text
    claims = any_world.user().claims
    assert claims["name"] == "Augusta Ada King"
    assert claims["address"] == {"country": "GB", "locality": "London"}
    assert claims["given_name"] == "Ada"
    (event,) = any_world.events("user.profile_changed")
    assert event.actor == event.subject == any_world.user().id
    assert event.details == {"claims": ["address", "birthdate", "name", "nickname"]}


def test_nothing_changed_records_nothing(world: World) -> None:
    """Issue 5, account pages: saving what is there already is no change."""
    browser = world.signed_in()
    before = world.user().claims
    browser.submit(world.open(browser, "/profile"))
    assert world.user().claims == before
    assert world.events("user.profile_changed") == []


def test_an_empty_field_takes_the_claim_away(world: World) -> None:
    """OIDC Core §5.3.2: a claim that there is no more is left out, an address without members too."""
    browser = world.signed_in()
    browser.submit(world.open(browser, "/profile"), given_name="", country=" ")
    assert "given_name" not in world.user().claims
    assert "address" not in world.user().claims


def test_another_number_is_not_verified(world: World) -> None:
    """OIDC Core §5.1: phone_number_verified is about the number that was verified."""
    user = world.user()
    verified = {**user.claims, "phone_number_verified": True}
    world.house.database(world.tenant).writing(lambda conn: users.change(conn, user.id, claims=verified))
    browser = world.signed_in()
    browser.submit(world.open(browser, "/profile"), nickname="A")
    assert world.user().claims["phone_number_verified"] is True
    browser.submit(world.open(browser, "/profile"), phone_number="+49 30 1234567")
    assert world.user().claims["phone_number_verified"] is False


def test_what_is_not_asked_for_cannot_be_set(world: World) -> None:
    """ASVS 5.0 §15.3.3 (mass assignment): fields beyond the list change nothing."""
    browser = world.signed_in()
    forbidden = {
        "email_verified": "true",
        "phone_number_verified": "true",
        "preferred_username": "root",
        "picture": "https://evil.example/x.png",
        "sub": "x",
        "username": "root",
        "email": "eve@example.org",
        "state": "active",
        "address": '{"country": "XX"}',
        "roles": "admin",
    }
    browser.submit(world.open(browser, "/profile"), nickname="A", **forbidden)
    user = world.user()
    assert user.claims.keys() == {"name", "given_name", "nickname", "phone_number", "address"}
    assert user.claims["address"] == {"country": "GB"}
    assert (user.email, user.username) == (ADA, ADA)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("birthdate", "yesterday"),
        ("birthdate", "1815-13-01"),
        ("phone_number", "call me"),
        ("zoneinfo", "../../etc/passwd"),
        ("locale", "<b>"),
        ("name", "a\u202eb"),
        ("name", "x" * 1001),
        ("street_address", "\x00"),
    ],
)
def test_what_is_wrong_is_said_and_kept(any_world: World, field: str, value: str) -> None:
    """WCAG 2.2 §3.3.1: the sentence stands beside the field, what was typed is still there, nothing is saved."""
    browser = any_world.signed_in()
    before = any_world.user().claims
    answer = browser.submit(any_world.open(browser, "/profile"), **{field: value, "nickname": "kept"})
    assert answer.status == 400
    assert f'id="{field}-error"' in answer.text
    assert answer.form[1]["nickname"] == "kept"
    assert any_world.user().claims == before


def test_two_changes_at_once_lose_nothing(any_world: World) -> None:
    """Issue 5, account pages (lost update): the later form is told, keeps what was typed, sees what is saved, and may save again."""
    first, second = any_world.signed_in(), any_world.signed_in()
    pages = [any_world.open(one, "/profile") for one in (first, second)]
    first.submit(pages[0], nickname="first")
    stale = second.submit(pages[1], nickname="second")
    assert stale.status == 409
    assert "changed meanwhile" in stale.text
    assert stale.form[1]["nickname"] == "second"
    assert "Saved now: first" in stale.text
    assert any_world.user().claims["nickname"] == "first"
    assert second.submit(stale).status == 303
    assert any_world.user().claims["nickname"] == "second"


def test_a_field_that_was_not_sent_stays(world: World) -> None:
    """Issue 5, account pages: a page of an older release, which knows fewer fields, empties none."""
    browser = world.signed_in()
    revision = world.open(browser, "/profile").form[1]["revision"]
    world.send(browser, "/profile", revision=revision, nickname="A")
    assert world.user().claims["name"] == "Ada Lovelace"


def test_lines_of_a_street_survive(world: World) -> None:
    """OIDC Core §5.1.1: a street may have lines; a form sends them as CR LF and they are kept as they were."""
    user = world.user()
    claims = {**user.claims, "address": {"street_address": "House\nStreet 1", "formatted": "old"}}
    world.house.database(world.tenant).writing(lambda conn: users.change(conn, user.id, claims=claims))
    browser = world.signed_in()
    page = world.open(browser, "/profile")
    browser.submit(page, street_address="House\r\nStreet 1", nickname="A")
    assert world.user().claims["address"] == claims["address"]
    browser.submit(world.open(browser, "/profile"), street_address="House\r\nStreet 2")
    assert world.user().claims["address"] == {"street_address": "House\nStreet 2"}
