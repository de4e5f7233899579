"""A person's former passwords, where a tenant insists that a new one is none of them (setting ``password_history``).

NIST SP 800-63B-4 asks for nothing of the kind, so the default keeps nothing. The present password counts as the first of the
latest: with a history of one only it is refused. Each comparison is a turn of the one hasher. Must not know pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.errors import Invalid
from idp.language import gettext
from idp.store.tenant import password_history

if TYPE_CHECKING:
    from idp.identity.passwords import Hasher
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.settings import TenantSettings


def check(database: Database, hasher: Hasher, settings: TenantSettings, user: Row[Any], password: str) -> None:
    """Raise :class:`Invalid` when a password is one of the person's latest; hashes at most as many times as those are."""
    if not settings.password_history:
        return
    with database.reading() as conn:
        former = password_history.latest(conn, user.id, settings.password_history - 1)
    for stored in (user.password_hash, *former):
        if stored is not None and hasher.verify(stored, password)[0]:
            sentence = gettext("The new password is one that you have had before")
            raise Invalid(f"{sentence}.", errors={"password": sentence})


def keep(conn: Connection, settings: TenantSettings, user: Row[Any]) -> None:
    """Keep the hash that is about to be replaced, and no more of them than the tenant asks for."""
    kept = max(0, settings.password_history - 1)
    if kept and user.password_hash is not None:
        password_history.create(conn, user.id, user.password_hash)
    password_history.trim(conn, user.id, kept)


def delete_of(conn: Connection, user_id: str) -> None:
    """Forget every former password of a user."""
    password_history.trim(conn, user_id, 0)
