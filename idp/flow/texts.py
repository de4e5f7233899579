"""A tenant's own texts: any sentence of the pages and mails may read otherwise there, in each language.

Owns what such a text may be: text, never HTML; with the placeholders of its sentence; of bounded length. There are no more texts
than the product has sentences.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from idp import audit, language, opaque
from idp.errors import Invalid, NotFound
from idp.language import placeholders
from idp.store.tenant import texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.identity.accounts import By
    from idp.store.db import Database
    from idp.store.rows import Connection
    from idp.tenancy.feed import ChangeFeed

LONGEST = 1000  # characters
# They turn the direction of what follows, beyond the text itself (Unicode TR 9, §2.1 to §2.3).
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Wording:
    """A sentence of the product in one language: the source, and a text for each plural form, the only one in most."""

    source: str
    many: str | None
    forms: tuple[str, ...]


@cache
def sentences(tag: str) -> Mapping[str, Wording]:
    """Return every sentence of the product by its source, in one of the available languages."""
    if tag not in language.AVAILABLE:
        raise Invalid(f"There is no language {tag[:40]}; there are {', '.join(language.AVAILABLE)}.")
    found = {}
    for each in language.read_catalogue(None if tag == language.DEFAULT else tag):
        ids, forms = _parts(each.id), _parts(each.string)
        if ids[0]:  # else it is the head of the catalogue
            many = ids[1] if len(ids) > 1 else None
            found[ids[0]] = Wording(ids[0], many, ids if tag == language.DEFAULT else forms)
    return found


def put(
    database: Database, feed: ChangeFeed, tenant_id: str, tag: str, source: str, text: str, *, by: By, form: int = 0
) -> None:
    """Let a sentence read otherwise; raises :class:`Invalid` for a text that cannot be shown, :class:`NotFound` for no sentence of ours."""
    sentence = _known(tag, source)
    if not 0 <= form < len(sentence.forms):
        raise Invalid(f"This sentence has the plural forms 0 to {len(sentence.forms) - 1} in this language.")
    check(sentence, text)
    row = {"language": tag, "digest": opaque.digest(source), "form": form, "sentence": source, "text": text}

    def work(conn: Connection) -> None:
        texts.put(conn, **row)
        _record(conn, by, "text.set", tag, source)

    with feed.announced(tenant_id, "config"):
        database.writing(work)


def reset(database: Database, feed: ChangeFeed, tenant_id: str, tag: str, source: str | None, *, by: By) -> int:
    """Take the tenant's own text of a sentence back, or of all (None), in a language; returns how many there were."""
    _ = sentences(tag)  # a language there is; the sentence may be one of an earlier release

    def work(conn: Connection) -> int:
        count = texts.remove(conn, tag, None if source is None else opaque.digest(source))
        if count:
            _record(conn, by, "text.reset", tag, source or "")
        return count

    with feed.announced(tenant_id, "config"):
        return database.writing(work)


def check(sentence: Wording, text: str) -> None:
    """Refuse a text that cannot stand for a sentence; raises :class:`Invalid`."""
    if not text.strip() or len(text) > LONGEST:
        raise Invalid(f"A text has 1 to {LONGEST} characters.")
    kinds = [unicodedata.category(each) for each in text]
    if not _UNSEEN.isdisjoint(kinds) or not _TURNING.isdisjoint(text):
        raise Invalid("A text has no control characters, and is one line.")
    if all(kind[0] in "CZM" for kind in kinds):
        raise Invalid("A text has something to be seen in it.")
    wanted = placeholders(sentence.source) | placeholders(sentence.many or "")
    if placeholders(text) != wanted:
        names = ", ".join(f"%({name})s" for name in sorted(wanted)) or "none"
        raise Invalid(f"The text must have the placeholders of the sentence, and no others: {names}.")


def _parts(text: Any) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, (tuple, list)) else (text or "",)


def _known(tag: str, source: str) -> Wording:
    found = sentences(tag).get(source)
    if found is None:
        raise NotFound(
            "There is no such sentence; `idp text list TENANT --language LANGUAGE --all` shows those there are."
        )
    return found


def _record(conn: Connection, by: By, kind: str, tag: str, source: str) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=by.actor,
        source=by.source,
        correlation_id=by.correlation_id,
        details={"language": tag, "sentence": source[:200]},
    )
