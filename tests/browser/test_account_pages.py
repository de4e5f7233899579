"""The account pages in Chromium: with script and without, under axe-core, at the width of a phone (WCAG 2.2 AA)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from clients import modules
from house import PASSWORD
from sqlalchemy import select
from test_accessibility import RUN, TAGS, until
from walking import LOCALES, WALKS, log_in, says, sign_in

from idp.store.tenant.outbox import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page
    from site_pair import Site

pytestmark = pytest.mark.slow
PAGES = ("", "/profile", "/email", "/password", "/sessions", "/applications", "/history", "/data")


def person(pair: Site, name: str) -> str:
    """Somebody new; what other tests do with their own is not seen here."""
    email = f"{name}@example.com"
    pair.running.house.user(pair.acme, email)
    return email


def mail_to(pair: Site, address: str) -> dict[str, Any]:
    """What was last mailed to an address, out of the outbox."""
    house = pair.running.house
    with house.database(pair.acme).reading() as conn:
        rows = conn.execute(select(outbox.c.payload).where(outbox.c.kind == "mail").order_by(outbox.c.id.desc())).all()
    mailer = house.installation.services.mailer
    found = (mailer.opened(pair.acme, row.payload) for row in rows)
    return next(mail for mail in found if mail["to"] == address)


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_through_every_page(opened: Callable[..., BrowserContext], pair: Site, walk: tuple[str, bool]) -> None:
    """Issue 5, account pages, in both languages: a person finds every page, changes what there is to change, without script too."""
    language, script = walk
    browser = {"java_script_enabled": script, "locale": LOCALES[language]}
    email = person(pair, f"walker-{language}-{script}".lower())
    new = f"new-{email}"
    other = opened(**browser).new_page()
    other.goto(f"{pair.acme.issuer}/account")
    log_in(other, email)
    page = opened(**browser).new_page()
    page.goto(f"{pair.acme.issuer}/account/profile")
    log_in(page, email)
    page.wait_for_selector("#profile-submit")
    page.fill("#profile_nickname", "Walker")
    page.click("#profile-submit")
    page.wait_for_selector(".self-done")
    assert page.input_value("#profile_nickname") == "Walker"
    sign_in(page, pair.roots["acme"], username=email)
    page.goto(f"{pair.acme.issuer}/")
    page.click("#account")
    for number in range(len(PAGES)):
        page.locator(".self-nav li a").nth(number).click()
        page.wait_for_selector(f".self-nav li:nth-child({number + 1}) a[aria-current]")
        assert page.url.endswith(f"/account{PAGES[number]}")
        assert page.get_attribute("html", "lang") == language
    page.goto(f"{pair.acme.issuer}/account/applications")
    page.click("button[value=revoke]")
    page.wait_for_selector(".self-done")
    page.goto(f"{pair.acme.issuer}/account/sessions")
    assert page.locator(".self-item").count() == 2
    page.locator("button[value=end]").click()
    page.wait_for_selector(".self-done")
    assert page.locator(".self-item").count() == 1
    other.reload()
    other.wait_for_selector("#login-submit")
    page.goto(f"{pair.acme.issuer}/account/email")
    page.fill("#email", new)
    page.click("#email-submit")
    page.wait_for_selector("#continue")
    page.goto(mail_to(pair, new)["context"]["link"])
    page.click("#email-confirm")
    page.wait_for_selector(".self-done")
    assert new in page.inner_text(".facts")
    page.goto(f"{pair.acme.issuer}/account/data")
    with page.expect_download() as download:
        page.click("#data-submit")
    assert json.loads(download.value.path().read_text("utf-8"))["account"]["email"] == new
    page.goto(f"{pair.acme.issuer}/account/password")
    page.fill("#current_password", "wrong")
    page.fill("#new_password", "another long password")
    page.fill("#confirm_password", "another long password")
    page.click("#password-submit")
    page.wait_for_selector("#current_password-error")
    page.fill("#current_password", PASSWORD)
    page.fill("#new_password", "another long password")
    page.fill("#confirm_password", "another long password")
    page.click("#password-submit")
    page.wait_for_selector(".self-done")
    pair.running.idp("tenant", "set", "acme", "account_self_deletion=on")
    try:
        until(page, f"{pair.acme.issuer}/account/delete", "#delete-submit")
        page.fill("#username", new)
        page.click("#delete-submit")
        page.wait_for_selector("#delete-submit", state="detached")
        says(page, "h1", en="is deleted", de="ist gelöscht")
    finally:
        pair.running.idp("tenant", "set", "acme", "account_self_deletion=off")


def every_page(page: Page, pair: Site, email: str) -> Iterator[str]:
    """Open one page after the other, and say which it is."""
    page.goto(f"{pair.acme.issuer}/account")
    log_in(page, email)
    sign_in(page, pair.roots["acme"], username=email)
    for path in PAGES:
        page.goto(f"{pair.acme.issuer}/account{path}")
        yield path or "overview"
    page.goto(f"{pair.acme.issuer}/account/profile")
    page.fill("#profile_phone_number", "call me")
    page.click("#profile-submit")
    page.wait_for_selector("#profile_phone_number-error")
    yield "profile, wrong"
    page.goto(f"{pair.acme.issuer}/account/email")
    page.fill("#email", f"new-{email}")
    page.click("#email-submit")
    page.wait_for_selector("#continue")
    yield "email sent"
    link = mail_to(pair, f"new-{email}")["context"]["link"]
    page.goto(link)
    yield "email confirm"
    page.click("#email-confirm")
    page.wait_for_selector(".self-done")
    yield "done"
    page.goto(link)
    yield "used up"
    page.goto(f"{pair.acme.issuer}/account/password")
    page.fill("#current_password", "wrong")
    page.click("#password-submit")
    page.wait_for_selector("#new_password-error")
    yield "password, wrong"
    page.goto(f"{pair.acme.issuer}/account/history?before=1-1")
    yield "history, its end"
    pair.running.idp("tenant", "set", "acme", "account_self_deletion=on")
    try:
        until(page, f"{pair.acme.issuer}/account/delete", "#delete-submit")
        yield "delete"
        page.fill("#username", "somebody else")
        page.click("#delete-submit")
        page.wait_for_selector("#username-error")
        yield "delete, another name"
        page.fill("#username", f"new-{email}")
        page.click("#delete-submit")
        page.wait_for_selector("h1:has-text('is deleted')")
        yield "deleted"
    finally:
        pair.running.idp("tenant", "set", "acme", "account_self_deletion=off")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)], ids=str)
def test_axe_finds_nothing(opened: Callable[..., BrowserContext], pair: Site, scheme: str, width: int) -> None:
    """WCAG 2.2 §1.4.3, §1.4.10: axe-core has no finding on any account page, none scrolls sideways, each has its one heading."""
    source = (modules() / "axe-core" / "axe.min.js").read_text("utf-8")
    viewport = {"width": width, "height": 800}
    page = opened(color_scheme=scheme, viewport=viewport, bypass_csp=True, reduced_motion="reduce").new_page()
    findings: dict[str, Any] = {}
    seen = []
    for name in every_page(page, pair, person(pair, f"axe-{scheme}-{width}")):
        page.wait_for_load_state()
        page.add_script_tag(content=source)
        result = page.evaluate(RUN, TAGS)
        found = [f"{each['id']}: {node['html'][:200]}" for each in result["violations"] for node in each["nodes"]]
        if found:
            findings[name] = found
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.locator("h1").count() == 1, name
        seen.append(name)
    assert findings == {}
    assert len(seen) == len(PAGES) + 10


@pytest.mark.parametrize("width", [320, 1280])
def test_right_to_left(opened: Callable[..., BrowserContext], pair: Site, width: int) -> None:
    """WCAG 2.2 §1.4.10, issue 5: written from right to left the pages fit as well, with the navigation at the side where lines begin."""
    page = opened(viewport={"width": width, "height": 800}).new_page()
    page.goto(f"{pair.acme.issuer}/account/sessions")
    log_in(page, person(pair, f"rtl-{width}"))
    page.wait_for_selector(".self-item")
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    nav, text = page.locator(".self-nav").bounding_box(), page.locator(".self-page").bounding_box()
    assert nav is not None
    assert text is not None
    assert (nav["x"] > text["x"]) is (width == 1280)
