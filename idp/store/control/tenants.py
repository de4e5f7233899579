"""Tenants: id, slug, issuer, state, where the database is, and the tenant's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

tenants = db.Table(
    "tenants",
    identifier(),
    text("slug"),
    text("name"),
    text("state"),  # creating, active, suspended, deleting
    text("issuer"),
    text("placement"),
    text("database_url"),
    document("settings"),
    moment("created_at"),
    moment("updated_at"),
    db.UniqueConstraint("slug", name="uq_tenants_slug"),
    db.UniqueConstraint("issuer", name="uq_tenants_issuer"),
    bind_key="control",
)


def find(conn: Connection, tenant_id: str) -> Row[Any] | None:
    """Return a tenant by id, or None."""
    return conn.execute(select(tenants).where(tenants.c.id == tenant_id)).first()


def find_by_slug(conn: Connection, slug: str) -> Row[Any] | None:
    """Return a tenant by slug, or None."""
    return conn.execute(select(tenants).where(tenants.c.slug == slug)).first()


def find_by_issuer(conn: Connection, issuer: str) -> Row[Any] | None:
    """Return a tenant by issuer, or None."""
    return conn.execute(select(tenants).where(tenants.c.issuer == issuer)).first()


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every tenant, by slug."""
    return conn.execute(select(tenants).order_by(tenants.c.slug)).all()


def create(conn: Connection, **values: Any) -> None:
    """Insert a tenant; the columns by keyword."""
    at = now()
    conn.execute(insert(tenants).values(created_at=at, updated_at=at, **values))


def change(conn: Connection, tenant_id: str, **values: Any) -> bool:
    """Update columns of a tenant; says whether it exists."""
    done = conn.execute(update(tenants).where(tenants.c.id == tenant_id).values(updated_at=now(), **values))
    return done.rowcount == 1


def delete(conn: Connection, tenant_id: str) -> bool:
    """Delete a tenant's row; says whether it existed."""
    return conn.execute(sql_delete(tenants).where(tenants.c.id == tenant_id)).rowcount == 1
