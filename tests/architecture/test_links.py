"""Links of the repository's pages lead somewhere, and what they name in code font exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "sdk").glob("*/README.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")
NAMED = re.compile(r"`((?:idp|tests|docs|bench|templates|static)/[\w./-]+)`")


def missing(page: Path, text: str) -> list[str]:
    """What a page links to or names and is not there."""
    links = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    return links + [name for name in NAMED.findall(text) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Documentation, links: every relative link and every file named in a page exists."""
    assert missing(page, page.read_text("utf-8")) == []


def test_control_a_dead_link_is_seen() -> None:
    """Documentation, negative control: a link and a name that lead nowhere are both reported."""
    text = "[a](docs/nowhere.md) [b](README.md) `idp/nowhere.py` `idp/settings.py` [c](https://example.com/x)"
    assert missing(ROOT / "README.md", text) == ["docs/nowhere.md", "idp/nowhere.py"]
