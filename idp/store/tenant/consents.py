"""Consents: which scopes a user has granted to a client, remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

consents = db.Table(
    "consents",
    identifier("user_id"),
    identifier("client_id"),
    document("scopes"),
    moment("granted_at"),
    bind_key="tenant",
)


def scopes_of(conn: Connection, user_id: str, client_id: str) -> frozenset[str]:
    """Return the scopes a user has granted to a client."""
    here = (consents.c.user_id == user_id) & (consents.c.client_id == client_id)
    return frozenset(conn.execute(select(consents.c.scopes).where(here)).scalar() or ())


def add(conn: Connection, user_id: str, client_id: str, scopes: frozenset[str]) -> None:
    """Remember that a user granted scopes to a client, beside those granted earlier."""
    granted = scopes | scopes_of(conn, user_id, client_id)
    row = {"scopes": sorted(granted), "granted_at": now()}
    statement = upsert(conn, consents).values(user_id=user_id, client_id=client_id, **row)
    conn.execute(statement.on_conflict_do_update(index_elements=[consents.c.user_id, consents.c.client_id], set_=row))


def withdraw(conn: Connection, user_id: str, client_id: str) -> bool:
    """Forget a consent; says whether there was one."""
    here = (consents.c.user_id == user_id) & (consents.c.client_id == client_id)
    return conn.execute(delete(consents).where(here)).rowcount == 1


def delete_of_user(conn: Connection, user_id: str) -> None:
    """Forget every consent of a deleted user."""
    conn.execute(delete(consents).where(consents.c.user_id == user_id))


def delete_of_client(conn: Connection, client_id: str) -> None:
    """Forget every consent to a deleted client."""
    conn.execute(delete(consents).where(consents.c.client_id == client_id))
