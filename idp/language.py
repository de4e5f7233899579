"""The language that a page or a mail is written in: what the sentence at hand is in it.

English is the language of the source; a sentence in it is the key of its translations. Which language is current is a context
variable, set once for a request or a mail. Must not know requests, tenants or pages.
"""

from __future__ import annotations

import gettext as catalogues
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its BCP 47 tag, its sentences and which way it is written."""

    tag: str = DEFAULT
    catalogue: catalogues.NullTranslations = field(default_factory=catalogues.NullTranslations, compare=False)
    direction: str = "ltr"


_current: ContextVar[Language] = ContextVar("language", default=Language())  # noqa: B039 - frozen, never changed


def current() -> Language:
    """Return the language that is current."""
    return _current.get()


@contextmanager
def spoken(language: Language) -> Iterator[None]:
    """Make a language current for the block."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def gettext(sentence: str) -> str:
    """Return a sentence in the current language; placeholders stay as they are."""
    return _current.get().catalogue.gettext(sentence)


def ngettext(one: str, many: str, number: int) -> str:
    """Return the sentence for a number in the current language."""
    return _current.get().catalogue.ngettext(one, many, number)


def N_(sentence: str) -> str:  # noqa: N802 - the name that message extractors know
    """Mark a constant as a sentence to translate where it is shown; returns it as it is."""
    return sentence
