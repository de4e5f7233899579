"""Consents: which scopes a user has granted to a client, remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, union

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, prebuilt
from idp.store.paging import page
from idp.store.prepared import Prepared
from idp.store.tenant.grants import grants

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection, Row

consents = db.Table(
    "consents",
    identifier("user_id"),
    identifier("client_id"),
    document("scopes"),
    moment("granted_at"),
    bind_key="tenant",
)

_SCOPES = Prepared(
    select(consents.c.scopes).where(
        (consents.c.user_id == bindparam("user")) & (consents.c.client_id == bindparam("client"))
    )
)
_ADD = Prepared(
    prebuilt(
        lambda insert: insert.on_conflict_do_update(
            index_elements=[consents.c.user_id, consents.c.client_id],
            set_={"scopes": insert.excluded.scopes, "granted_at": insert.excluded.granted_at},
        ),
        consents,
    )
)


def scopes_of(conn: Connection, user_id: str, client_id: str) -> frozenset[str]:
    """Return the scopes a user has granted to a client."""
    return frozenset(_SCOPES.execute(conn, {"user": user_id, "client": client_id}).scalar() or ())


def list_of_user(conn: Connection, user_id: str, limit: int) -> Sequence[Row[Any]]:
    """Return what a user has granted to whom, the newest first; at most ``limit``."""
    order = (consents.c.granted_at.desc(), consents.c.client_id)
    return conn.execute(select(consents).where(consents.c.user_id == user_id).order_by(*order).limit(limit)).all()


def search_applications_of(
    conn: Connection, user_id: str, *, is_descending: bool, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of the ``client_id`` of every client that a user has allowed something or has living grants to, and how many."""
    alive = (grants.c.user_id == user_id) & grants.c.revoked_at.is_(None) & (grants.c.expires_at > now())
    allowed = select(consents.c.client_id).where(consents.c.user_id == user_id)
    found = union(allowed, select(grants.c.client_id).where(alive)).subquery()
    key = found.c.client_id
    return page(conn, [key], key, sort=key, is_descending=is_descending, **window)


def list_some(conn: Connection, user_id: str, client_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Return what a user has granted to some clients."""
    here = (consents.c.user_id == user_id) & consents.c.client_id.in_(client_ids)
    return conn.execute(select(consents).where(here)).all()


def add(conn: Connection, user_id: str, client_id: str, scopes: frozenset[str]) -> None:
    """Remember that a user granted scopes to a client, beside those granted earlier."""
    granted = sorted(scopes | scopes_of(conn, user_id, client_id))
    row = {"user_id": user_id, "client_id": client_id, "scopes": granted, "granted_at": now()}
    _ADD.execute(conn, row)


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
