"""What the operations on domains take and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api.listing import Page, PageQuery
from idp.api.moments import Moment, moment
from idp.api.operations import Given, Shown
from idp.tenancy.domain_names import challenge_name, shown

if TYPE_CHECKING:
    from idp.identity.domains import Domain as Found

State = Literal["pending", "proven"]


class NewDomain(Given):
    """A domain to be proven."""

    domain: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            description="A host name such as login.example.com, in any script; no address, no port.",
        ),
    ]


class DomainRecord(Shown):
    """What the DNS must have."""

    type: Annotated[Literal["TXT"], Field(description="The record's type.")]
    name: Annotated[str, Field(description="The record's name.")]
    value: Annotated[str, Field(description="What the record says, alone or beside others.")]


class Domain(Shown):
    """A domain."""

    domain: Annotated[str, Field(description="The host name in its ASCII form, by which it is addressed.")]
    display_name: Annotated[str, Field(description="The host name with the letters of its language.")]
    state: Annotated[
        State, Field(description="`pending` until the DNS has the record; then `proven`, the tenant's alone.")
    ]
    record: Annotated[DomainRecord | None, Field(description="The record to make; absent once it is proven.")] = None
    created_at: Annotated[
        Moment, Field(description="When it was said to be the tenant's; of a proven one, when it was proven.")
    ]
    expires_at: Annotated[Moment | None, Field(description="When it is forgotten unless it is proven before.")] = None
    checked_at: Annotated[Moment | None, Field(description="When the DNS was last asked in vain.")] = None
    found: Annotated[str | None, Field(description="What was found then, and what to do.")] = None


class DomainList(Page):
    """One page of domains."""

    items: list[Domain]


class DomainQuery(PageQuery):
    """The parameters of the list of domains."""

    state: Annotated[State | None, Field(description="Only those in this state.")] = None
    sort: Annotated[Literal["domain", "-domain"], Field(description="The order, `-` for descending.")] = "domain"


def shown_domain(found: Found) -> dict[str, Any]:
    """Return a domain as answers show it."""
    claim = found.claim
    document = {
        "domain": found.host,
        "display_name": shown(found.host),
        "state": "proven" if claim is None else "pending",
        "created_at": moment(found.created_at),
    }
    if claim is None:
        return document
    return document | {
        "record": {"type": "TXT", "name": challenge_name(found.host), "value": claim.challenge},
        "expires_at": moment(claim.expires_at),
        "checked_at": moment(claim.checked_at) if claim.checked_at is not None else None,
        "found": claim.found,
    }
