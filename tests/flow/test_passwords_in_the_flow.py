"""Passwords where people meet them: the first sign-in after a move, the page for a new one (SP 800-63B-4 §3.1.1.2; ASVS 6.2, 11.4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flow_world import CLIENT_ORIGIN, Browser
from identity_world import BY, NEW_PASSWORD, PASSWORD
from werkzeug.security import generate_password_hash

from idp.clock import shifted
from idp.identity import user_import

if TYPE_CHECKING:
    from flow_world import EchoServer, Page

DAY = 86400
MOVED = "kettle lantern geese verb"


def change_page(server: EchoServer, **settings: int) -> tuple[Browser, Page]:
    """Somebody whose password was set by another person, at the page for a new one."""
    if not server.rows("SELECT id FROM users WHERE username = 'new@acme.example'"):
        server.user("new@acme.example", must_change=True, claims={"given_name": "Grace", "family_name": "Hopperton"})
    browser = Browser(server.with_settings(**settings))
    page = browser.log_in(browser.authorize(trusted="1"), "new@acme.example")
    assert page.title == "Choose a new password"
    return browser, page


def both(password: str) -> dict[str, str]:
    """The form filled in."""
    return {"new_password": password, "confirm_password": password}


def test_an_account_that_was_brought_in_signs_in_and_is_hashed_anew(any_server: EchoServer) -> None:
    """ASVS 11.4.2: with the password of the other system, at the ordinary page; afterwards no foreign hash is stored."""
    row = {"email": "moved@acme.example", "password_hash": generate_password_hash(MOVED, "scrypt:1024:8:1")}
    assert user_import.store(any_server.database, [user_import.person(row)], by=BY, details={}) == ["created"]
    query = "SELECT password_hash FROM users WHERE username = 'moved@acme.example'"
    assert any_server.rows(query)[0].password_hash.startswith("imported:scrypt:")
    browser = Browser(any_server)
    wrong = browser.log_in(browser.authorize(), "moved@acme.example", MOVED + "!")
    assert wrong.title == "Sign in"
    assert any_server.rows(query)[0].password_hash.startswith("imported:scrypt:")
    for _ in range(2):
        browser = Browser(any_server)
        page = browser.log_in(browser.authorize(trusted="1"), "moved@acme.example", MOVED)
        assert page.answer["user"] == "moved@acme.example"
        assert any_server.rows(query)[0].password_hash.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("password1234567", "tried first"),
        ("GraceHopperton1!", "name of the organisation"),
        ("sh0rty-9", "too short"),
    ],
)
def test_a_refused_password_is_told_how_strong_it_is(server: EchoServer, password: str, sentence: str) -> None:
    """SP 800-63B-4 §3.1.1.2: the page says why, and how strong what was sent is, described by the field; nothing is repeated."""
    browser, page = change_page(server)
    refused = browser.post(page, both(password))
    assert refused.status == 400
    assert sentence in refused.text
    assert "Strength: " in refused.text
    assert 'id="new_password-strength"' in refused.text
    assert "new_password-error new_password-strength" in refused.text
    assert password not in refused.text
    assert "Strength: " not in page.text


def test_history_is_told_on_the_page(any_server: EchoServer) -> None:
    """Setting password_history: the present password and a former one are refused where the person types them."""
    browser, page = change_page(any_server, password_history=3)
    refused = browser.post(page, both(PASSWORD))
    assert refused.status == 400
    assert "one that you have had before" in refused.text
    assert browser.post(refused, both(NEW_PASSWORD)).url.startswith(CLIENT_ORIGIN)


def test_an_old_password_is_replaced_before_anything_else(any_server: EchoServer) -> None:
    """Setting password_max_age: whoever signs in with a password of that age, or has a session with one, chooses another."""
    server = any_server.with_settings(
        password_max_age=30 * DAY, session_lifetime=90 * DAY, session_idle_lifetime=30 * DAY
    )
    browser = Browser(server)
    assert browser.log_in(browser.authorize(trusted="1")).answer["user"] == "ada@acme.example"
    with shifted(29 * DAY):
        assert browser.authorize(trusted="1").answer["user"] == "ada@acme.example"
    with shifted(30 * DAY):
        assert browser.authorize(trusted="1", prompt="none").answer["error"] == "interaction_required"
        page = browser.authorize(trusted="1")
        assert page.title == "Choose a new password"
        assert "reached the age" in page.text
        assert browser.post(page, both(NEW_PASSWORD)).answer["user"] == "ada@acme.example"
        assert browser.authorize(trusted="1").answer["user"] == "ada@acme.example"


def test_without_the_setting_no_password_is_too_old(server: EchoServer) -> None:
    """SP 800-63B-4 §3.1.1.2: verifiers SHALL NOT require subscribers to change passwords periodically: the default asks nobody."""
    with shifted(3650 * DAY):
        browser = Browser(server)
        assert browser.log_in(browser.authorize(trusted="1")).answer["user"] == "ada@acme.example"
