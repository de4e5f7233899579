"""Tenant state: single values of a tenant, by name (positions of spool files, the head of the audit chain)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from idp.store.db import db
from idp.store.mixins import document, identifier, upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

tenant_state = db.Table("tenant_state", identifier("name"), document("value", nullable=True), bind_key="tenant")


def get(conn: Connection, name: str, default: Any = None) -> Any:
    """Return a value, or ``default``."""
    found = conn.execute(select(tenant_state.c.value).where(tenant_state.c.name == name)).first()
    return default if found is None else found.value


def put(conn: Connection, name: str, value: Any) -> None:
    """Store a value."""
    statement = upsert(conn, tenant_state).values(name=name, value=value)
    conn.execute(statement.on_conflict_do_update(index_elements=[tenant_state.c.name], set_={"value": value}))


def put_new(conn: Connection, name: str, value: Any) -> Any:
    """Store a value unless there is one; returns the one that stands."""
    conn.execute(upsert(conn, tenant_state).values(name=name, value=value).on_conflict_do_nothing())
    return get(conn, name)


def remove(conn: Connection, name: str) -> None:
    """Forget a value."""
    conn.execute(delete(tenant_state).where(tenant_state.c.name == name))
