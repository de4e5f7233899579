"""A way out of a lock by mail (Issue 5; security S089, S091; OWASP ASVS 6.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from house import PASSWORD
from letters import answer_requests, letters, newest
from serving import rows, together

from idp import clock
from idp.identity import accounts, unlocking
from idp.identity.accounts import By
from idp.store.tenant import users

if TYPE_CHECKING:
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

ADA = "ada@example.com"


def guess(house: House, rp: RelyingParty, times: int, username: str = ADA, password: str = "wrong") -> list[int]:
    browser = house.browser(rp.tenant)
    page = browser.follow(browser.authorize(rp, verifier="v" * 43))
    return [browser.submit(page, username=username, password=password).status for _ in range(times)]


@pytest.fixture
def locked(any_house: House) -> tuple[House, Tenant, RelyingParty]:
    """A tenant whose ada is locked, and the worker has seen it."""
    tenant = any_house.tenant("acme", account_attempts="3")
    rp = any_house.client(tenant)
    assert guess(any_house, rp, 4) == [400] * 4
    answer_requests(any_house, tenant)
    return any_house, tenant, rp


def test_a_lock_is_ended_by_the_link(locked: tuple[House, Tenant, RelyingParty]) -> None:
    """S089, S091: the form ends the lock, opening does not; then the password counts again; the link works once."""
    house, tenant, rp = locked
    letter = newest(house, tenant, "unlock")
    assert letter.to == ADA
    browser = house.browser(tenant)
    page = browser.get(letter.path)
    assert page.header("referrer-policy") == "strict-origin"
    assert guess(house, rp, 1, password=PASSWORD) == [400], "a GET unlocks nothing"
    done = browser.submit(page)
    assert "unlocked" in browser.follow(done).text
    assert f"s-{tenant.slug}" not in browser.cookies
    assert guess(house, rp, 1, password=PASSWORD) == [303]
    assert browser.submit(page).status == 410
    assert browser.get(letter.path).status == 410


def test_one_mail_a_window(locked: tuple[House, Tenant, RelyingParty]) -> None:
    """S089: however often a guesser locks an account, and its owner unlocks it, its letter box gets one mail a window."""
    house, tenant, rp = locked
    guess(house, rp, 20)
    answer_requests(house, tenant)
    assert len(letters(house, tenant)) == 1
    browser = house.browser(tenant)
    assert browser.submit(browser.get(newest(house, tenant, "unlock").path)).status == 303
    guess(house, rp, 20)
    answer_requests(house, tenant)
    assert len(letters(house, tenant)) == 1
    with clock.shifted(tenant.settings.attempts_window + 1):
        guess(house, rp, 4)
        answer_requests(house, tenant)
        assert len(letters(house, tenant)) == 2


def test_nobody_learns_who_has_an_account(any_house: House) -> None:
    """Security rule 7: a lock of no account, and of one that may not sign in, writes what a real one does and mails nothing."""
    tenant = any_house.tenant("acme", account_attempts="3", source_attempts="100")
    rp = any_house.client(tenant)
    any_house.user(tenant, "off@example.com")
    accounts.disable_user(any_house.database(tenant), any_house.user_id(tenant, "off@example.com"), by=By("operator"))
    for number, username in enumerate(("nobody@example.com", "off@example.com", ADA), 1):
        assert guess(any_house, rp, 5, username) == [400] * 5
        found = rows(tenant.database_url, "SELECT id FROM outbox WHERE kind = 'unlock'")
        assert len(found) == number, username
    answer_requests(any_house, tenant)
    assert [letter.to for letter in letters(any_house, tenant)] == [ADA]


def test_guesses_at_once_bring_one_mail(any_house: House) -> None:
    """S089: 40 guesses in parallel begin one lock, and one mail leaves."""
    tenant = any_house.tenant("acme", account_attempts="3", source_attempts="1000")
    rp = any_house.client(tenant)
    assert together(40, lambda _: guess(any_house, rp, 1)) == [[400]] * 40
    answer_requests(any_house, tenant)
    assert len(letters(any_house, tenant)) == 1


def test_a_lock_that_is_over_is_not_told(any_house: House) -> None:
    """S089: where the worker comes late, nobody is told of a lock that is no more."""
    tenant = any_house.tenant("acme", account_attempts="3")
    rp = any_house.client(tenant)
    guess(any_house, rp, 4)
    unlocking.unlock(any_house.database(tenant), tenant.settings, any_house.user_id(tenant), by=By("operator"))
    answer_requests(any_house, tenant)
    assert letters(any_house, tenant) == []
    assert guess(any_house, rp, 1, password=PASSWORD) == [303]


def test_an_operator_ends_a_lock(locked: tuple[House, Tenant, RelyingParty]) -> None:
    """S089: no permanent lockout: the operator's word ends it, and the mail's link with it."""
    house, tenant, rp = locked
    path = newest(house, tenant, "unlock").path
    unlocking.unlock(house.database(tenant), tenant.settings, house.user_id(tenant), by=By("operator"))
    assert guess(house, rp, 1, password=PASSWORD) == [303]
    assert house.browser(tenant).get(path).status == 410


def test_a_new_password_ends_the_link(locked: tuple[House, Tenant, RelyingParty]) -> None:
    """S091: what was mailed because of the former password is worth nothing with the new one."""
    house, tenant, _ = locked
    path = newest(house, tenant, "unlock").path
    database = house.database(tenant)
    user = accounts.find_user(database, ADA)
    hasher = house.installation.services.hasher
    accounts.set_password(database, hasher, tenant, user, "a different long enough sentence", by=By(user.id))
    assert house.browser(tenant).get(path).status == 410


@pytest.mark.parametrize(("claims", "language"), [({}, "de"), ({"locale": "en-GB"}, "en-GB")])
def test_the_mail_is_in_the_language_of_who_signs_in(any_house: House, claims: dict[str, str], language: str) -> None:
    """Issue 5, part 6: a person who has chosen no language for the account is written to in the page's."""
    tenant = any_house.tenant("acme", account_attempts="3")
    rp = any_house.client(tenant)
    user_id = any_house.user_id(tenant)
    any_house.database(tenant).writing(lambda conn: users.change(conn, user_id, claims=claims))
    browser = any_house.browser(tenant)
    browser.get(f"{tenant.base_path}/language?language=de&to={tenant.base_path}/")
    page = browser.follow(browser.authorize(rp, verifier="v" * 43))
    for _ in range(4):
        browser.submit(page, username=ADA, password="wrong")
    answer_requests(any_house, tenant)
    assert newest(any_house, tenant, "unlock").language == language
