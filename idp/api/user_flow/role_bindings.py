"""The operations on role bindings, on :class:`idp.access.bindings.Bindings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access.bindings import UNCHANGED, Bindings, Wanted
from idp.api import listing, preconditions
from idp.api.moments import read_moment
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import examples
from idp.api.user_flow.models import (
    NewRoleBinding,
    RoleBinding,
    RoleBindingList,
    RoleBindingPatch,
    RoleBindingQuery,
    shown_binding,
)

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Role bindings"
_PATH = "/tenants/{tenant_id}/role-bindings"
_ONE = _PATH + "/{binding_id}"
_FILTERS = ("role", "holder_type", "holder_id", "resource")


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_binding(row))


def _require(call: Call) -> Any:
    return lambda _conn, row: preconditions.require_match(call.http, _etag(row))


def _made(call: Call, row: Row[Any]) -> Reply:
    location = f"{call.base}/tenants/{call.path['tenant_id']}/role-bindings/{row.id}"
    return Reply(shown_binding(row), etag=_etag(row), location=location)


def list_bindings(call: Call) -> Reply:
    """List role bindings."""
    query: RoleBindingQuery = call.query
    filters = {name: value for name in _FILTERS if (value := getattr(query, name)) is not None}
    window = listing.window(query, query.sort)
    rows, total = Bindings(call.server.database).search(filters=filters, **window)
    return Reply(listing.document(query, query.sort, rows, total, [shown_binding(row) for row in rows], "id"))


def create_binding(call: Call) -> Reply:
    """Give a role."""
    body: NewRoleBinding = call.body

    def finish(conn: Connection, row: Row[Any]) -> None:
        call.keep(conn, _made(call, row))

    wanted = Wanted(
        body.holder_type,
        body.holder_id,
        body.role,
        body.resource or "",
        read_moment(body.expires_at, "expires_at") if body.expires_at is not None else None,
        body.conditions,
    )
    granter = call.caller.granter()
    return _made(call, Bindings(call.server.database).create(wanted, granter=granter, finish=finish))


def get_binding(call: Call) -> Reply:
    """Read a role binding."""
    row = Bindings(call.server.database).get(call.path["binding_id"])
    return Reply(shown_binding(row), etag=_etag(row))


def patch_binding(call: Call) -> Reply:
    """Change until when a role is given, or on what conditions."""
    patch = call.body.model_dump(exclude_unset=True)
    end = patch.get("expires_at", UNCHANGED)
    row = Bindings(call.server.database).change(
        call.path["binding_id"],
        granter=call.caller.granter(),
        expires_at=read_moment(end, "expires_at") if isinstance(end, str) else end,
        given=patch.get("conditions", UNCHANGED),
        require=_require(call),
    )
    return Reply(shown_binding(row), etag=_etag(row))


def delete_binding(call: Call) -> Reply:
    """Take a role back."""
    bindings, granter = Bindings(call.server.database), call.caller.granter()
    bindings.delete(call.path["binding_id"], granter=granter, require=_require(call))
    return Reply()


OPERATIONS = (
    Operation(
        name="list_role_bindings",
        method="GET",
        path=_PATH,
        permission="role-bindings:read",
        summary="List role bindings",
        description="Who holds which role; ended ones too, until they are purged 30 days after their end. Filters hold together.",
        tag=TAG,
        handle=list_bindings,
        query=RoleBindingQuery,
        answer=RoleBindingList,
        answer_example=examples.BINDINGS,
    ),
    Operation(
        name="create_role_binding",
        method="POST",
        path=_PATH,
        permission="role-bindings:write",
        summary="Give a role",
        description="To a user, a group or a client; in the whole tenant or for one resource; for good or until a moment; on conditions. "
        "The caller must hold what the role grants: permissions of the product's always, those of applications unless the caller may "
        "define them (`roles:write`).",
        tag=TAG,
        handle=create_binding,
        body=NewRoleBinding,
        answer=RoleBinding,
        status=201,
        errors=("conflict", "more_than_held"),
        body_example=examples.NEW_BINDING,
        answer_example=examples.BINDING,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_role_binding",
        method="GET",
        path=_ONE,
        permission="role-bindings:read",
        summary="Read a role binding",
        description="The binding, ended or not.",
        tag=TAG,
        handle=get_binding,
        answer=RoleBinding,
        answer_example=examples.BINDING,
        has_etag=True,
    ),
    Operation(
        name="patch_role_binding",
        method="PATCH",
        path=_ONE,
        permission="role-bindings:write",
        summary="Change a role binding",
        description="Until when it is given, or on what conditions, which are replaced as a whole. Who holds what stays: delete it, and "
        "give another.",
        tag=TAG,
        handle=patch_binding,
        body=RoleBindingPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=RoleBinding,
        errors=("more_than_held", "last_administrator"),
        body_example=examples.BINDING_PATCH,
        answer_example=examples.BINDING,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_role_binding",
        method="DELETE",
        path=_ONE,
        permission="role-bindings:write",
        summary="Take a role back",
        description="It is held no more at once. A tenant keeps an administrator: the last one's binding stays.",
        tag=TAG,
        handle=delete_binding,
        status=204,
        errors=("more_than_held", "last_administrator"),
        takes_if_match=True,
    ),
)
