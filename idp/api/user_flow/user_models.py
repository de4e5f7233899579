"""What the operations on users take and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from idp.api.listing import Page, PageQuery
from idp.api.moments import GivenMoment, Moment, moment
from idp.api.operations import Given, Shown
from idp.identity.accounts import LONGEST_USERNAME
from idp.identity.passwords import LONGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.store.rows import Row

Status = Literal["active", "locked", "disabled", "invited", "deleted"]
_STATES = (
    "`active`; `locked` for a while after too many failed sign-ins; `disabled`; `invited`, who has not accepted yet; `deleted`, "
    "and kept for the tenant's `deleted_account_retention`."
)
Email = Annotated[str, Field(min_length=3, max_length=LONGEST_USERNAME)]
_CLAIMS = "Standard claims (OpenID Connect Core §5.1) and attributes of the tenant's profile, as far as the schema lets them be."
Claims = Annotated[dict[str, Any], Field(max_length=200, description=_CLAIMS)]
RoleName = Annotated[str, Field(min_length=1, max_length=63)]
_ROLES = "Roles to be held in the whole tenant. The caller must hold what they grant."
Roles = Annotated[list[RoleName], Field(max_length=50, description=_ROLES)]
_ORDER = "The order, `-` for descending. Equal ones are in the order of their ids."


def printable(value: str | None) -> str | None:
    """Return a text that can be looked for; raises :class:`ValueError`."""
    if value is not None and not value.isprintable():
        raise ValueError("must be printable")
    return value


class NewUser(Given):
    """A user to be."""

    username: Annotated[
        str | None,
        Field(
            min_length=1, max_length=LONGEST_USERNAME, description="The name to sign in with; left out, the address."
        ),
    ] = None
    email: Annotated[
        Email | None,
        Field(description="The address. It counts as verified when the owner has read a mail that went there."),
    ] = None
    claims: Annotated[Claims, Field(default_factory=dict)]
    roles: Annotated[Roles, Field(default_factory=list)]
    password: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST,
            description="A password by the tenant's rules; it is shown nowhere. Left out, the person chooses one by "
            "“Forgotten password?”.",
            json_schema_extra={"writeOnly": True},
        ),
    ] = None
    must_change_password: Annotated[
        bool, Field(description="Whether the password has to be changed at the first sign-in.")
    ] = False
    invite: Annotated[
        bool,
        Field(
            description="Send an invitation, by which the person chooses the password and has the account: with `email`, without "
            "`username` and `password`. Needs `invitations:write` too."
        ),
    ] = False


class UserPatch(Given):
    """A JSON merge patch (RFC 7396): what is left out stays; null takes a claim away."""

    email: Annotated[Email | None, Field(description="The address; it cannot be removed.")] = None
    claims: Annotated[dict[str, Any] | None, Field(max_length=200, description=_CLAIMS)] = None


class UserGroup(Shown):
    """A group that a user is in."""

    id: Annotated[str, Field(description="The group's id.")]
    name: Annotated[str, Field(description="The group's name.")]


class User(Shown):
    """A user."""

    id: Annotated[str, Field(description="The user's id, the `sub` of tokens.")]
    username: Annotated[str, Field(description="The name to sign in with.")]
    email: Annotated[str | None, Field(description="The address.")] = None
    email_verified: Annotated[bool, Field(description="Whether the owner has read a mail that went to the address.")]
    status: Annotated[str, Field(description=_STATES)]
    claims: Annotated[dict[str, Any], Field(description="The profile.")]
    roles: Annotated[list[str], Field(description="Roles that are bound to the user, in the whole tenant.")]
    groups: Annotated[list[UserGroup], Field(description="Groups that the user is in, which may hold roles too.")]
    has_password: Annotated[bool, Field(description="Whether there is a password.")]
    must_change_password: Annotated[bool, Field(description="Whether the next sign-in asks for another password.")]
    created_at: Annotated[Moment, Field(description="When the account was made.")]
    updated_at: Annotated[Moment, Field(description="When the account was last changed.")]
    password_changed_at: Annotated[Moment | None, Field(description="When the password was set, if it was.")] = None
    deleted_at: Annotated[Moment | None, Field(description="When it was deleted, if it is.")] = None


class UserList(Page):
    """One page of users."""

    items: list[User]


class UserQuery(PageQuery):
    """The parameters of the list of users; filters hold together."""

    email: Annotated[
        str | None,
        Field(min_length=1, max_length=LONGEST_USERNAME, description="Only who has this address, in any case."),
    ] = None
    name: Annotated[str | None, Field(min_length=1, max_length=100, description="A part of the name, in any case.")] = (
        None
    )
    search: Annotated[
        str | None,
        Field(
            min_length=1, max_length=200, description="A part of the name, the address or the username, in any case."
        ),
    ] = None
    status: Annotated[Status | None, Field(description=f"Only those in this state: {_STATES}")] = None
    client_id: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="Only who has a living grant to this client."),
    ] = None
    role: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=63,
            description="Only who holds this role in the whole tenant, directly or by a group.",
        ),
    ] = None
    is_administrator: Annotated[
        bool | None,
        Field(
            description="Only who holds `tenant-admin` or `platform-admin` in the whole tenant, directly or by a group; or only others."
        ),
    ] = None
    group_id: Annotated[
        str | None,
        Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$", description="Only who is in this group."),
    ] = None
    created_from: Annotated[GivenMoment | None, Field(description="Only accounts that were made then or later.")] = None
    created_before: Annotated[GivenMoment | None, Field(description="Only accounts that were made before.")] = None
    sort: Annotated[
        Literal["email", "-email", "name", "-name", "created_at", "-created_at"], Field(description=_ORDER)
    ] = "email"

    _printable = field_validator("email", "name", "search", "client_id", "role")(
        classmethod(lambda _cls, value: printable(value))
    )


class Deletion(Given):
    """The parameters of a user's deletion."""

    hard: Annotated[
        bool,
        Field(
            description="Delete the account for good, with roles, groups, consents and everything else of the user; left out, it is "
            "kept for the tenant's `deleted_account_retention`, in which it can be restored."
        ),
    ] = False


def shown_user(row: Row[Any], status: str, roles: Sequence[str], groups: Sequence[Row[Any]]) -> dict[str, Any]:
    """Return a user as answers show it."""
    return {
        "id": row.id,
        "username": row.username,
        "email": row.email,
        "email_verified": row.email_verified,
        "status": status,
        "claims": row.claims or {},
        "roles": list(roles),
        "groups": [{"id": each.id, "name": each.name} for each in groups],
        "has_password": row.password_hash is not None,
        "must_change_password": row.must_change_password,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "password_changed_at": moment(row.password_changed_at) if row.password_changed_at is not None else None,
        "deleted_at": moment(row.deleted_at) if row.deleted_at is not None else None,
    }


# -- sessions and consents --------------------------------------------------------------------------------------------


class UserSession(Shown):
    """A browser session of a user that is alive."""

    id: Annotated[str, Field(description="Its id, the `sid` of tokens.")]
    device: Annotated[str, Field(description="Browser and system, as far as what the browser says can be believed.")]
    source: Annotated[str | None, Field(description="The address that it was begun from.")] = None
    signed_in_at: Annotated[Moment, Field(description="When the user last proved who it is.")]
    last_seen_at: Annotated[Moment, Field(description="When it was last used.")]
    expires_at: Annotated[Moment, Field(description="When it ends at the latest.")]
    amr: Annotated[list[str], Field(description="How the user proved who it is (RFC 8176).")]
    client_ids: Annotated[list[str], Field(description="Clients that it signed in to.")]


class UserSessionList(Page):
    """One page of a user's sessions."""

    items: list[UserSession]


class UserSessionQuery(PageQuery):
    """The parameters of the list of a user's sessions."""

    sort: Annotated[
        Literal["last_seen_at", "-last_seen_at", "created_at", "-created_at"], Field(description=_ORDER)
    ] = "-last_seen_at"


class UserConsent(Shown):
    """What a user has allowed a client."""

    client_id: Annotated[str, Field(description="The client.")]
    client_name: Annotated[str, Field(description="What people call it.")]
    scopes: Annotated[list[str], Field(description="What was allowed; empty where nobody had to be asked.")]
    granted_at: Annotated[Moment | None, Field(description="When it was last allowed something.")] = None
    last_used_at: Annotated[
        Moment | None, Field(description="When it last got tokens; absent when it has no living grant.")
    ] = None


class UserConsentList(Page):
    """One page of what a user has allowed."""

    items: list[UserConsent]


class UserConsentQuery(PageQuery):
    """The parameters of the list of what a user has allowed."""

    sort: Annotated[Literal["client_id", "-client_id"], Field(description=_ORDER)] = "client_id"
