"""New terms and the account pages: nothing goes on without them but what is a person's right (issue 5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from account_world import ADA
from house import PASSWORD

from idp.account.protocol import BEFORE_TERMS, GOALS
from idp.clock import shifted
from idp.identity import terms
from idp.identity.accounts import By

if TYPE_CHECKING:
    from account_world import World


def _in_force(world: World) -> None:
    urls = {"": "https://acme.example/terms"}
    world.house.database(world.tenant).writing(lambda conn: terms.put_in_force(conn, "2026-12", urls, By("operator")))
    world.set(account_self_deletion="on")


@pytest.mark.parametrize("path", sorted(GOALS))
def test_what_waits_for_the_terms(world: World, path: str) -> None:
    """GDPR Articles 17 and 20: one's own data and the way out are not kept behind new terms; every other page is."""
    _in_force(world)
    answer = world.log_in(world.browser(), path.removeprefix("/account"))
    assert ("Terms of use" not in answer.text) is (path in BEFORE_TERMS)


def test_who_declines_can_take_the_data_along_and_leave(any_world: World) -> None:
    """GDPR Articles 7(3), 17 and 20: after "I do not accept" the page's own links lead to the export and to the deletion."""
    _in_force(any_world)
    browser = any_world.browser()
    page = any_world.log_in(browser, "")
    assert "Terms of use" in page.text
    for name in ("data", "delete"):
        assert f'id="terms-{name}" href="{any_world.url("/" + name)}"' in page.text
    browser.submit(page, action="decline")
    assert "Terms of use" in any_world.open(browser, "/profile").text
    given = browser.submit(any_world.open(browser, "/data"))
    assert json.loads(given.text)["account"]["username"] == ADA
    browser.submit(any_world.open(browser, "/delete"), username=ADA)
    assert any_world.events("user.deleted") != []
    assert any_world.events("terms.accepted") == []


def test_it_is_no_way_round_a_fresh_sign_in(world: World) -> None:
    """ASVS 5.0 §7.5.1: a page that is not kept behind the terms asks for a fresh sign-in all the same, and ends nowhere else."""
    _in_force(world)
    browser = world.browser()
    world.log_in(browser, "/data")
    with shifted(700):
        login = world.open(browser, "/data")
        assert 'id="login-submit"' in login.text
        assert browser.submit(login, username=ADA, password=PASSWORD).location == world.url("/data")
    assert "Terms of use" in world.open(browser, "/sessions").text


def test_a_tenant_without_self_deletion_offers_none(world: World) -> None:
    """Issue 5, `account_self_deletion`: the page of the terms leads only to what there is."""
    _in_force(world)
    world.set(account_self_deletion="off")
    page = world.log_in(world.browser(), "")
    assert 'id="terms-data"' in page.text
    assert 'id="terms-delete"' not in page.text
