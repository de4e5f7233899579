"""Values of a profile's attributes: whether one may be stored, and what is wrong with it in words.

Each takes time in proportion to the text's length, whatever it is. Must not know forms or who asks.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import TYPE_CHECKING, Any

from email_validator import EmailNotValidError, validate_email

from idp.identity import postal_address, standard_claims
from idp.language import N_, gettext

if TYPE_CHECKING:
    from idp.identity.profile_schema import Attribute

Problem = tuple[str, dict[str, Any]]  # a sentence, and what is to be filled in but for the label

_MISSING = N_("Fill in “%(label)s”")
_UNCHECKED = N_("“%(label)s” must be ticked")
_TOO_LONG = N_("“%(label)s” can have at most %(most)s characters")
_WORDS = {
    "text": N_("“%(label)s” has characters that cannot be used"),
    "number": N_("“%(label)s” must be a number such as 42"),
    "boolean": N_("“%(label)s” must be yes or no"),
    "date": N_("“%(label)s” must be a date such as 1985-12-10"),
    "choice": N_("Choose one of the values of “%(label)s”"),
    "email": N_("“%(label)s” must be an email address such as ada@example.org"),
    "url": N_("“%(label)s” must be an address such as https://example.org"),
    "phone": N_("“%(label)s” must be a telephone number such as +49 30 1234567"),
    "letters": N_("“%(label)s” can have only letters"),
    "digits": N_("“%(label)s” can have only digits"),
    "letters_digits": N_("“%(label)s” can have only letters and digits"),
    "identifier": N_("“%(label)s” can have only letters from a to z, digits and . _ -"),
    "postal_code": N_("“%(label)s” must be a postal code"),
    "zoneinfo": N_("“%(label)s” must be a time zone such as Europe/Berlin"),
    "address": N_("“%(label)s” must be an address with its parts"),
    "country": N_("“%(label)s” must be a country of two letters such as DE"),
    "language": N_("“%(label)s” must be a language such as en-GB"),
    "minimum": N_("“%(label)s” must be at least %(least)s"),
    "maximum": N_("“%(label)s” must be at most %(most)s"),
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
# Each takes time in proportion to the text's length; nobody but us writes one.
_PATTERNS = {
    "digits": re.compile(r"[0-9]+", re.ASCII),
    "identifier": re.compile(r"[A-Za-z0-9._-]+", re.ASCII),
    "postal_code": re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{1,11}", re.ASCII),
    "country": re.compile(r"[A-Z]{2}", re.ASCII),
}


def judge(attribute: Attribute, value: Any, *, is_required: bool | None = None) -> tuple[Any, dict[str, Problem]]:
    """Return (the value to store, what is wrong with it).

    What is wrong is under an empty name, of an address under those of its parts, such as ``-locality``.
    """
    required = attribute.required if is_required is None else is_required
    if attribute.type == "address" and isinstance(value, dict):
        return _address(value, is_required=required)
    found, problem = _one(attribute, value, is_required=required)
    return found, {} if problem is None else {"": problem}


def is_date(value: str) -> bool:
    """Say whether a text is a day of the calendar, as 1985-12-10."""
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _address(value: dict[str, Any], *, is_required: bool) -> tuple[dict[str, str] | None, dict[str, Problem]]:
    first = postal_address.PARTS[0]
    if not value.keys() <= {part.name for part in postal_address.PARTS}:
        return None, {f"-{first.name}": (_WORDS["address"], {})}
    texts = {name: unicodedata.normalize("NFC", text) for name, text in postal_address.shown(value).items() if text}
    if not texts:
        return None, {f"-{first.name}": (_MISSING, {})} if is_required else {}
    problems = {}
    for part in postal_address.PARTS:
        if part.name in texts and not standard_claims.is_text(texts[part.name], lines=part.has_lines):
            words = _TOO_LONG if len(texts[part.name]) > standard_claims.LONGEST else _WORDS["text"]
            problems[f"-{part.name}"] = (words, {"label": gettext(part.label), "most": standard_claims.LONGEST})
    return None if problems else texts, problems


def _one(attribute: Attribute, value: Any, *, is_required: bool) -> tuple[Any, Problem | None]:
    if attribute.type == "boolean":
        if value is None or isinstance(value, bool):
            # A box that must be ticked is what a required yes or no means.
            return (value, None) if value or not is_required else (None, (_UNCHECKED, {}))
        return None, (_WORDS["boolean"], {})
    if isinstance(value, str):
        value = unicodedata.normalize("NFC", value[: 4 * standard_claims.LONGEST]).strip()
    if value is None or value == "":
        return None, (_MISSING, {}) if is_required else None
    if attribute.type == "number":
        return _number(attribute, value)
    if attribute.type == "address" or not isinstance(value, str):
        return None, (_WORDS[attribute.type], {})
    if len(value) > attribute.max_length:
        return None, (_TOO_LONG, {"most": attribute.max_length})
    return _text(attribute, value)


def _number(attribute: Attribute, value: Any) -> tuple[Any, Problem | None]:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None, (_WORDS["number"], {})
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 10**15:
        return None, (_WORDS["number"], {})
    if attribute.minimum is not None and value < attribute.minimum:
        return None, (_WORDS["minimum"], {"least": attribute.minimum})
    if attribute.maximum is not None and value > attribute.maximum:
        return None, (_WORDS["maximum"], {"most": attribute.maximum})
    return value, None


def _text(attribute: Attribute, value: str) -> tuple[Any, Problem | None]:
    kind = attribute.type
    if kind == "email":
        try:
            value = validate_email(value, check_deliverability=False, test_environment=True).normalized
        except EmailNotValidError:
            return None, (_WORDS["email"], {})
    is_right = {
        "text": lambda: standard_claims.is_text(value),
        "email": lambda: standard_claims.is_text(value),
        "date": lambda: is_date(value),
        "choice": lambda: any(value == each.value for each in attribute.values),
        "url": lambda: standard_claims.fits("website", value),
        "phone": lambda: standard_claims.fits("phone_number", value),
    }[kind]()
    if not is_right:
        return None, (_WORDS[kind], {})
    if attribute.pattern is not None and not _matches(attribute.pattern, value):
        return None, (_WORDS[attribute.pattern], {})
    if attribute.is_standard and not standard_claims.fits(attribute.name, value):
        return None, (_WORDS[{"locale": "language", "zoneinfo": "zoneinfo"}.get(attribute.name, kind)], {})
    return value, None


def _matches(pattern: str, value: str) -> bool:
    if pattern == "letters":
        return all(char.isalpha() or unicodedata.category(char) == "Mn" for char in value)
    if pattern == "letters_digits":
        return all(char.isalnum() or unicodedata.category(char) == "Mn" for char in value)
    if pattern == "language":
        return standard_claims.fits("locale", value)
    return _PATTERNS[pattern].fullmatch(value) is not None
