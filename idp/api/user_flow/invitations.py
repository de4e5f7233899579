"""The operations on invitations, on :mod:`idp.identity.invitations`; an invitation is named by the invited user's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api import listing
from idp.api.listing import Page, PageQuery
from idp.api.moments import Moment, moment
from idp.api.operations import Given, Operation, Reply, Shown
from idp.api.user_flow import user_examples as examples
from idp.api.user_flow.user_models import Claims, Email, Roles  # noqa: TC001 - pydantic reads them
from idp.api.user_flow.user_reading import require_new, require_over, said_to_programs
from idp.api.user_flow.users import inviter
from idp.identity import account_change, accounts, invitations
from idp.store.tenant import one_time_links

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.identity.invitations import Invitation as OfSomebody
    from idp.store.rows import Connection, Row

TAG = "Invitations"
_PATH = "/tenants/{tenant_id}/invitations"
_ONE = _PATH + "/{invited_id}"
_DAY = 86400
_STATES = "`waiting`, `expired`, or `accepted` for as long as it is kept"
Days = Annotated[int, Field(ge=1, le=90)]


class NewInvitation(Given):
    """Somebody to be invited."""

    email: Annotated[Email, Field(description="The address, which is to be the name to sign in with.")]
    claims: Annotated[Claims, Field(default_factory=dict)]
    roles: Annotated[Roles, Field(default_factory=list)]
    days: Annotated[
        Days | None, Field(description="How long the link works; left out, the tenant's `invitation_lifetime`.")
    ] = None


class Invitation(Shown):
    """An invitation."""

    user_id: Annotated[str, Field(description="The invited user's id.")]
    email: Annotated[str, Field(description="The address that it went to.")]
    status: Annotated[str, Field(description=f"{_STATES}.")]
    invited_by: Annotated[str, Field(description="Who sent it last, as in the audit trail.")]
    sent_at: Annotated[Moment, Field(description="When it was last sent.")]
    expires_at: Annotated[Moment, Field(description="Until when its link works.")]


class InvitationList(Page):
    """One page of invitations."""

    items: list[Invitation]


class InvitationQuery(PageQuery):
    """The parameters of the list of invitations."""

    status: Annotated[
        Literal["waiting", "expired", "accepted"] | None, Field(description=f"Only those in this state: {_STATES}.")
    ] = None
    sort: Annotated[
        Literal["created_at", "-created_at", "expires_at", "-expires_at"],
        Field(description="The order, `-` for descending; `created_at` is when it was sent."),
    ] = "-created_at"


def _shown(each: OfSomebody) -> dict[str, Any]:
    return {
        "user_id": each.user_id,
        "email": each.address,
        "status": each.state,
        "invited_by": each.invited_by,
        "sent_at": moment(each.sent_at),
        "expires_at": moment(each.expires_at),
    }


def _newest(conn: Connection, user_id: str) -> dict[str, Any]:
    row = next(row for row in one_time_links.list_of_user(conn, user_id, 100) if row.revoked_at is None)
    return _shown(invitations.shown(row))


def list_invitations(call: Call) -> Reply:
    """List invitations."""
    query: InvitationQuery = call.query
    window = listing.window(query, query.sort)
    found, rows, total = invitations.search(call.server.database, state=query.status, **window)
    return Reply(listing.document(query, query.sort, rows, total, [_shown(each) for each in found], "id"))


def create_invitation(call: Call) -> Reply:
    """Invite somebody."""
    body: NewInvitation = call.body
    account_change.refuse_proven(body.claims)
    accounts.check_email(body.email)
    answer: list[Reply] = []

    def finish(conn: Connection, row: Row[Any]) -> None:
        location = f"{call.base}/tenants/{call.path['tenant_id']}/users/{row.id}"
        answer.append(Reply(_newest(conn, row.id), location=location))
        call.keep(conn, answer[-1])

    with said_to_programs():
        invitations.invite(
            call.server.database,
            call.server.services.mailer,
            call.tenant,
            email=body.email,
            by=call.caller.by,
            inviter=inviter(call),
            claims=body.claims,
            roles=body.roles,
            lifetime=body.days * _DAY if body.days is not None else None,
            require=require_new(call),
            finish=finish,
        )
    return answer[-1]


def resend_invitation(call: Call) -> Reply:
    """Send an invitation again."""
    user_id, database = call.path["invited_id"], call.server.database
    mailer = call.server.services.mailer
    with said_to_programs():
        invitations.resend(database, mailer, call.tenant, user_id, by=call.caller.by, require=require_over(call))
    with database.reading() as conn:
        return Reply(_newest(conn, user_id))


def cancel_invitation(call: Call) -> Reply:
    """Take an invitation back."""
    with said_to_programs():
        invitations.cancel(call.server.database, call.path["invited_id"], by=call.caller.by, require=require_over(call))
    return Reply()


OPERATIONS = (
    Operation(
        name="list_invitations",
        method="GET",
        path=_PATH,
        permission="invitations:read",
        summary="List invitations",
        description="The newest invitation of each person.",
        tag=TAG,
        handle=list_invitations,
        query=InvitationQuery,
        answer=InvitationList,
        answer_example=examples.INVITATIONS,
    ),
    Operation(
        name="create_invitation",
        method="POST",
        path=_PATH,
        permission="invitations:write",
        summary="Invite somebody",
        description="Mails a link by which the person chooses a password and has an account, with the roles. The caller must hold what "
        "they grant.",
        tag=TAG,
        handle=create_invitation,
        body=NewInvitation,
        answer=Invitation,
        status=201,
        errors=("conflict", "more_than_held"),
        body_example=examples.NEW_INVITATION,
        answer_example=examples.INVITATION,
        is_repeatable=True,
    ),
    Operation(
        name="resend_invitation",
        method="POST",
        path=f"{_ONE}/resend",
        permission="invitations:write",
        summary="Send an invitation again",
        description="Mails another link to the same address; the older one dies. The caller must hold what the invited user holds.",
        tag=TAG,
        handle=resend_invitation,
        answer=Invitation,
        errors=("conflict", "more_than_held"),
        answer_example=examples.INVITATION,
    ),
    Operation(
        name="cancel_invitation",
        method="DELETE",
        path=_ONE,
        permission="invitations:write",
        summary="Take an invitation back",
        description="The link dies, and the address is free again. The caller must hold what the invited user holds.",
        tag=TAG,
        handle=cancel_invitation,
        status=204,
        errors=("conflict", "more_than_held"),
    ),
)
