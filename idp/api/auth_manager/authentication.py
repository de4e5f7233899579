"""How a user can sign in, and does, on :func:`idp.identity.authentication_status.status_of`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.api.auth_manager import examples
from idp.api.auth_manager.people_models import Authentication, shown_authentication
from idp.api.operations import Operation, Reply
from idp.identity.authentication_status import status_of

if TYPE_CHECKING:
    from idp.api.operations import Call

TAG = "Authentication"


def get_user_authentication(call: Call) -> Reply:
    """Say how a user can sign in."""
    found = status_of(call.server.database, call.path["user_id"], call.tenant.settings)
    return Reply(shown_authentication(found))


OPERATIONS = (
    Operation(
        name="get_user_authentication",
        method="GET",
        path="/tenants/{tenant_id}/users/{user_id}/authentication",
        permission="users:read",
        summary="Read how a user can sign in",
        description="The state of the account, a lock and when it ends, the password's age, the factors there are, and the sessions that "
        "are alive with what the user was authenticated by.",
        tag=TAG,
        handle=get_user_authentication,
        answer=Authentication,
        answer_example=examples.AUTHENTICATION,
    ),
)
