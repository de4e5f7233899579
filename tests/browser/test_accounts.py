"""Several accounts in one Chromium, and the address that it remembers; with script and without."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from walking import ADA, log_in, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page
    from site_pair import Site

pytestmark = pytest.mark.slow


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(request: pytest.FixtureRequest, opened: Callable[..., BrowserContext]) -> Page:
    """A page at the width of a telephone."""
    return opened(java_script_enabled=request.param, viewport={"width": 320, "height": 640}).new_page()


def test_two_accounts_choose_and_sign_out_of_one(page: Page, pair: Site) -> None:
    """OIDC Core §3.1.2.1: ada and bob side by side; ada is chosen without a password, signs out, and bob is still there."""
    root, bob = pair.roots["acme"], f"bob-{time.monotonic_ns()}@example.com"
    pair.running.house.user(pair.acme, bob)
    ada = sign_in(page, root)
    assert sign_in(page, root, "?prompt=login", bob)["sub"] != ada["sub"]
    page.goto(f"{root}/start?prompt=select_account")
    assert page.locator(".account-pick").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.click(f".account-pick:has-text('{ADA}')")
    page.wait_for_selector("#signed-in, #consent-approve")
    if page.locator("#consent-approve").count():
        page.click("#consent-approve")
    page.wait_for_selector("#signed-in")
    page.goto(f"{pair.acme.issuer}/logout")
    assert bob in page.inner_text("main")
    page.click("#logout-confirm")
    page.wait_for_selector("h1:has-text('signed out')")
    page.click("#accounts")
    assert bob in page.inner_text(".accounts")
    assert ADA not in page.inner_text(".accounts")
    page.click(".account-remove")
    page.wait_for_selector("#sign-in")


def test_the_remembered_address(page: Page, pair: Site) -> None:
    """WCAG 2.2 §3.3.7: ticked once, the next sign-in has the address and the focus in the password; "Not you?" takes it away."""
    page.goto(f"{pair.acme.issuer}/")
    page.click("#sign-in")
    assert not page.is_checked("#remember")
    page.check("#remember")
    log_in(page)
    page.click("#sign-out")
    page.click("#logout-confirm")
    page.goto(f"{pair.acme.issuer}/sign-in")
    assert page.input_value("#username") == ADA
    page.wait_for_selector("#password:focus")
    page.click("#login-forget")
    assert page.input_value("#username") == ""
    assert not page.is_checked("#remember")
