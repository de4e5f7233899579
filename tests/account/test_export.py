"""One's own data as a file: all that is stored about the account, nothing that opens it (GDPR Articles 15, 20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from account_world import ADA, EVE

from idp.account import export
from idp.clock import shifted

if TYPE_CHECKING:
    import pytest
    from account_world import World


def test_everything_is_in_it(any_world: World) -> None:
    """GDPR Article 15: account, claims, consents, sessions, grants and history, as JSON to keep; an event records it."""
    browser = any_world.signed_in()
    any_world.tokens(browser)
    answer = browser.submit(any_world.open(browser, "/data"))
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-disposition") == 'attachment; filename="account.json"'
    assert answer.header("cache-control") == "no-store"
    found = answer.json
    assert found["account"]["username"] == ADA
    assert found["claims"]["name"] == "Ada Lovelace"
    assert [each["client_id"] for each in found["consents"]] == ["rp"]
    assert [each["source"] for each in found["sessions"]] == ["127.0.0.1"]
    assert [each["client_id"] for each in found["grants"]] == ["rp"]
    assert {"user.created", "login.succeeded"} <= {each["kind"] for each in found["history"]}
    assert found["was_cut"] == []
    (event,) = any_world.events("user.data_exported")
    assert event.actor == any_world.user().id


def test_nothing_in_it_opens_anything(world: World) -> None:
    """Security rule on secrets: no hash, cookie, token or digest of one, and nothing of other people."""
    browser = world.signed_in()
    tokens = world.tokens(browser)
    world.signed_in(EVE)
    text = browser.submit(world.open(browser, "/data")).text
    assert "argon2" not in text
    for secret in (*browser.cookies.values(), tokens["access_token"], tokens["refresh_token"], EVE):
        assert secret not in text
    assert "hash" not in text


def test_a_list_that_is_cut_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5, account pages: the file is bounded, and says where it was."""
    monkeypatch.setattr(export, "MOST", 1)
    browser = world.signed_in()
    world.tokens(browser)
    world.tokens(browser)
    assert browser.submit(world.open(browser, "/data")).json["was_cut"] == ["consents", "sessions", "grants"]


def test_not_without_end(any_world: World) -> None:
    """OWASP ASVS 2.4.1: ten files an hour; then a page that says when to come again."""
    browser = any_world.signed_in()
    page = any_world.open(browser, "/data")
    answers = [browser.submit(page).status for _ in range(11)]
    assert answers == [200] * 10 + [429]
    with shifted(3601):
        again = any_world.log_in(browser, "/data")
        assert browser.submit(again).status == 200
