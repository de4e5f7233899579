"""The languages that a tenant offers, with its own texts in them, and which of them a request is answered in (RFC 4647 §3.4).

Which wishes there are and which comes first is for whoever answers to say; every wish is hostile input.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from idp import language
from idp.errors import StorageUnavailable
from idp.language import DEFAULT, Language, Overridden
from idp.store.tenant import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from idp.store.db import Database
    from idp.tenancy.settings import TenantSettings

LONGEST_HEADER = 1000  # characters of Accept-Language that are read
MOST_RANGES = 32
LONGEST_TAG = 35  # RFC 5646 §4.4.1
_RANGE = re.compile(r"(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?\s*")
_TAG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")


class TenantLanguages:
    """The languages of one tenant at one revision; its texts are read when a sentence is first asked for."""

    def __init__(self, settings: TenantSettings, database: Database) -> None:
        """Keep what is offered; a language that this release does not have is left out."""
        self.offered = tuple(tag for tag in settings.languages if tag in language.AVAILABLE) or (DEFAULT,)
        self.default = settings.default_language if settings.default_language in self.offered else self.offered[0]
        self._database = database
        self._texts: dict[str, dict[tuple[str, int], str]] | None = None
        self._made: dict[str, Language] = {}

    def of(self, tag: str) -> Language:
        """Return one of the offered languages."""
        found = self._made.get(tag)
        if found is None:
            plain = language.load(tag)
            found = replace(plain, catalogue=Overridden(plain.catalogue, lambda: self._texts_in(tag)))
            self._made[tag] = found
        return found

    def _texts_in(self, tag: str) -> Mapping[tuple[str, int], str]:
        if self._texts is None:
            try:
                with self._database.reading() as conn:
                    rows = texts.list_all(conn)
            except StorageUnavailable:  # the page that says so is written all the same
                return {}
            found: dict[str, dict[tuple[str, int], str]] = {}
            for row in rows:
                found.setdefault(row.language, {})[row.sentence, row.form] = row.text
            self._texts = found
        return self._texts.get(tag, {})


def best(offered: Sequence[str], wishes: Iterable[str], accepted: str | None, default: str) -> str:
    """Return the offered language for the first wish that can be met, for the header ``Accept-Language`` otherwise, or the default."""
    for wish in wishes:
        found = lookup(wish, offered)
        if found is not None:
            return found
    return _of_header(accepted[: LONGEST_HEADER + 1], tuple(offered), default) if accepted else default


def lookup(wish: str, offered: Sequence[str]) -> str | None:
    """Return the offered language that a language range finds (RFC 4647 §3.4): ``de-AT`` finds ``de``."""
    if len(wish) > LONGEST_TAG or not _TAG.fullmatch(wish):
        return None
    parts = wish.lower().split("-")
    by_lower = {tag.lower(): tag for tag in offered}
    while parts:
        found = by_lower.get("-".join(parts))
        if found is not None:
            return found
        parts.pop()
        if parts and len(parts[-1]) == 1:  # a single letter only introduces what was taken away
            parts.pop()
    return None


@lru_cache(maxsize=1024)
def _of_header(header: str, offered: tuple[str, ...], default: str) -> str:
    """Return the language of an Accept-Language header (RFC 9110 §12.5.4); a part that is none is passed over."""
    parts = header.split(",")
    if len(header) > LONGEST_HEADER:
        parts.pop()  # it is cut off
    ranges = []
    for part in parts[:MOST_RANGES]:
        found = _RANGE.fullmatch(part.strip())
        if found is not None:
            ranges.append((found[1], float(found[2] or 1)))
    refused = {tag for tag, weight in ranges if not weight}
    acceptable = [tag for tag in offered if not any(tag.lower() == each.lower() for each in refused)]
    for tag, weight in sorted(ranges, key=lambda each: -each[1]):
        if weight and tag == "*":
            break
        chosen = lookup(tag, acceptable) if weight else None
        if chosen is not None:
            return chosen
    return default if default in acceptable or not acceptable else acceptable[0]
