"""The language that a page or a mail is written in: what the sentence at hand is in it, and how dates and numbers are written.

English is the language of the source; a sentence in it is the key of its translations, which lie in ``idp/locale`` as text and are
read on first use. Which language is current is a context variable, set once for a request or a mail. Must not know requests,
tenants or pages.
"""

from __future__ import annotations

import gettext as catalogues
import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import tzinfo

    from babel import Locale
    from babel.messages.catalog import Catalog

DEFAULT = "en"
FOLDER = Path(__file__).resolve().parent / "locale"
DOMAIN = "idp"
# English, and every language that has a catalogue.
AVAILABLE: tuple[str, ...] = (DEFAULT, *sorted(found.parts[-3] for found in FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po")))
# The source is British English; its dates (29 November 2026, 07:03) are read alike everywhere.
_LOCALES = {DEFAULT: "en-GB"}
_UNITS: tuple[tuple[Literal["day", "hour", "minute", "second"], int], ...] = (
    ("day", 86_400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)
_PLACEHOLDER = re.compile(r"%(?:%|\(([A-Za-z_]\w*)\)s)")


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its BCP 47 tag, its sentences, which way it is written and what its speakers call it."""

    tag: str = DEFAULT
    catalogue: catalogues.NullTranslations = field(default_factory=catalogues.NullTranslations, compare=False)
    direction: str = "ltr"
    name: str = "English"


_current: ContextVar[Language] = ContextVar("language", default=Language())  # noqa: B039 - frozen, never changed


class Sentence(str):
    """A sentence with what is filled in: to a program the English text, to a person what :func:`translated` makes of it."""

    __slots__ = ("many", "number", "source", "values")

    source: str
    many: str | None
    number: int
    values: Mapping[str, Any]

    def __new__(cls, source: str, values: Mapping[str, Any], many: str | None = None, number: int = 1) -> Self:
        """Fill in the English text and keep its parts."""
        english = source if many is None or number == 1 else many
        made = super().__new__(cls, filled(english, {name: _english(value) for name, value in values.items()}))
        made.source, made.many, made.number, made.values = source, many, number, values
        return made


class Overridden(catalogues.NullTranslations):
    """A catalogue in which some sentences have other texts; ``texts`` returns them by sentence and plural form."""

    def __init__(self, base: catalogues.NullTranslations, texts: Callable[[], Mapping[tuple[str, int], str]]) -> None:
        """Keep both; the texts are asked for when a sentence is."""
        super().__init__()
        self._base, self._texts = base, texts

    def gettext(self, message: str) -> str:
        """Return the other text, or the catalogue's."""
        return self._texts().get((message, 0)) or self._base.gettext(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the other text of the number's form, or the catalogue's."""
        form = getattr(self._base, "plural", _english_form)(n)
        return self._texts().get((msgid1, form)) or self._base.ngettext(msgid1, msgid2, n)


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


@cache
def load(tag: str) -> Language:
    """Return one of the available languages; its catalogue is read once. Raises LookupError for any other."""
    if tag not in AVAILABLE:
        raise LookupError(tag)
    locale = _locale(tag)
    name = locale.get_language_name(tag) or tag
    catalogue = catalogues.NullTranslations() if tag == DEFAULT else _compiled(read_catalogue(tag))
    return Language(tag, catalogue, locale.text_direction, name[:1].upper() + name[1:])


@cache
def read_catalogue(tag: str | None) -> Catalog:
    """Return the catalogue of a language as it was written; of none the list of all sentences."""
    from babel.messages.pofile import read_po

    path = FOLDER / f"{DOMAIN}.pot" if tag is None else FOLDER / tag / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        return read_po(file, locale=None if tag is None else tag.replace("-", "_"), domain=DOMAIN)


def gettext(sentence: str) -> str:
    """Return a sentence in the current language; placeholders stay as they are."""
    return _current.get().catalogue.gettext(sentence) if sentence else sentence


def ngettext(one: str, many: str, number: int) -> str:
    """Return the sentence for a number in the current language."""
    return _current.get().catalogue.ngettext(one, many, number)


def translated(sentence: str) -> str:
    """Return a marked sentence in the current language, filled in; any other text stays what it is."""
    if not isinstance(sentence, Sentence):
        return gettext(sentence)
    found = (
        gettext(sentence.source) if sentence.many is None else ngettext(sentence.source, sentence.many, sentence.number)
    )
    return filled(found, {name: _shown(value) for name, value in sentence.values.items()})


def N_(sentence: str, **values: Any) -> str:  # noqa: N802 - the name that message extractors know
    """Mark a constant as a sentence that is translated where it is shown, with what is filled in for its placeholders.

    A value is filled in as it is; a marked sentence is translated, and the parts of a tuple are, and listed; a number with a fraction is
    written as the language does. To whoever does not translate it (a program's answer, a log) the sentence is its English text.
    """
    return Sentence(sentence, values) if values else sentence


def NN_(one: str, many: str, number: int, **values: Any) -> str:  # noqa: N802 - like N_
    """Mark a sentence that depends on a number, which is ``num`` in it."""
    return Sentence(one, {"num": number, **values}, many, number)


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Fill in ``%(name)s``; what has no value stays, as does any other per cent sign."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        return str(values[name]) if name in values else found[0]

    return _PLACEHOLDER.sub(value, text)


def placeholders(text: str) -> frozenset[str]:
    """Return the names of a text's placeholders."""
    return frozenset(name for name in _PLACEHOLDER.findall(text) if name)


def format_datetime(moment: int, tz: tzinfo = UTC) -> str:
    """Return a moment (seconds since the epoch) as a date and a time to the minute, with the time zone's name."""
    from babel import dates

    locale = _locale(_current.get().tag)
    at = datetime.fromtimestamp(moment, tz)
    time = dates.format_time(at, f"{locale.time_formats['short'].pattern} z", tzinfo=tz, locale=locale)
    date = dates.format_date(at, "long", locale=locale)
    return str(dates.get_datetime_format("long", locale)).replace("'", "").format(time, date)


def format_date(moment: int, tz: tzinfo = UTC) -> str:
    """Return the day of a moment."""
    from babel import dates

    return dates.format_date(datetime.fromtimestamp(moment, tz), "long", locale=_locale(_current.get().tag))


def format_duration(seconds: int) -> str:
    """Return how long something lasts, in the largest unit that says it exactly: 1 day, 90 minutes, 7 days."""
    from babel import dates

    unit, _ = next(each for each in _UNITS if seconds % each[1] == 0)
    return dates.format_timedelta(
        timedelta(seconds=seconds),
        granularity=unit,
        threshold=float("inf"),  # Babel would round up to a larger unit
        locale=_locale(_current.get().tag),
    )


def format_number(number: float) -> str:
    """Return a number as the current language writes it."""
    from babel import numbers

    return numbers.format_decimal(number, locale=_locale(_current.get().tag))


def format_list(parts: Iterable[str]) -> str:
    """Return words as a sentence lists them."""
    from babel.lists import format_list as listed

    return listed(list(parts), locale=_locale(_current.get().tag))


@lru_cache(maxsize=64)
def _locale(tag: str) -> Locale:
    """Return what Babel knows of a language, of English where it knows none."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(_LOCALES.get(tag, tag), sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(_LOCALES[DEFAULT], sep="-")


def _compiled(catalogue: Catalog) -> catalogues.GNUTranslations:
    from io import BytesIO

    from babel.messages.mofile import write_mo

    compiled = BytesIO()
    write_mo(compiled, catalogue)  # without what is fuzzy or not translated yet: English stands in
    compiled.seek(0)
    return catalogues.GNUTranslations(compiled)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return format_list(translated(part) for part in value)
    if isinstance(value, float):
        return format_number(value)
    return translated(value) if isinstance(value, Sentence) else str(value)


def _english(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return str(value[0]) if len(value) == 1 else f"{', '.join(value[:-1])} and {value[-1]}"


def _english_form(number: int) -> int:
    return int(number != 1)
