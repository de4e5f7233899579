"""The operations on scopes that stand for permissions, on :class:`idp.access.roles.Roles`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access.roles import Roles
from idp.api import listing, preconditions
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import examples
from idp.api.user_flow.models import ByNameQuery, NewScope, Scope, ScopeList, ScopePatch, shown_scope

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Scopes"
_PATH = "/tenants/{tenant_id}/scopes"
_ONE = _PATH + "/{scope}"


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_scope(row))


def _require(call: Call) -> Any:
    return lambda _conn, row: preconditions.require_match(call.http, _etag(row))


def _made(call: Call, row: Row[Any]) -> Reply:
    location = f"{call.base}/tenants/{call.path['tenant_id']}/scopes/{row.name}"
    return Reply(shown_scope(row), etag=_etag(row), location=location)


def list_scopes(call: Call) -> Reply:
    """List scopes."""
    query: ByNameQuery = call.query
    rows, total = Roles(call.server.database).search_scopes(**listing.window(query, query.sort))
    return Reply(listing.document(query, query.sort, rows, total, [shown_scope(row) for row in rows], "name"))


def create_scope(call: Call) -> Reply:
    """Define a scope."""
    body: NewScope = call.body

    def finish(conn: Connection, row: Row[Any]) -> None:
        call.keep(conn, _made(call, row))

    made = Roles(call.server.database).create_scope(
        body.name, body.description, body.permissions, granter=call.caller.granter(), finish=finish
    )
    return _made(call, made)


def get_scope(call: Call) -> Reply:
    """Read a scope."""
    row = Roles(call.server.database).get_scope(call.path["scope"])
    return Reply(shown_scope(row), etag=_etag(row))


def patch_scope(call: Call) -> Reply:
    """Change a scope."""
    book, name = Roles(call.server.database), call.path["scope"]
    patch = call.body.model_dump(exclude_unset=True)
    row = book.change_scope(
        name,
        granter=call.caller.granter(),
        description=(patch["description"] or "") if "description" in patch else None,
        stands_for=(patch["permissions"] or []) if "permissions" in patch else None,
        require=_require(call),
    )
    return Reply(shown_scope(row), etag=_etag(row))


def delete_scope(call: Call) -> Reply:
    """Delete a scope."""
    book = Roles(call.server.database)
    book.delete_scope(call.path["scope"], by=call.caller.by, require=_require(call))
    return Reply()


OPERATIONS = (
    Operation(
        name="list_scopes",
        method="GET",
        path=_PATH,
        permission="roles:read",
        summary="List scopes",
        description="The scopes that the tenant has defined to stand for permissions.",
        tag=TAG,
        handle=list_scopes,
        query=ByNameQuery,
        answer=ScopeList,
        answer_example=examples.SCOPES,
    ),
    Operation(
        name="create_scope",
        method="POST",
        path=_PATH,
        permission="roles:write",
        summary="Define a scope",
        description="A token with the scope carries, of what its bearer holds, only what its scopes stand for. It gives nobody what they do "
        "not hold. Clients must be registered for it. The caller must hold what it stands for.",
        tag=TAG,
        handle=create_scope,
        body=NewScope,
        answer=Scope,
        status=201,
        errors=("conflict", "more_than_held"),
        body_example=examples.NEW_SCOPE,
        answer_example=examples.SCOPE,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_scope",
        method="GET",
        path=_ONE,
        permission="roles:read",
        summary="Read a scope",
        description="The scope with what it stands for.",
        tag=TAG,
        handle=get_scope,
        answer=Scope,
        answer_example=examples.SCOPE,
        has_etag=True,
    ),
    Operation(
        name="patch_scope",
        method="PATCH",
        path=_ONE,
        permission="roles:write",
        summary="Change a scope",
        description="Counts for tokens from now on. Its name stays: applications ask by it. The caller must hold what it is to stand for "
        "beyond what it does.",
        tag=TAG,
        handle=patch_scope,
        body=ScopePatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Scope,
        errors=("more_than_held",),
        body_example=examples.SCOPE_PATCH,
        answer_example=examples.SCOPE,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_scope",
        method="DELETE",
        path=_ONE,
        permission="roles:write",
        summary="Delete a scope",
        description="Tokens that carry it stand for nothing by it any more.",
        tag=TAG,
        handle=delete_scope,
        status=204,
        takes_if_match=True,
    ),
)
