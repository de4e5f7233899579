"""The list of a tenant's users: filters, orders and pages, and what stands beside a user's row in a list.

Reads users, their groups, role bindings, grants and failed sign-ins; writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import false, func, literal_column, or_, select, union_all

from idp.clock import now
from idp.store.paging import page
from idp.store.tenant.attempts import attempts
from idp.store.tenant.grants import grants
from idp.store.tenant.groups import group_members, groups
from idp.store.tenant.role_bindings import role_bindings
from idp.store.tenant.users import LONGEST_EMAIL_KEY, search_key, users

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.engine import Connection, Row

_FEW = 200  # that are named in a statement
_OTHER = users.alias("other")
SORTS = {"email": users.c.email_key, "name": users.c.name_key, "created_at": users.c.created_at}


def search(
    conn: Connection, *, sort: str, is_descending: bool, most_attempts: int, filters: Mapping[str, Any], **window: Any
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of users (:func:`idp.store.paging.page`) and how many there are.

    ``filters`` are those of :func:`_matching`; an account with ``most_attempts`` failed sign-ins is locked.
    """
    here = _matching(conn, most_attempts, **filters)
    return page(conn, users.c, users.c.id, here, sort=SORTS[sort], is_descending=is_descending, **window)


def _matching(
    conn: Connection,
    most_attempts: int,
    *,
    email: str | None = None,
    name: str | None = None,
    search: str | None = None,
    state: str | None = None,
    client_id: str | None = None,
    role: str | None = None,
    one_of: Collection[str] = (),
    none_of: Collection[str] = (),
    group_id: str | None = None,
    created_from: int | None = None,
    created_before: int | None = None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of a list: the address in any case, a part of the name, a part of name, address or username, the state.

    Also: who has living grants to a client, holds a role in the whole tenant, one of some roles, or none of some, is in a group,
    and when the account was made.
    """
    here: list[ColumnElement[bool]] = []
    if email is not None:
        key = search_key(email)[:LONGEST_EMAIL_KEY]
        here.append(users.c.email_key == key if key else false())  # who has no address is not who has an empty one
    if name is not None:
        here.append(_has(conn, users.c.name_key, search_key(name)))
    if search is not None:
        part = search_key(search)
        here.append(
            or_(*(_has(conn, each, part) for each in (users.c.email_key, users.c.name_key, users.c.username_key)))
        )
    if state is not None:
        here += _in_state(conn, state, most_attempts)
    if client_id is not None:
        has_grants = (grants.c.client_id == client_id) & grants.c.revoked_at.is_(None) & (grants.c.expires_at > now())
        here.append(_is_among(conn, select(grants.c.user_id).where(has_grants)))
    here += [_is_among(conn, *_holders(roles)) for roles in ([role] if role else [], one_of) if roles]
    if none_of:
        here.append(~_is_among(conn, *_holders(none_of)))
    if group_id is not None:
        members = select(group_members.c.user_id).where(group_members.c.group_id == group_id)
        here.append(_is_among(conn, members))
    return here + _created(conn, created_from, created_before)


def _has(conn: Connection, column: Any, part: str) -> ColumnElement[bool]:
    """Return whether a column has a part: no pattern, in which a text would have to be escaped, and which takes longer."""
    find: Any = func.strpos if conn.dialect.name == "postgresql" else func.instr
    found: ColumnElement[bool] = find(column, part) > 0
    return found


def _is_among(conn: Connection, *found: Select[Any]) -> ColumnElement[bool]:
    """Return whether a user is among those whose ids some queries find.

    A few of them are named, which leads to their rows at once. Many are looked up while the list is gone through in its order, of
    which a page needs only a part; left to itself, SQLite would read and sort the rows of them all.
    """
    some: Any = union_all(*found) if len(found) > 1 else found[0]
    few = _few(conn, select(some.subquery().c[0]).distinct())
    if few is None:
        return _unled(conn, users.c.id).in_(some)  # type: ignore[no-any-return]
    return users.c.id.in_(few) if few else false()


def _few(conn: Connection, found: Select[Any]) -> Sequence[str] | None:
    """Return what a query finds, None where it is much."""
    some = conn.execute(found.limit(_FEW + 1)).scalars().all()
    return some if len(some) <= _FEW else None


def _unled(conn: Connection, column: Any) -> Any:
    """Return a column by which SQLite does not look for rows: it uses no index for a term with a plus."""
    return literal_column(f"+users.{column.name}") if conn.dialect.name == "sqlite" else column


def _in_state(conn: Connection, state: str, most_attempts: int) -> list[ColumnElement[bool]]:
    if state not in ("active", "locked"):
        return [users.c.state == state]
    over = (attempts.c.count >= most_attempts) & (attempts.c.window_ends_at > now())
    counters = select(attempts.c.subject_hash).where(over)
    few = _few(conn, counters)
    wanted: Any = counters if few is None else few
    locked = false() if few == [] else _is_among(conn, select(_OTHER.c.id).where(_OTHER.c.attempts_key.in_(wanted)))
    return [users.c.state == "active", locked if state == "locked" else ~locked]


def _created(conn: Connection, start: int | None, end: int | None) -> list[ColumnElement[bool]]:
    def between(column: Any) -> list[ColumnElement[bool]]:
        return [*([column >= start] if start is not None else ()), *([column < end] if end is not None else ())]

    few = (
        _few(conn, select(users.c.id).where(*between(users.c.created_at)))
        if start is not None or end is not None
        else None
    )
    return between(_unled(conn, users.c.created_at)) if few is None else [users.c.id.in_(few) if few else false()]


def _holders(roles: Collection[str]) -> tuple[Select[Any], Select[Any]]:
    """Return who holds one of the roles in the whole tenant, directly and by groups; ended bindings left out."""
    c = role_bindings.c
    here = c.role.in_(roles) & (c.resource == "") & (c.expires_at.is_(None) | (c.expires_at > now()))
    direct = select(c.holder_id).where(here & (c.holder_type == "user"))
    by_group = select(group_members.c.user_id).join(
        role_bindings, (c.holder_type == "group") & (c.holder_id == group_members.c.group_id)
    )
    return direct, by_group.where(here)


def roles_of(conn: Connection, user_ids: Collection[str]) -> Mapping[str, list[str]]:
    """Return the roles that some users are bound to directly and in the whole tenant, by user; ended ones left out."""
    c = role_bindings.c
    here = (c.holder_type == "user") & c.holder_id.in_(user_ids) & (c.resource == "")
    here &= c.expires_at.is_(None) | (c.expires_at > now())
    found = defaultdict(list)
    for row in conn.execute(select(c.holder_id, c.role).where(here).order_by(c.role)):
        found[row.holder_id].append(row.role)
    return found


def groups_of(conn: Connection, user_ids: Collection[str]) -> Mapping[str, list[Row[Any]]]:
    """Return the groups (``id``, ``name``) that some users are in, by user."""
    wanted = select(group_members.c.user_id, groups.c.id, groups.c.name)
    wanted = wanted.join(groups, groups.c.id == group_members.c.group_id)
    found: dict[str, list[Any]] = defaultdict(list)
    for row in conn.execute(wanted.where(group_members.c.user_id.in_(user_ids)).order_by(groups.c.name_key)):
        found[row.user_id].append(row)
    return found
