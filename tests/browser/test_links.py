"""Links in mails as a person walks them, with script and without: an invitation, a forgotten password, a lock (Issue 5)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from letters import Letter, letters
from walking import LOCALES, WALKS, finish, log_in, says

from idp.identity import invitations
from idp.identity.accounts import By

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page, Request
    from site_pair import Site

pytestmark = pytest.mark.slow
NEW = "a new and long passphrase"


@pytest.fixture(params=WALKS)
def page(request: pytest.FixtureRequest, opened: Callable[..., BrowserContext]) -> Page:
    """A browser without a past, of a person who reads English or German."""
    language, script = request.param
    return opened(java_script_enabled=script, locale=LOCALES[language]).new_page()


def letter_to(pair: Site, template: str, address: str) -> Letter:
    """The mail of a kind to somebody, when the worker has written it."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = [each for each in letters(pair.running.house, pair.acme, template) if each.to == address]
        if found:
            return found[-1]
        time.sleep(0.1)
    raise AssertionError(f"no mail {template} to {address}")


def somebody(pair: Site, page: Page, **more: Any) -> str:
    email = f"person{time.monotonic_ns()}{id(page)}@example.com"
    pair.running.house.user(pair.acme, email, **more)
    return email


def choose(page: Page, password: str, again: str | None = None) -> None:
    page.fill("#new_password", password)
    page.fill("#confirm_password", again or password)
    page.click("#new-password-submit")


def test_an_invitation(page: Page, pair: Site) -> None:
    """Issue 5, invitations: a password that is too short is explained; the account is ready; the link is gone; the person signs in."""
    house = pair.running.house
    email = f"invited{time.monotonic_ns()}@example.com"
    mailer = house.installation.services.mailer
    database = house.database(pair.acme)
    invitations.invite(database, mailer, pair.acme, email=email, by=By("operator"), inviter="Ada Lovelace")
    letter = letter_to(pair, "invitation", email)
    page.goto(letter.link)
    says(
        page,
        ".lead",
        en="Ada Lovelace invites you to an account at Acme",
        de="Ada Lovelace lädt Sie zu einem Konto bei Acme ein",
    )
    choose(page, "short")
    says(page, "[role=alert]", en="too short", de="zu kurz")
    choose(page, NEW, "another one of this length")
    says(page, "[role=alert]", en="not the same", de="stimmen nicht überein")
    choose(page, NEW)
    page.wait_for_selector(".outcome-good")
    assert letter.token not in page.url
    page.reload()
    page.wait_for_selector(".outcome-good")
    page.click("#continue")
    assert page.url == f"{pair.acme.issuer}/start"
    page.goto(letter.link)
    says(page, "h1", en="does not work any more", de="gilt nicht mehr")
    page.goto(f"{pair.roots['acme']}/start")
    log_in(page, email, NEW)
    assert finish(page)["sub"]


def test_a_forgotten_password(page: Page, pair: Site) -> None:
    """S091, Issue 5: from the sign-in over the mail back to the same sign-in; the token is told to nobody by Referer."""
    email = somebody(pair, page)
    page.goto(f"{pair.roots['acme']}/start?prompt=consent")
    log_in(page, email, "forgotten, alas")
    page.click("#forgotten-password")
    page.fill("#username", email)
    page.click("#recover-submit")
    page.wait_for_selector("#again")
    says(page, ".lead", en="If there is an account", de="Wenn es zu dieser Adresse ein Konto gibt")
    letter = letter_to(pair, "recovery", email)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - the driver marks what it is given
    page.goto(letter.link)
    choose(page, NEW)
    page.wait_for_selector(".outcome-good")
    referrers = [request.all_headers().get("referer", "") for request in asked]
    assert len(asked) >= 4
    assert not [referrer for referrer in referrers if letter.token in referrer or "recovery?" in referrer]
    assert "Example application" in page.inner_text("#continue")
    page.click("#continue")
    log_in(page, email, NEW)
    page.wait_for_selector("#consent-approve")
    page.click("#consent-approve")
    page.wait_for_selector("#signed-in")


def test_a_lock(page: Page, pair: Site) -> None:
    """S089, Issue 5: who is locked out gets a mail, unlocks the account and signs in."""
    email = somebody(pair, page)
    page.goto(f"{pair.roots['acme']}/start")
    for _ in range(pair.acme.settings.account_attempts + 1):
        log_in(page, email, "a guess")
        assert page.locator("[role=alert]").count() == 1
    page.goto(letter_to(pair, "unlock", email).link)
    page.click("#unlock-submit")
    page.wait_for_selector(".outcome-good")
    page.goto(f"{pair.roots['acme']}/start")
    log_in(page, email)
    assert finish(page)["sub"]


def test_back_after_the_link_was_used(page: Page, pair: Site) -> None:
    """No dead end: back to the form of a link that is used, sent again: the page says what to do, and leads there."""
    email = somebody(pair, page)
    page.goto(f"{pair.acme.issuer}/recover")
    page.fill("#username", email)
    page.click("#recover-submit")
    page.goto(letter_to(pair, "recovery", email).link)
    choose(page, NEW)
    page.wait_for_selector(".outcome-good")
    page.go_back()
    page.wait_for_selector("#new_password, #recover")
    if page.locator("#new_password").count():
        choose(page, NEW)
        page.wait_for_selector("#recover")
    page.click("#recover")
    page.wait_for_selector("#recover-submit")
