"""How strong a password is, in words: an estimate of the guesses it takes somebody who has stolen its hash.

Advice, never a rule. Computed on the server when a form is answered; nothing of it is stored. Must not know pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from idp.identity import word_lists
from idp.identity.password_rules import parts_of
from idp.identity.passwords import normalised
from idp.language import N_, gettext

if TYPE_CHECKING:
    from collections.abc import Iterable


class Strength(NamedTuple):
    """A level from 0 to 4, its word, and a sentence that says what it means; in the current language."""

    level: int
    word: str
    sentence: str


# Guesses below which a password is so strong; a thief of the hash makes about ten thousand a second.
_LEVELS: tuple[tuple[float, str, str], ...] = (
    (1e7, N_("very weak"), N_("This password would be guessed within minutes: add words.")),
    (1e9, N_("weak"), N_("This password would be guessed within a day: add words.")),
    (1e12, N_("fair"), N_("This password would hold out for some months: one more word makes it good.")),
    (1e15, N_("good"), N_("This password would hold out for many years.")),
    (float("inf"), N_("strong"), N_("This password is beyond what anybody can guess today.")),
)


def strength(password: str, names: Iterable[str | None] = ()) -> Strength | None:
    """Return how strong a password is for somebody of these names; None for none, or one that no account can have."""
    text = normalised(password)
    if not text:
        return None
    taken = word_lists.elsewhere(lambda: word_lists.guesses(text, sorted(parts_of(names))))
    level = next(number for number, (below, _, _) in enumerate(_LEVELS) if taken < below)
    return Strength(level, gettext(_LEVELS[level][1]), gettext(_LEVELS[level][2]))
