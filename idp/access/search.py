"""The three searches: who may do something with a resource, with which resources somebody may do it, and what somebody may do.

Candidates come from the bindings; each is judged by :func:`idp.access.policy.permitted`, so that a search never says more than a
decision would. A page may be short where conditions do not hold; it is the last one when there is nothing to go on from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.access import permissions, policy
from idp.access.policy import Subject
from idp.store.tenant import role_bindings, roles, users

if TYPE_CHECKING:
    from idp.access.conditions import Context
    from idp.store.rows import Connection

MOST_LOOKED_AT = 500  # candidates that one page judges


def subjects(
    conn: Connection, kind: str, permission: str, resource: str, *, context: Context, after: str, limit: int
) -> tuple[list[tuple[str, str]], str]:
    """Return (id, name) of subjects of a kind who may do it, and from where to go on, empty at the end."""
    holding = permissions.built_in_with(permission).union(roles.roles_with(conn, [permission]))
    is_everybodys = permission in permissions.BUILT_IN[permissions.EVERYBODY]
    found: list[tuple[str, str]] = []
    candidates: list[tuple[str, str, str]]
    if kind == "user" and is_everybodys:
        rows = users.list_all(conn, limit=MOST_LOOKED_AT, after=after)
        candidates = [(row.id, row.username, row.username_key) for row in rows]
    elif kind == "user":
        rows = role_bindings.users_who_may_hold(conn, holding, resource, after=after, limit=MOST_LOOKED_AT)
        candidates = [(row.id, row.username, row.username_key) for row in rows]
    elif kind == "client":
        ids = role_bindings.clients_who_may_hold(conn, holding, resource, after=after, limit=MOST_LOOKED_AT)
        candidates = [(each, each, each) for each in ids]
    else:
        return [], ""
    for number, (subject_id, name, key) in enumerate(candidates, 1):
        decision = policy.permitted(conn, Subject(kind, subject_id), permission, context=context, resource=resource)
        if decision.allowed:
            found.append((subject_id, name))
        if len(found) == limit:
            has_more = number < len(candidates) or len(candidates) == MOST_LOOKED_AT
            return found, key if has_more else ""
    return found, candidates[-1][2] if len(candidates) == MOST_LOOKED_AT else ""


def resources(
    conn: Connection, subject: Subject, kind: str, permission: str, *, context: Context, after: str, limit: int
) -> tuple[list[str], str]:
    """Return the resources ``kind:id`` with which the subject may do it, of those that a role is bound for, and from where to go on."""
    if policy.permitted(conn, subject, permission, context=context).allowed:
        known = role_bindings.known_resources(conn, kind, after=after, limit=MOST_LOOKED_AT)
    else:
        held = role_bindings.held_by(conn, subject.type, subject.id)
        known = sorted({row.resource for row in held if row.resource.startswith(f"{kind}:") and row.resource > after})
        known = known[:MOST_LOOKED_AT]
    found: list[str] = []
    for number, resource in enumerate(known, 1):
        if policy.permitted(conn, subject, permission, context=context, resource=resource).allowed:
            found.append(resource)
        if len(found) == limit:
            return found, resource if number < len(known) or len(known) == MOST_LOOKED_AT else ""
    return found, known[-1] if len(known) == MOST_LOOKED_AT else ""


def actions(conn: Connection, subject: Subject, resource: str, *, context: Context) -> list[str]:
    """Return the actions that the subject may do with a resource, sorted."""
    if policy.standing(conn, subject) is not None:
        return []
    kind = resource.partition(":")[0]
    rows = [row for row in role_bindings.held_by(conn, subject.type, subject.id) if row.resource in ("", resource)]
    names = {row.role for row in rows} | ({permissions.EVERYBODY} if subject.type == "user" else set())
    stored = roles.permissions_of(conn, names - permissions.BUILT_IN.keys())
    granted = {each for name in names for each in permissions.of_role(name, stored.get(name, ()))}
    candidates = sorted(each for each in granted if each.startswith(f"{kind}:"))
    return [
        each.partition(":")[2]
        for each in candidates
        if policy.permitted(conn, subject, each, context=context, resource=resource).allowed
    ]
