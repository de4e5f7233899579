"""Accounts: making, changing, disabling and deleting users, each with what it must end, in one transaction with its event.

What a state ends is the table in :mod:`idp.identity.lifecycle`. The rows of ended grants stay, so that a reuse of their codes
and tokens is still recognised. Must not know pages or protocols.
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
from idp.identity import administrators, lifecycle, password_history, profile, session_end, standard_claims
from idp.identity.password_rules import names_of
from idp.identity.passwords import check_new_password
from idp.jobs.outbox import announced
from idp.language import N_
from idp.store.tenant import consents, groups, one_time_links, role_bindings, sessions, terms, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idp.identity.notices import Tell
    from idp.identity.passwords import Hasher
    from idp.identity.profile_schema import Schema
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

    Require = Callable[
        [Connection, Row[Any]], None
    ]  # raises where what is asked for must not be done to whose row it is
    RequireNew = Callable[[Connection, "NewUser"], None]
    Finish = Callable[[Connection, Row[Any]], None]  # runs at the end of the transaction, with the row that was made

LONGEST_USERNAME = 254
_ROLE = re.compile(r"[a-z][a-z0-9._:-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class By:
    """Who changes an account, for the audit trail: ``operator`` on the command line, else a user's id."""

    actor: str
    source: str | None = None
    correlation_id: str | None = None

    @property
    def is_operator(self) -> bool:
        """Whether it is somebody with a shell on the machine."""
        return self.actor == "operator"


def fold(username: str) -> str:
    """Return the key of a username: spellings that people take for the same name (case, width, spaces around) are one account."""
    text = unicodedata.normalize("NFKC", username[: 4 * LONGEST_USERNAME])
    name, at, domain = text.rpartition("@")
    # RFC 5892 §2.6: ß and ς are letters of domains; the domain with ss or σ in their place, which casefold() makes of them, is
    # somebody else's. Letter by letter: at the end of a word lower() makes ς of Σ.
    text = f"{name.casefold()}@{''.join(map(str.lower, domain))}" if at else text.casefold()
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
            N_("This is not an email address such as ada@example.org."), errors={"email": "not an email address"}
        ) from None


def mailbox_of(address: str) -> str:
    """Return the letter box that an address's mail ends in, as far as it shows: any spelling, subaddresses (``ada+x@``) included."""
    local, _, domain = fold(address).rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be, every part checked and in its stored form."""

    id: str
    username: str
    key: str
    email: str | None
    is_verified: bool
    claims: Mapping[str, Any]
    roles: tuple[str, ...]

    @property
    def address(self) -> str:
        """The name as an address is stored, for finding whose it is."""
        return self.email if self.email is not None and fold(self.email) == self.key else self.username


def checked(
    username: str,
    email: str | None,
    claims: Mapping[str, Any] | None = None,
    roles: Sequence[str] = (),
    schema: Schema | None = None,
) -> NewUser:
    """Check what is known of a user to be; raises :class:`Invalid`. ``email_verified`` among the claims is about ``email``.

    With ``schema`` the claims may be attributes of the tenant's own, too.
    """
    name, key = " ".join(username.split()), fold(username)
    if not is_username(key):
        raise Invalid(
            f"A username is 1 to {LONGEST_USERNAME} visible characters.", errors={"username": "not a username"}
        )
    address = check_email(email) if email else None
    stored = profile.check_claims(schema, claims or {}) if schema is not None else standard_claims.check(claims or {})
    is_verified = bool(stored.pop("email_verified", False)) and address is not None
    held = tuple(check_role(role) for role in dict.fromkeys(roles))
    return NewUser(opaque.new_id(), name, key, address, is_verified, stored, held)


def insert(conn: Connection, new: NewUser, *, password_hash: str | None, must_change: bool, state: str) -> None:
    """Write a user and its roles; raises :class:`Conflict` when the name is taken, by a deleted user that is kept too.

    So it is by an account that has the name, which is an address, as its address: mails to it would be about two accounts.
    """
    if users.find_owner(conn, new.key, new.address) is not None:
        raise Conflict("There is a user with this name already.")
    users.create(
        conn,
        id=new.id,
        username=new.username,
        username_key=new.key,
        email=new.email,
        email_verified=new.is_verified,
        claims=new.claims,
        password_hash=password_hash,
        must_change_password=must_change,
        state=state,
        password_changed_at=now() if password_hash else None,
    )
    for role in new.roles:
        role_bindings.create(conn, new.id, role)


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
    require: RequireNew | None = None,
    finish: Finish | None = None,
) -> str:
    """Make a user and return its id; without ``password`` it cannot sign in with one.

    ``claims`` are standard claims and attributes of the tenant's own; ``email_verified`` among them is about ``email``. Raises :class:`Invalid` or :class:`Conflict`.
    ``require`` judges the user to be, in the same transaction.
    """
    new = checked(username, email, claims, roles, _schema(database) if claims else None)
    if password is not None:
        _check_password(password, tenant, names_of(tenant.name, new.username, new.email, new.claims))
    password_hash = hasher.hash(password) if password is not None else None

    def work(conn: Connection) -> None:
        if require is not None:
            require(conn, new)
        insert(conn, new, password_hash=password_hash, must_change=must_change, state="active")
        record(conn, "user.created", new.id, by, {"roles": list(new.roles), "must_change_password": must_change})
        if finish is not None:
            finish(conn, locked(conn, new.id))

    database.writing(work)
    return new.id


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
    also: Callable[[Connection], None] | None = None,
) -> None:
    """Give a user a new password; other sessions and their grants end where the tenant wants it (the default).

    ``keep_session`` is the session the person sits at; ``also`` runs in the same transaction. Raises :class:`Invalid` for a password
    against the rules or one that the person has had before, where the tenant refuses those, and :class:`Conflict` when ``user`` has another
    one by now or the session has ended: whoever is thrown out this moment may not undo that.
    """
    _check_password(password, tenant, names_of(tenant.name, user.username, user.email, user.claims))
    password_history.check(database, hasher, tenant.settings, user, password)
    password_hash = hasher.hash(password)

    def work(conn: Connection) -> None:
        current = locked(conn, user.id)
        if current.password_hash != user.password_hash:
            raise Conflict(N_("The password has been changed in the meantime. Please try again."))
        if keep_session is not None and sessions.find_open(conn, keep_session) is None:
            raise Conflict(N_("You were signed out in the meantime. Please sign in and try again."))
        if not lifecycle.of(current.state).password:  # said to operators: who had a session in such a state has none
            raise lifecycle.instead(current.state, "active")
        ended = write_password(conn, tenant, user.id, password_hash, must_change=must_change, keep_session=keep_session)
        record(conn, "user.password_changed", user.id, by, {"sessions_ended": ended}, session_id=keep_session)
        if also is not None:
            also(conn)

    with announced(database):
        database.writing(work)


def write_password(
    conn: Connection,
    tenant: Tenant,
    user_id: str,
    password_hash: str,
    *,
    must_change: bool = False,
    keep_session: str | None = None,
) -> int:
    """Store a new password of a user whose row is locked; returns how many sessions ended.

    Every other link dies with the former: who had it may have asked for one, to another address too.
    """
    password_history.keep(conn, tenant.settings, locked(conn, user_id))
    users.change(
        conn, user_id, password_hash=password_hash, must_change_password=must_change, password_changed_at=now()
    )
    one_time_links.revoke_of_user(conn, user_id)
    if not tenant.settings.password_change_ends_sessions:
        return 0
    return session_end.end_all_of(conn, user_id, "password_changed", but=keep_session)


def disable_user(
    database: Database, user_id: str, *, by: By, tell: Tell | None = None, require: Require | None = None
) -> None:
    """Keep a user from signing in; sessions, tokens and links end now. Raises :class:`NotFound` or :class:`Conflict`.

    ``tell`` is called, here as below, where something changes, with the user's row as it was before; ``require`` first of all.
    """

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        if user.state == "deleted":  # the way back is to restore it, which puts its other columns in order too
            raise lifecycle.instead(user.state, "disabled")
        with administrators.keeping(conn, is_operator=by.is_operator):
            ended = lifecycle.enter(conn, user, "disabled", "user_disabled")
        record(conn, "user.disabled", user_id, by, {"sessions_ended": ended})
        if tell is not None and user.state != "disabled":
            tell(conn, user)

    with announced(database):
        database.writing(work)


def enable_user(
    database: Database, user_id: str, *, by: By, tell: Tell | None = None, require: Require | None = None
) -> None:
    """Let a disabled user sign in again; what was ended stays ended. Raises :class:`NotFound` or :class:`Conflict`."""

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        if user.state not in ("active", "disabled"):
            raise lifecycle.instead(user.state, "active")
        lifecycle.enter(conn, user, "active", "user_enabled")
        record(conn, "user.enabled", user_id, by)
        if tell is not None and user.state != "active":
            tell(conn, user)

    with announced(database):
        database.writing(work)


def delete_user(
    database: Database, user_id: str, *, by: By, tell: Tell | None = None, require: Require | None = None
) -> None:
    """Delete a user for good, with everything that is theirs; sessions and tokens end now.

    Who was told of a deletion already, after which the account was kept, is not told again. Raises :class:`NotFound`, or :class:`idp.identity.administrators.LastAdministrator`.
    """

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        with administrators.keeping(conn, is_operator=by.is_operator):
            ended = remove(conn, user_id)
        record(conn, "user.deleted", user_id, by, {"sessions_ended": ended})
        if tell is not None and user.state != "deleted":
            tell(conn, user)

    with announced(database):
        database.writing(work)


def remove(conn: Connection, user_id: str) -> int:
    """Remove a user, whose row is locked, and every row that is theirs; returns how many sessions ended."""
    ended = session_end.end_all_of(conn, user_id, "user_deleted")
    sessions.forget_of(conn, user_id)  # the rows stay until the applications are told
    consents.delete_of_user(conn, user_id)
    password_history.delete_of(conn, user_id)
    role_bindings.delete_of(conn, user_id)
    groups.leave_all(conn, user_id)
    terms.delete_of_user(conn, user_id)
    one_time_links.delete_of_user(conn, user_id)
    users.delete(conn, user_id)
    return ended


def locked(conn: Connection, user_id: str, require: Require | None = None) -> Row[Any]:
    """Return a user whose row nobody else changes until the transaction ends; raises :class:`NotFound`, or what ``require`` does."""
    found = users.find_locked(conn, user_id)
    if found is None:
        raise NotFound(N_("There is no such user."))
    if require is not None:
        require(conn, found)
    return found


def _check_password(password: str, tenant: Tenant, names: tuple[str | None, ...]) -> None:
    problems = check_new_password(password, tenant.settings, names)
    if problems:
        raise Invalid(f"{problems[0]}.", errors={"password": problems[0]})


def _schema(database: Database) -> Schema:
    with database.reading() as conn:
        return profile.load(conn)


def check_role(role: str) -> str:
    """Return a role's name; raises :class:`Invalid` for what cannot be one."""
    if not _ROLE.fullmatch(role):
        raise Invalid(
            "A role's name is lower-case letters, digits and . _ : - inside.", errors={"roles": "not a role's name"}
        )
    return role


def record(
    conn: Connection,
    kind: str,
    user_id: str,
    by: By,
    details: Mapping[str, Any] | None = None,
    session_id: str | None = None,
    *,
    client_id: str | None = None,
) -> None:
    """Record what was done to an account, in the transaction that does it."""
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=by.actor,
        subject=user_id,
        client_id=client_id,
        session_id=session_id,
        source=by.source,
        correlation_id=by.correlation_id,
        details=details,
    )
