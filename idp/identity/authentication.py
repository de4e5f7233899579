"""Signing in with a password: count, verify, then one transaction for everything that follows.

The answer to a wrong password, an unknown or disabled account and a locked one is the same :class:`Refused`, after the same
work (security rule 7; ASVS 6.3.8), and the right password of the last two is not told from a wrong one, by time either. The
hash is computed outside of any transaction; a sign-in is two durable commits.
Must not know pages, cookies or protocols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from idp import audit, opaque
from idp.identity import lifecycle, lockout, unlocking
from idp.identity.accounts import fold, is_username
from idp.store.tenant import users

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.audit import Spool
    from idp.identity.passwords import Hasher
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

Reason = Literal["wrong_password", "unknown_account", "disabled_account", "account_locked", "source_locked"]
METHODS = ("pwd",)  # RFC 8176 §2


class SignInServices(Protocol):
    """What of the process a sign-in needs."""

    @property
    def hasher(self) -> Hasher:
        """The one password hasher."""

    @property
    def spool(self) -> Spool:
        """Where failures are recorded; they change no row."""


class SignInServer(Protocol):
    """The tenant that is signed in to."""

    @property
    def tenant(self) -> Tenant:
        """The tenant with its limits."""

    @property
    def database(self) -> Database:
        """The tenant's database."""

    @property
    def services(self) -> SignInServices:
        """The process's services."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody sent and from where; ``source`` is the proven client address."""

    username: str
    password: str
    source: str
    correlation_id: str
    client_id: str | None = None

    def __repr__(self) -> str:
        """Show nothing that was typed."""
        return f"Attempt(source={self.source!r}, correlation_id={self.correlation_id!r})"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The password was right: the user's row and the session that ``and_then`` made."""

    user: Row[Any]
    session_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """No sign-in. ``reason`` is for the audit trail and tests; the person is told the same whatever it is."""

    reason: Reason


class _Changed(Exception):
    """The account was disabled, deleted or given another password while the hash was computed."""


def sign_in(
    server: SignInServer, attempt: Attempt, and_then: Callable[[Connection, Row[Any]], str | None]
) -> SignedIn | Refused:
    """Judge an attempt; on success ``and_then(conn, user)`` runs in the same transaction and returns a session's id.

    Raises :class:`~idp.errors.Unavailable` when too many passwords are waiting; the attempt is then not counted.
    """
    key = fold(attempt.username)
    who = lockout.subjects(key, attempt.source)
    database, services = server.database, server.services
    settings = server.tenant.settings

    def counted(conn: Connection) -> lockout.Verdict:
        return lockout.count(conn, who, settings)

    with database.reading() as conn:
        is_over = lockout.source_is_over(conn, who, settings)
    if is_over:
        # Before hashing: the quick answer says nothing of any account, and a flood must not occupy the hasher.
        return _source_locked(server, attempt, database.writing(counted))
    begun: list[tuple[lockout.Verdict, Row[Any] | None]] = []

    def stored_hash() -> str | None:
        verdict, found = database.writing(counted), _find(database, key)
        begun.append((verdict, found))
        # What is refused whatever the password is not judged: a right one that is due for another hash would take longer.
        is_judged = found is not None and not verdict.is_locked and lifecycle.of(found.state).signs_in
        return found.password_hash if found is not None and is_judged else None

    is_right, new_hash = services.hasher.verify(stored_hash, attempt.password)
    verdict, user = begun[0]
    if verdict.source_is_locked:
        return _source_locked(server, attempt, verdict)
    if verdict.account_is_locked and verdict.begins:
        unlocking.offer(database, user.id if user is not None else None, attempt.source, attempt.correlation_id)
    reason = _reason(user, is_right, verdict)
    if user is None or reason is not None:
        return _refuse(server, attempt, reason or "unknown_account", user)

    def work(conn: Connection) -> SignedIn:
        # Locked against a disabling that is under way: it either comes first and is seen, or ends the new session.
        current = users.find_locked(conn, user.id)
        if current is None or not lifecycle.of(current.state).signs_in or current.password_hash != user.password_hash:
            raise _Changed
        lockout.succeeded(conn, who)
        if new_hash is not None:
            users.replace_password_hash(conn, user.id, user.password_hash, new_hash)
        session_id = and_then(conn, current)
        _record_success(conn, attempt, user.id, session_id)
        return SignedIn(current, session_id)

    try:
        return database.writing(work)
    except _Changed:
        return _refuse(server, attempt, "wrong_password", user)


def _source_locked(server: SignInServer, attempt: Attempt, verdict: lockout.Verdict) -> Refused:
    if verdict.begins:
        _failed(server, attempt, "source_locked", None)
    return Refused("source_locked")


def _find(database: Database, key: str) -> Row[Any] | None:
    if not is_username(key):  # never stored, and PostgreSQL refuses some of it
        return None
    with database.reading() as conn:
        return users.find_by_username(conn, key)


def _reason(user: Row[Any] | None, is_right: bool, verdict: lockout.Verdict) -> Reason | None:  # noqa: FBT001
    if verdict.is_locked:
        return "account_locked"
    if user is None:
        return "unknown_account"
    if not lifecycle.of(user.state).signs_in:
        return "disabled_account"
    return None if is_right else "wrong_password"


def _refuse(server: SignInServer, attempt: Attempt, reason: Reason, user: Row[Any] | None) -> Refused:
    _failed(server, attempt, reason, user.id if user is not None else None)
    return Refused(reason)


def _failed(server: SignInServer, attempt: Attempt, reason: Reason, user_id: str | None) -> None:
    server.services.spool.audit(
        server.tenant.id,
        "login.failed",
        outcome="failure",
        actor=None,
        client_id=attempt.client_id,
        subject=user_id,
        source=attempt.source,
        correlation_id=attempt.correlation_id,
        # Hashed: people type their password into the field of the name.
        details={"reason": reason, "username_digest": opaque.digest(fold(attempt.username))[:8]},
    )


def _record_success(conn: Connection, attempt: Attempt, user_id: str, session_id: str | None) -> None:
    audit.record(
        conn,
        "login.succeeded",
        outcome="success",
        actor=user_id,
        client_id=attempt.client_id,
        subject=user_id,
        session_id=session_id,
        source=attempt.source,
        correlation_id=attempt.correlation_id,
        details={"amr": list(METHODS)},
    )
