"""Tenants: id, slug, issuer, state, where the database is, and the tenant's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text
from idp.store.paging import page

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement
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
_NAME = func.lower(tenants.c.name)
SORTS = {"slug": tenants.c.slug, "name": _NAME, "created_at": tenants.c.created_at}


def find(conn: Connection, tenant_id: str) -> Row[Any] | None:
    """Return a tenant by id, or None."""
    return conn.execute(select(tenants).where(tenants.c.id == tenant_id)).first()


def find_locked(conn: Connection, tenant_id: str) -> Row[Any] | None:
    """Return a tenant, or None; within a write transaction nobody else changes the row until it ends."""
    return conn.execute(select(tenants).where(tenants.c.id == tenant_id).with_for_update()).first()


def find_by_slug(conn: Connection, slug: str) -> Row[Any] | None:
    """Return a tenant by slug, or None."""
    return conn.execute(select(tenants).where(tenants.c.slug == slug)).first()


def find_by_issuer(conn: Connection, issuer: str) -> Row[Any] | None:
    """Return a tenant by issuer, or None."""
    return conn.execute(select(tenants).where(tenants.c.issuer == issuer)).first()


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every tenant, by slug."""
    return conn.execute(select(tenants).order_by(tenants.c.slug)).all()


def search(
    conn: Connection,
    *,
    sort: str,
    name: str | None = None,
    slug: str | None = None,
    state: str | None = None,
    **window: Any,
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of tenants (:func:`idp.store.paging.page`) by parts of name and slug in any case, and by state; and how many."""
    here: list[ColumnElement[bool]] = []
    if name is not None:
        here.append(_NAME.contains(func.lower(_escaped(name)), escape="\\"))
    if slug is not None:
        here.append(tenants.c.slug.contains(_escaped(slug.lower()), escape="\\"))
    if state is not None:
        here.append(tenants.c.state == state)
    return page(conn, tenants.c, tenants.c.id, here, sort=SORTS[sort], **window)


def _escaped(text_: str) -> str:
    """Return a text in which nothing has a meaning to LIKE."""
    return text_.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def create(conn: Connection, **values: Any) -> None:
    """Insert a tenant; the columns by keyword."""
    at = now()
    conn.execute(insert(tenants).values(created_at=at, updated_at=at, **values))


def change(conn: Connection, tenant_id: str, **values: Any) -> bool:
    """Update columns of a tenant; says whether it exists."""
    done = conn.execute(update(tenants).where(tenants.c.id == tenant_id).values(updated_at=now(), **values))
    return done.rowcount == 1


def move(conn: Connection, tenant_id: str, states: Collection[str], state: str) -> bool:
    """Bring a tenant from one of some states into another; says whether it was in one of them."""
    here = (tenants.c.id == tenant_id) & tenants.c.state.in_(states)
    return conn.execute(update(tenants).where(here).values(state=state, updated_at=now())).rowcount == 1


def delete(conn: Connection, tenant_id: str) -> bool:
    """Delete a tenant's row; says whether it existed."""
    return conn.execute(sql_delete(tenants).where(tenants.c.id == tenant_id)).rowcount == 1
