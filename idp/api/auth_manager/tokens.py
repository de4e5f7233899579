"""Withdrawing tokens, on :mod:`idp.oauth.token_withdrawal`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.api.auth_manager import examples
from idp.api.auth_manager.models import UserWithdrawal, UserWithdrawn, Withdrawal, Withdrawn
from idp.api.errors import InvalidFields, pointer
from idp.api.operations import Operation, Reply
from idp.oauth import token_withdrawal

if TYPE_CHECKING:
    from idp.api.operations import Call

TAG = "Tokens"


def withdraw_token(call: Call) -> Reply:
    """Withdraw one token."""
    body: Withdrawal = call.body
    granter = call.caller.granter()
    if (body.token is None) == (body.jti is None):
        raise InvalidFields(errors={pointer(): "must have either token or jti"})
    if body.jti is not None:
        if body.with_grant:
            raise InvalidFields(errors={pointer("with_grant"): "needs the token itself"})
        token_withdrawal.block(call.server, body.jti, granter=granter)
        return Reply({"withdrawn": True, "kind": "access_token"})
    kind = token_withdrawal.withdraw(call.server, str(body.token), with_grant=body.with_grant, granter=granter)
    return Reply({"withdrawn": kind is not None, "kind": kind})


def withdraw_user_tokens(call: Call) -> Reply:
    """Withdraw what a user's applications have."""
    body: UserWithdrawal = call.body
    ended = token_withdrawal.withdraw_all_of(
        call.server, call.path["user_id"], body.client_id, granter=call.caller.granter()
    )
    return Reply({"grants_ended": ended})


OPERATIONS = (
    Operation(
        name="withdraw_token",
        method="POST",
        path="/tenants/{tenant_id}/token-withdrawals",
        permission="tokens:revoke",
        summary="Withdraw a token",
        description="An access token is refused from now on wherever it is asked about, alone or with its whole grant; a refresh token goes "
        "with its grant. Without the text, an access token is named by its `jti`. What was exchanged for it goes too. A resource server "
        "that checks signatures alone accepts an access token until it expires. The caller must hold what the token's user holds; "
        "by a `jti`, which says not whose it is, whatever anybody in the tenant holds.",
        tag=TAG,
        handle=withdraw_token,
        body=Withdrawal,
        answer=Withdrawn,
        errors=("more_than_held",),
        body_example=examples.WITHDRAWAL,
        answer_example=examples.WITHDRAWN,
    ),
    Operation(
        name="withdraw_user_tokens",
        method="POST",
        path="/tenants/{tenant_id}/users/{user_id}/token-withdrawals",
        permission="tokens:revoke",
        summary="Withdraw a user's tokens",
        description="Ends the grants of all applications, or of one, with every token that came of them. The user stays signed in, and what "
        "was consented to stays consented to. The caller must hold what the user holds.",
        tag=TAG,
        handle=withdraw_user_tokens,
        body=UserWithdrawal,
        answer=UserWithdrawn,
        errors=("more_than_held",),
        body_example=examples.USER_WITHDRAWAL,
        answer_example=examples.USER_WITHDRAWN,
    ),
)
