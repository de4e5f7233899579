"""What a new password must not be: one that is tried first, or the person's own name (NIST SP 800-63B-4 §3.1.1.2).

A blocklist, and no rule about kinds of characters. Also refused is a listed word with digits or signs around it, with signs in
place of letters, or said several times. Length is judged before, by :mod:`idp.identity.passwords`. Must not know accounts.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from idp.identity import word_lists
from idp.language import gettext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PRODUCT = "AuthSec"
SHORTEST_NAME = 3  # characters of a part of a name that counts
MOST_PARTS = 500  # that are looked for: nobody's names have more, and a profile can be stuffed with words
EASY_TAIL = 8  # so many digits and signs around a listed word add too little
SHORT_PIECE = 4  # a piece of so few characters may not be all there is
_OWN_NAMES = ("name", "given_name", "middle_name", "family_name", "nickname", "preferred_username")
_PARTS = re.compile(r"([\W\d_]*)(.*?)([\W\d_]*)", re.DOTALL)  # what stands around the letters
_AS_LETTERS = str.maketrans("@4831!05$7+", "aabeiiosstt")
_ACCENTS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)  # beside those that NFKD parts
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


def names_of(
    tenant_name: str, username: str | None, email: str | None, claims: Mapping[str, Any]
) -> tuple[str | None, ...]:
    """Return the names that a person's password may not consist of: the account's, the person's own, the tenant's, the product's."""
    own = [claims.get(name) for name in _OWN_NAMES]
    return (username, email, tenant_name, PRODUCT, *(name for name in own if isinstance(name, str)))


def problems(password: str, names: Iterable[str | None]) -> list[str]:
    """Return a sentence for each of these rules that a password breaks; empty when it may be used."""
    if is_mostly(password, names):
        return [
            gettext(
                "The new password must not be made up mostly of your name, your email address or the name of the organisation"
            )
        ]
    if word_lists.elsewhere(lambda: is_common(password)):
        return [
            gettext("The new password is one of those that are tried first; choose one that nobody else would think of")
        ]
    return []


def is_common(password: str) -> bool:
    """Say whether a password is on the lists of those that are tried first, or next to one that is."""
    plain = _folded(password)
    return any(_is_next_to_listed(text) for text in {plain, "".join(plain.split())} if text)


def is_mostly(password: str, names: Iterable[str | None]) -> bool:
    """Say whether names make up more than half of a password's letters and digits, accents and signs for letters aside."""
    words, plain = parts_of(names), _folded(password)
    return any(_is_covered(_bare(text), words) for text in (plain, plain.translate(_AS_LETTERS)))


def parts_of(names: Iterable[str | None]) -> set[str]:
    """Return names as they may stand in a password: whole, without an address's domain, and their single words; with accents and without."""
    found = set()
    for name in names:
        plain = _folded(name or "")
        local = plain.rpartition("@")[0] or plain
        for part in (plain, local, *re.split(r"[\W_]+", local)):
            found |= {_letters(part), _bare(part), _bare(part.translate(_SPELT_OUT))}
            if len(found) >= MOST_PARTS:
                break
    return {part for part in found if len(part) >= SHORTEST_NAME}


def _is_covered(text: str, words: Iterable[str]) -> bool:
    covered = bytearray(len(text))
    for word in words:
        at = text.find(word)
        while at >= 0:
            covered[at : at + len(word)] = b"\x01" * len(word)
            at = text.find(word, at + 1)
    return sum(covered) * 2 > len(text)


def _is_next_to_listed(text: str) -> bool:
    if _is_listed(text) or _is_listed(text.translate(_AS_LETTERS)):
        return True
    match = _PARTS.fullmatch(text)
    head, core, tail = match.groups() if match is not None else ("", "", "")
    if not core or not all(len(around) <= EASY_TAIL or _is_listed(around) for around in (head, tail)):
        return False
    return _is_listed(core) or _is_listed(core.translate(_AS_LETTERS))


def _is_listed(text: str) -> bool:
    """Say whether a text is a listed word, that word over and over, or a very short piece over and over."""
    period = _period(text)
    return text[:period] in word_lists.ranks() or (period <= SHORT_PIECE and len(text) >= EASY_TAIL)


def _period(text: str) -> int:
    """Return the length of the shortest piece that gives the text when it is repeated; the last time it may be cut off."""
    return next((size for size in range(1, len(text)) if text.startswith(text[size:])), len(text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _letters(text: str) -> str:
    return "".join(char for char in _folded(text) if char.isalnum())


def _bare(text: str) -> str:
    """Return the letters and digits of a text without accents, which whoever types a name in a hurry leaves out."""
    parted = unicodedata.normalize("NFKD", _folded(text).translate(_ACCENTS))
    # Put together again, so that a syllable of Hangul stays one letter.
    return unicodedata.normalize("NFC", "".join(char for char in parted if char.isalnum()))
