"""Every sentence that a person reads is in every catalogue, translated: `make messages` writes them, this holds them."""

from __future__ import annotations

import runpy
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from idp import language

ROOT = Path(__file__).resolve().parents[2]
MESSAGES: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "generate_messages.py"))
TEMPLATE: Catalog = MESSAGES["extracted"]()


def test_the_list_of_sentences_is_current() -> None:
    """Issue 5, part 6: the committed list is what `make messages` would write, so that no sentence is missing from it."""
    assert MESSAGES["TEMPLATE"].read_text("utf-8") == MESSAGES["written"](TEMPLATE), "run: make messages"
    assert len(TEMPLATE) > 100


@pytest.mark.parametrize("path", MESSAGES["paths"](), ids=lambda path: path.parts[-3])
def test_a_catalogue_is_complete(path: Path) -> None:
    """Issue 5, part 6: no sentence is missing, fuzzy, untranslated, obsolete, or has other placeholders than its source."""
    catalogue = MESSAGES["read"](path)
    assert MESSAGES["problems"](TEMPLATE, catalogue) == [], "run: make messages, then translate (docs/languages.md)"
    assert path.read_text("utf-8") == MESSAGES["written"](catalogue), "run: make messages"


def test_english_and_german_are_there() -> None:
    """Issue 5, part 6: English is the source, German has a catalogue; no compiled one is kept beside it."""
    assert language.AVAILABLE[0] == "en"
    assert "de" in language.AVAILABLE
    assert list((ROOT / "idp").rglob("*.mo")) == []
    assert language.load("de").catalogue.gettext("Sign in") == "Anmelden"
    with pytest.raises(LookupError):
        language.load("../de")


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("", "missing"),
        ('msgid "Hello %(name)s"\nmsgstr ""', "not translated"),
        ('#, fuzzy\nmsgid "Hello %(name)s"\nmsgstr "Hallo %(name)s"', "fuzzy"),
        ('msgid "Hello %(name)s"\nmsgstr "Hallo %(nam)s"', "other placeholders"),
        ('msgid "Hello %(name)s"\nmsgstr "Hallo"', "other placeholders"),
        ('msgid "Hello %(name)s"\nmsgstr "Hallo %(name)s"\n\nmsgid "Bye"\nmsgstr "Ade"', "obsolete"),
        ('msgid "Hello %(name)s"\nmsgstr "Hallo %(name)s"\n\n#~ msgid "Bye"\n#~ msgstr "Ade"', "obsolete"),
        ('msgid "Hello %(name)s"\nmsgstr "Hallo %(name)s"', None),
    ],
)
def test_control_a_fault_is_seen(entry: str, complaint: str | None) -> None:
    """Issue 5, negative control: each kind of fault is reported, and a good catalogue is not."""
    template = Catalog(fuzzy=False)
    template.add("Hello %(name)s")
    catalogue = read_po(BytesIO(f'msgid ""\nmsgstr ""\n"Language: de\\n"\n\n{entry}\n'.encode()), locale="de")
    found = MESSAGES["problems"](template, catalogue)
    assert [line.partition(":")[0] for line in found] == ([] if complaint is None else [complaint])
