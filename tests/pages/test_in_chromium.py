"""The pages in a browser under the strict policy: nothing blocked, nothing too wide, nothing too small, focus where it belongs."""

from __future__ import annotations

import os

import pytest
from page_samples import SAMPLES
from preview import ARGUMENTS, CHROMIUM, serving

pytestmark = pytest.mark.slow

WIDTHS = (320, 1280)
SMALL_TARGETS = """
() => [...document.querySelectorAll("a, button, input:not([type=hidden]):not([hidden])")]
    .filter(e => { const r = e.getBoundingClientRect(); return r.width < 24 || r.height < 24 })
    .map(e => e.outerHTML)
"""

TWO_RENDERINGS = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Chromium: Debian package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address():
    with serving(0) as address:
        yield address


@pytest.mark.parametrize("language", ["en", "de", "qps", "qps-rtl"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_and_nothing_is_blocked(browser, address, width, language):
    """WCAG 2.2 §1.4.10 reflow at 320 px, §2.5.8 targets of 24 px, CSP3 §6: no violation, without JavaScript, in long languages too."""
    context = browser.new_context(viewport={"width": width, "height": 640}, java_script_enabled=False)
    page = context.new_page()
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    for sample in SAMPLES:
        page.goto(f"{address}/{sample}/?language={language}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, sample
        assert page.evaluate(SMALL_TARGETS) == [], sample
    context.close()
    assert messages == []


@pytest.mark.parametrize(
    ("sample", "focused"),
    [("login", "username"), ("login-wrong", "password"), ("password-wrong", "new_password"), ("consent", "")],
)
def test_the_focus_is_where_the_person_goes_on(browser, address, sample, focused):
    """WCAG 2.2 §2.4.3, §2.4.7: the first field that needs something has the focus, and it is seen."""
    page = browser.new_page()
    page.goto(f"{address}/{sample}/")
    if focused:  # HTML §6.6.7: autofocus is carried out at the next rendering, maybe after the load event
        page.wait_for_function("document.activeElement !== document.body", timeout=10_000)
    else:
        page.evaluate(TWO_RENDERINGS)
    assert page.evaluate("document.activeElement.id") == focused
    if focused:
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.close()


def test_form_post_sends_itself(browser, address):
    """OAuth 2.0 Form Post Response Mode §2: with script no click is needed; the policy decides where it may go."""
    page = browser.new_page()
    with page.expect_console_message(lambda message: "form-action" in message.text, timeout=10_000) as blocked:
        page.goto(f"{address}/form_post/", wait_until="commit")
    assert "https://photos.example/callback" in blocked.value.text
    page.close()
