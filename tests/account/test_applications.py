"""What applications were allowed, and taking it back (OpenID Connect Core §11; RFC 7009 §2.1 for what dies with it)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_world import EVE

from idp.clock import shifted
from idp.store.tenant import clients, grants

if TYPE_CHECKING:
    from account_world import World


def test_what_is_shown(any_world: World) -> None:
    """Issue 5, account pages: each application with what it was allowed, since when, and when it was used last."""
    browser = any_world.signed_in()
    assert "No application may use your account." in any_world.open(browser, "/applications").text
    tokens = any_world.tokens(browser)
    with shifted(3600):
        assert any_world.rp.refresh(tokens["refresh_token"]).status == 200
    page = any_world.open(browser, "/applications")
    assert "An application" in page.text
    assert "Keep access while you are not there" in page.text
    used, allowed = page.text.partition("Last used")[2], page.text.partition("Allowed")[2]
    assert used.partition('datetime="')[2][:20] > allowed.partition('datetime="')[2][:20]


def test_what_is_taken_back_dies_at_once(any_world: World) -> None:
    """RFC 7009 §2.1, S092: consent, grants, access tokens at introspection and userinfo, refresh; the next sign-in asks again."""
    browser = any_world.signed_in()
    tokens = [any_world.tokens(browser), any_world.tokens(browser)]
    answer = any_world.send(browser, "/applications", action="revoke", client="rp")
    assert "no longer has access" in browser.follow(answer).text
    for each in tokens:
        assert any_world.rp.introspect(each["access_token"]) == {"active": False}
        assert any_world.rp.userinfo(each["access_token"]).status == 401
        assert any_world.rp.refresh(each["refresh_token"]).status == 400
    assert any_world.mails() == []
    (event,) = any_world.events("consent.withdrawn")
    assert (event.actor, event.client_id, event.details) == (any_world.user().id, "rp", {"grants_ended": 2})
    assert 'id="consent-approve"' in browser.follow(browser.authorize(any_world.rp, verifier="v" * 43)).text


def test_a_code_under_way_dies_too(world: World) -> None:
    """RFC 6749 §4.1.2: a code that was issued and not yet redeemed belongs to the grant that was taken back."""
    browser = world.signed_in()
    grant = browser.sign_in(world.rp)
    world.send(browser, "/applications", action="revoke", client="rp")
    assert world.rp.redeem(grant).status == 400


def test_other_people_and_applications_keep_theirs(any_world: World) -> None:
    """ASVS 5.0 §8.2.2: what one person takes back from one application touches nobody else."""
    second = any_world.house.client(any_world.tenant, "second")
    browser, eve = any_world.signed_in(), any_world.signed_in(EVE)
    kept = [any_world.tokens(eve, username=EVE), second.redeem(browser.sign_in(second)).json]
    any_world.tokens(browser)
    any_world.send(browser, "/applications", action="revoke", client="rp")
    assert any_world.rp.userinfo(kept[0]["access_token"]).status == 200
    assert second.userinfo(kept[1]["access_token"]).status == 200


@pytest.mark.parametrize("client_id", ["rp", "unknown", "", "\x00", "x" * 3000])
def test_what_was_not_allowed_is_not_there(any_world: World, client_id: str) -> None:
    """ASVS 5.0 §8.2.2: an application that has nothing of this person's is answered like none, and nothing changes."""
    any_world.tokens(any_world.signed_in(EVE), username=EVE)
    second = any_world.house.client(any_world.tenant, "second")
    browser = any_world.signed_in()
    browser.sign_in(second)
    before = any_world.everything()
    assert any_world.send(browser, "/applications", action="revoke", client=client_id).status == 404
    assert any_world.everything() == before


def test_an_application_that_is_gone_or_disabled(world: World) -> None:
    """Issue 5, account pages: what it was allowed can be taken back all the same; its name is what is left."""
    browser = world.signed_in()
    world.tokens(browser)
    database = world.house.database(world.tenant)
    database.writing(lambda conn: clients.change(conn, "rp", state="disabled"))
    assert "An application" in world.open(browser, "/applications").text
    database.writing(lambda conn: conn.execute(clients.clients.delete()))
    assert "<bdi>rp</bdi>" in world.open(browser, "/applications").text
    assert world.send(browser, "/applications", action="revoke", client="rp").status == 303


def test_a_grant_without_consent_is_shown(world: World) -> None:
    """Issue 5, account pages: access that nobody was asked for is access; it is listed and can be ended."""
    browser = world.signed_in()
    tokens = world.tokens(browser)
    from idp.store.tenant import consents

    database = world.house.database(world.tenant)
    database.writing(lambda conn: consents.withdraw(conn, world.user().id, "rp"))
    assert "An application" in world.open(browser, "/applications").text
    world.send(browser, "/applications", action="revoke", client="rp")
    assert world.rp.userinfo(tokens["access_token"]).status == 401
    with database.reading() as conn:
        assert {row.revoked_reason for row in grants.list_of_user(conn, world.user().id, 9)} == {"withdrawn_by_user"}
