"""A tenant's terms, one row a version, at most one in force; and who accepted which, when and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text, upsert
from idp.store.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection, Row

terms = db.Table(
    "terms",
    identifier("version"),
    document("urls"),  # language tag → address; "" for every other language
    moment("begins_at"),
    moment("ends_at", nullable=True),
    bind_key="tenant",
)
terms_acceptances = db.Table(
    "terms_acceptances",
    identifier("user_id"),
    identifier("version"),
    moment("accepted_at"),
    text("source", nullable=True),  # the address it was accepted from
    bind_key="tenant",
)

_HAS = Prepared(
    select(terms_acceptances.c.accepted_at).where(
        (terms_acceptances.c.user_id == bindparam("user_id")) & (terms_acceptances.c.version == bindparam("version"))
    )
)


def in_force(conn: Connection) -> Row[Any] | None:
    """Return the version that is in force, or None."""
    return conn.execute(select(terms).where(terms.c.ends_at.is_(None))).first()


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every version, the newest first."""
    return conn.execute(select(terms).order_by(terms.c.begins_at.desc(), terms.c.version)).all()


def put_in_force(conn: Connection, version: str, urls: Mapping[str, str]) -> None:
    """Put a version into force instead of the one that is; known ones get the new addresses."""
    at = now()
    end(conn)
    values = {"urls": dict(urls), "begins_at": at, "ends_at": None}
    statement = upsert(conn, terms).values(version=version, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=[terms.c.version], set_=values))


def end(conn: Connection) -> bool:
    """Put no version into force; False when none was."""
    return conn.execute(update(terms).where(terms.c.ends_at.is_(None)).values(ends_at=now())).rowcount > 0


def accept(conn: Connection, user_id: str, version: str, source: str | None) -> bool:
    """Note that a user accepts a version; False when that was noted before, which stays."""
    row = {"user_id": user_id, "version": version, "accepted_at": now(), "source": source}
    done: int = conn.execute(upsert(conn, terms_acceptances).values(**row).on_conflict_do_nothing()).rowcount
    return done == 1


def has_accepted(conn: Connection, user_id: str, version: str) -> bool:
    """Say whether a user has accepted a version."""
    return _HAS.execute(conn, {"user_id": user_id, "version": version}).first() is not None


def acceptances_of(conn: Connection, user_id: str) -> Sequence[Row[Any]]:
    """Return what a user has accepted, the latest first."""
    here = terms_acceptances.c.user_id == user_id
    order = (terms_acceptances.c.accepted_at.desc(), terms_acceptances.c.version)
    return conn.execute(select(terms_acceptances).where(here).order_by(*order)).all()


def delete_of_user(conn: Connection, user_id: str) -> None:
    """Forget what a deleted user has accepted."""
    conn.execute(delete(terms_acceptances).where(terms_acceptances.c.user_id == user_id))
