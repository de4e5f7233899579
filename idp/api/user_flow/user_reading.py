"""What every operation on a user shares: the user as it is shown, and who may do something to it at all."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from idp.api import preconditions
from idp.api.errors import OwnAccount, nothing_here
from idp.api.operations import Reply
from idp.api.user_flow.user_models import shown_user
from idp.errors import Conflict, Invalid
from idp.identity import notices
from idp.store.tenant import attempts, roles, user_search, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idp.api.operations import Call
    from idp.identity.accounts import NewUser, Require, RequireNew
    from idp.identity.notices import Tell
    from idp.store.rows import Connection, Row


def documents(conn: Connection, rows: Sequence[Row[Any]], call: Call) -> list[dict[str, Any]]:
    """Return users as answers show them, with three queries however many they are."""
    ids, most = [row.id for row in rows], call.tenant.settings.account_attempts
    locked = attempts.reached(conn, [attempts.of_account(row.username_key) for row in rows], most)
    held, groups = user_search.roles_of(conn, ids), user_search.groups_of(conn, ids)

    def status(row: Row[Any]) -> str:
        is_locked = row.state == "active" and attempts.of_account(row.username_key) in locked
        return "locked" if is_locked else row.state

    return [shown_user(row, status(row), held.get(row.id, ()), groups.get(row.id, ())) for row in rows]


def one(call: Call, name: str = "user_id") -> Reply:
    """Answer with the user of the path as it is now; raises what is answered where there is none."""
    with call.server.database.reading() as conn:
        (shown,) = documents(conn, [there(conn, call, name)], call)
    return Reply(shown, etag=preconditions.etag_of(shown))


def made(call: Call, conn: Connection, row: Row[Any]) -> Reply:
    """Return the answer of what has made a user, inside its transaction."""
    (shown,) = documents(conn, [row], call)
    location = f"{call.base}/tenants/{call.path['tenant_id']}/users/{row.id}"
    return Reply(shown, etag=preconditions.etag_of(shown), location=location)


def there(conn: Connection, call: Call, name: str = "user_id") -> Row[Any]:
    """Return the row of the user in the path; raises what is answered where there is none."""
    found = users.find(conn, call.path[name])
    if found is None:
        raise nothing_here()
    return found


def require_over(call: Call, *, is_for_others: bool = False) -> Require:
    """Return what judges, inside the transaction, whether the caller may do it to a user.

    Who holds more than the caller is left alone, and If-Match is honoured. ``is_for_others``: nobody does it to the own account.
    """
    granter = call.caller.granter()

    def require(conn: Connection, row: Row[Any]) -> None:
        if is_for_others and is_own(call, row.id):
            raise OwnAccount
        granter.require_over(conn, "user", row.id)
        if call.operation.takes_if_match:
            preconditions.require_match(call.http, preconditions.etag_of(documents(conn, [row], call)[0]))

    return require


def require_new(call: Call, *further: str) -> RequireNew:
    """Return what judges whether the caller may make such a user: the roles are there, and grant no more than the caller holds."""
    granter = call.caller.granter()

    def require(conn: Connection, new: NewUser) -> None:
        granter.require(further)
        for role in new.roles:
            if roles.find_locked(conn, role) is None:
                raise Invalid(f"There is no role {role}.", errors={"roles": f"{role} is no role's name"})
            granter.require_role(conn, role)

    return require


def is_own(call: Call, user_id: str) -> bool:
    """Say whether a user of this tenant is who calls."""
    caller = call.caller
    return caller.home.tenant.id == call.tenant.id and (caller.subject.type, caller.subject.id) == ("user", user_id)


def tell(call: Call, what: str) -> Tell:
    """Return what tells the person by mail what is done to the account."""
    return notices.by_operator(call.server.services.mailer, call.tenant, what)


@contextmanager
def said_to_programs() -> Iterator[None]:
    """Leave out of what the domain says to people with a shell which command would do instead."""
    try:
        yield
    except Conflict as error:
        sentence, command, _ = error.title.partition(": idp ")
        if command:
            raise Conflict(f"{sentence}.", code=error.code) from error
        raise
