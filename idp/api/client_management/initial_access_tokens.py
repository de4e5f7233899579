"""The operations on initial access tokens (RFC 7591 §3), on :mod:`idp.oauth.initial_access`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.api import listing
from idp.api.client_management import examples
from idp.api.client_management.models import (
    InitialAccessToken,
    InitialAccessTokenList,
    InitialAccessTokenQuery,
    IssuedInitialAccessToken,
    NewInitialAccessToken,
    shown_token,
)
from idp.api.errors import nothing_here
from idp.api.operations import Operation, Reply
from idp.clock import now
from idp.oauth import initial_access
from idp.store.tenant import initial_access_tokens as store

if TYPE_CHECKING:
    from typing import Any

    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Initial access tokens"
_PATH = "/tenants/{tenant_id}/initial-access-tokens"
_ONE = _PATH + "/{token_id}"


def list_tokens(call: Call) -> Reply:
    """List tokens, those that have ended included."""
    query: InitialAccessTokenQuery = call.query
    with call.server.database.reading() as conn:
        rows, total = store.search(conn, **listing.window(query, query.sort))
    at = now()
    return Reply(listing.document(query, query.sort, rows, total, [shown_token(row, at) for row in rows], "id"))


def create_token(call: Call) -> Reply:
    """Issue a token; it is in this answer alone."""
    body: NewInitialAccessToken = call.body
    kept: list[Reply] = []

    def finish(conn: Connection, row: Row[Any], token: str) -> None:
        location = f"{call.base}/tenants/{call.path['tenant_id']}/initial-access-tokens/{row.id}"
        kept[:] = [Reply(shown_token(row, now()) | {"token": token}, location=location)]
        call.keep(conn, kept[0])

    initial_access.create(
        call.server.database, name=body.name, uses=body.uses, lifetime=body.lifetime, by=call.caller.by, finish=finish
    )
    return kept[0]


def get_token(call: Call) -> Reply:
    """Read a token's state."""
    with call.server.database.reading() as conn:
        row = store.find_by_id(conn, call.path["token_id"])
    if row is None:
        raise nothing_here()
    return Reply(shown_token(row, now()))


def revoke_token(call: Call) -> Reply:
    """Make a token worthless."""
    initial_access.revoke(call.server.database, call.path["token_id"], by=call.caller.by)
    return Reply()


OPERATIONS = (
    Operation(
        name="list_initial_access_tokens",
        method="GET",
        path=_PATH,
        permission="registration-tokens:read",
        summary="List initial access tokens",
        description="The tokens that were issued, ended ones too until they are purged a week after their end.",
        tag=TAG,
        handle=list_tokens,
        query=InitialAccessTokenQuery,
        answer=InitialAccessTokenList,
        answer_example=examples.TOKENS,
    ),
    Operation(
        name="create_initial_access_token",
        method="POST",
        path=_PATH,
        permission="registration-tokens:write",
        summary="Issue an initial access token",
        description="Its holder may register so many clients at the tenant's registration endpoint, where the tenant's setting "
        "`registration` is `token` or `open`. The token is in this answer alone.",
        tag=TAG,
        handle=create_token,
        body=NewInitialAccessToken,
        answer=IssuedInitialAccessToken,
        status=201,
        body_example=examples.NEW_TOKEN,
        answer_example=examples.ISSUED,
        is_repeatable=True,
    ),
    Operation(
        name="get_initial_access_token",
        method="GET",
        path=_ONE,
        permission="registration-tokens:read",
        summary="Read an initial access token's state",
        description="How many uses it has left and when it ends.",
        tag=TAG,
        handle=get_token,
        answer=InitialAccessToken,
        answer_example=examples.TOKEN,
    ),
    Operation(
        name="revoke_initial_access_token",
        method="DELETE",
        path=_ONE,
        permission="registration-tokens:write",
        summary="Revoke an initial access token",
        description="Makes the token worthless at once. Clients that were registered with it stay.",
        tag=TAG,
        handle=revoke_token,
        status=204,
    ),
)
