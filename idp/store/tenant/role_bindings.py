"""Role bindings: who holds which role, in the whole tenant or for one resource, until when and on what conditions.

A holder is a user, a group or a client. ``resource`` is ``type:id``, or empty for the whole tenant: NULL would be no part of a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, bindparam, delete, exists, func, insert, literal, select, union_all, update

from idp import opaque
from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, text
from idp.store.paging import page
from idp.store.prepared import Prepared
from idp.store.tenant.groups import group_members
from idp.store.tenant.roles import ensure, role_permissions
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.engine import Connection, Row

role_bindings = db.Table(
    "role_bindings",
    identifier(),
    identifier("role", primary_key=False),
    identifier("holder_type", primary_key=False),  # user, group, client
    identifier("holder_id", primary_key=False),
    identifier("resource", primary_key=False),
    moment("expires_at", nullable=True),
    db.Column("conditions", JSON(none_as_null=True), nullable=True),
    moment("created_at"),
    text("created_by"),
    db.UniqueConstraint("holder_type", "holder_id", "role", "resource", name="uq_role_bindings"),
    bind_key="tenant",
)
# Who holds a role is read from it alone.
db.Index(
    "ix_role_bindings_holders",
    role_bindings.c.role,
    role_bindings.c.resource,
    role_bindings.c.holder_type,
    role_bindings.c.holder_id,
    role_bindings.c.expires_at,
)
db.Index(
    "ix_role_bindings_resource",
    role_bindings.c.resource,
    sqlite_where=role_bindings.c.resource != "",
    postgresql_where=role_bindings.c.resource != "",
)
db.Index(
    "ix_role_bindings_expires_at",
    role_bindings.c.expires_at,
    sqlite_where=role_bindings.c.expires_at.is_not(None),
    postgresql_where=role_bindings.c.expires_at.is_not(None),
)

# PostgreSQL: the advisory lock that those take turns on who may leave a tenant without an administrator.
_ADMINISTRATION = 0x41444D4E

_GRANTS = exists(
    select(literal(1)).where(
        (role_permissions.c.role == role_bindings.c.role) & (role_permissions.c.permission == bindparam("permission"))
    )
).label("grants")
_HERE = role_bindings.c.resource.in_(["", bindparam("resource", unique=False), bindparam("within", unique=False)])


def _held(*columns: Any, here: Any = None) -> Any:
    """Return the bindings of a holder itself and, of a user, those of the groups that the user is in."""
    own = select(*columns).where(
        (role_bindings.c.holder_type == bindparam("holder_type"))
        & (role_bindings.c.holder_id == bindparam("holder_id"))
    )
    # Not a join: SQLite would go through the bindings of every group.
    mine = select(group_members.c.group_id).where(
        (group_members.c.user_id == bindparam("holder_id")) & (bindparam("holder_type") == "user")
    )
    of_groups = select(*columns).where((role_bindings.c.holder_type == "group") & role_bindings.c.holder_id.in_(mine))
    return union_all(own, of_groups) if here is None else union_all(own.where(here), of_groups.where(here))


_FOR_DECISION = Prepared(_held(*role_bindings.c, _GRANTS, here=_HERE))
_ALL_HELD = Prepared(_held(*role_bindings.c))
_ROLES = Prepared(
    select(role_bindings.c.role)
    .where(
        (role_bindings.c.holder_type == "user")
        & (role_bindings.c.holder_id == bindparam("holder_id"))
        & (role_bindings.c.resource == "")
    )
    .order_by(role_bindings.c.role)
)


def for_decision(
    conn: Connection, holder_type: str, holder_id: str, permission: str, resource: str = "", within: str = ""
) -> Sequence[Row[Any]]:
    """Return the bindings of a holder that hold for a resource, each with ``grants``: whether the stored role has the permission.

    ``within`` is a resource that contains it. The whole tenant's bindings hold for every resource.
    """
    return _FOR_DECISION.execute(
        conn,
        {
            "holder_type": holder_type,
            "holder_id": holder_id,
            "permission": permission,
            "resource": resource,
            "within": within,
        },
    ).all()


def held_by(conn: Connection, holder_type: str, holder_id: str) -> Sequence[Row[Any]]:
    """Return every binding of a holder, and of the groups that a user is in; expired ones too."""
    return _ALL_HELD.execute(conn, {"holder_type": holder_type, "holder_id": holder_id}).all()


def roles_of(conn: Connection, user_id: str) -> list[str]:
    """Return the names of the roles that a user is bound to directly and in the whole tenant, sorted; expired ones too."""
    return [row.role for row in _ROLES.execute(conn, {"holder_id": user_id}).all()]


def find(conn: Connection, binding_id: str) -> Row[Any] | None:
    """Return a binding, or None."""
    return conn.execute(select(role_bindings).where(role_bindings.c.id == binding_id)).first()


def find_locked(conn: Connection, binding_id: str) -> Row[Any] | None:
    """Return a binding, or None; within a write transaction nobody else changes the row until it ends."""
    return conn.execute(select(role_bindings).where(role_bindings.c.id == binding_id).with_for_update()).first()


def find_same(conn: Connection, holder_type: str, holder_id: str, role: str, resource: str) -> Row[Any] | None:
    """Return the binding of a holder to a role for a resource, or None."""
    c = role_bindings.c
    here = (c.holder_type == holder_type) & (c.holder_id == holder_id) & (c.role == role) & (c.resource == resource)
    return conn.execute(select(role_bindings).where(here)).first()


def search(
    conn: Connection,
    *,
    sort: str = "created_at",
    is_descending: bool = False,
    filters: Mapping[str, str],
    **window: Any,
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of bindings (:func:`idp.store.paging.page`) and how many there are; ``filters`` are columns' values."""
    here = [role_bindings.c[name] == value for name, value in filters.items()]
    column = role_bindings.c[sort]
    return page(conn, role_bindings.c, role_bindings.c.id, here, sort=column, is_descending=is_descending, **window)


def bound_roles(conn: Connection) -> list[str]:
    """Return the names of the roles that anybody is bound to; expired ones too."""
    return list(conn.execute(select(role_bindings.c.role).distinct()).scalars())


def count(conn: Connection, role: str) -> int:
    """Return how many bindings of a role there are."""
    here = role_bindings.c.role == role
    return conn.execute(select(func.count()).select_from(role_bindings).where(here)).scalar_one()


def users_who_may_hold(
    conn: Connection, roles: Collection[str], resource: str, *, after: str, limit: int
) -> Sequence[Row[Any]]:
    """Return active users to whom one of the roles is bound, by groups too, in the whole tenant or for a resource.

    By folded username, those after one; whether a binding holds now is not looked at.
    """
    c = role_bindings.c
    here = c.role.in_(roles) & c.resource.in_(["", resource])
    direct = select(c.holder_id).where(here & (c.holder_type == "user"))
    by_group = (
        select(group_members.c.user_id)
        .join(role_bindings, (c.holder_type == "group") & (c.holder_id == group_members.c.group_id))
        .where(here)
    )
    query = select(users).where((users.c.state == "active") & users.c.id.in_(union_all(direct, by_group)))
    return conn.execute(query.where(users.c.username_key > after).order_by(users.c.username_key).limit(limit)).all()


def clients_who_may_hold(
    conn: Connection, roles: Collection[str], resource: str, *, after: str, limit: int
) -> list[str]:
    """Return the ids of clients to which one of the roles is bound, in order, those after one."""
    c = role_bindings.c
    here = c.role.in_(roles) & c.resource.in_(["", resource]) & (c.holder_type == "client") & (c.holder_id > after)
    return list(conn.execute(select(c.holder_id).where(here).distinct().order_by(c.holder_id).limit(limit)).scalars())


def known_resources(conn: Connection, kind: str, *, after: str, limit: int) -> list[str]:
    """Return the resources of a type that a role is bound for, in order, those after one."""
    c = role_bindings.c
    first, last = max(f"{kind}:", after), f"{kind};"  # the character after the colon
    here = (c.resource > first) & (c.resource < last) & (c.resource != "")
    return list(conn.execute(select(c.resource).where(here).distinct().order_by(c.resource).limit(limit)).scalars())


def insert_one(conn: Connection, **values: Any) -> None:
    """Insert a binding; the columns by keyword. Raises for one that is there already."""
    conn.execute(insert(role_bindings).values(**values))


def change(conn: Connection, binding_id: str, **values: Any) -> bool:
    """Update columns of a binding; says whether it is there."""
    here = role_bindings.c.id == binding_id
    return conn.execute(update(role_bindings).where(here).values(**values)).rowcount == 1


def create(conn: Connection, user_id: str, role: str, by: str = "") -> None:
    """Give a user a role in the whole tenant, a new one without permissions where there is none of the name."""
    create_many(conn, [(user_id, role)], by)


def create_many(conn: Connection, bindings: Sequence[tuple[str, str]], by: str = "") -> None:
    """Give roles to users in one statement: (user id, role) each; roles that are not there grant nothing yet."""
    at = now()
    if not bindings:
        return
    ensure(conn, {role for _, role in bindings}, "")
    rows = [
        {
            "id": opaque.new_id(),
            "role": role,
            "holder_type": "user",
            "holder_id": user_id,
            "resource": "",
            "expires_at": None,
            "conditions": None,
            "created_at": at,
            "created_by": by,
        }
        for user_id, role in bindings
    ]
    conn.execute(insert(role_bindings), rows)


def delete_one(conn: Connection, binding_id: str) -> bool:
    """Delete a binding; says whether it was there."""
    return conn.execute(delete(role_bindings).where(role_bindings.c.id == binding_id)).rowcount == 1


def delete_of(conn: Connection, user_id: str) -> None:
    """Take every role from a user."""
    delete_of_holder(conn, "user", user_id)


def delete_of_holder(conn: Connection, holder_type: str, holder_id: str) -> None:
    """Take every role from a holder."""
    here = (role_bindings.c.holder_type == holder_type) & (role_bindings.c.holder_id == holder_id)
    conn.execute(delete(role_bindings).where(here))


def delete_of_role(conn: Connection, role: str) -> int:
    """Take a role from everybody; returns how many bindings that were."""
    return conn.execute(delete(role_bindings).where(role_bindings.c.role == role)).rowcount


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete bindings that ended before a moment; at most ``limit`` at once."""
    return delete_some(conn, role_bindings, role_bindings.c.expires_at < before, limit)


def lock_administration(conn: Connection) -> None:
    """Let nobody else take administrators away until the transaction ends."""
    if conn.dialect.name == "postgresql":  # SQLite has one writer anyway
        conn.execute(select(func.pg_advisory_xact_lock(_ADMINISTRATION)))


def holders_for_good(conn: Connection, roles: Collection[str], *, limit: int) -> list[str]:
    """Return the ids of active users who hold one of the roles in the whole tenant, without an end and on no condition."""
    c = role_bindings.c
    for_good = c.role.in_(roles) & (c.resource == "") & c.expires_at.is_(None) & c.conditions.is_(None)
    direct = select(c.holder_id).where(for_good & (c.holder_type == "user"))
    by_group = (
        select(group_members.c.user_id)
        .join(role_bindings, (c.holder_type == "group") & (c.holder_id == group_members.c.group_id))
        .where(for_good)
    )
    query = select(users.c.id).where((users.c.state == "active") & users.c.id.in_(union_all(direct, by_group)))
    return list(conn.execute(query.order_by(users.c.id).limit(limit)).scalars())
