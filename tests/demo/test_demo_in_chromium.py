"""The demo application as a person meets it: clicks, forms and pages in Chromium, without JavaScript."""

from __future__ import annotations

import pytest
from demo_world import EMAIL, NAME, PASSWORD, SECRET

pytestmark = pytest.mark.slow

SMALL_TARGETS = """
() => [...document.querySelectorAll("a, button, summary, input:not([type=hidden]):not([hidden])")]
    .filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.width < 24 || r.height < 24) })
    .filter(e => !(e.tagName == "A" && e.closest("p")))
    .map(e => e.outerHTML)
"""
UNLABELLED = """
() => [...document.querySelectorAll("a, button, summary")].filter(e => !e.textContent.trim()).map(e => e.outerHTML)
"""


class Hand:
    """Counts clicks; typing is not clicking."""

    def __init__(self, page) -> None:
        self.page, self.clicks = page, 0

    def click(self, selector: str) -> None:
        """Click, and wait for what comes."""
        self.clicks += 1
        self.page.click(selector)
        self.page.wait_for_load_state()

    def sign_in(self) -> None:
        """From the demo's first page to the tokens: the fields have the focus already, so they are only typed into."""
        self.click("#sign-in")
        self.page.wait_for_selector("#username:focus")
        self.page.keyboard.type(EMAIL)
        self.page.keyboard.press("Tab")
        self.page.wait_for_selector("#password:focus")
        self.page.keyboard.type(PASSWORD)
        self.click("#login-submit")
        self.page.wait_for_load_state()
        if self.page.locator("#consent-approve").count():
            self.click("#consent-approve")


@pytest.fixture(params=[320, 1280])
def page(request, chromium):
    """A page of a new browser; what the policy blocks or the console says is in `page.said`."""
    context = chromium.new_context(viewport={"width": request.param, "height": 720}, java_script_enabled=False)
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    yield page
    context.close()


def fits(page) -> bool:
    """WCAG 2.2 §1.4.10, §2.5.8, §4.1.2: no sideways scrolling, targets of 24 px, everything that can be pressed has a name."""
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
    assert page.evaluate(SMALL_TARGETS) == [], page.url
    assert page.evaluate(UNLABELLED) == [], page.url
    return True


def test_from_the_address_to_a_decoded_token_in_six_clicks(demo, page):
    """Issue 3, must show: at most 6 clicks from the address that is printed to a decoded token; then sign out."""
    hand = Hand(page)
    page.goto(f"{demo.url}/")
    hand.clicks += 1  # the address itself
    assert fits(page)
    hand.sign_in()
    assert page.url == f"{demo.url}/"
    assert page.inner_text("h1") == f"You are signed in as {NAME}"
    assert page.locator("#id-token .members").first.is_visible()
    assert demo.visits[-1].tokens.claims["sub"] in page.inner_text("#id-token")
    assert hand.clicks <= 6
    assert fits(page)
    hand.click("#sign-out")
    assert page.url == f"{demo.url}/signed-out"
    assert page.inner_text("h1") == "You are signed out"
    assert fits(page)
    assert page.said == []


def test_every_button_leads_on(demo, page):
    """Issue 3, Build 9: refresh, userinfo, introspection, revocation and both prompts, from the page itself."""
    hand = Hand(page)
    page.goto(demo.url)
    hand.sign_in()
    for button in (
        "#introspect-access",
        "#introspect-refresh",
        "#userinfo form button",
        "#refresh",
        "#sign-in-none",
        "#revoke-access",
    ):
        hand.click(button)
        assert page.url.partition("#")[0] == f"{demo.url}/", button
        assert fits(page)
    assert page.locator("#access-token .badge-bad").inner_text() == "revoked"
    hand.click("#introspect-access")
    assert page.locator("#access-token .introspected .badge").inner_text() == "not active"
    hand.click("#sign-in-login")
    assert page.locator("#password").is_visible()
    assert page.said == []


def test_the_latest_request_is_open_and_the_others_open_on_a_click(demo, page):
    """Issue 3, Build 9: every request and response is readable, in order, and holds no secret."""
    hand = Hand(page)
    page.goto(demo.url)
    hand.sign_in()
    hand.click("#refresh")
    assert page.locator(".exchange[open] .exchange-title").all_inner_texts() == ["Refresh"]
    hand.click("#exchange-4 summary")
    told = page.inner_text("#exchange-4")
    for shown in (
        "Token request",
        "POST",
        "authorization_code",
        "code_verifier",
        "PKCE verifier",
        "Response: 200 OK",
        '"expires_in"',
    ):
        assert shown in told
    hand.click("#exchange-4 .raw summary")
    assert f"client secret, {len(SECRET)} characters" in page.inner_text("#exchange-4")
    assert [secret[:5] for secret in demo.secrets() if secret in page.content()] == []
    assert fits(page)


def test_errors_are_calm_pages_with_a_way_on(demo, idp, page):
    """Issue 3, Build 8 and 9: error, description, id and `idp explain`; and from there to the tokens."""
    hand = Hand(page)
    page.goto(f"{demo.url}/sign-in?prompt=none")
    assert page.inner_text("#error-code") == "login_required"
    reference = page.inner_text("#correlation-id")
    assert reference in str(idp.refusals())
    assert page.inner_text(".command") == f"idp explain {reference}"
    assert fits(page)
    page.goto(f"{demo.url}/callback?code=x&state=planted")
    assert page.inner_text("#error-code") == "state_mismatch"
    assert fits(page)
    hand.sign_in()
    assert page.inner_text("h1") == f"You are signed in as {NAME}"
    idp.stop()
    try:
        hand.click("#userinfo form button")
        assert page.inner_text("#error-code") == "no_answer"
        assert page.locator(".exchange[open] .badge-bad").inner_text() == "no answer"
        assert fits(page)
    finally:
        idp.start()
    hand.click("#back")
    hand.click("#userinfo form button")
    assert "Userinfo answered." in page.inner_text(".notice")
