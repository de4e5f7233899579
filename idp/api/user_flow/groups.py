"""The operations on groups and who is in them, on :class:`idp.access.groups.Groups`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access.groups import Groups
from idp.api import listing, preconditions
from idp.api.errors import InvalidFields, pointer
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import examples
from idp.api.user_flow.models import (
    Added,
    ByNameQuery,
    Group,
    GroupList,
    GroupPatch,
    MemberList,
    MemberQuery,
    NewGroup,
    NewMembers,
    shown_group,
    shown_member,
)

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Groups"
_PATH = "/tenants/{tenant_id}/groups"
_ONE = _PATH + "/{group_id}"
_MEMBERS = _ONE + "/members"


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_group(row))


def _require(call: Call) -> Any:
    return lambda _conn, row: preconditions.require_match(call.http, _etag(row))


def _made(call: Call, row: Row[Any]) -> Reply:
    location = f"{call.base}/tenants/{call.path['tenant_id']}/groups/{row.id}"
    return Reply(shown_group(row), etag=_etag(row), location=location)


def list_groups(call: Call) -> Reply:
    """List groups."""
    query: ByNameQuery = call.query
    rows, total = Groups(call.server.database).search(**listing.window(query, query.sort))
    return Reply(listing.document(query, query.sort, rows, total, [shown_group(row) for row in rows], "id"))


def create_group(call: Call) -> Reply:
    """Make a group."""
    body: NewGroup = call.body

    def finish(conn: Connection, row: Row[Any]) -> None:
        call.keep(conn, _made(call, row))

    granter = call.caller.granter()
    return _made(call, Groups(call.server.database).create(body.name, body.description, granter=granter, finish=finish))


def get_group(call: Call) -> Reply:
    """Read a group."""
    row = Groups(call.server.database).get(call.path["group_id"])
    return Reply(shown_group(row), etag=_etag(row))


def patch_group(call: Call) -> Reply:
    """Change a group."""
    patch = call.body.model_dump(exclude_unset=True)
    if "name" in patch and patch["name"] is None:
        raise InvalidFields(errors={pointer("name"): "cannot be removed"})
    row = Groups(call.server.database).change(
        call.path["group_id"],
        granter=call.caller.granter(),
        name=patch.get("name"),
        description=(patch["description"] or "") if "description" in patch else None,
        require=_require(call),
    )
    return Reply(shown_group(row), etag=_etag(row))


def delete_group(call: Call) -> Reply:
    """Delete a group."""
    groups = Groups(call.server.database)
    groups.delete(call.path["group_id"], granter=call.caller.granter(), require=_require(call))
    return Reply()


def list_members(call: Call) -> Reply:
    """List who is in a group."""
    query: MemberQuery = call.query
    window = listing.window(query, query.sort)
    del window["sort"]  # there is one
    rows, total = Groups(call.server.database).members(call.path["group_id"], **window)
    return Reply(listing.document(query, query.sort, rows, total, [shown_member(row) for row in rows], "id"))


def add_members(call: Call) -> Reply:
    """Put users into a group."""
    body: NewMembers = call.body
    groups = Groups(call.server.database)
    added = groups.add(call.path["group_id"], body.user_ids, granter=call.caller.granter())
    return Reply({"added": added})


def remove_member(call: Call) -> Reply:
    """Take a user out of a group."""
    groups, granter = Groups(call.server.database), call.caller.granter()
    groups.remove(call.path["group_id"], call.path["user_id"], granter=granter)
    return Reply()


OPERATIONS = (
    Operation(
        name="list_groups",
        method="GET",
        path=_PATH,
        permission="groups:read",
        summary="List groups",
        description="The groups of the tenant.",
        tag=TAG,
        handle=list_groups,
        query=ByNameQuery,
        answer=GroupList,
        answer_example=examples.GROUPS,
    ),
    Operation(
        name="create_group",
        method="POST",
        path=_PATH,
        permission="groups:write",
        summary="Make a group",
        description="An empty group, which holds nothing. Names that people take for the same are one name.",
        tag=TAG,
        handle=create_group,
        body=NewGroup,
        answer=Group,
        status=201,
        errors=("conflict",),
        body_example=examples.NEW_GROUP,
        answer_example=examples.GROUP,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_group",
        method="GET",
        path=_ONE,
        permission="groups:read",
        summary="Read a group",
        description="The group, without who is in it.",
        tag=TAG,
        handle=get_group,
        answer=Group,
        answer_example=examples.GROUP,
        has_etag=True,
    ),
    Operation(
        name="patch_group",
        method="PATCH",
        path=_ONE,
        permission="groups:write",
        summary="Change a group",
        description="Changes its name or what is said of it. The caller must hold what the group holds.",
        tag=TAG,
        handle=patch_group,
        body=GroupPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Group,
        errors=("conflict", "more_than_held"),
        body_example=examples.GROUP_PATCH,
        answer_example=examples.GROUP,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_group",
        method="DELETE",
        path=_ONE,
        permission="groups:write",
        summary="Delete a group",
        description="Its role bindings end with it. The caller must hold what the group holds.",
        tag=TAG,
        handle=delete_group,
        status=204,
        errors=("more_than_held", "last_administrator"),
        takes_if_match=True,
    ),
    Operation(
        name="list_group_members",
        method="GET",
        path=_MEMBERS,
        permission="groups:read",
        summary="List who is in a group",
        description="The users in the group.",
        tag=TAG,
        handle=list_members,
        query=MemberQuery,
        answer=MemberList,
        answer_example=examples.MEMBERS,
    ),
    Operation(
        name="add_group_members",
        method="POST",
        path=_MEMBERS,
        permission="groups:write",
        summary="Put users into a group",
        description="They hold the group's roles at once. The caller must hold what the group holds. All are put in, or none.",
        tag=TAG,
        handle=add_members,
        body=NewMembers,
        answer=Added,
        errors=("more_than_held",),
        body_example=examples.NEW_MEMBERS,
        answer_example={"added": 1},
    ),
    Operation(
        name="remove_group_member",
        method="DELETE",
        path=_MEMBERS + "/{user_id}",
        permission="groups:write",
        summary="Take a user out of a group",
        description="The user holds the group's roles no more. The caller must hold what the group holds.",
        tag=TAG,
        handle=remove_member,
        status=204,
        errors=("more_than_held", "last_administrator"),
    ),
)
