"""Signing keys, and keys for encryption beside them: private parts sealed by the envelope, with the states next, active, retired, gone and revoked.

A row outlives its key: a key that is gone keeps its public part, and its kid is never given again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy import text as sql_text

from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

signing_keys = db.Table(
    "signing_keys",
    identifier("kid"),
    text("alg"),
    text("state"),  # next, active, retired, gone, revoked
    document("public_jwk"),
    text("sealed_private"),  # empty once the key signs (or, with `use` enc, opens) no more
    moment("created_at"),
    moment(
        "activated_at", nullable=True
    ),  # of one that comes next: when it is to be, if that is not the calendar's to say
    moment("retired_at", nullable=True),
    moment("revoked_at", nullable=True),
    bind_key="tenant",
)
# The database itself holds that an algorithm never has two active keys, nor two that come next.
db.Index(
    "uq_signing_keys_active",
    signing_keys.c.alg,
    unique=True,
    sqlite_where=signing_keys.c.state == "active",
    postgresql_where=signing_keys.c.state == "active",
)
db.Index(
    "uq_signing_keys_next",
    signing_keys.c.alg,
    unique=True,
    sqlite_where=signing_keys.c.state == "next",
    postgresql_where=signing_keys.c.state == "next",
)


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every key, oldest first."""
    return conn.execute(select(signing_keys).order_by(signing_keys.c.created_at, signing_keys.c.kid)).all()


def list_for_change(conn: Connection) -> Sequence[Row[Any]]:
    """Return every key, oldest first, inside a writing transaction that no other change of keys can interleave with."""
    if conn.dialect.name != "sqlite":  # SQLite's writers take turns anyway
        conn.execute(sql_text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))
    return list_all(conn)


def create(conn: Connection, **values: Any) -> None:
    """Insert a key; the columns by keyword."""
    conn.execute(insert(signing_keys).values(**values))


def change(conn: Connection, kid: str, from_state: str, **values: Any) -> bool:
    """Update columns of a key that is in ``from_state``; False when it no longer is."""
    here = (signing_keys.c.kid == kid) & (signing_keys.c.state == from_state)
    return conn.execute(update(signing_keys).where(here).values(**values)).rowcount == 1


def reseal(conn: Connection, kid: str, old: str, new: str) -> bool:
    """Replace the sealed private part; False when it has changed meanwhile."""
    here = (signing_keys.c.kid == kid) & (signing_keys.c.sealed_private == old)
    return conn.execute(update(signing_keys).where(here).values(sealed_private=new)).rowcount == 1
