"""The address that a browser remembers: only where the person ticked it, sealed, for 90 days; cases S094 and security rule 7."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from dataclasses import replace

import pytest
from flow_world import BASE, Browser, EchoServer, Page
from identity_world import PASSWORD

from idp.clock import shifted
from idp.flow import remembered

ADA, BOB = "ada@acme.example", "bob@acme.example"


def signed_in(browser: Browser, username: str = ADA, **fields: str) -> None:
    """Sign in with the box as given, and sign out by forgetting the session."""
    page = browser.authorize(trusted="1", prompt="login")
    answer = browser.post(page, {"username": username, "password": PASSWORD, **fields}).answer
    assert answer["user"] == username
    del browser.cookies["s-acme"]
    browser.cookies.pop("a-acme", None)


def is_ticked(page: Page) -> bool:
    """Whether the box is ticked."""
    return "remember" in page.fields


def test_nothing_is_remembered_unasked(browser: Browser) -> None:
    """GDPR art. 25: the box is there, with its label, and not ticked; without it no cookie is set."""
    page = browser.authorize()
    assert "Remember my email address on this device" in page.text
    assert not is_ticked(page)
    signed_in(browser)
    assert "r-acme" not in browser.cookies
    assert browser.authorize().fields.get("username") is None


def test_a_ticked_box_fills_in_the_name_next_time(browser: Browser) -> None:
    """WCAG 2.2 §3.3.7: the next sign-in says as whom, with the name in its field, and asks for the password only."""
    signed_in(browser, remember="yes")
    page = browser.authorize()
    assert page.fields["username"] == ADA
    assert "Not you?" in page.text
    assert is_ticked(page)
    assert browser.log_in(page).url.startswith(f"{BASE}/consent")


def test_not_you_forgets_it(browser: Browser) -> None:
    """GDPR art. 17: one click, and the address is gone from the device; the sign-in goes on."""
    signed_in(browser, remember="yes")
    page = browser.post(browser.authorize(), {"action": "forget"})
    assert page.title == "Sign in"
    assert page.fields.get("username") is None
    assert not is_ticked(page)
    assert browser.cookies["r-acme"] == ""


def test_unticking_forgets_it(browser: Browser) -> None:
    """GDPR art. 7(3): taken back as easily as given: a sign-in with the box unticked."""
    signed_in(browser, remember="yes")
    page = browser.authorize(trusted="1")
    fields = {name: value for name, value in page.fields.items() if name != "remember"} | {"password": PASSWORD}
    assert browser.follow(browser.send("POST", page.action, fields), page.action).answer
    assert browser.cookies["r-acme"] == ""


def test_another_name_may_be_typed(browser: Browser) -> None:
    """Issue 5, part 8: the field stays a field; who then ticks is remembered instead."""
    browser.server.user(BOB)
    signed_in(browser, remember="yes")
    signed_in(browser, BOB, remember="yes")
    assert browser.authorize().fields["username"] == BOB


def test_hints_and_switching_come_first(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: what the application or the person says now outweighs what was remembered."""
    signed_in(browser, remember="yes")
    page = browser.authorize(login_hint=BOB)
    assert page.fields["username"] == BOB
    assert "Not you?" not in page.text
    assert not is_ticked(page)
    assert browser.authorize(subject_hint="f" * 32).fields.get("username") is None
    assert browser.get(f"{BASE}/sign-in?another=1").fields.get("username") is None


def test_a_failed_sign_in_remembers_nothing_and_keeps_the_tick(browser: Browser) -> None:
    """Security rule 7: known or unknown, no cookie; the box stays as it was sent."""
    for name in (ADA, "nobody@acme.example"):
        page = browser.post(browser.authorize(), {"username": name, "password": "wrong", "remember": "yes"})
        assert page.status == 400
        assert is_ticked(page)
        assert "r-acme" not in browser.cookies


def test_s094_the_cookie_is_sealed_and_marked(server: EchoServer) -> None:
    """RFC 6265bis §4.1.3.2, S094: HttpOnly, 90 days, `__Host-` and Secure on HTTPS; the address is not to be read in it."""
    made = server.with_settings()
    made.tenant = replace(server.tenant, issuer="https://id.example/t/acme")
    ((_, field),) = remembered.cookie(made, Browser(server).request_of("GET", f"{BASE}/"), ADA)
    assert field.startswith("__Host-r-acme=")
    assert field.endswith("; Path=/; HttpOnly; Max-Age=7776000; Secure; SameSite=None")
    assert b"acme.example" not in urlsafe_b64decode(field.partition("=")[2].partition(";")[0] + "==")
    again = remembered.cookie(made, Browser(server).request_of("GET", f"{BASE}/"), ADA)[0][1]
    assert again != field


@pytest.mark.parametrize("kind", ["empty", "junk", "altered", "shortened", "long", "of another tenant", "not ascii"])
def test_s094_a_tampered_cookie_is_none(server: EchoServer, kind: str) -> None:
    """S094: whatever it holds, it names nobody, and the page is the ordinary one."""
    browser = Browser(server)
    signed_in(browser, remember="yes")
    value = browser.cookies["r-acme"]
    other = server.with_settings()
    other.tenant = replace(server.tenant, id="b" * 32)
    foreign = remembered.cookie(other, browser.request_of("GET", f"{BASE}/"), ADA)[0][1].partition("=")[2]
    browser.cookies["r-acme"] = {
        "empty": "",
        "junk": "....",
        "altered": value[:-2] + ("AA" if not value.endswith("AA") else "BB"),
        "shortened": value[:20],
        "long": "A" * 60_000,
        "of another tenant": foreign.partition(";")[0],
        "not ascii": "é" * 40,
    }[kind]
    page = browser.authorize()
    assert page.title == "Sign in"
    assert page.fields.get("username") is None


def test_it_ends_after_ninety_days(browser: Browser) -> None:
    """GDPR art. 5(1)(e): a browser that keeps the cookie longer is not believed."""
    signed_in(browser, remember="yes")
    with shifted(remembered.LIFETIME - 60):
        assert browser.authorize().fields["username"] == ADA
    with shifted(remembered.LIFETIME + 60):
        assert browser.authorize().fields.get("username") is None


def test_it_is_no_session(browser: Browser) -> None:
    """S093: the remembered name signs nobody in."""
    signed_in(browser, remember="yes")
    assert browser.authorize(prompt="none").answer["error"] == "login_required"
