"""Two languages that nobody speaks, for tests: each sentence bracketed and lengthened, and one of them written from right to left.

Only what is in the catalogue is bracketed: a sentence that is not marked, or not shown through its translation, stays as it is.
"""

from __future__ import annotations

import gettext
import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from idp import language
from idp.language import Language

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT = re.compile(r"(%\([a-z_]+\)s|%%|</?[a-z]+>)")
_HEBREW = str.maketrans("abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשתאבגד")


@cache
def known() -> frozenset[str]:
    """Every sentence of the product, both forms of those that have two."""
    found = [each.id for each in language.read_catalogue(None) if each.id]
    return frozenset(text for each in found for text in (each if isinstance(each, tuple) else (each,)))


class PseudoCatalogue(gettext.NullTranslations):
    """Brackets the sentences of the product."""

    def __init__(self, *, is_rtl: bool = False) -> None:
        super().__init__()
        self.is_rtl = is_rtl

    def gettext(self, message: str) -> str:
        """The sentence in brackets, two fifths longer."""
        if message not in known():
            return message
        parts = _KEPT.split(message)
        if self.is_rtl:
            parts = [part if number % 2 else part.lower().translate(_HEBREW) for number, part in enumerate(parts)]
        longer = "".join(" ~~~~~" for _ in range(len(message) // 15))
        return f"⟦{''.join(parts)}{longer}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The sentence of the number's form in brackets."""
        return self.gettext(msgid1 if n == 1 else msgid2)


PSEUDO = Language("qps", PseudoCatalogue(), "ltr", "Pseudo")
PSEUDO_RTL = Language("qps-rtl", PseudoCatalogue(is_rtl=True), "rtl", "oduesP")


@contextmanager
def offered() -> Iterator[None]:
    """Let the product have the two languages for the block; a tenant's settings still have to offer them."""
    available, load = language.AVAILABLE, language.load
    ours = {each.tag: each for each in (PSEUDO, PSEUDO_RTL)}
    language.AVAILABLE = (*available, *ours)
    language.load = lambda tag: ours.get(tag) or load(tag)  # type: ignore[assignment]
    try:
        yield
    finally:
        language.AVAILABLE, language.load = available, load


def bare(text: str) -> str:
    """What is left of a text without what was translated (⟦⟧) and what is data (‹›)."""
    while True:
        shorter = re.sub(r"⟦[^⟦⟧]*⟧|‹[^‹›]*›", "", text)
        if shorter == text:
            return text
        text = shorter
