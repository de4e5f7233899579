"""Who has an account is told to nobody (security rule 7; OWASP ASVS 6.3.8): known, unknown, and every state, byte for byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from house import PASSWORD
from letters import answer_requests, newest
from serving import rows
from statements import counting

from idp import clock
from idp.identity import accounts, invitations, kept_accounts
from idp.identity.accounts import By

if TYPE_CHECKING:
    from collections.abc import Callable

    from house import Answer, Browser, House, RelyingParty

    from idp.tenancy.tenant import Tenant

BY = By("operator")
NAMES = ("known", "unknown", "locked", "invited", "disabled", "deleted", "no-address")
DEAD = ("unknown", "used", "expired", "cancelled", "replaced", "of a suspended person")
NEW = "five unrelated words here"
FORM = {"password": NEW, "confirm_password": NEW, "profile_name": "Eve Newcomer"}


@pytest.fixture(params=["/t/acme", "own domain"])
def place(request: pytest.FixtureRequest, any_house: House) -> tuple[House, Tenant, RelyingParty]:
    """A tenant with an account in each state."""
    own = "login.acme.example" if request.param == "own domain" else None
    tenant = any_house.tenant(
        "acme", own, account_attempts="3", source_attempts="1000", signup="on", signup_source_limit="1000"
    )
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


def test_sign_up_tells_nothing(place: tuple[House, Tenant, RelyingParty]) -> None:
    """Security rule 7: the form's answer, the code's page, wrong codes and the rows that were written are the same for each."""
    house, tenant, _ = place
    found, written = {}, {}
    tables = ("signups", "outbox", "audit_events", "users")
    for name in NAMES:
        before = {table: len(rows(tenant.database_url, f"SELECT * FROM {table}")) for table in tables}
        browser = house.browser(tenant)
        page = browser.follow(browser.get(f"{tenant.base_path}/signup"))
        story = [browser.submit(page, email=f"{name}@example.com", **FORM)]
        story.append(browser.follow(story[0]))
        story += [browser.submit(story[1], code=f"{number:08d}") for number in range(6)]
        found[name] = [seen(answer, name) for answer in story]
        after = {table: len(rows(tenant.database_url, f"SELECT * FROM {table}")) for table in tables}
        written[name] = {table: after[table] - before[table] for table in tables}
    assert len({repr(each) for each in found.values()}) == 1, found
    assert [answer[0] for answer in found["known"]] == [303, 200, *[400] * 6]
    assert list(written.values()) == [{"signups": 1, "outbox": 1, "audit_events": 1, "users": 0}] * len(NAMES)


def dead_links(house: House, tenant: Tenant) -> dict[str, tuple[Browser, Answer | None, str]]:
    """Invitations whose links do not work any more: a browser that had the form open in time, the form, and the link."""
    database, mailer = house.database(tenant), house.installation.services.mailer
    found: dict[str, tuple[Browser, Answer | None, str]] = {}
    for name in DEAD[1:]:
        address = f"{name.replace(' ', '-')}@example.org"
        lifetime = 3600 if name == "expired" else 86400
        user_id = invitations.invite(database, mailer, tenant, email=address, by=BY, lifetime=lifetime)
        path = newest(house, tenant, "invitation").path
        browser = house.browser(tenant)
        page = browser.get(path)
        assert page.status == 200
        if name in ("used", "of a suspended person"):
            assert browser.submit(page, new_password=NEW, confirm_password=NEW).status == 303
        if name == "of a suspended person":
            accounts.disable_user(database, user_id, by=BY)
        if name == "cancelled":
            invitations.cancel(database, user_id, by=BY)
        if name == "replaced":
            invitations.resend(database, mailer, tenant, user_id, by=BY, lifetime=86400)
        found[name] = browser, page, path
    browser = house.browser(tenant)
    browser.get(f"{tenant.base_path}/recover")  # a browser with a cookie, as the others
    found["unknown"] = browser, None, f"{tenant.base_path}/invitation?token=l_{'A' * 43}"
    return found


def test_an_invitation_s_link_tells_nothing(place: tuple[House, Tenant, RelyingParty]) -> None:
    """Security rule 7, S091: a link that was used, has expired, was cancelled or replaced is answered as one that never was, its form too."""
    house, tenant, _ = place
    links = dead_links(house, tenant)
    with clock.shifted(3601):
        opened = {name: seen(browser.get(path), name) for name, (browser, _, path) in links.items()}
        sent = {
            name: seen(browser.submit(page, new_password=NEW, confirm_password=NEW), name)
            for name, (browser, page, _) in links.items()
            if page is not None
        }
    assert len({repr(each) for each in opened.values()}) == 1, opened
    assert len({repr(each) for each in sent.values()}) == 1, sent
    assert opened["unknown"][0] == sent["used"][0] == 410


def test_the_work_tells_nothing(place: tuple[House, Tenant, RelyingParty], monkeypatch: pytest.MonkeyPatch) -> None:
    """Security rule 7, ASVS 6.3.8: each is answered by the same statements in the same order, and as many password hashes."""
    house, tenant, rp = place
    hashes: list[str] = []
    argon2 = house.installation.services.hasher._argon2
    for name in ("hash", "verify"):
        real = getattr(argon2, name)
        monkeypatch.setattr(argon2, name, lambda *given, real=real, name=name: hashes.append(name) or real(*given))

    def work(ask: Callable[[], Answer]) -> tuple[Any, ...]:
        hashes.clear()
        with counting(house) as counted:
            status = ask().status
        return status, hashes.copy(), counted.shapes

    links = dead_links(house, tenant)
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name in ("warm", *NAMES):
        address = f"{name}@example.com"
        browser = house.browser(tenant)
        page = browser.follow(browser.authorize(rp, verifier="v" * 43))
        found[name] = {
            "sign-in": work(
                lambda page=page, browser=browser, address=address: browser.submit(page, username=address, password="x")
            ),
        }
        page = browser.follow(browser.get(f"{tenant.base_path}/signup"))
        form = {"email": address, **FORM}
        found[name]["sign-up"] = work(lambda page=page, browser=browser, form=form: browser.submit(page, **form))
        page = browser.get(f"{tenant.base_path}/signup/code?{page.form[0].partition('?')[2]}")
        found[name]["code"] = work(lambda page=page, browser=browser: browser.submit(page, code="12345678"))
        page = browser.get(f"{tenant.base_path}/recover")
        found[name]["recovery"] = work(
            lambda page=page, browser=browser, address=address: browser.submit(page, username=address)
        )
    del found["warm"]
    with clock.shifted(3601):
        opened = {
            name: work(lambda browser=browser, path=path: browser.get(path))
            for name, (browser, _, path) in links.items()
        }
    for name in NAMES:
        assert found[name] == found["unknown"], name
    for name in DEAD:
        assert opened[name] == opened["unknown"], name
    assert {what: (status, len(done)) for what, (status, done, _) in found["unknown"].items()} == {
        "sign-in": (400, 1),
        "sign-up": (303, 1),
        "code": (400, 0),
        "recovery": (303, 0),
    }
    assert all(statements for _, _, statements in (*found["unknown"].values(), opened["unknown"]))
