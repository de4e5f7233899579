"""Roles of a tenant and the permissions each grants; the built-in ones are rows too, what they grant is the product's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, delete, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert
from idp.store.paging import page

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection, Row

roles = db.Table(
    "roles",
    identifier("name"),
    text("description"),
    db.Column("is_built_in", Boolean, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    bind_key="tenant",
)
role_permissions = db.Table(
    "role_permissions",
    identifier("role"),
    identifier("permission"),
    bind_key="tenant",
)
db.Index("ix_role_permissions_permission", role_permissions.c.permission)


def find(conn: Connection, name: str) -> Row[Any] | None:
    """Return a role, or None."""
    return conn.execute(select(roles).where(roles.c.name == name)).first()


def find_locked(conn: Connection, name: str) -> Row[Any] | None:
    """Return a role, or None; within a write transaction nobody else changes the row until it ends."""
    return conn.execute(select(roles).where(roles.c.name == name).with_for_update()).first()


def search(
    conn: Connection, *, sort: str = "name", is_descending: bool = False, is_built_in: bool | None = None, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of roles (:func:`idp.store.paging.page`) and how many there are."""
    here = [] if is_built_in is None else [roles.c.is_built_in.is_(is_built_in)]
    return page(conn, roles.c, roles.c.name, here, sort=roles.c[sort], is_descending=is_descending, **window)


def permissions_of(conn: Connection, names: Collection[str]) -> dict[str, list[str]]:
    """Return the stored permissions of each of the roles, sorted."""
    found: dict[str, list[str]] = {name: [] for name in names}
    query = select(role_permissions).where(role_permissions.c.role.in_(names)).order_by(role_permissions.c.permission)
    for row in conn.execute(query):
        found[row.role].append(row.permission)
    return found


def roles_with(conn: Connection, permissions: Collection[str]) -> dict[str, list[str]]:
    """Return the roles that have any of the permissions stored, each with those of them that it has."""
    found: dict[str, list[str]] = {}
    query = select(role_permissions).where(role_permissions.c.permission.in_(permissions))
    for row in conn.execute(query.order_by(role_permissions.c.role, role_permissions.c.permission)):
        found.setdefault(row.role, []).append(row.permission)
    return found


def create(conn: Connection, name: str, description: str, permissions: Collection[str] = ()) -> None:
    """Insert a role of the tenant's own."""
    at = now()
    conn.execute(
        insert(roles).values(name=name, description=description, is_built_in=False, created_at=at, updated_at=at)
    )
    set_permissions(conn, name, permissions)


def ensure(conn: Connection, names: Collection[str], description: str) -> None:
    """Insert those of the roles that are not there yet, without a permission."""
    at = now()
    rows = [
        {"name": name, "description": description, "is_built_in": False, "created_at": at, "updated_at": at}
        for name in sorted(names)
    ]
    if rows:
        conn.execute(upsert(conn, roles).values(rows).on_conflict_do_nothing())


def change(conn: Connection, name: str, description: str) -> None:
    """Change what is said of a role."""
    conn.execute(update(roles).where(roles.c.name == name).values(description=description, updated_at=now()))


def set_permissions(conn: Connection, name: str, permissions: Collection[str]) -> None:
    """Replace what a role grants."""
    conn.execute(delete(role_permissions).where(role_permissions.c.role == name))
    if permissions:
        rows = [{"role": name, "permission": permission} for permission in sorted(set(permissions))]
        conn.execute(insert(role_permissions), rows)


def delete_role(conn: Connection, name: str) -> None:
    """Delete a role and what it granted."""
    conn.execute(delete(role_permissions).where(role_permissions.c.role == name))
    conn.execute(delete(roles).where(roles.c.name == name))


def withdraw_permission(conn: Connection, permission: str) -> list[str]:
    """Take a permission out of every role; returns which had it."""
    here = role_permissions.c.permission == permission
    had = list(conn.execute(select(role_permissions.c.role).where(here).order_by(role_permissions.c.role)).scalars())
    conn.execute(delete(role_permissions).where(here))
    return had
