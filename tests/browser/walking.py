"""What a person does in the browser, by the names that the pages keep for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from house import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

ADA = "ada@example.com"
LOCALES = {"en": "en-GB", "de": "de-DE"}  # what the browsers ask for, by the language that the pages then speak
WALKS = [
    pytest.param((language, script), id=f"{language}-{'script' if script else 'no-script'}")
    for language in LOCALES
    for script in (True, False)
]


def says(page: Page, place: str, **words: str) -> None:
    """Assert that a place of the page says it in the page's language; the words are given by language."""
    language = page.get_attribute("html", "lang") or ""
    assert words[language] in page.inner_text(place), page.inner_text(place)


def log_in(page: Page, username: str = ADA, password: str = PASSWORD) -> None:
    """Fill in the login form and send it."""
    page.fill("#username", username)
    page.fill("#password", password)
    page.click("#login-submit")


def sign_in(page: Page, root: str, query: str = "", username: str = ADA) -> dict[str, Any]:
    """Open the application and go through whatever pages come; returns the ID token's claims."""
    page.goto(f"{root}/start{query}")
    return finish(page, username)


def finish(page: Page, username: str = ADA) -> dict[str, Any]:
    """Go on from where the browser is until the application says who is there."""
    while True:
        page.wait_for_selector("#login-submit, #consent-approve, #signed-in, #error, #correlation-id")
        if page.locator("#login-submit").count():
            log_in(page, username)
        elif page.locator("#consent-approve").count():
            page.click("#consent-approve")
        else:
            break
        page.wait_for_load_state()
    assert page.locator("#signed-in").count() == 1, f"{page.url}: {page.inner_text('body')}"
    return dict(json.loads(page.inner_text("#claims")))
