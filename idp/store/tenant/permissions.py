"""Permissions that a tenant defines for its own applications, and the scopes that stand for permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text
from idp.store.paging import page

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection, Row

permissions = db.Table(
    "permissions",
    identifier("name"),
    text("description"),
    moment("created_at"),
    moment("updated_at"),
    bind_key="tenant",
)
access_scopes = db.Table(
    "access_scopes",
    identifier("name"),
    text("description"),
    document("permissions"),
    moment("created_at"),
    moment("updated_at"),
    bind_key="tenant",
)


def find(conn: Connection, name: str) -> Row[Any] | None:
    """Return a permission, or None."""
    return conn.execute(select(permissions).where(permissions.c.name == name)).first()


def known(conn: Connection, names: Collection[str]) -> frozenset[str]:
    """Return those of the names that are permissions of the tenant's own."""
    query = select(permissions.c.name).where(permissions.c.name.in_(names))
    return frozenset(conn.execute(query).scalars())


def search(
    conn: Connection, *, sort: str = "name", is_descending: bool = False, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of permissions (:func:`idp.store.paging.page`) and how many there are."""
    column = permissions.c[sort]
    return page(conn, permissions.c, permissions.c.name, sort=column, is_descending=is_descending, **window)


def create(conn: Connection, name: str, description: str) -> None:
    """Insert a permission."""
    at = now()
    conn.execute(insert(permissions).values(name=name, description=description, created_at=at, updated_at=at))


def change(conn: Connection, name: str, description: str) -> bool:
    """Change what is said of a permission; says whether it is there."""
    values = {"description": description, "updated_at": now()}
    return conn.execute(update(permissions).where(permissions.c.name == name).values(**values)).rowcount == 1


def delete_one(conn: Connection, name: str) -> bool:
    """Delete a permission; says whether it was there."""
    return conn.execute(delete(permissions).where(permissions.c.name == name)).rowcount == 1


def find_scope(conn: Connection, name: str) -> Row[Any] | None:
    """Return a scope, or None."""
    return conn.execute(select(access_scopes).where(access_scopes.c.name == name)).first()


def some_scopes(conn: Connection, names: Collection[str]) -> Sequence[Row[Any]]:
    """Return those of the names that are scopes standing for permissions."""
    return conn.execute(select(access_scopes).where(access_scopes.c.name.in_(names))).all()


def search_scopes(
    conn: Connection, *, sort: str = "name", is_descending: bool = False, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of scopes (:func:`idp.store.paging.page`) and how many there are."""
    column = access_scopes.c[sort]
    return page(conn, access_scopes.c, access_scopes.c.name, sort=column, is_descending=is_descending, **window)


def list_scopes(conn: Connection) -> Sequence[Row[Any]]:
    """Return every scope that stands for permissions, by name."""
    return conn.execute(select(access_scopes).order_by(access_scopes.c.name)).all()


def create_scope(conn: Connection, name: str, description: str, stands_for: Sequence[str]) -> None:
    """Insert a scope."""
    at = now()
    values = {"name": name, "description": description, "permissions": list(stands_for)}
    conn.execute(insert(access_scopes).values(created_at=at, updated_at=at, **values))


def change_scope(conn: Connection, name: str, description: str, stands_for: Sequence[str]) -> bool:
    """Change a scope; says whether it is there."""
    values = {"description": description, "permissions": list(stands_for), "updated_at": now()}
    return conn.execute(update(access_scopes).where(access_scopes.c.name == name).values(**values)).rowcount == 1


def delete_scope(conn: Connection, name: str) -> bool:
    """Delete a scope; says whether it was there."""
    return conn.execute(delete(access_scopes).where(access_scopes.c.name == name)).rowcount == 1
