"""What others than the person end: sessions, and what applications were allowed; the account pages end the latter here, too.

What is ended dies at once: sessions with their grants, and so each token at introspection, userinfo and refresh (RFC 6749 §10.3).
Must not know pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.errors import NotFound
from idp.identity import session_end
from idp.identity.accounts import locked, record
from idp.jobs.outbox import announced
from idp.store.tenant import consents, grants, sessions

if TYPE_CHECKING:
    from idp.identity.accounts import By, Require
    from idp.identity.notices import Tell
    from idp.store.db import Database
    from idp.store.rows import Connection

BY_ADMINISTRATOR = "ended_by_administrator"


def end_session(database: Database, user_id: str, session_id: str, *, by: By, require: Require | None = None) -> None:
    """End one session of a user; raises :class:`NotFound`."""

    def work(conn: Connection) -> None:
        locked(conn, user_id, require)
        found = sessions.find_open(conn, session_id)
        if (
            found is None
            or found.user_id != user_id
            or not session_end.end(conn, session_id, user_id, BY_ADMINISTRATOR)
        ):
            raise NotFound
        record(conn, "session.ended", user_id, by, {"reason": BY_ADMINISTRATOR}, session_id)

    with announced(database):
        database.writing(work)


def end_sessions(
    database: Database, user_id: str, *, by: By, tell: Tell | None = None, require: Require | None = None
) -> None:
    """End every session and every grant of a user; raises :class:`NotFound`."""

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        ended = session_end.end_all_of(conn, user_id, BY_ADMINISTRATOR)
        record(conn, "user.sessions_ended", user_id, by, {"sessions_ended": ended})
        if tell is not None and ended:
            tell(conn, user)

    with announced(database):
        database.writing(work)


def withdraw(
    database: Database,
    user_id: str,
    client_id: str,
    reason: str,
    *,
    by: By,
    session_id: str | None = None,
    require: Require | None = None,
) -> None:
    """Take back what a user has allowed a client: the consent and every grant. Raises :class:`NotFound` where there is neither."""
    if not client_id.isprintable():  # PostgreSQL refuses some of it
        raise NotFound

    def work(conn: Connection) -> None:
        locked(conn, user_id, require)
        was_allowed = consents.withdraw(conn, user_id, client_id)
        ended = grants.revoke_of_user(conn, user_id, reason, client_id=client_id)
        if not was_allowed and not ended:
            raise NotFound
        record(conn, "consent.withdrawn", user_id, by, {"grants_ended": ended}, session_id, client_id=client_id)

    database.writing(work)
