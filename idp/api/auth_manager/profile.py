"""Who is calling, what groups they are in and what they may do; and groups and roles of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access import policy
from idp.access.conditions import Context
from idp.access.groups import Groups
from idp.access.policy import Subject
from idp.api import listing
from idp.api.auth_manager import examples
from idp.api.auth_manager.people_models import (
    Held,
    MembershipList,
    MembershipQuery,
    OwnHeld,
    Profile,
    shown_membership,
)
from idp.api.errors import nothing_here
from idp.api.operations import Operation, Reply
from idp.clock import now
from idp.store.tenant import users

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.db import Database

TAG = "Profile"
_OWN = "/tenants/{tenant_id}/profile"
_USER = "/tenants/{tenant_id}/users/{user_id}"


def get_profile(call: Call) -> Reply:
    """Say who is calling."""
    caller, home = call.caller, call.caller.home
    found: dict[str, Any] = {
        "type": caller.subject.type,
        "id": caller.subject.id,
        "tenant": home.tenant.slug,
        "client_id": caller.client_id,
    }
    if caller.subject.type == "client":
        client = home.query_client(caller.subject.id)
        return Reply(found | {"name": client.name if client is not None else None})
    with home.database.reading() as conn:
        user = users.find(conn, caller.subject.id)
    if user is None:  # deleted since the token was looked at
        raise nothing_here()
    more = {"username": user.username, "email": user.email, "email_verified": user.email_verified}
    return Reply(found | more | {"name": (user.claims or {}).get("name"), "claims": user.claims or {}})


def list_own_groups(call: Call) -> Reply:
    """List the caller's groups."""
    if call.caller.subject.type == "client":
        return Reply(listing.document(call.query, call.query.sort, [], 0, [], "id"))
    return _groups(call, call.caller.home.database, call.caller.subject.id)


def list_user_groups(call: Call) -> Reply:
    """List a user's groups."""
    return _groups(call, call.server.database, call.path["user_id"])


def _groups(call: Call, database: Database, user_id: str) -> Reply:
    query: MembershipQuery = call.query
    rows, total = Groups(database).search_of_user(user_id, **_without_sort(listing.window(query, query.sort)))
    return Reply(listing.document(query, query.sort, rows, total, [shown_membership(row) for row in rows], "id"))


def _without_sort(window: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in window.items() if name != "sort"}


def get_own_permissions(call: Call) -> Reply:
    """Say what the caller may do."""
    caller = call.caller
    usable = caller.granter().held or frozenset()
    within = f"tenant:{call.tenant.id}"
    context = Context(now(), call.http.remote_addr)
    with caller.home.database.reading() as conn:
        held = policy.held(conn, caller.subject, context=context, within=within)
        roles = policy.roles_of(conn, caller.subject, context=context)
    return Reply({"roles": roles, "permissions": sorted(held | usable), "usable": sorted(usable)})


def get_user_permissions(call: Call) -> Reply:
    """Say what a user may do."""
    subject, context = Subject("user", call.path["user_id"]), Context(now())
    with call.server.database.reading() as conn:
        if users.find(conn, subject.id) is None:
            raise nothing_here()
        held = policy.held(conn, subject, context=context)
        roles = policy.roles_of(conn, subject, context=context)
    return Reply({"roles": roles, "permissions": sorted(held)})


OPERATIONS = (
    Operation(
        name="get_profile",
        method="GET",
        path=_OWN,
        permission="profile:read",
        summary="Read one's own profile",
        description="Whom the token stands for. The platform's administrators are shown theirs in any tenant.",
        tag=TAG,
        handle=get_profile,
        answer=Profile,
        answer_example=examples.PROFILE,
    ),
    Operation(
        name="list_own_groups",
        method="GET",
        path=_OWN + "/groups",
        permission="profile:read",
        summary="List one's own groups",
        description="The groups that the token's user is in; an application is in none.",
        tag=TAG,
        handle=list_own_groups,
        query=MembershipQuery,
        answer=MembershipList,
        answer_example=examples.MEMBERSHIPS,
    ),
    Operation(
        name="get_own_permissions",
        method="GET",
        path=_OWN + "/permissions",
        permission="profile:read",
        summary="Read what one may do",
        description="The roles and permissions of the token's holder in the whole tenant, and which of them this token may be used for.",
        tag=TAG,
        handle=get_own_permissions,
        answer=OwnHeld,
        answer_example=examples.OWN_HELD,
    ),
    Operation(
        name="list_user_groups",
        method="GET",
        path=_USER + "/groups",
        permission="groups:read",
        summary="List a user's groups",
        description="The groups that a user is in.",
        tag=TAG,
        handle=list_user_groups,
        query=MembershipQuery,
        answer=MembershipList,
        answer_example=examples.MEMBERSHIPS,
    ),
    Operation(
        name="get_user_permissions",
        method="GET",
        path=_USER + "/permissions",
        permission="role-bindings:read",
        summary="Read what a user may do",
        description="The roles that a user holds in the whole tenant, by groups too, and the permissions they grant; as of now, without "
        "those that depend on a second factor or a network. What a user may do with one resource, a policy check answers.",
        tag=TAG,
        handle=get_user_permissions,
        answer=Held,
        answer_example=examples.HELD,
    ),
)
