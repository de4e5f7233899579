"""The operations on permissions of the tenant's own, on :class:`idp.access.roles.Roles`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access.roles import Roles
from idp.api import listing, preconditions
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import examples
from idp.api.user_flow.models import (
    ByNameQuery,
    Described,
    NewPermission,
    Permission,
    PermissionList,
    shown_permission,
)

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Permissions"
_PATH = "/tenants/{tenant_id}/permissions"
_ONE = _PATH + "/{permission}"


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_permission(row))


def _require(call: Call) -> Any:
    return lambda _conn, row: preconditions.require_match(call.http, _etag(row))


def _made(call: Call, row: Row[Any]) -> Reply:
    location = f"{call.base}/tenants/{call.path['tenant_id']}/permissions/{row.name}"
    return Reply(shown_permission(row), etag=_etag(row), location=location)


def list_permissions(call: Call) -> Reply:
    """List permissions of the tenant's own."""
    query: ByNameQuery = call.query
    rows, total = Roles(call.server.database).search_permissions(**listing.window(query, query.sort))
    return Reply(listing.document(query, query.sort, rows, total, [shown_permission(row) for row in rows], "name"))


def create_permission(call: Call) -> Reply:
    """Define a permission."""
    body: NewPermission = call.body

    def finish(conn: Connection, row: Row[Any]) -> None:
        call.keep(conn, _made(call, row))

    made = Roles(call.server.database).create_permission(body.name, body.description, by=call.caller.by, finish=finish)
    return _made(call, made)


def get_permission(call: Call) -> Reply:
    """Read a permission."""
    row = Roles(call.server.database).get_permission(call.path["permission"])
    return Reply(shown_permission(row), etag=_etag(row))


def patch_permission(call: Call) -> Reply:
    """Change what is said of a permission."""
    book, name = Roles(call.server.database), call.path["permission"]
    patch = call.body.model_dump(exclude_unset=True)
    words = (patch["description"] or "") if "description" in patch else None
    row = book.change_permission(name, words, by=call.caller.by, require=_require(call))
    return Reply(shown_permission(row), etag=_etag(row))


def delete_permission(call: Call) -> Reply:
    """Delete a permission."""
    book = Roles(call.server.database)
    book.delete_permission(call.path["permission"], by=call.caller.by, require=_require(call))
    return Reply()


OPERATIONS = (
    Operation(
        name="list_permissions",
        method="GET",
        path=_PATH,
        permission="roles:read",
        summary="List permissions",
        description="The permissions that the tenant has defined for its applications. Those of this product stand in docs/access.md.",
        tag=TAG,
        handle=list_permissions,
        query=ByNameQuery,
        answer=PermissionList,
        answer_example=examples.PERMISSIONS,
    ),
    Operation(
        name="create_permission",
        method="POST",
        path=_PATH,
        permission="roles:write",
        summary="Define a permission",
        description="A permission of an application's own. It means what the application makes of it.",
        tag=TAG,
        handle=create_permission,
        body=NewPermission,
        answer=Permission,
        status=201,
        errors=("conflict",),
        body_example=examples.NEW_PERMISSION,
        answer_example=examples.PERMISSION,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_permission",
        method="GET",
        path=_ONE,
        permission="roles:read",
        summary="Read a permission",
        description="The permission with what is said of it.",
        tag=TAG,
        handle=get_permission,
        answer=Permission,
        answer_example=examples.PERMISSION,
        has_etag=True,
    ),
    Operation(
        name="patch_permission",
        method="PATCH",
        path=_ONE,
        permission="roles:write",
        summary="Change what is said of a permission",
        description="Its name stays: applications ask by it.",
        tag=TAG,
        handle=patch_permission,
        body=Described,
        media_types=(MERGE_PATCH, JSON),
        answer=Permission,
        body_example=examples.PERMISSION_PATCH,
        answer_example=examples.PERMISSION,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_permission",
        method="DELETE",
        path=_ONE,
        permission="roles:write",
        summary="Delete a permission",
        description="Every role and every scope loses it at once.",
        tag=TAG,
        handle=delete_permission,
        status=204,
        takes_if_match=True,
    ),
)
