"""The operations on roles, on :class:`idp.access.roles.Roles`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access.roles import Roles
from idp.api import listing, preconditions
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import examples
from idp.api.user_flow.models import NewRole, Role, RoleDeletion, RoleList, RolePatch, RoleQuery, shown_role

if TYPE_CHECKING:
    from idp.access.roles import Role as AccessRole
    from idp.api.operations import Call
    from idp.store.rows import Connection

TAG = "Roles"
_PATH = "/tenants/{tenant_id}/roles"
_ONE = _PATH + "/{role}"


def _one(role: AccessRole) -> Reply:
    return Reply(shown_role(role), etag=preconditions.etag_of(shown_role(role)))


def _require(call: Call) -> Any:
    def require(_conn: Connection, role: AccessRole) -> None:
        preconditions.require_match(call.http, preconditions.etag_of(shown_role(role)))

    return require


def list_roles(call: Call) -> Reply:
    """List roles."""
    query: RoleQuery = call.query
    window = listing.window(query, query.sort)
    found, rows, total = Roles(call.server.database).search(is_built_in=query.is_built_in, **window)
    return Reply(listing.document(query, query.sort, rows, total, [shown_role(each) for each in found], "name"))


def create_role(call: Call) -> Reply:
    """Make a role."""
    body: NewRole = call.body

    def finish(conn: Connection, role: AccessRole) -> None:
        call.keep(conn, _made(call, role))

    granter = call.caller.granter()
    made = Roles(call.server.database).create(
        body.name, body.description, body.permissions, granter=granter, finish=finish
    )
    return _made(call, made)


def _made(call: Call, role: AccessRole) -> Reply:
    shown = shown_role(role)
    location = f"{call.base}/tenants/{call.path['tenant_id']}/roles/{role.name}"
    return Reply(shown, etag=preconditions.etag_of(shown), location=location)


def get_role(call: Call) -> Reply:
    """Read a role."""
    return _one(Roles(call.server.database).get(call.path["role"]))


def patch_role(call: Call) -> Reply:
    """Change a role."""
    patch = call.body.model_dump(exclude_unset=True)
    changed = Roles(call.server.database).change(
        call.path["role"],
        granter=call.caller.granter(),
        description=(patch["description"] or "") if "description" in patch else None,
        granted=(patch["permissions"] or []) if "permissions" in patch else None,
        require=_require(call),
    )
    return _one(changed)


def delete_role(call: Call) -> Reply:
    """Delete a role."""
    query: RoleDeletion = call.query
    granter = call.caller.granter()
    Roles(call.server.database).delete(
        call.path["role"], granter=granter, with_bindings=query.with_bindings, require=_require(call)
    )
    return Reply()


OPERATIONS = (
    Operation(
        name="list_roles",
        method="GET",
        path=_PATH,
        permission="roles:read",
        summary="List roles",
        description="The built-in roles and the tenant's own, each with what it grants.",
        tag=TAG,
        handle=list_roles,
        query=RoleQuery,
        answer=RoleList,
        answer_example=examples.ROLES,
    ),
    Operation(
        name="create_role",
        method="POST",
        path=_PATH,
        permission="roles:write",
        summary="Make a role",
        description="A role grants permissions of this product, or those that the tenant has defined. The caller must hold every "
        "permission of the product's that is in it.",
        tag=TAG,
        handle=create_role,
        body=NewRole,
        answer=Role,
        status=201,
        errors=("conflict", "more_than_held"),
        body_example=examples.NEW_ROLE,
        answer_example=examples.ROLE,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_role",
        method="GET",
        path=_ONE,
        permission="roles:read",
        summary="Read a role",
        description="The role with what it grants.",
        tag=TAG,
        handle=get_role,
        answer=Role,
        answer_example=examples.ROLE,
        has_etag=True,
    ),
    Operation(
        name="patch_role",
        method="PATCH",
        path=_ONE,
        permission="roles:write",
        summary="Change a role",
        description="Changes what everybody holds who has it, at once. The caller must hold what is added and what is taken away. "
        "Built-in roles stay as they are.",
        tag=TAG,
        handle=patch_role,
        body=RolePatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Role,
        errors=("conflict", "more_than_held"),
        body_example=examples.ROLE_PATCH,
        answer_example=examples.ROLE,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_role",
        method="DELETE",
        path=_ONE,
        permission="roles:write",
        summary="Delete a role",
        description="A role that somebody holds is deleted only with `with_bindings=true`; then nobody holds it. Built-in roles stay.",
        tag=TAG,
        handle=delete_role,
        query=RoleDeletion,
        status=204,
        errors=("conflict", "more_than_held", "last_administrator"),
        takes_if_match=True,
    ),
)
