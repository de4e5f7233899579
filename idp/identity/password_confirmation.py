"""Asking a signed-in person for the current password once more, counted like a sign-in (NIST SP 800-63B-4 §3.2.2).

Whoever holds a stolen session cannot guess the password here either: the counters, the hasher and its queue are those of the
sign-in, and a wrong password, a locked account and a locked source are answered alike. Must not know pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.identity import lockout

if TYPE_CHECKING:
    from idp.identity.authentication import SignInServer
    from idp.store.rows import Connection, Row


def confirm(
    server: SignInServer, user: Row[Any], password: str, *, source: str, correlation_id: str, session_id: str
) -> bool:
    """Say whether the password is the user's, and may be judged at all. Raises :class:`~idp.errors.Unavailable` when busy."""
    who = lockout.subjects(user.username_key, source)
    database, settings = server.database, server.tenant.settings

    def counted(conn: Connection) -> lockout.Verdict:
        return lockout.count(conn, who, settings)

    with database.reading() as conn:
        is_over = lockout.source_is_over(conn, who, settings)
    if is_over:
        # Before hashing: a flood must not occupy the hasher.
        if database.writing(counted).begins:
            _refused(server, user, "source_locked", source, correlation_id, session_id)
        return False
    verdicts: list[lockout.Verdict] = []

    def stored_hash() -> str | None:
        verdicts.append(database.writing(counted))
        # As at the sign-in: while the account is locked nothing is judged, so that time tells no right password either.
        found: str | None = None if verdicts[0].is_locked else user.password_hash
        return found

    is_right, _ = server.services.hasher.verify(stored_hash, password)
    if verdicts[0].is_locked or not is_right:
        reason = "account_locked" if verdicts[0].is_locked else "wrong_password"
        _refused(server, user, reason, source, correlation_id, session_id)
        return False
    database.writing(lambda conn: lockout.succeeded(conn, who))
    return True


def _refused(
    server: SignInServer, user: Row[Any], reason: str, source: str, correlation_id: str, session_id: str
) -> None:
    server.services.spool.audit(
        server.tenant.id,
        "user.password_refused",
        outcome="failure",
        actor=user.id,
        subject=user.id,
        session_id=session_id,
        source=source,
        correlation_id=correlation_id,
        details={"reason": reason},
    )
