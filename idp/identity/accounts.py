"""Accounts: making, changing, disabling and deleting users, each with what it must end, in one transaction with its event.

A disabled or deleted user's sessions and grants end at once; the grants' rows stay, so that a reuse of their codes and
tokens is still recognised. Must not know pages or protocols.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from email_validator import EmailNotValidError, validate_email

from idp import audit, opaque
from idp.clock import now
from idp.errors import Conflict, Invalid, NotFound
from idp.identity import profile, session_end
from idp.identity.passwords import check_new_password
from idp.jobs.outbox import announced
from idp.store.tenant import consents, role_bindings, terms, users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.identity.passwords import Hasher
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

LONGEST_USERNAME = 254
_ROLE = re.compile(r"[a-z][a-z0-9._:-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class By:
    """Who changes an account, for the audit trail: ``operator`` on the command line, else a user's id."""

    actor: str
    source: str | None = None
    correlation_id: str | None = None


def fold(username: str) -> str:
    """Return the key of a username: spellings that people take for the same name (case, width, spaces around) are one account."""
    text = unicodedata.normalize("NFKC", username[: 4 * LONGEST_USERNAME]).casefold()
    return unicodedata.normalize("NFKC", text).strip()


def is_username(key: str) -> bool:
    """Say whether a folded username can be an account's: 1 to 254 characters, none invisible or unassigned."""
    if not 1 <= len(key) <= LONGEST_USERNAME:
        return False
    return all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in key)


def check_email(email: str) -> str:
    """Return an e-mail address in its normal form; raises :class:`Invalid`. No name server is asked."""
    try:
        return validate_email(email.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid(
            "This is not an email address such as ada@example.org.", errors={"email": "not an email address"}
        ) from None


def create_user(
    database: Database,
    hasher: Hasher,
    tenant: Tenant,
    *,
    username: str,
    password: str | None,
    email: str | None,
    by: By,
    claims: Mapping[str, Any] | None = None,
    roles: Sequence[str] = (),
    must_change: bool = False,
) -> str:
    """Make a user and return its id; without ``password`` it cannot sign in with one.

    ``claims`` are standard claims and attributes of the tenant's own; ``email_verified`` among them is about ``email``. Raises :class:`Invalid` or :class:`Conflict`.
    """
    name, key = " ".join(username.split()), fold(username)
    if not is_username(key):
        raise Invalid(
            f"A username is 1 to {LONGEST_USERNAME} visible characters.", errors={"username": "not a username"}
        )
    address = check_email(email) if email else None
    stored = _check_claims(database, claims) if claims else {}
    is_verified = bool(stored.pop("email_verified", False)) and address is not None
    held = [_check_role(role) for role in dict.fromkeys(roles)]
    if password is not None:
        _check_password(password, tenant, (name, address))
    password_hash = hasher.hash(password) if password is not None else None
    user_id = opaque.new_id()

    def work(conn: Connection) -> None:
        if users.find_by_username(conn, key) is not None:
            raise Conflict("There is a user with this name already.")
        users.create(
            conn,
            id=user_id,
            username=name,
            username_key=key,
            email=address,
            email_verified=is_verified,
            claims=stored,
            password_hash=password_hash,
            must_change_password=must_change,
            state="active",
            password_changed_at=now() if password_hash else None,
        )
        for role in held:
            role_bindings.create(conn, user_id, role)
        _record(conn, "user.created", user_id, by, {"roles": held, "must_change_password": must_change})

    database.writing(work)
    return user_id


def find_user(database: Database, username: str) -> Row[Any]:
    """Return a user by any spelling of the name; raises :class:`NotFound`."""
    key = fold(username)
    if is_username(key):
        with database.reading() as conn:
            found = users.find_by_username(conn, key)
        if found is not None:
            return found
    raise NotFound("There is no user of this name.")


def set_password(
    database: Database,
    hasher: Hasher,
    tenant: Tenant,
    user: Row[Any],
    password: str,
    *,
    by: By,
    must_change: bool = False,
    keep_session: str | None = None,
) -> None:
    """Give a user a new password; other sessions and their grants end where the tenant wants it (the default).

    ``keep_session`` is the session the person sits at. Raises :class:`Invalid` for a password against the rules.
    """
    _check_password(password, tenant, (user.username, user.email))
    password_hash = hasher.hash(password)
    ends_others = tenant.settings.password_change_ends_sessions

    def work(conn: Connection) -> None:
        _locked(conn, user.id)
        users.change(
            conn, user.id, password_hash=password_hash, must_change_password=must_change, password_changed_at=now()
        )
        ended = session_end.end_all_of(conn, user.id, "password_changed", but=keep_session) if ends_others else 0
        _record(conn, "user.password_changed", user.id, by, {"sessions_ended": ended}, session_id=keep_session)

    with announced(database):
        database.writing(work)


def disable_user(database: Database, user_id: str, *, by: By) -> None:
    """Keep a user from signing in; sessions and tokens end now. Raises :class:`NotFound`."""

    def work(conn: Connection) -> None:
        _locked(conn, user_id)
        users.change(conn, user_id, state="disabled")
        ended = session_end.end_all_of(conn, user_id, "user_disabled")
        _record(conn, "user.disabled", user_id, by, {"sessions_ended": ended})

    with announced(database):
        database.writing(work)


def enable_user(database: Database, user_id: str, *, by: By) -> None:
    """Let a disabled user sign in again; what was ended stays ended. Raises :class:`NotFound`."""

    def work(conn: Connection) -> None:
        _locked(conn, user_id)
        users.change(conn, user_id, state="active")
        _record(conn, "user.enabled", user_id, by)

    database.writing(work)


def delete_user(database: Database, user_id: str, *, by: By) -> None:
    """Delete a user with consents and roles; sessions and tokens end now. Raises :class:`NotFound`."""

    def work(conn: Connection) -> None:
        _locked(conn, user_id)
        ended = session_end.end_all_of(conn, user_id, "user_deleted")
        consents.delete_of_user(conn, user_id)
        role_bindings.delete_of(conn, user_id)
        terms.delete_of_user(conn, user_id)
        users.delete(conn, user_id)
        _record(conn, "user.deleted", user_id, by, {"sessions_ended": ended})

    with announced(database):
        database.writing(work)


def _locked(conn: Connection, user_id: str) -> Row[Any]:
    found = users.find_locked(conn, user_id)
    if found is None:
        raise NotFound("There is no such user.")
    return found


def _check_password(password: str, tenant: Tenant, names: tuple[str | None, ...]) -> None:
    problems = check_new_password(password, tenant.settings, (*names, tenant.name))
    if problems:
        raise Invalid(f"{problems[0]}.", errors={"password": problems[0]})


def _check_claims(database: Database, claims: Mapping[str, Any]) -> dict[str, Any]:
    with database.reading() as conn:
        schema = profile.load(conn)
    return profile.check_claims(schema, claims)


def _check_role(role: str) -> str:
    if not _ROLE.fullmatch(role):
        raise Invalid(
            "A role's name is lower-case letters, digits and . _ : - inside.", errors={"roles": "not a role's name"}
        )
    return role


def _record(
    conn: Connection,
    kind: str,
    user_id: str,
    by: By,
    details: Mapping[str, Any] | None = None,
    session_id: str | None = None,
) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=by.actor,
        subject=user_id,
        session_id=session_id,
        source=by.source,
        correlation_id=by.correlation_id,
        details=details,
    )
