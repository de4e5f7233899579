"""A person who signs up, and what the tenant has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flow_world import BASE, Browser, Page
from postbox import code_of, mails

if TYPE_CHECKING:
    from flow_world import EchoServer

EVE = "eve@new.example"
NEW = "five unrelated words here"
FORM = {"email": EVE, "profile_name": "Eve Newcomer", "password": NEW, "confirm_password": NEW}


def opening(server: EchoServer, **settings: Any) -> EchoServer:
    """The same server where people may sign up."""
    return server.with_settings(signup="on", **settings)


def to_form(browser: Browser, **given: Any) -> Page:
    """From the application to the form of the sign-up, by the link on the sign-in page."""
    page = browser.authorize(**given)
    assert page.title == "Sign in", (page.title, page.status)
    page = browser.get(f"{BASE}/signup?interaction={page.interaction}")
    assert page.title == "Create an account", (page.title, page.status)
    return page


def to_code(browser: Browser, address: str = EVE, **fields: str) -> Page:
    """To the page that asks for the code."""
    page = browser.post(to_form(browser), FORM | {"email": address} | fields)
    assert page.title == "Confirm your email address", (page.title, page.status, page.text)
    return page


def newest_code(server: EchoServer, address: str = EVE) -> str:
    """The code that the address got last."""
    return code_of(mails(server.services, server.tenant, server.database, address)[-1])


def letters(server: EchoServer, address: str | None = None) -> list[str]:
    """Which mails an address got, by template."""
    return [mail["template"] for mail in mails(server.services, server.tenant, server.database, address)]


def wrong(code: str) -> str:
    """A code that is not this one."""
    digits = code.replace(" ", "")
    return f"{(int(digits) + 1) % 10**8:08d}"
