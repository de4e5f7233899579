"""A sign-in never ends nowhere: tabs, the back button, reloads, bookmarks, time; with script and without (issue, must show)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from house import PASSWORD
from site_pair import RP
from walking import ADA, finish, log_in, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page
    from site_pair import Site

pytestmark = pytest.mark.slow


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def context(request: pytest.FixtureRequest, opened: Callable[..., BrowserContext]) -> BrowserContext:
    """A browser without a past."""
    return opened(java_script_enabled=request.param)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def go_on(page: Page) -> None:
    """Choose what a page that says how to go on offers."""
    if page.locator("#application").count():
        # The application has had its answer and takes no second one to the same request; its own address is offered too.
        page.click("#application")
        page.wait_for_url(f"{RP}/**")
        return
    page.click("#continue")
    assert finish(page)["sub"]


@pytest.mark.parametrize(("script", "count"), [(False, 20), (True, 5)], ids=["20-no-script", "5-script"])
def test_many_tabs_at_once(opened: Callable[..., BrowserContext], pair: Site, script: bool, count: int) -> None:
    """No dead end, S095: tabs opened at once on a first visit; the person finishes one, and each of the others ends in a sign-in."""
    context = opened(java_script_enabled=script)
    tabs = [context.new_page() for _ in range(count)]
    for tab in tabs:  # all under way before any has answered
        tab.goto(f"{pair.roots['demo']}/start", wait_until="commit")
    assert finish(tabs[-1])["sub"]
    for number, tab in enumerate(tabs[:-1]):
        if number % 3 == 0:
            tab.reload()
        elif tab.locator("#login-submit").count():
            log_in(tab)
        tab.wait_for_selector("#signed-in, #consent-approve, #continue")
        if tab.locator("#continue").count():
            tab.click("#continue")
        assert finish(tab)["sub"], number


def test_back_button(page: Page, pair: Site) -> None:
    """No dead end: back from the application to the pages of a finished sign-in, each of which still leads on."""
    sign_in(page, pair.roots["demo"], "?prompt=consent")
    for _ in range(2):
        page.go_back()
        page.wait_for_load_state()
        if page.locator("#login-submit, #consent-approve").count():
            page.reload()
        if page.locator("#continue").count():
            go_on(page)
            return
        if page.locator("#signed-in").count():
            return
    raise AssertionError(f"back led nowhere: {page.url} {page.inner_text('body')}")


def test_back_and_send_again(page: Page, pair: Site) -> None:
    """No dead end: back from the consent of a sign-in leads to whichever of its pages is next, and on."""
    page.goto(f"{pair.roots['demo']}/start?prompt=consent")
    log_in(page)
    page.wait_for_selector("#consent-approve")
    page.go_back()
    page.wait_for_selector("#login-submit, #consent-approve")
    if page.locator("#login-submit").count():
        log_in(page)
        page.wait_for_selector("#consent-approve")
    page.click("#consent-approve")
    page.wait_for_selector("#signed-in")


def test_answer_lost_on_the_way(page: Page, pair: Site) -> None:
    """No dead end: the redirect to the application is lost after the consent; going on from the finished page signs in."""
    page.goto(f"{pair.roots['demo']}/start?prompt=consent")
    log_in(page)
    page.wait_for_selector("#consent-approve")
    address = page.url
    pair.application.is_deaf = True
    try:
        with page.expect_event("requestfailed", lambda request: request.url.startswith(RP)):
            page.click("#consent-approve", no_wait_after=True)
    finally:
        pair.application.is_deaf = False
    page = page.context.new_page()
    page.goto(address)
    assert "finished" in page.inner_text("h1")
    page.click("#continue")
    assert finish(page)["sub"]


def test_reload_after_post(page: Page, pair: Site) -> None:
    """No dead end, RFC 9700 §4.12: the page after a POST is reached by 303, so a reload sends nothing again; a wrong password's page neither loses the way."""
    page.goto(f"{pair.roots['demo']}/start?prompt=consent")
    log_in(page, password="wrong")
    assert page.get_attribute("#username", "value") == ADA
    page.reload()
    page.wait_for_selector("#login-submit")
    log_in(page)
    page.wait_for_selector("#consent-approve")
    page.reload()
    page.click("#consent-approve")
    page.wait_for_selector("#signed-in")
    page.reload()
    assert page.inner_text("#error") == "unknown state"  # the application's own answer to its used address


def test_wrong_password(page: Page, pair: Site) -> None:
    """NIST SP 800-63B §3.2.2, WCAG 2.2 §3.3.1: says that it was wrong, not which part; what was typed as username is kept; then it goes on."""
    page.goto(f"{pair.roots['demo']}/start")
    for username, password in (("nobody@example.com", PASSWORD), (ADA, "wrong")):
        log_in(page, username, password)
        assert "not right" in page.inner_text("[role=alert]")
        assert page.get_attribute("#username", "value") == username
        assert page.get_attribute("#password", "value") is None
    assert page.title().startswith("Error")
    assert finish(page)["sub"]


def test_expired(page: Page, pair: Site) -> None:
    """No dead end, S015: who comes back after the time for a sign-in is over begins again with one click."""
    page.goto(f"{pair.roots['demo']}/start")
    pair.running.sql(pair.demo, "UPDATE interactions SET expires_at = created_at - 1")
    log_in(page)
    assert "too long" in page.inner_text("h1")
    go_on(page)


def test_bookmarked_login_page(context: BrowserContext, pair: Site) -> None:
    """No dead end, S095: a bookmark of a finished sign-in's page, in this browser and in another, and of the bare address."""
    page = context.new_page()
    page.goto(f"{pair.roots['demo']}/start")
    bookmark = page.url
    finish(page)
    page.goto(bookmark)
    assert "finished" in page.inner_text("h1")
    go_on(page)
    page.goto(bookmark.partition("?")[0])
    assert "from an application" in page.inner_text("h1")
    page.click("#continue")
    assert page.url == f"{pair.demo.issuer}/"


def test_a_link_to_a_sign_in_of_somebody_else(opened: Callable[..., BrowserContext], page: Page, pair: Site) -> None:
    """RFC 9700 §4.7: the address of another browser's sign-in begins a new one here, bound to this browser."""
    page.goto(f"{pair.roots['demo']}/start")
    other = opened().new_page()
    other.goto(page.url)
    assert "cookie" in other.inner_text("h1")
    other.click("#continue")
    other.wait_for_selector("#login-submit")
    assert other.url != page.url


def test_denied(page: Page, pair: Site) -> None:
    """RFC 6749 §4.1.2.1: who does not allow it is taken back to the application, which learns access_denied."""
    page.goto(f"{pair.roots['demo']}/start?prompt=consent")
    log_in(page)
    page.click("#consent-deny")
    page.wait_for_selector("#error")
    assert page.inner_text("#error") == "access_denied"


def test_another_account(page: Page, pair: Site) -> None:
    """OIDC Core §3.1.2.1: "Not you?" on the consent page leads to the login page, and on with the other account."""
    pair.running.house.user(pair.demo, email := f"grace{id(page)}@example.com")
    page.goto(f"{pair.roots['demo']}/start?prompt=consent")
    log_in(page)
    page.click("#consent-switch")
    page.wait_for_selector("#login-submit")
    assert page.get_attribute("#username", "value") is None
    log_in(page, email)
    page.wait_for_selector("#consent-approve")
    assert email in page.inner_text(".account")
    page.click("#consent-approve")
    page.wait_for_selector("#signed-in")


def test_password_that_must_be_changed(page: Page, pair: Site) -> None:
    """NIST SP 800-63B §3.1.1: a password that somebody else set is replaced on the way; one too short is explained, then it goes on."""
    pair.running.house.user(pair.demo, email := f"new{id(page)}@example.com", must_change=True)
    page.goto(f"{pair.roots['demo']}/start")
    log_in(page, email)
    page.wait_for_selector("#password-submit")
    for new, again in (("short", "short"), ("a new and long passphrase", "another long passphrase")):
        page.fill("#new_password", new)
        page.fill("#confirm_password", again)
        page.click("#password-submit")
        assert page.locator("[role=alert]").count() == 1
    page.fill("#new_password", "a new and long passphrase")
    page.fill("#confirm_password", "a new and long passphrase")
    page.click("#password-submit")
    page.wait_for_selector("#consent-approve")
    page.click("#consent-approve")
    page.wait_for_selector("#signed-in")


def test_signing_out_without_a_hint_asks(page: Page, pair: Site) -> None:
    """OpenID Connect RP-Initiated Logout §2: a bare link asks first; staying stays, confirming ends the session and says so."""
    sign_in(page, pair.roots["demo"])
    page.goto(f"{pair.demo.issuer}/logout")
    page.click("#logout-stay")
    assert ADA in page.inner_text("main")
    page.goto(f"{pair.demo.issuer}/logout")
    page.click("#logout-confirm")
    assert "signed out" in page.inner_text("h1").lower()
    page.goto(f"{pair.demo.issuer}/")
    assert ADA not in page.inner_text("main")
