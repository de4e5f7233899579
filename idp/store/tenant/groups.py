"""Groups of users and who is in them; a group carries roles by bindings of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert
from idp.store.paging import page
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection, Row

groups = db.Table(
    "groups",
    identifier(),
    text("name"),
    text("name_key"),  # the name folded, so that variants of one name are one group
    text("description"),
    moment("created_at"),
    moment("updated_at"),
    db.UniqueConstraint("name_key", name="uq_groups_name_key"),
    bind_key="tenant",
)
group_members = db.Table(
    "group_members", identifier("group_id"), identifier("user_id"), moment("created_at"), bind_key="tenant"
)
db.Index("ix_group_members_user_id", group_members.c.user_id)


def find(conn: Connection, group_id: str) -> Row[Any] | None:
    """Return a group, or None."""
    return conn.execute(select(groups).where(groups.c.id == group_id)).first()


def find_locked(conn: Connection, group_id: str) -> Row[Any] | None:
    """Return a group, or None; within a write transaction nobody else changes the row until it ends."""
    return conn.execute(select(groups).where(groups.c.id == group_id).with_for_update()).first()


def find_by_name(conn: Connection, name_key: str) -> Row[Any] | None:
    """Return a group by its folded name, or None."""
    return conn.execute(select(groups).where(groups.c.name_key == name_key)).first()


def search(
    conn: Connection, *, sort: str = "name", is_descending: bool = False, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of groups (:func:`idp.store.paging.page`) and how many there are."""
    column = groups.c["name_key" if sort == "name" else sort]
    return page(conn, groups.c, groups.c.id, sort=column, is_descending=is_descending, **window)


def create(conn: Connection, **values: Any) -> None:
    """Insert a group; the columns by keyword."""
    at = now()
    conn.execute(insert(groups).values(created_at=at, updated_at=at, **values))


def change(conn: Connection, group_id: str, **values: Any) -> bool:
    """Update columns of a group; says whether it is there."""
    return conn.execute(update(groups).where(groups.c.id == group_id).values(updated_at=now(), **values)).rowcount == 1


def delete_one(conn: Connection, group_id: str) -> bool:
    """Delete a group and who was in it; says whether it was there."""
    conn.execute(delete(group_members).where(group_members.c.group_id == group_id))
    return conn.execute(delete(groups).where(groups.c.id == group_id)).rowcount == 1


def add(conn: Connection, group_id: str, user_ids: Collection[str]) -> int:
    """Put users into a group; returns how many were not in it."""
    if not user_ids:
        return 0
    at = now()
    rows = [{"group_id": group_id, "user_id": user_id, "created_at": at} for user_id in sorted(user_ids)]
    done: int = conn.execute(upsert(conn, group_members).values(rows).on_conflict_do_nothing()).rowcount
    return done


def remove(conn: Connection, group_id: str, user_id: str) -> bool:
    """Take a user out of a group; says whether the user was in it."""
    here = (group_members.c.group_id == group_id) & (group_members.c.user_id == user_id)
    return conn.execute(delete(group_members).where(here)).rowcount == 1


def members(
    conn: Connection, group_id: str, *, is_descending: bool = False, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of the users in a group by folded username (:func:`idp.store.paging.page`) and how many there are."""
    since = (
        select(group_members.c.created_at)
        .where((group_members.c.group_id == group_id) & (group_members.c.user_id == users.c.id))
        .scalar_subquery()
        .label("member_since")
    )
    ids = select(group_members.c.user_id).where(group_members.c.group_id == group_id)
    here = [users.c.id.in_(ids)]
    sort = users.c.username_key
    return page(conn, [*users.c, since], users.c.id, here, sort=sort, is_descending=is_descending, **window)


def count_members(conn: Connection, group_id: str) -> int:
    """Return how many users are in a group."""
    query = select(func.count()).select_from(group_members).where(group_members.c.group_id == group_id)
    return conn.execute(query).scalar_one()


def of_user(conn: Connection, user_id: str) -> Sequence[Row[Any]]:
    """Return the groups that a user is in, by name."""
    query = select(groups, group_members.c.created_at.label("member_since"))
    query = query.join(group_members, group_members.c.group_id == groups.c.id)
    return conn.execute(query.where(group_members.c.user_id == user_id).order_by(groups.c.name_key)).all()


def search_of_user(
    conn: Connection, user_id: str, *, is_descending: bool = False, **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of the groups that a user is in by folded name (:func:`idp.store.paging.page`) and how many there are."""
    since = (
        select(group_members.c.created_at)
        .where((group_members.c.user_id == user_id) & (group_members.c.group_id == groups.c.id))
        .scalar_subquery()
        .label("member_since")
    )
    here = [groups.c.id.in_(select(group_members.c.group_id).where(group_members.c.user_id == user_id))]
    sort = groups.c.name_key
    return page(conn, [*groups.c, since], groups.c.id, here, sort=sort, is_descending=is_descending, **window)


def leave_all(conn: Connection, user_id: str) -> None:
    """Take a user out of every group."""
    conn.execute(delete(group_members).where(group_members.c.user_id == user_id))
