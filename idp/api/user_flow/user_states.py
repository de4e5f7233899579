"""The operations that move an account from one state to another, and the one by which its owner has to choose another password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.api.operations import Operation, Reply
from idp.api.user_flow import user_examples as examples
from idp.api.user_flow.user_models import Deletion, User
from idp.api.user_flow.user_reading import one, require_over, said_to_programs, tell
from idp.api.user_flow.users import ONE, TAG
from idp.identity import accounts, kept_accounts, recovery, unlocking

if TYPE_CHECKING:
    from idp.api.operations import Call


def _shared(call: Call, what: str, *, is_for_others: bool = False) -> dict[str, Any]:
    require = require_over(call, is_for_others=is_for_others)
    return {"by": call.caller.by, "tell": tell(call, what), "require": require}


def activate_user(call: Call) -> Reply:
    """Let a disabled user sign in again."""
    with said_to_programs():
        accounts.enable_user(call.server.database, call.path["user_id"], **_shared(call, "account_enabled"))
    return one(call)


def deactivate_user(call: Call) -> Reply:
    """Keep a user from signing in."""
    shared = _shared(call, "account_disabled", is_for_others=True)
    with said_to_programs():
        accounts.disable_user(call.server.database, call.path["user_id"], **shared)
    return one(call)


def unlock_user(call: Call) -> Reply:
    """End a lock."""
    shared, settings = _shared(call, "account_unlocked"), call.tenant.settings
    unlocking.unlock(call.server.database, settings, call.path["user_id"], **shared)
    return one(call)


def delete_user(call: Call) -> Reply:
    """Delete a user, and keep the account for a while or not."""
    query: Deletion = call.query
    delete = accounts.delete_user if query.hard else kept_accounts.delete
    shared = _shared(call, "account_removed", is_for_others=True)
    with said_to_programs():
        delete(call.server.database, call.path["user_id"], **shared)
    return Reply()


def restore_user(call: Call) -> Reply:
    """Bring a deleted user back."""
    with said_to_programs():
        kept_accounts.restore(call.server.database, call.path["user_id"], **_shared(call, "account_restored"))
    return one(call)


def reset_password(call: Call) -> Reply:
    """Have a user choose another password."""
    with said_to_programs():
        recovery.demand(
            call.server,
            call.server.services.mailer,
            call.path["user_id"],
            by=call.caller.by,
            require=require_over(call),
        )
    return Reply()


def _move(
    name: str, summary: str, description: str, handle: Any, *errors: str, permission: str = "users:write"
) -> Operation:
    """Return the operation of a move: a POST that answers with the user as it is then."""
    return Operation(
        name=f"{name}_user",
        method="POST",
        path=f"{ONE}/{name}",
        permission=permission,
        summary=summary,
        description=f"{description} The caller must hold what the user holds.",
        tag=TAG,
        handle=handle,
        answer=User,
        errors=("more_than_held", *errors),
        answer_example=examples.USER,
        has_etag=True,
        takes_if_match=True,
    )


OPERATIONS = (
    _move(
        "activate",
        "Activate a user",
        "A disabled user can sign in again, and is told by mail. What was ended stays ended.",
        activate_user,
        "conflict",
    ),
    _move(
        "deactivate",
        "Deactivate a user",
        "The user cannot sign in any more and is told by mail; sessions and tokens end at once. Nobody deactivates the own account, "
        "nor the last administrator.",
        deactivate_user,
        "conflict",
        "last_administrator",
        "own_account",
    ),
    _move(
        "unlock",
        "End a lock",
        "The user can try to sign in again at once, and is told by mail. Where there is no lock, nothing happens.",
        unlock_user,
    ),
    Operation(
        name="delete_user",
        method="DELETE",
        path=ONE,
        permission="users:delete",
        summary="Delete a user",
        description="Sessions and tokens end at once, and the user is told by mail. The account is kept for a while, its name taken, and "
        "can be restored; with `hard=true` it is gone for good. Nobody deletes the own account, nor the last administrator. The caller "
        "must hold what the user holds.",
        tag=TAG,
        handle=delete_user,
        query=Deletion,
        status=204,
        errors=("conflict", "more_than_held", "last_administrator", "own_account"),
        takes_if_match=True,
    ),
    _move(
        "restore",
        "Restore a user",
        "A deleted user that is kept is what it was before, and is told by mail. What was ended stays ended.",
        restore_user,
        "conflict",
        permission="users:delete",
    ),
    Operation(
        name="reset_user_password",
        method="POST",
        path=f"{ONE}/password-reset",
        permission="users:write",
        summary="Have a user choose another password",
        description="Mails the user the link of “Forgotten password?”, as often as the tenant's `recovery_mails` allows; the present "
        "password, which still signs in, has to be changed at the next sign-in. Nobody else gets to know the new one. The caller must "
        "hold what the user holds.",
        tag=TAG,
        handle=reset_password,
        status=204,
        errors=("conflict", "more_than_held"),
    ),
)
