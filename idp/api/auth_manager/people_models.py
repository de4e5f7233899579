"""What Auth Manager shows of people: the caller, a user's groups and roles, how a user can sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api.listing import Page, PageQuery
from idp.api.moments import Moment, moment
from idp.api.operations import Shown

if TYPE_CHECKING:
    from idp.identity.authentication_status import AuthenticationStatus
    from idp.store.rows import Row


class Profile(Shown):
    """Who is calling."""

    type: Annotated[Literal["user", "client"], Field(description="A user, or an application for itself.")]
    id: Annotated[str, Field(description="The user's id, or the `client_id`.")]
    tenant: Annotated[str, Field(description="The tenant that the caller is at home in: this one, or `system`.")]
    client_id: Annotated[str, Field(description="The application that holds the token.")]
    name: Annotated[str | None, Field(description="What the caller is called.")] = None
    username: Annotated[str | None, Field(description="The name to sign in with.")] = None
    email: Annotated[str | None, Field(description="The e-mail address.")] = None
    email_verified: Annotated[bool | None, Field(description="Whether it was proven.")] = None
    claims: Annotated[dict[str, Any] | None, Field(description="What else is known of the user.")] = None


class Membership(Shown):
    """A group that somebody is in."""

    id: Annotated[str, Field(description="Its id.")]
    name: Annotated[str, Field(description="Its name.")]
    description: Annotated[str, Field(description="What it is for.")]
    member_since: Annotated[Moment, Field(description="When the user came into it.")]


class MembershipList(Page):
    """One page of groups that somebody is in."""

    items: list[Membership]


class MembershipQuery(PageQuery):
    """The parameters of the list of groups that somebody is in."""

    sort: Annotated[Literal["name", "-name"], Field(description="The order, `-` for descending.")] = "name"


def shown_membership(row: Row[Any]) -> dict[str, Any]:
    """Return a group that somebody is in as answers show it."""
    since = moment(row.member_since)
    return {"id": row.id, "name": row.name, "description": row.description, "member_since": since}


class Held(Shown):
    """What somebody may do in the whole tenant, as of now."""

    roles: Annotated[list[str], Field(description="The roles, by groups too.")]
    permissions: Annotated[
        list[str],
        Field(description="What the roles grant and everybody has; what depends on the network is not counted in."),
    ]


class OwnHeld(Held):
    """What the caller may do in the tenant, and may do with this token."""

    usable: Annotated[list[str], Field(description="Those of the permissions that the scopes of this token stand for.")]


class SignedInSession(Shown):
    """A session that is alive."""

    signed_in_at: Annotated[Moment, Field(description="When the user signed in.")]
    last_seen_at: Annotated[Moment, Field(description="When it was last used.")]
    amr: Annotated[list[str], Field(description="How the user was authenticated (RFC 8176).")]
    acr: Annotated[str, Field(description="The level of the authentication.")]


class PasswordStatus(Shown):
    """The user's password."""

    is_set: Annotated[bool, Field(description="Whether there is one.")]
    must_change: Annotated[bool, Field(description="Whether the user has to choose another at the next sign-in.")]
    changed_at: Annotated[Moment | None, Field(description="When it was last changed.")] = None


class Authentication(Shown):
    """How a user can sign in, and does."""

    user_id: Annotated[str, Field(description="The user's id.")]
    username: Annotated[str, Field(description="The name to sign in with.")]
    state: Annotated[str, Field(description="`invited`, `active`, `locked`, `disabled` or `deleted`.")]
    locked_until: Annotated[
        Moment | None, Field(description="When the lock after too many failed sign-ins ends by itself.")
    ] = None
    last_sign_in: Annotated[
        Moment | None, Field(description="When the user last signed in, as far as sessions are kept.")
    ] = None
    password: Annotated[PasswordStatus, Field(description="The password.")]
    factors: Annotated[list[str], Field(description="By what the user can be authenticated.")]
    session_count: Annotated[int, Field(description="How many sessions are alive, 100 at most.")]
    sessions: Annotated[list[SignedInSession], Field(description="They, the one that was used last first.")]


def shown_authentication(found: AuthenticationStatus) -> dict[str, Any]:
    """Return how a user can sign in as answers show it."""
    user = found.user

    def at(value: int | None) -> str | None:
        return moment(value) if value is not None else None

    return {
        "user_id": user.id,
        "username": user.username,
        "state": found.state,
        "locked_until": at(found.locked_until),
        "last_sign_in": at(found.last_sign_in),
        "password": {
            "is_set": user.password_hash is not None,
            "must_change": user.must_change_password,
            "changed_at": at(user.password_changed_at),
        },
        "factors": list(found.factors),
        "session_count": len(found.sessions),
        "sessions": [
            {
                "signed_in_at": moment(each.auth_time),
                "last_seen_at": moment(each.last_seen_at),
                "amr": list(each.amr),
                "acr": each.acr,
            }
            for each in found.sessions
        ],
    }
