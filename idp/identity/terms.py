"""A tenant's terms: which version is in force, where it can be read, and who has accepted it.

One version is in force at a time; a new one asks everybody again. A version's text is a page of the tenant's own, by language.
Must not know pages or steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp import audit
from idp.errors import Invalid
from idp.identity.standard_claims import is_language_tag
from idp.store.tenant import terms as table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.identity.accounts import By
    from idp.store.rows import Connection, Row

LONGEST_URL = 500
EVERY = ""  # the language of an address that serves all others
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """The version in force."""

    version: str
    urls: Mapping[str, str] = field(hash=False)

    def url_for(self, language: str) -> str:
        """Return the address of the text in a language, or in the one that comes nearest."""
        by_tag = {tag.lower(): url for tag, url in self.urls.items()}
        parts = language.lower().split("-")
        wanted = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
        return next((by_tag[tag] for tag in (*wanted, EVERY, "en") if tag in by_tag), next(iter(self.urls.values())))


def in_force(conn: Connection) -> Terms | None:
    """Return the version in force, or None where a tenant has no terms."""
    row = table.in_force(conn)
    return None if row is None else Terms(row.version, row.urls)


def put_in_force(conn: Connection, version: str, urls: Mapping[str, str], by: By) -> None:
    """Put a version into force, or give the one that is new addresses; raises :class:`Invalid`."""
    if not _VERSION.fullmatch(version):
        raise Invalid("A version is up to 64 letters, digits and . _ - such as 2026-03.")
    if not urls:
        raise Invalid("Terms need the address where they can be read.")
    for language, url in urls.items():
        if language != EVERY and not is_language_tag(language):
            raise Invalid("The language of terms is a tag such as de or pt-BR.")
        if not _is_address(url):
            raise Invalid("The address of terms is an https:// address without spaces.")
    table.put_in_force(conn, version, urls)
    _record(conn, "terms.put_in_force", by.actor, {"version": version}, by.source, by.correlation_id)


def end(conn: Connection, by: By) -> bool:
    """Put no terms into force; False when none were."""
    if not table.end(conn):
        return False
    _record(conn, "terms.ended", by.actor, {}, by.source, by.correlation_id)
    return True


def accept(conn: Connection, user_id: str, version: str, *, source: str, correlation_id: str) -> None:
    """Note that a user accepts a version, with its event, in the caller's transaction."""
    if table.accept(conn, user_id, version, audit.clean(source)):
        _record(conn, "terms.accepted", user_id, {"version": version}, source, correlation_id, user_id)


def has_accepted(conn: Connection, user_id: str, version: str) -> bool:
    """Say whether a user has accepted a version."""
    return table.has_accepted(conn, user_id, version)


def accepted(conn: Connection, user_id: str) -> Sequence[Row[Any]]:
    """Return what a user has accepted (``version``, ``accepted_at``, ``source``), the latest first."""
    return table.acceptances_of(conn, user_id)


def _is_address(url: str) -> bool:
    if len(url) > LONGEST_URL or not url.isprintable() or any(each in url for each in " \"'<>\\"):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _record(
    conn: Connection,
    kind: str,
    actor: str,
    details: Mapping[str, Any],
    source: str | None,
    correlation_id: str | None,
    subject: str | None = None,
) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=actor,
        subject=subject,
        source=source,
        correlation_id=correlation_id,
        details=details,
    )
