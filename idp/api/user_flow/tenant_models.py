"""What the operations on tenants take and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api.listing import Page, PageQuery
from idp.api.moments import Moment, moment
from idp.api.operations import Given, Shown

if TYPE_CHECKING:
    from idp.store.rows import Row

State = Literal["creating", "active", "suspended", "deleting"]
Slug = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        max_length=63,
        description="Its short name in addresses: lower-case letters, digits and inner hyphens. It cannot be changed.",
    ),
]
_NAME = "The name that people are shown."
TenantName = Annotated[str, Field(min_length=1, max_length=100, description=_NAME)]


class NewAdministrator(Given):
    """Who administers a new tenant."""

    email: Annotated[str, Field(min_length=3, max_length=254, description="The address that the invitation goes to.")]
    name: Annotated[str | None, Field(min_length=1, max_length=200, description="The person's full name.")] = None


class NewTenant(Given):
    """A tenant to be."""

    slug: Slug
    name: TenantName
    domain: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=253,
            description="A host name of its own, such as login.example.com, at which it is issued; left out, an address of the platform's.",
        ),
    ] = None
    administrator: Annotated[
        NewAdministrator,
        Field(description="Who is invited by mail as its first administrator, with the role tenant-admin."),
    ]


class TenantPatch(Given):
    """A JSON merge patch (RFC 7396): what is left out stays; a name cannot be removed."""

    name: Annotated[TenantName | None, Field(description=_NAME)] = None


class TenantDeletion(Given):
    """That the caller knows which tenant goes."""

    slug: Annotated[str, Field(min_length=1, max_length=63, description="The tenant's slug once more.")]


class Tenant(Shown):
    """A tenant."""

    id: Annotated[str, Field(description="Its id.")]
    slug: Annotated[str, Field(description="Its short name in addresses.")]
    name: Annotated[str, Field(description=_NAME)]
    state: Annotated[
        State,
        Field(
            description="A suspended tenant is not served; one that is being created or deleted is seen in the list alone."
        ),
    ]
    issuer: Annotated[str, Field(description="The issuer of its tokens (RFC 8414 §2).")]
    discovery: Annotated[str, Field(description="Where its metadata is (OpenID Connect Discovery §4).")]
    created_at: Annotated[Moment, Field(description="When it was made.")]
    updated_at: Annotated[Moment, Field(description="When its name, state or settings were last changed.")]


class TenantList(Page):
    """One page of tenants."""

    items: list[Tenant]


class TenantQuery(PageQuery):
    """The parameters of the list of tenants; filters hold together."""

    name: Annotated[
        str | None, Field(min_length=1, max_length=100, description="Only those with this in the name.")
    ] = None
    slug: Annotated[
        str | None,
        Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9-]+$", description="Only those with this in the slug."),
    ] = None
    state: Annotated[State | None, Field(description="Only those in this state.")] = None
    sort: Annotated[
        Literal["slug", "-slug", "name", "-name", "created_at", "-created_at"],
        Field(description="The order, `-` for descending."),
    ] = "slug"


def shown_tenant(row: Row[Any]) -> dict[str, Any]:
    """Return a tenant, by its row of the control database, as answers show it."""
    return {
        "id": row.id,
        "slug": row.slug,
        "name": row.name,
        "state": row.state,
        "issuer": row.issuer,
        "discovery": f"{row.issuer}/.well-known/openid-configuration",
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }
