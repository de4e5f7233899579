"""What the operations about access take and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.access.bindings import LONGEST_RESOURCE
from idp.access.groups import LONGEST_DESCRIPTION, LONGEST_NAME, MOST_AT_ONCE
from idp.access.roles import MOST_PERMISSIONS
from idp.api.listing import Page, PageQuery
from idp.api.moments import GivenMoment, Moment, moment
from idp.api.operations import Given, Shown

if TYPE_CHECKING:
    from idp.access.roles import Role as AccessRole
    from idp.store.rows import Row

_WHAT_FOR = "What it is for; people read it."
Description = Annotated[str, Field(max_length=LONGEST_DESCRIPTION, description=_WHAT_FOR)]
NewDescription = Annotated[Description | None, Field(description=_WHAT_FOR)]
PermissionName = Annotated[str, Field(max_length=130, pattern=r"^[a-z][a-z0-9_.-]{0,62}:[a-z][a-z0-9_.-]{0,62}$")]
_GRANTED = "Permissions `resource:action`, of this product or the tenant's own."
Permissions = Annotated[list[PermissionName], Field(max_length=MOST_PERMISSIONS, description=_GRANTED)]
NewPermissions = Annotated[Permissions | None, Field(description=_GRANTED)]
HolderType = Literal["user", "group", "client"]
_ORDER = "The order, `-` for descending."
ByName = Annotated[Literal["name", "-name", "created_at", "-created_at"], Field(description=_ORDER)]


class Dated(Shown):
    """When it was made and last changed."""

    created_at: Annotated[Moment, Field(description="When it was made.")]
    updated_at: Annotated[Moment, Field(description="When it was last changed.")]


def _dated(row: Any) -> dict[str, str]:
    return {"created_at": moment(row.created_at), "updated_at": moment(row.updated_at)}


# -- roles ------------------------------------------------------------------------------------------------------------


class NewRole(Given):
    """A role to be."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._:-]{0,62}$", description="Its name; it cannot be changed.")]
    description: Description = ""
    permissions: Annotated[Permissions, Field(default_factory=list)]


class RolePatch(Given):
    """A JSON merge patch (RFC 7396): what is left out stays; null empties it."""

    description: NewDescription = None
    permissions: NewPermissions = None


class Role(Dated):
    """A role."""

    name: Annotated[str, Field(description="Its name.")]
    description: Annotated[str, Field(description="What it is for.")]
    permissions: Annotated[list[str], Field(description="What it grants.")]
    is_built_in: Annotated[bool, Field(description="Whether it is part of the product, and stays as it is.")]


class RoleList(Page):
    """One page of roles."""

    items: list[Role]


class RoleQuery(PageQuery):
    """The parameters of the list of roles."""

    is_built_in: Annotated[bool | None, Field(description="Only the built-in ones, or only the tenant's own.")] = None
    sort: ByName = "name"


class RoleDeletion(Given):
    """The parameters of a role's deletion."""

    with_bindings: Annotated[bool, Field(description="Delete it although somebody holds it; those bindings end.")] = (
        False
    )


def shown_role(role: AccessRole) -> dict[str, Any]:
    """Return a role as answers show it."""
    return {
        "name": role.name,
        "description": role.description,
        "permissions": list(role.permissions),
        "is_built_in": role.is_built_in,
        **_dated(role),
    }


# -- permissions and scopes -------------------------------------------------------------------------------------------


class NewPermission(Given):
    """A permission to be."""

    name: Annotated[PermissionName, Field(description="`resource:action`; it cannot be changed.")]
    description: Description = ""


class Described(Given):
    """A JSON merge patch (RFC 7396) of what may be changed of a permission."""

    description: NewDescription = None


class Permission(Dated):
    """A permission that the tenant has defined."""

    name: Annotated[str, Field(description="`resource:action`.")]
    description: Annotated[str, Field(description="What it is for.")]


class PermissionList(Page):
    """One page of permissions."""

    items: list[Permission]


class ByNameQuery(PageQuery):
    """The parameters of a list in the order of names."""

    sort: ByName = "name"


def shown_permission(row: Row[Any]) -> dict[str, Any]:
    """Return a permission as answers show it."""
    return {"name": row.name, "description": row.description, **_dated(row)}


class NewScope(Given):
    """A scope to be."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._:/-]{0,99}$", description="Its name; it cannot be changed.")]
    description: Description = ""
    permissions: Annotated[Permissions, Field(default_factory=list)]


class ScopePatch(Described):
    """A JSON merge patch (RFC 7396): what is left out stays; null empties it."""

    permissions: NewPermissions = None


class Scope(Permission):
    """A scope that stands for permissions."""

    permissions: Annotated[list[str], Field(description="What it stands for.")]


class ScopeList(Page):
    """One page of scopes."""

    items: list[Scope]


def shown_scope(row: Row[Any]) -> dict[str, Any]:
    """Return a scope as answers show it."""
    return {**shown_permission(row), "permissions": list(row.permissions)}


# -- groups -----------------------------------------------------------------------------------------------------------

GroupName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, description="Its name; people read it.")]


class NewGroup(Given):
    """A group to be."""

    name: GroupName
    description: Description = ""


class GroupPatch(Given):
    """A JSON merge patch (RFC 7396): what is left out stays; a name cannot be removed."""

    name: Annotated[GroupName | None, Field(description="Its name; people read it.")] = None
    description: NewDescription = None


class Group(Permission):
    """A group."""

    id: Annotated[str, Field(description="Its id.")]
    name: Annotated[str, Field(description="Its name.")]


class GroupList(Page):
    """One page of groups."""

    items: list[Group]


def shown_group(row: Row[Any]) -> dict[str, Any]:
    """Return a group as answers show it."""
    return {"id": row.id, **shown_permission(row)}


class NewMembers(Given):
    """Users to be put into a group."""

    user_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]],
        Field(min_length=1, max_length=MOST_AT_ONCE, description="Ids of users; those who are in it already stay."),
    ]


class Added(Shown):
    """What came of it."""

    added: Annotated[int, Field(description="How many were not in the group before.")]


class Member(Shown):
    """A user in a group."""

    user_id: Annotated[str, Field(description="The user's id, the `sub` of tokens.")]
    username: Annotated[str, Field(description="The name to sign in with.")]
    status: Annotated[str, Field(description="The state of the account: `active`, `invited`, `disabled` or `deleted`.")]
    member_since: Annotated[Moment, Field(description="When the user came into the group.")]


class MemberList(Page):
    """One page of the users in a group."""

    items: list[Member]


class MemberQuery(PageQuery):
    """The parameters of the list of a group's users."""

    sort: Annotated[Literal["username", "-username"], Field(description=_ORDER)] = "username"


def shown_member(row: Row[Any]) -> dict[str, Any]:
    """Return a user in a group as answers show it."""
    since = moment(row.member_since)
    return {"user_id": row.id, "username": row.username, "status": row.state, "member_since": since}


# -- role bindings ----------------------------------------------------------------------------------------------------

Resource = Annotated[
    str,
    Field(
        max_length=LONGEST_RESOURCE,
        pattern=r"^[a-z][a-z0-9_.-]{0,62}:[!-~]{1,190}$",
        description="The resource `type:id` for which it holds; left out, the whole tenant.",
    ),
]
Conditions = Annotated[
    dict[str, Any],
    Field(
        description="What must hold for the role to be held: `mfa`, `networks`, `hours`, `properties` (docs/access.md). All of them."
    ),
]
End = Annotated[GivenMoment, Field(description="When it ends; left out, never.")]


class NewRoleBinding(Given):
    """A role to be given."""

    holder_type: Annotated[HolderType, Field(description="Who is to hold it: a user, a group or a client.")]
    holder_id: Annotated[str, Field(min_length=1, max_length=255, description="The id of the user, group or client.")]
    role: Annotated[str, Field(min_length=1, max_length=63, description="The role's name.")]
    resource: Annotated[
        Resource | None, Field(description="The resource `type:id` for which it holds; left out, the whole tenant.")
    ] = None
    expires_at: Annotated[End | None, Field(description="When it ends; left out, never.")] = None
    conditions: Annotated[
        Conditions | None,
        Field(
            description="What must hold for the role to be held: `mfa`, `networks`, `hours`, `properties` (docs/access.md). All of them."
        ),
    ] = None


class RoleBindingPatch(Given):
    """A JSON merge patch (RFC 7396): what is left out stays; null takes the end, or all conditions, away."""

    expires_at: Annotated[End | None, Field(description="When it ends; left out, never.")] = None
    conditions: Annotated[
        Conditions | None,
        Field(
            description="What must hold for the role to be held: `mfa`, `networks`, `hours`, `properties` (docs/access.md). All of them."
        ),
    ] = None


class RoleBinding(Shown):
    """A role that somebody holds."""

    id: Annotated[str, Field(description="Its id.")]
    holder_type: Annotated[HolderType, Field(description="Who holds it: a user, a group or a client.")]
    holder_id: Annotated[str, Field(description="The id of the user, group or client.")]
    role: Annotated[str, Field(description="The role's name.")]
    resource: Annotated[str | None, Field(description="The resource for which it holds; absent: the whole tenant.")] = (
        None
    )
    expires_at: Annotated[Moment | None, Field(description="When it ends, if it does.")] = None
    conditions: Annotated[dict[str, Any] | None, Field(description="What must hold for the role to be held.")] = None
    created_at: Annotated[Moment, Field(description="When it was given.")]
    created_by: Annotated[str, Field(description="Who gave it, as in the audit trail.")]


class RoleBindingList(Page):
    """One page of role bindings."""

    items: list[RoleBinding]


class RoleBindingQuery(PageQuery):
    """The parameters of the list of role bindings; filters hold together."""

    role: Annotated[str | None, Field(min_length=1, max_length=63, description="Only of this role.")] = None
    holder_type: Annotated[HolderType | None, Field(description="Only of holders of this type.")] = None
    holder_id: Annotated[
        str | None, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$", description="Only of this holder.")
    ] = None
    resource: Annotated[
        str | None, Field(max_length=LONGEST_RESOURCE, pattern=r"^[!-~]+$", description="Only for this resource.")
    ] = None
    sort: Annotated[Literal["created_at", "-created_at"], Field(description=_ORDER)] = "created_at"


def shown_binding(row: Row[Any]) -> dict[str, Any]:
    """Return a role binding as answers show it."""
    return {
        "id": row.id,
        "holder_type": row.holder_type,
        "holder_id": row.holder_id,
        "role": row.role,
        "resource": row.resource or None,
        "expires_at": moment(row.expires_at) if row.expires_at is not None else None,
        "conditions": row.conditions,
        "created_at": moment(row.created_at),
        "created_by": row.created_by,
    }
