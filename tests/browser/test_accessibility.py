"""The served pages under axe-core, in light and dark, and at the width of a phone (WCAG 2.2 AA)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from clients import modules
from house import PASSWORD
from letters import newest, recovery_letter
from site_pair import RP
from walking import ADA, log_in, sign_in

from idp.identity import invitations
from idp.identity.accounts import By

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page
    from site_pair import Site

pytestmark = pytest.mark.slow
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations', 'incomplete']})"


@pytest.fixture(
    params=[("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)], ids=lambda given: f"{given[0]}-{given[1]}"
)
def page(request: pytest.FixtureRequest, opened: Callable[..., BrowserContext], pair: Site) -> Page:
    """A page whose browser lets the checker in beside our policy, which allows no script."""
    scheme, width = request.param
    context = opened(
        color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True, reduced_motion="reduce"
    )
    return context.new_page()


def every_page(page: Page, pair: Site) -> Iterator[str]:
    """Open one page after the other, and say which it is."""
    page.goto(f"{pair.roots['acme']}/start?prompt=consent")
    yield "login"
    log_in(page, password="wrong")
    yield "login, wrong password"
    address = page.url
    log_in(page)
    page.wait_for_selector("#consent-approve")
    yield "consent"
    page.click("#consent-approve")
    page.wait_for_selector("#signed-in")
    page.goto(address)
    yield "restart"
    page.goto(address.partition("?")[0])
    yield "bookmark"
    page.goto(f"{pair.acme.issuer}/")
    yield "tenant, signed in"
    name = f"framed{id(page)}"
    root = pair.application.register(pair.acme, name, frontchannel_logout_uri=f"{RP}/acme/{name}/out")
    sign_in(page, root)
    page.goto(f"{pair.acme.issuer}/logout")
    yield "logout"
    page.click("#logout-confirm")
    page.wait_for_selector("iframe", state="attached")
    yield "signed out, with a frame of an application"
    page.goto(f"{pair.acme.issuer}/")
    yield "tenant"
    page.goto(f"{pair.roots['acme']}/start?redirect_uri=https://evil.example/cb")
    yield "error"
    page.goto(f"{pair.acme.issuer}/recover")
    page.click("#recover-submit")
    yield "forgotten password, empty"
    page.fill("#username", "nobody@example.com")
    page.click("#recover-submit")
    yield "forgotten password, sent"
    page.goto(f"{pair.acme.issuer}/recovery?token=x")
    yield "link gone"
    house, mailer = pair.running.house, pair.running.house.installation.services.mailer
    invited = f"invited{time.monotonic_ns()}@example.com"
    invitations.invite(house.database(pair.acme), mailer, pair.acme, email=invited, by=By("operator"))
    page.goto(newest(house, pair.acme, "invitation").link)
    yield "invitation"
    page.fill("#new_password", PASSWORD)
    page.fill("#confirm_password", PASSWORD)
    page.click("#new-password-submit")
    yield "invitation, done"
    page.goto(f"{pair.acme.issuer}/no-such-page")
    yield "no such page"
    page.goto(pair.running.url)
    yield "platform"
    pair.running.house.user(pair.acme, email := f"axe{id(page)}@example.com", must_change=True)
    page.goto(f"{pair.roots['acme']}/start?prompt=login")
    log_in(page, email)
    page.wait_for_selector("#password-submit")
    yield "password"
    yield from links_and_sign_up(page, pair)
    yield from accounts_and_brand(page, pair)


def links_and_sign_up(page: Page, pair: Site) -> Iterator[str]:
    """Open the pages that a mail leads to, and those that somebody comes to who has no account yet."""
    house, email = pair.running.house, f"axe{time.monotonic_ns()}@example.com"
    house.user(pair.acme, email)
    page.goto(recovery_letter(house, pair.acme, email).link)
    yield "recovery"
    page.fill("#new_password", "short")
    page.click("#new-password-submit")
    page.wait_for_selector("#new_password-error")
    yield "recovery, refused"
    page.fill("#new_password", "four unrelated words")
    page.fill("#confirm_password", "four unrelated words")
    page.click("#new-password-submit")
    yield "recovery, done"
    page.goto(f"{pair.acme.issuer}/unlock?token=x")
    yield "unlock, gone"
    page.goto(f"{pair.acme.issuer}/start")
    yield "applications"
    for setting in ("signup=on", "account_self_deletion=off"):
        pair.running.idp("tenant", "set", "acme", setting)
    pair.running.idp("terms", "set", "acme", "--version", "1", "--url", "https://acme.example/terms")
    try:
        page.context.clear_cookies()
        until(page, f"{pair.roots['acme']}/start", "#signup")
        yield "login, with the way to sign up"
        page.click("#signup")
        page.wait_for_selector("#signup-submit")
        yield "sign-up"
        page.click("#signup-submit")
        page.wait_for_selector(".problem")
        yield "sign-up, empty"
        page.fill("#email", f"new{time.monotonic_ns()}@example.com")
        page.fill("#profile_name", "Eve Newcomer")
        for name in ("password", "confirm_password"):
            page.fill(f"#{name}", "five unrelated words here")
        page.check("#terms")
        page.click("#signup-submit")
        page.wait_for_selector("#code")
        yield "code"
        page.fill("#code", "0000 0000")
        page.click("#code-submit")
        page.wait_for_selector("#code-error")
        yield "code, wrong"
        page.goto(f"{pair.roots['acme']}/start?prompt=login")
        log_in(page)
        page.wait_for_selector("#terms")
        yield "terms"
    finally:
        pair.running.idp("terms", "end", "acme")
        pair.running.idp("tenant", "set", "acme", "signup=off")


def accounts_and_brand(page: Page, pair: Site) -> Iterator[str]:
    """Open what there is for several accounts in one browser, a remembered address, and the brand's preview."""
    root, admin = pair.roots["acme"], f"root{time.monotonic_ns()}@example.com"
    pair.running.house.user(pair.acme, admin, roles=["tenant-admin"])
    page.context.clear_cookies()
    page.goto(f"{pair.acme.issuer}/sign-in")
    page.check("#remember")
    log_in(page)
    page.goto(f"{pair.acme.issuer}/sign-in?another=1")
    log_in(page, admin)
    page.goto(f"{pair.acme.issuer}/")
    yield "tenant, two accounts"
    page.goto(f"{pair.acme.issuer}/accounts")
    yield "accounts"
    page.goto(f"{root}/start?prompt=select_account")
    yield "select account"
    page.goto(f"{pair.acme.issuer}/logout")
    yield "logout, two accounts"
    page.goto(f"{pair.acme.issuer}/brand/preview?colour_primary=%23ffd400&welcome_text=Hello")
    yield "brand preview"
    page.goto(f"{pair.acme.issuer}/brand/preview?colour_primary=red&support_url=x")
    yield "brand preview, wrong"
    page.goto(f"{pair.acme.issuer}/logout")
    page.locator("#logout-confirm").click()
    yield "signed out, another stays"


def until(page: Page, address: str, selector: str) -> None:
    """Open an address until the served processes have heard of what its page shows."""
    for _ in range(50):
        page.goto(address)
        if page.locator(selector).count():
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.inner_text("body"))


def test_axe_finds_nothing(page: Page, pair: Site) -> None:
    """WCAG 2.2 §1.4.3, §1.4.10: axe-core has no finding on any page, no page scrolls sideways, each has its one heading."""
    source = (modules() / "axe-core" / "axe.min.js").read_text("utf-8")
    width = page.viewport_size["width"] if page.viewport_size else 0
    findings: dict[str, Any] = {}
    seen = []
    for name in every_page(page, pair):
        seen.append(name)
        page.wait_for_load_state()
        page.add_script_tag(content=source)
        result = page.evaluate(RUN, TAGS)
        found = [f"{each['id']}: {node['html'][:200]}" for each in result["violations"] for node in each["nodes"]]
        if found:
            findings[name] = found
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.locator("h1").count() == 1, name
        assert page.evaluate("[...document.styleSheets].map(sheet => sheet.cssRules.length > 0)") == [True, True], name
    assert findings == {}
    assert len(seen) == 36


def test_zoomed_to_400_percent(opened: Callable[..., BrowserContext], pair: Site) -> None:
    """WCAG 2.2 §1.4.10, §2.4.7: at 320 CSS pixels a person signs in with the keyboard alone."""
    page = opened(viewport={"width": 320, "height": 256}).new_page()
    page.goto(f"{pair.roots['demo']}/start?prompt=consent")
    page.wait_for_selector("#username:focus")
    page.keyboard.type(ADA)
    page.keyboard.press("Tab")
    page.wait_for_selector("#password:focus")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#consent-approve")
    for _ in range(10):
        if page.evaluate("document.activeElement.id") == "consent-approve":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#signed-in")
