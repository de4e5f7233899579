"""The operations on users: list, make, read and change them. What they may become is in :mod:`idp.api.user_flow.user_states`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.api import listing
from idp.api.errors import InvalidFields, OwnAccount, pointer
from idp.api.merge_patch import merged
from idp.api.moments import read_moment
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import user_examples as examples
from idp.api.user_flow.user_models import NewUser, User, UserList, UserPatch, UserQuery
from idp.api.user_flow.user_reading import documents, is_own, made, one, require_new, require_over, said_to_programs
from idp.identity import account_change, accounts, invitations
from idp.identity.administrators import ADMINISTRATORS
from idp.store.tenant import user_search, users

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Users"
PATH = "/tenants/{tenant_id}/users"
ONE = PATH + "/{user_id}"
_AS_THEY_ARE = ("email", "name", "search", "client_id", "role", "group_id")


def list_users(call: Call) -> Reply:
    """List users."""
    query: UserQuery = call.query
    filters: dict[str, Any] = {name: value for name in _AS_THEY_ARE if (value := getattr(query, name)) is not None}
    if query.status is not None:
        filters["state"] = query.status
    if query.is_administrator is not None:
        filters["one_of" if query.is_administrator else "none_of"] = ADMINISTRATORS
    for name in ("created_from", "created_before"):
        if getattr(query, name) is not None:
            filters[name] = _moment(getattr(query, name), name)
    most = call.tenant.settings.account_attempts
    with call.server.database.reading() as conn:
        window = listing.window(query, query.sort)
        rows, total = user_search.search(conn, most_attempts=most, filters=filters, **window)
        shown = documents(conn, rows, call)
    return Reply(listing.document(query, query.sort, rows, total, shown, "id"))


def _moment(text: str, parameter: str) -> int:
    try:
        return read_moment(text, parameter)
    except InvalidFields as error:
        raise InvalidFields(errors={f"?{parameter}": error.errors[pointer(parameter)]}) from None


def create_user(call: Call) -> Reply:
    """Make a user, or invite one."""
    body: NewUser = call.body
    database, hasher = call.server.database, call.server.services.hasher
    account_change.refuse_proven(body.claims)
    if body.email is not None:
        accounts.check_email(body.email)  # where it is the username too, it is the address that is wrong
    answer: list[Reply] = []

    def finish(conn: Connection, row: Row[Any]) -> None:
        answer.append(made(call, conn, row))
        call.keep(conn, answer[-1])

    shared: dict[str, Any] = {"by": call.caller.by, "claims": body.claims, "roles": body.roles, "finish": finish}
    if body.invite:
        _require_only_address(body)
        with said_to_programs():
            invitations.invite(
                database,
                call.server.services.mailer,
                call.tenant,
                email=body.email or "",
                inviter=inviter(call),
                require=require_new(call, "invitations:write"),
                **shared,
            )
        return answer[-1]
    username = body.username or body.email
    if username is None:
        raise InvalidFields(errors={pointer("email"): "is required where there is no username"})
    accounts.create_user(
        database,
        hasher,
        call.tenant,
        username=username,
        password=body.password,
        email=body.email,
        must_change=body.must_change_password and body.password is not None,
        require=require_new(call),
        **shared,
    )
    return answer[-1]


def _require_only_address(body: NewUser) -> None:
    errors = {pointer("email"): "is required with an invitation"} if body.email is None else {}
    for name in ("username", "password"):
        if getattr(body, name) is not None:
            errors[pointer(name)] = "goes with no invitation"
    if errors:
        raise InvalidFields(errors=errors)


def inviter(call: Call) -> str | None:
    """Return the name of who calls, as a mail shows it; None for an application and for somebody without a name."""
    caller = call.caller
    if caller.subject.type != "user":
        return None
    with caller.home.database.reading() as conn:
        row = users.find(conn, caller.subject.id)
    name = (row.claims or {}).get("name") if row is not None else None
    return name if isinstance(name, str) else None


def get_user(call: Call) -> Reply:
    """Read a user."""
    return one(call)


def patch_user(call: Call) -> Reply:
    """Change a user's address or claims."""
    patch = call.body.model_dump(exclude_unset=True)
    if "email" in patch and patch["email"] is None:
        raise InvalidFields(errors={pointer("email"): "cannot be removed"})
    if "email" in patch and is_own(call, call.path["user_id"]):
        raise OwnAccount
    account_change.change(
        call.server.database,
        call.server.services.mailer,
        call.tenant,
        call.path["user_id"],
        by=call.caller.by,
        email=patch.get("email"),
        claims=(lambda stored: merged(stored, patch["claims"] or {})) if "claims" in patch else None,
        require=require_over(call),
    )
    return one(call)


OPERATIONS = (
    Operation(
        name="list_users",
        method="GET",
        path=PATH,
        permission="users:read",
        summary="List users",
        description="The users of the tenant, deleted ones that are kept too. Filters hold together.",
        tag=TAG,
        handle=list_users,
        query=UserQuery,
        answer=UserList,
        answer_example=examples.USERS,
    ),
    Operation(
        name="create_user",
        method="POST",
        path=PATH,
        permission="users:write",
        summary="Make a user",
        description="An active account, or with `invite` one that the person begins by a link in a mail. The caller must hold what the "
        "roles grant. An address counts as verified only when its owner has read a mail that went there.",
        tag=TAG,
        handle=create_user,
        body=NewUser,
        answer=User,
        status=201,
        errors=("conflict", "more_than_held"),
        body_example=examples.NEW_USER,
        answer_example=examples.USER,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_user",
        method="GET",
        path=ONE,
        permission="users:read",
        summary="Read a user",
        description="The account with its profile, its state and the roles and groups that it has.",
        tag=TAG,
        handle=get_user,
        answer=User,
        answer_example=examples.USER,
        has_etag=True,
    ),
    Operation(
        name="patch_user",
        method="PATCH",
        path=ONE,
        permission="users:write",
        summary="Change a user",
        description="Changes claims and the address. Another address counts as not verified; the person is told at the former one, links "
        "that went there die, and it is the name to sign in with where the former one was. The caller must hold what the user holds; "
        "the own address is changed at the account page, which proves it.",
        tag=TAG,
        handle=patch_user,
        body=UserPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=User,
        errors=("conflict", "more_than_held", "own_account"),
        body_example=examples.USER_PATCH,
        answer_example=examples.USER,
        has_etag=True,
        takes_if_match=True,
    ),
)
