"""Users of a tenant: one row a person, with the standard claims as a document."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, bindparam, func, insert, select, update
from sqlalchemy import delete as sql_delete

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text, upsert
from idp.store.prepared import Prepared
from idp.store.tenant import attempts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.engine import Connection, Row

users = db.Table(
    "users",
    identifier(),
    text("username"),
    text("username_key"),  # the username folded, so that variants of one name are one account
    text("email", nullable=True, index=True),
    db.Column("email_verified", Boolean, nullable=False),
    document("claims"),
    text("password_hash", nullable=True),
    db.Column("must_change_password", Boolean, nullable=False),
    text("state"),  # invited, active, disabled, deleted
    moment("created_at"),
    moment("updated_at"),
    moment("password_changed_at", nullable=True),
    moment("deleted_at", nullable=True),
    text("state_before", nullable=True),  # of a deleted user: what it is restored to
    # What lists look for and are sorted by; written with the columns that they follow from (`followed`).
    db.Column("name_key", db.String, nullable=False, server_default=""),
    db.Column("email_key", db.String, nullable=False, server_default=""),
    db.Column("attempts_key", db.String, nullable=False, server_default=""),  # the counter of failed sign-ins
    db.UniqueConstraint("username_key", name="uq_users_username_key"),
    bind_key="tenant",
)
db.Index(
    "ix_users_deleted_at",
    users.c.deleted_at,
    sqlite_where=users.c.deleted_at.is_not(None),
    postgresql_where=users.c.deleted_at.is_not(None),
)
# Each is wide enough that a list is found, and its places counted, without the rows.
_FILTERED = (users.c.username_key, users.c.state, users.c.created_at)
db.Index("ix_users_by_email", users.c.email_key, users.c.id, users.c.name_key, *_FILTERED)
db.Index("ix_users_by_name", users.c.name_key, users.c.id, users.c.email_key, *_FILTERED)
db.Index("ix_users_by_creation", users.c.created_at, users.c.id, users.c.state)
db.Index("ix_users_attempts_key", users.c.attempts_key)
LONGEST_NAME_KEY, LONGEST_EMAIL_KEY = 100, 254  # characters: PostgreSQL has no room for more in an index

# PostgreSQL: the advisory lock that takers of one address take turns on. No constraint can do it: an address may be one account's name
# and another's address, and accounts that are brought in may share one.
_GIVING_ADDRESSES = 0x41444452

_ONE = select(users).where(users.c.id == bindparam("user_id"))
_BY_ID = Prepared(_ONE)
_LOCKED = Prepared(_ONE.with_for_update())  # SQLite has one writer anyway
_ID_BY_KEY = Prepared(select(users.c.id).where(users.c.username_key == bindparam("username_key")))
_BY_KEY = Prepared(select(users).where(users.c.username_key == bindparam("username_key")))


def find(conn: Connection, user_id: str) -> Row[Any] | None:
    """Return a user by id, or None."""
    return _BY_ID.execute(conn, {"user_id": user_id}).first()


def find_locked(conn: Connection, user_id: str) -> Row[Any] | None:
    """Return a user by id, or None; within a write transaction nobody else changes the row until it ends."""
    return _LOCKED.execute(conn, {"user_id": user_id}).first()


def find_by_username(conn: Connection, username_key: str) -> Row[Any] | None:
    """Return a user by folded username, or None."""
    return _BY_KEY.execute(conn, {"username_key": username_key}).first()


def known(conn: Connection, user_ids: Collection[str]) -> frozenset[str]:
    """Return those of the ids that are users', deleted ones that are kept left out."""
    here = users.c.id.in_(user_ids) & (users.c.state != "deleted")
    return frozenset(conn.execute(select(users.c.id).where(here)).scalars())


def find_id(conn: Connection, username_key: str) -> str | None:
    """Return a user's id by folded username, or None; as good as the same work either way."""
    found: str | None = _ID_BY_KEY.execute(conn, {"username_key": username_key}).scalar()
    return found


def list_deleted(conn: Connection, before: int, limit: int) -> Sequence[Row[Any]]:
    """Return users that were deleted, and kept, before a moment, at most ``limit``."""
    here = (users.c.state == "deleted") & (users.c.deleted_at < before)
    return conn.execute(select(users).where(here).limit(limit)).all()


def find_with_address(conn: Connection, username_key: str, email: str, *, but: str = "") -> Row[Any] | None:
    """Return a user, other than one, who signs in by a name or has an e-mail address, whatever the state, or None."""
    here = (users.c.username_key == username_key) | users.c.email.in_((email, email.lower()))
    here &= users.c.id != but
    return conn.execute(select(users).where(here).limit(1)).first()


def find_owner(conn: Connection, username_key: str, email: str, *, but: str = "") -> Row[Any] | None:
    """Return the same before an address is given to somebody: until the transaction ends nobody else finds it free."""
    if conn.dialect.name == "postgresql":  # SQLite has one writer anyway
        conn.execute(select(func.pg_advisory_xact_lock(_GIVING_ADDRESSES, func.hashtext(username_key))))
    return find_with_address(conn, username_key, email, but=but)


def list_all(conn: Connection, *, limit: int = 1000, after: str = "") -> Sequence[Row[Any]]:
    """Return users by folded username, at most ``limit``, those after a key."""
    query = select(users).where(users.c.username_key > after).order_by(users.c.username_key).limit(limit)
    return conn.execute(query).all()


def count(conn: Connection) -> int:
    """Return how many users there are."""
    return conn.execute(select(func.count()).select_from(users)).scalar_one()


def search_key(text: str) -> str:
    """Return a text as lists look for it: in any case, width and spelling of accents."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def create(conn: Connection, **values: Any) -> None:
    """Insert a user; the columns by keyword."""
    at = now()
    conn.execute(insert(users).values(created_at=at, updated_at=at, **values, **followed(values)))


def create_many(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert users in one statement; the same columns in each."""
    at = now()
    if rows:
        conn.execute(insert(users), [{"created_at": at, "updated_at": at, **row, **followed(row)} for row in rows])


def emails_of(conn: Connection, username_keys: Sequence[str]) -> dict[str, str | None]:
    """Return the e-mail addresses of those users who are there, by folded username."""
    query = select(users.c.username_key, users.c.email).where(users.c.username_key.in_(username_keys))
    return {row.username_key: row.email for row in conn.execute(query)}


def with_addresses(
    conn: Connection, username_keys: Collection[str], emails: Collection[str]
) -> Sequence[tuple[str, str | None]]:
    """Return folded username and e-mail address of every user who signs in by one of the names or has one of the addresses."""
    here = users.c.username_key.in_(username_keys) | users.c.email.in_(emails)
    query = select(users.c.username_key, users.c.email).where(here)
    return [(row.username_key, row.email) for row in conn.execute(query)]


def create_new(conn: Connection, **values: Any) -> bool:
    """Insert a user unless the name is taken, also by somebody who takes it this moment; says whether it was inserted."""
    at = now()
    row = {"created_at": at, "updated_at": at, **values, **followed(values)}
    done: int = conn.execute(upsert(conn, users).values(**row).on_conflict_do_nothing()).rowcount
    return done == 1


def change(conn: Connection, user_id: str, **values: Any) -> bool:
    """Update columns of a user; says whether it exists."""
    values |= followed(values)
    return conn.execute(update(users).where(users.c.id == user_id).values(updated_at=now(), **values)).rowcount == 1


def replace_password_hash(conn: Connection, user_id: str, old: str, new: str) -> bool:
    """Re-hash a password that was just verified; False when it has changed meanwhile."""
    done = conn.execute(
        update(users).where((users.c.id == user_id) & (users.c.password_hash == old)).values(password_hash=new)
    )
    return done.rowcount == 1


def delete(conn: Connection, user_id: str) -> bool:
    """Delete a user's row; says whether it existed."""
    return conn.execute(sql_delete(users).where(users.c.id == user_id)).rowcount == 1


def followed(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns that follow from some that are written."""
    found = {}
    if "claims" in values:
        claims = values["claims"] or {}
        parts = [claims.get("name")] if claims.get("name") else [claims.get("given_name"), claims.get("family_name")]
        found["name_key"] = search_key(" ".join(part for part in parts if isinstance(part, str)))[:LONGEST_NAME_KEY]
    if "email" in values:
        found["email_key"] = search_key(values["email"] or "")[:LONGEST_EMAIL_KEY]
    if "username_key" in values:
        found["attempts_key"] = attempts.of_account(values["username_key"])
    return found
