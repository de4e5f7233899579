"""A whole sign-in across two registrable domains over TLS, as Chromium does it (security.md, browser rules)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from chromium import PROGRAM, person_with
from house import PASSWORD
from running import need
from site_pair import IDP, OWN, RP
from walking import ADA, log_in, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Playwright
    from site_pair import Site

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("slug", ["demo", "acme"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_sign_in_and_out(opened: Callable[..., BrowserContext], pair: Site, slug: str, script: bool, mode: str) -> None:
    """OIDC Core §3.1, CSP Level 3 §6.4.1: login, consent, tokens, sign-out; no policy of ours stops a redirect or form_post."""
    page = opened(java_script_enabled=script).new_page()
    page.goto(f"{pair.roots[slug]}/start?response_mode={mode}&prompt=consent")
    log_in(page)
    assert "Example application" in page.inner_text("h1")
    page.click("#consent-approve")
    if mode == "form_post" and not script:
        page.click("#form-post-submit")
    page.wait_for_selector("#signed-in")
    assert page.inner_text("#method") == ("post" if mode == "form_post" else "get")
    assert json.loads(page.inner_text("#claims"))["iss"] == getattr(pair, slug).issuer
    assert json.loads(page.inner_text("#userinfo"))["name"] == "Ada Lovelace"
    page.click("#sign-out")
    page.wait_for_selector("#bye")
    page.goto(f"{pair.roots[slug]}/start?prompt=none")
    assert page.inner_text("#error") == "login_required"


@pytest.mark.parametrize("slug", ["demo", "acme"])
def test_cookies(opened: Callable[..., BrowserContext], pair: Site, slug: str) -> None:
    """RFC 6265bis §4.1.3.2: __Host-, Secure, SameSite=None, for the exact host, all but the state HttpOnly; the application's site gets none."""
    context = opened()
    sign_in(context.new_page(), pair.roots[slug])
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert cookies.keys() == {f"__Host-s-{slug}", f"__Host-b-{slug}", f"__Host-o-{slug}"}
    state = cookies.pop(f"__Host-o-{slug}")
    assert (state["path"], state["secure"], state["httpOnly"], state["sameSite"]) == ("/", True, False, "None")
    for cookie in cookies.values():
        assert cookie["domain"] == (IDP if slug == "demo" else OWN)
        assert (cookie["path"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == ("/", True, True, "None")
        assert cookie["expires"] == -1


def test_no_script_of_a_page_reads_a_session(opened: Callable[..., BrowserContext], pair: Site) -> None:
    """ASVS 3.3.4: neither the session nor the browser cookie is there for scripts, only the state that is worth nothing."""
    context = opened()
    page = context.new_page()
    sign_in(page, pair.roots["demo"])
    page.goto(f"{pair.demo.issuer}/")
    assert "Ada" in page.inner_text("main") or ADA in page.inner_text("main")
    assert [each.partition("=")[0] for each in page.evaluate("document.cookie").split("; ")] == ["__Host-o-demo"]


def test_single_sign_on_and_switching_tenants(opened: Callable[..., BrowserContext], pair: Site) -> None:
    """OIDC Core §3.1.2.3: the second sign-in asks nothing; a session of one tenant is none at another."""
    page = opened().new_page()
    first = sign_in(page, pair.roots["demo"])
    page.goto(f"{pair.roots['demo']}/start")
    page.wait_for_selector("#signed-in", timeout=10_000)
    assert json.loads(page.inner_text("#claims"))["sub"] == first["sub"]
    page.goto(f"{pair.roots['acme']}/start")
    assert page.locator("#login-submit").count() == 1


def test_an_application_that_posts(opened: Callable[..., BrowserContext], pair: Site) -> None:
    """OIDC Core §3.1.2.1: the request may come as another site's POST; it ends in a sign-in with the cookies of this browser."""
    context = opened()
    page = context.new_page()
    page.goto(f"{pair.roots['demo']}/posting")
    page.click("#go")
    log_in(page)
    page.wait_for_selector("#consent-approve, #signed-in")
    if page.locator("#consent-approve").count():
        page.click("#consent-approve")
    page.wait_for_selector("#signed-in")
    page.goto(f"{pair.roots['demo']}/posting")
    page.click("#go")
    page.wait_for_selector("#signed-in")


def test_a_foreign_form_is_refused(opened: Callable[..., BrowserContext], pair: Site) -> None:
    """RFC 9700 §4.7: the login form sent from the application's site, token and all, is refused by its Origin."""
    context = opened()
    page = context.new_page()
    page.goto(f"{pair.roots['demo']}/start")
    address = page.url
    token = page.get_attribute("input[name=csrf]", "value")
    page.goto(f"{pair.roots['demo']}/posting")
    page.evaluate(
        """([url, csrf, username, password]) => {
            const form = document.createElement("form"); form.method = "post"; form.action = url
            for (const [name, value] of Object.entries({csrf, username, password})) {
                const field = document.createElement("input"); field.name = name; field.value = value; form.append(field) }
            document.body.append(form); form.submit() }""",
        [address, token, ADA, PASSWORD],
    )
    page.wait_for_selector("#correlation-id")
    assert page.inner_text("#error-code") == "form_not_accepted"
    assert [cookie["name"] for cookie in context.cookies()] == ["__Host-b-demo"]


@pytest.mark.parametrize("blocked", [False, True], ids=["allowed", "blocked"])
def test_prompt_none_in_a_frame(playwright: Playwright, pair: Site, tmp_path: Path, blocked: bool) -> None:
    """OIDC Core §3.1.2.1: a silent request in the application's iframe gets a code where third-party cookies are allowed, else an error; never a page."""
    need("Chromium", "Debian package chromium", is_there=PROGRAM.exists())
    person = person_with(playwright, pair, tmp_path / "profile", blocks_third_party_cookies=blocked)
    page = person.new_page()
    told = f"?redirect_uri={pair.roots['demo']}/told&prompt=none"
    page.goto(f"{pair.roots['demo']}/silent{told}")
    page.wait_for_function("document.getElementById('answer').textContent")
    assert "error=login_required" in page.inner_text("#answer")
    sign_in(page, pair.roots["demo"])
    page.goto(f"{pair.roots['demo']}/silent{told}")
    page.wait_for_function("document.getElementById('answer').textContent")
    answer = page.inner_text("#answer")
    person.close()
    assert ("error=login_required" if blocked else "code=ac_") in answer
    assert "iss=" in answer


def test_pages_are_not_framed(chromium: Browser, pair: Site) -> None:
    """ASVS 3.4.6: another site cannot put the login page into a frame and have it clicked."""
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    with page.expect_event(
        "console", lambda message: "frame-ancestors" in message.text or "X-Frame-Options" in message.text
    ):
        page.goto(f"{pair.roots['demo']}/framed")
    assert all("login-submit" not in frame.content() for frame in page.frames if frame != page.main_frame)
    context.close()


def test_nothing_but_the_application_is_reached(opened: Callable[..., BrowserContext], pair: Site) -> None:
    """CSP Level 3 §6.4.1: the login page's policy names the application's origin and no other."""
    page = opened().new_page()
    answer = page.goto(f"{pair.roots['demo']}/start")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert f"form-action 'self' {RP};" in policy
    assert "script-src" not in policy
    assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
    assert answer.headers["referrer-policy"] == "same-origin"
