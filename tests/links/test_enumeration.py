"""Who has an account is told to nobody (security rule 7; OWASP ASVS 6.3.8): known, unknown, and every state, byte for byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from house import PASSWORD
from letters import answer_requests
from serving import rows

from idp.identity import accounts, invitations, kept_accounts
from idp.identity.accounts import By

if TYPE_CHECKING:
    from house import Answer, House, RelyingParty

    from idp.tenancy.tenant import Tenant

BY = By("operator")
NAMES = ("known", "unknown", "locked", "invited", "disabled", "deleted", "no-address")


@pytest.fixture(params=["/t/acme", "own domain"])
def place(request: pytest.FixtureRequest, any_house: House) -> tuple[House, Tenant, RelyingParty]:
    """A tenant with an account in each state."""
    own = "login.acme.example" if request.param == "own domain" else None
    tenant = any_house.tenant("acme", own, account_attempts="3", source_attempts="1000")
    rp = any_house.client(tenant)
    database = any_house.database(tenant)
    for name in ("known", "locked", "disabled", "deleted"):
        any_house.user(tenant, f"{name}@example.com")
    accounts.disable_user(database, any_house.user_id(tenant, "disabled@example.com"), by=BY)
    kept_accounts.delete(database, any_house.user_id(tenant, "deleted@example.com"), by=BY)
    mailer = any_house.installation.services.mailer
    invitations.invite(database, mailer, tenant, email="invited@example.com", by=BY)
    hasher = any_house.installation.services.hasher
    accounts.create_user(
        database, hasher, tenant, username="no-address@example.com", password=PASSWORD, email=None, by=BY
    )
    browser = any_house.browser(tenant)
    page = browser.follow(browser.authorize(rp, verifier="v" * 43))
    for _ in range(4):
        browser.submit(page, username="locked@example.com", password="wrong")
    answer_requests(any_house, tenant)
    return any_house, tenant, rp


def seen(answer: Answer, name: str) -> tuple[Any, ...]:
    """What an observer has of an answer, but for what is drawn anew each time and what was typed."""
    text = answer.text.replace(f"{name}@example.com", "TYPED")
    text = re.sub(r'(name="csrf" value|id="correlation-id"|interaction)(=|>|%3D)"?[\w-]+', r"\1", text)
    headers = [(key, re.sub(r"(interaction=|b-acme=)[\w-]+", r"\1", value)) for key, value in answer.headers]
    return answer.status, text, [pair for pair in headers if pair[0] != "content-length"]


def test_sign_in_tells_nothing(place: tuple[House, Tenant, RelyingParty]) -> None:
    """Security rule 7, ASVS 6.3.8: a wrong password is answered the same for each."""
    house, tenant, rp = place
    found = {}
    for name in NAMES:
        browser = house.browser(tenant)
        page = browser.follow(browser.authorize(rp, verifier="v" * 43))
        found[name] = seen(browser.submit(page, username=f"{name}@example.com", password="wrong"), name)
    assert len({repr(each) for each in found.values()}) == 1, found
    assert found["known"][0] == 400


def test_recovery_tells_nothing(place: tuple[House, Tenant, RelyingParty]) -> None:
    """Security rule 7: the form's answer, the page after it and the rows that were written are the same for each."""
    house, tenant, _ = place
    found, written = {}, {}
    tables = ("attempts", "outbox", "audit_events", "one_time_links")
    for name in NAMES:
        before = {table: len(rows(tenant.database_url, f"SELECT * FROM {table}")) for table in tables}
        browser = house.browser(tenant)
        answer = browser.submit(browser.get(f"{tenant.base_path}/recover"), username=f"{name}@example.com")
        found[name] = seen(answer, name), seen(browser.follow(answer), name)
        after = {table: len(rows(tenant.database_url, f"SELECT * FROM {table}")) for table in tables}
        written[name] = {table: after[table] - before[table] for table in tables}
    assert len({repr(each) for each in found.values()}) == 1, found
    assert found["known"][0][0] == 303
    # The first request counts its source with a row of its own.
    assert [each.pop("attempts") for each in written.values()] == [2, 1, 1, 1, 1, 1, 1]
    assert list(written.values()) == [{"outbox": 1, "audit_events": 1, "one_time_links": 0}] * len(NAMES)


def test_what_waits_does_not_tell_either(place: tuple[House, Tenant, RelyingParty]) -> None:
    """Security rule 7, S118: a request that waits holds a user's id or one like it, never what was typed."""
    house, tenant, _ = place
    for name in NAMES:
        browser = house.browser(tenant)
        browser.submit(browser.get(f"{tenant.base_path}/recover"), username=f"{name}@example.com")
    found = rows(tenant.database_url, "SELECT payload FROM outbox WHERE kind = 'recovery'")
    assert len(found) == len(NAMES)
    assert "@" not in repr(found)
