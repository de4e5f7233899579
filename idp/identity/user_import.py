"""Bringing users in from another system: what one row may say, and storing a batch of rows in one transaction with its events.

A row is stored whole or refused with a sentence; a user who is there already with the same e-mail address is left alone, so that
the same rows may be brought in twice. Must not know files and formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.errors import Conflict, Invalid
from idp.identity import accounts, foreign_hashes, standard_claims
from idp.store.tenant import audit_events, role_bindings, users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.identity.accounts import By
    from idp.store.db import Database
    from idp.store.rows import Connection

BATCH_EVENT = "users.imported"
STATES = ("active", "disabled")
OWN_COLUMNS = ("username", "email", "password_hash", "roles", "state")
CREATED, THERE = "created", "already there"
OTHER_ADDRESS = "There is a user of this name already, with another email address."
MOST_REMEMBERED = 1000  # batches that are looked through for where an import was left
_TRIES = 3  # of a batch in which somebody else made one of the users meanwhile


@dataclass(frozen=True, slots=True)
class Person:
    """One row, judged: the columns of a user, and the roles."""

    key: str
    columns: Mapping[str, Any]
    roles: Sequence[str]

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses that mails to them go to or that they sign in by, folded."""
        email = self.columns["email"]
        return frozenset([*([accounts.fold(email)] if email else []), *([self.key] if "@" in self.key else [])])

    def __repr__(self) -> str:
        """Show no hash."""
        return f"Person({self.key!r})"


def person(row: Mapping[str, Any]) -> Person:
    """Return what a row says; standard claims stand beside the columns of an account. Raises :class:`Invalid`."""
    given = {name: value for name, value in row.items() if value is not None}
    own = {name: given.pop(name) for name in OWN_COLUMNS if name in given}
    for name in ("username", "email", "password_hash", "state"):
        if not isinstance(own.get(name, ""), str) or _is_no_text(own.get(name, "")):
            raise Invalid(f"{name} must be a text.", errors={name: "not a text"})
    email = accounts.check_email(own["email"]) if own.get("email") else None
    username = " ".join((own.get("username") or own.get("email") or "").split())
    key = accounts.fold(username)
    if not username:
        raise Invalid("There is neither a username nor an email address.", errors={"username": "missing"})
    if not accounts.is_username(key):
        raise Invalid(
            f"A username is 1 to {accounts.LONGEST_USERNAME} visible characters.", errors={"username": "not a username"}
        )
    state = own.get("state") or "active"
    if state not in STATES:
        raise Invalid(f"The state must be {' or '.join(STATES)}.", errors={"state": "not a state"})
    roles = own.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise Invalid("roles must be a list of names.", errors={"roles": "not a list of names"})
    claims = standard_claims.check(given)
    is_verified = bool(claims.pop("email_verified", False)) and email is not None
    hashed = foreign_hashes.imported(own["password_hash"]) if own.get("password_hash") else None
    columns = {
        "username": username,
        "username_key": key,
        "email": email,
        "email_verified": is_verified,
        "claims": claims,
        "password_hash": hashed,
        "must_change_password": False,
        "state": state,
    }
    return Person(key, columns, [accounts.check_role(role) for role in dict.fromkeys(roles)])


def look_up(database: Database, people: Sequence[Person]) -> list[str]:
    """Return for each person what :func:`store` would: CREATED, THERE, or a sentence that says why not. Writes nothing."""
    with database.reading() as conn:
        return _outcomes(conn, people)


def are_shared(database: Database, people: Sequence[Person]) -> list[bool]:
    """Say for each person whether somebody of another name is there who has one of the addresses, or signs in by it."""
    wanted = {address for who in people for address in who.addresses}
    spelt = {who.columns[name] for who in people for name in ("email", "username") if who.columns[name]}
    with database.reading() as conn:
        there = users.with_addresses(conn, wanted, spelt | wanted)
    owners: dict[str, set[str]] = {}
    for key, email in there:
        for address in {key, accounts.fold(email or "")}:
            owners.setdefault(address, set()).add(key)
    return [any(owners.get(address, set()) - {who.key} for address in who.addresses) for who in people]


def store(database: Database, people: Sequence[Person], *, by: By, details: Mapping[str, Any]) -> list[str]:
    """Make the users who are not there yet; returns for each person CREATED, THERE, or a sentence that says why not.

    One transaction with an event a user and one for the batch, which carries ``details`` and the counts.
    """

    def work(conn: Connection) -> list[str]:
        outcomes = _outcomes(conn, people)
        made = [(opaque.new_id(), who) for who, said in zip(people, outcomes, strict=True) if said == CREATED]
        at = now()
        users.create_many(
            conn,
            [
                {"id": user_id, "password_changed_at": at if who.columns["password_hash"] else None, **who.columns}
                for user_id, who in made
            ],
        )
        role_bindings.create_many(conn, [(user_id, role) for user_id, who in made for role in who.roles])
        audit.record_alike(
            conn,
            "user.created",
            [(user_id, {"roles": list(who.roles), "imported": True}) for user_id, who in made],
            actor=by.actor,
            source=by.source,
        )
        counts = {"created": len(made), "already_there": outcomes.count(THERE)}
        audit.record(
            conn, BATCH_EVENT, outcome="success", actor=by.actor, source=by.source, details={**details, **counts}
        )
        return outcomes

    for _ in range(_TRIES - 1):
        try:
            return database.writing(work)
        except Conflict:
            continue
    return database.writing(work)


def last_line(database: Database, file_digest: str) -> int:
    """Return the last line of a file that an earlier import has stored, 0 when none has; batches carry the file's digest."""
    with database.reading() as conn:
        batches = audit_events.details_of_latest(conn, BATCH_EVENT, MOST_REMEMBERED)
    return max((int(batch["last_line"]) for batch in batches if batch.get("file_digest") == file_digest), default=0)


def _outcomes(conn: Connection, people: Sequence[Person]) -> list[str]:
    there = users.emails_of(conn, [who.key for who in people])

    def judge(who: Person) -> str:
        if who.key not in there:
            return CREATED
        same = (there[who.key] or "").casefold() == (who.columns["email"] or "").casefold()
        return THERE if same else OTHER_ADDRESS

    return [judge(who) for who in people]


def _is_no_text(value: str) -> bool:
    """Say whether a text has halves of characters, which no database and no address can hold."""
    return any("\ud800" <= char <= "\udfff" for char in value)
