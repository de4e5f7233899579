"""The account pages in another language: what their handlers hand over is translated before it is shown."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from account_world import World

PAGES = ("", "/profile", "/email", "/password", "/sessions", "/applications", "/history", "/data", "/delete")
CATALOGUE = Path(__file__).resolve().parents[2] / "idp" / "locale" / "de" / "LC_MESSAGES" / "idp.po"


def sentences() -> set[str]:
    """English sentences of three words and more that are other words in German."""
    with CATALOGUE.open("rb") as file:
        found = {m.id: m.string for m in read_po(file) if isinstance(m.id, str) and m.id}
    return {id_ for id_, german in found.items() if german != id_ and "%" not in id_ and len(id_.split()) >= 3}


def test_what_applications_were_allowed_is_in_german(world: World) -> None:
    """Issue 5, part 6: the list says in the person's language what was allowed, as the question did."""
    browser = world.signed_in()
    world.tokens(browser)
    browser.get(f"{world.tenant.base_path}/language?language=de&to={world.tenant.base_path}/account")
    page = world.open(browser, "/applications").text
    assert "Zugriff behalten" in page
    assert "Keep access" not in page


@pytest.mark.parametrize("path", PAGES)
def test_no_sentence_is_english(world: World, path: str) -> None:
    """Issue 5, part 6: a person who chose German reads German on every account page, and in the history of what happened."""
    world.set(account_self_deletion="on")
    browser = world.signed_in()
    browser.get(f"{world.tenant.base_path}/language?language=de&to={world.tenant.base_path}/account")
    answer = world.open(browser, path)
    assert '<html lang="de"' in answer.text
    text = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "\n", answer.text).replace("\n", " ")))
    assert "Ihr" in text or "Sie" in text or "Konto" in text
    assert [each for each in sentences() if each in text] == []
