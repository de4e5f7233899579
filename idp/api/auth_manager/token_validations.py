"""Whether a token is alive and allows something, on :func:`idp.oauth.token_validation.validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.api.auth_manager import examples
from idp.api.auth_manager.models import TokenAnswer, TokenQuestion
from idp.api.operations import Operation, Reply
from idp.oauth.token_validation import Asked, validate

if TYPE_CHECKING:
    from idp.api.operations import Call

TAG = "Token validation"


def validate_token(call: Call) -> Reply:
    """Say what a token is worth."""
    body: TokenQuestion = call.body
    wanted = body.permission
    asked = Asked(
        body.scopes or (),
        body.audience,
        wanted.name if wanted is not None else None,
        (wanted.resource if wanted is not None else None) or "",
        body.source,
    )
    return Reply(validate(call.server, body.token, asked))


OPERATIONS = (
    Operation(
        name="validate_token",
        method="POST",
        path="/tenants/{tenant_id}/token-validations",
        permission="tokens:validate",
        summary="Validate a token",
        description="Whether an access token of the tenant is alive at this moment (signature, end, revocation, grant, session, user, "
        "application, tenant), what it says, and for scopes, an audience and a permission whether they hold and by which role binding. "
        "Whatever is sent as a token is answered 200: what is none of this tenant's is not `active`, and nothing more is said. A "
        "permission holds if its holder has it and the token's scopes stand for it.",
        tag=TAG,
        handle=validate_token,
        body=TokenQuestion,
        answer=TokenAnswer,
        body_example=examples.TOKEN_QUESTION,
        answer_example=examples.TOKEN_ANSWER,
    ),
)
