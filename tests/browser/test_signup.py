"""A person makes an account in Chromium, with script and without (issue 5, must show)."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

import pytest
from postbox import code_of, mails
from walking import LOCALES, WALKS, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext
    from site_pair import Site

pytestmark = pytest.mark.slow
NEW = "five unrelated words here"


def code_for(pair: Site, address: str) -> str:
    """The code in the newest mail to an address, from the outbox of the served installation."""
    house = pair.running.house
    for _ in range(100):
        found = mails(house.installation.services, pair.demo, house.database(pair.demo), address)
        if found:
            return code_of(found[-1])
        time.sleep(0.1)
    raise AssertionError(f"no mail to {address}")


@pytest.mark.parametrize("walk", WALKS)
def test_from_the_application_to_an_account_and_back(
    opened: Callable[..., BrowserContext], pair: Site, walk: tuple[str, bool]
) -> None:
    """Issue 5, in both languages: by the link on the sign-in page; a mistake is shown at its field, a wrong code at its own; then the application."""
    pair.running.idp("tenant", "set", "demo", "signup=on")
    pair.running.idp("terms", "set", "demo", "--version", "1", "--url", "https://demo.example/terms")
    address = f"eve-{secrets.token_hex(4)}@new.example"
    language, script = walk
    page = opened(java_script_enabled=script, locale=LOCALES[language]).new_page()
    try:
        _until_served(pair)
        page.goto(f"{pair.roots['demo']}/start")
        page.click("#signup")
        page.fill("#email", address)
        page.fill("#profile_name", "Eve Newcomer")
        page.fill("#password", NEW)
        page.fill("#confirm_password", NEW)
        page.click("#signup-submit")
        assert page.get_attribute("html", "lang") == language
        says(page, ".problem", en="Accept the terms", de="Akzeptieren Sie die Nutzungsbedingungen")
        assert page.input_value("#email") == address
        assert page.input_value("#password") == ""
        page.fill("#password", NEW)
        page.fill("#confirm_password", NEW)
        page.check("#terms")
        page.click("#signup-submit")
        page.wait_for_selector("#code")
        assert address in page.inner_text("main")
        page.fill("#code", "0000 0000")
        page.click("#code-submit")
        says(page, "#code-error", en="not right", de="stimmt nicht")
        page.fill("#code", code_for(pair, address))
        page.click("#code-submit")
        page.wait_for_selector("#consent-approve")
        assert address in page.inner_text("main")
        page.click("#consent-approve")
        page.wait_for_selector("#signed-in")
        assert json.loads(page.inner_text("#userinfo"))["email"] == address
    finally:
        pair.running.idp("terms", "end", "demo")
        pair.running.idp("tenant", "set", "demo", "signup=off")


def _until_served(pair: Site) -> None:
    """Wait until the served processes have heard of the change."""
    for _ in range(100):
        found = pair.application._call(pair.demo, "GET", "/.well-known/openid-configuration", None, {})
        if "create" in found["prompt_values_supported"]:
            time.sleep(1)  # for the other worker
            return
        time.sleep(0.1)
    raise AssertionError("the change was not heard of")
