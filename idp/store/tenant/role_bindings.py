"""Role bindings: which roles a user holds in the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

role_bindings = db.Table(
    "role_bindings", identifier("user_id"), identifier("role"), moment("created_at"), bind_key="tenant"
)


def roles_of(conn: Connection, user_id: str) -> list[str]:
    """Return the names of a user's roles, sorted."""
    return list(
        conn.execute(
            select(role_bindings.c.role).where(role_bindings.c.user_id == user_id).order_by(role_bindings.c.role)
        ).scalars()
    )


def create(conn: Connection, user_id: str, role: str) -> None:
    """Give a role to a user."""
    conn.execute(insert(role_bindings).values(user_id=user_id, role=role, created_at=now()))


def create_many(conn: Connection, bindings: Sequence[tuple[str, str]]) -> None:
    """Give roles to users in one statement: (user id, role) each."""
    at = now()
    if bindings:
        rows = [{"user_id": user_id, "role": role, "created_at": at} for user_id, role in bindings]
        conn.execute(insert(role_bindings), rows)


def delete_of(conn: Connection, user_id: str) -> None:
    """Take every role from a user."""
    conn.execute(delete(role_bindings).where(role_bindings.c.user_id == user_id))
