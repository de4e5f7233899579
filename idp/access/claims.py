"""The claims ``roles``, ``groups`` and ``permissions``, released by scopes of the same names, and what other scopes stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access import permissions, policy
from idp.store.tenant import groups
from idp.store.tenant import permissions as own_permissions

if TYPE_CHECKING:
    from collections.abc import Collection

    from idp.access.conditions import Context
    from idp.access.policy import Subject
    from idp.store.rows import Connection

SCOPES = ("roles", "groups", "permissions")
EVERYTHING = "authsec"  # the scope that stands for whatever its bearer may do at the services


def for_token(
    conn: Connection, subject: Subject, scopes: Collection[str], *, context: Context, allowed: Collection[str] = ()
) -> dict[str, Any]:
    """Return the claims that the scopes release, as of now; names, sorted.

    ``permissions`` are those that the subject holds in the whole tenant; where a scope of the token stands for permissions, only
    those among them that one stands for; ``allowed`` as of :func:`stands_for`.
    """
    found: dict[str, Any] = {}
    if "roles" in scopes:
        found["roles"] = policy.roles_of(conn, subject, context=context)
    if "groups" in scopes:
        found["groups"] = [row.name for row in groups.of_user(conn, subject.id)] if subject.type == "user" else []
    if "permissions" in scopes:
        held = policy.held(conn, subject, context=context)
        narrowed = stands_for(conn, scopes, allowed=allowed)
        found["permissions"] = sorted(held if narrowed is None else held & narrowed)
    return found


def stands_for(conn: Connection, scopes: Collection[str], *, allowed: Collection[str] = ()) -> frozenset[str] | None:
    """Return the permissions that the scopes stand for, None when none of them is about permissions.

    The scope ``authsec`` stands for all of the product's; a permission's own name stands for itself. ``allowed`` are the scopes that
    these are a part of: if one of those is about permissions, leaving it out leaves none, never all.
    """
    found: set[str] = set()
    is_about = False
    for scope in scopes:
        if scope == EVERYTHING:
            found |= permissions.PERMISSIONS.keys()
            is_about = True
        elif permissions.is_product(scope):
            found.add(scope)
            is_about = True
    for row in own_permissions.some_scopes(conn, scopes):
        found.update(row.permissions)
        is_about = True
    if is_about:
        return frozenset(found)
    return frozenset() if allowed and stands_for(conn, allowed) is not None else None


def covers(conn: Connection, scopes: Collection[str], permission: str) -> bool:
    """Say whether a token with these scopes may be used for something that needs a permission."""
    if permission in scopes or (EVERYTHING in scopes and permissions.is_product(permission)):
        return True
    return any(permission in row.permissions for row in own_permissions.some_scopes(conn, scopes))
