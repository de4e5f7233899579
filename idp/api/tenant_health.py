"""The health of one tenant, for its administrators: an operation that every service has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api.moments import Moment, moment
from idp.api.operations import Operation, Reply, Shown
from idp.clock import now
from idp.identity import tenant_health

if TYPE_CHECKING:
    from idp.api.operations import Surroundings
    from idp.tenancy.tenant import Tenant

State = Literal["ok", "degraded", "failing"]


class HealthPart(Shown):
    """A part of a tenant."""

    name: Annotated[
        Literal["database", "schema", "signing_keys", "outbox", "audit"],
        Field(description="Which part: what cannot be looked at, because an earlier one is failing, is absent."),
    ]
    status: Annotated[
        State, Field(description="`degraded`: somebody should look at it; `failing`: people cannot sign in.")
    ]
    summary: Annotated[str, Field(description="What was found, and what to do.")]
    facts: Annotated[dict[str, Any], Field(description="Numbers, names and moments behind it.")]


class TenantHealth(Shown):
    """How a tenant fares."""

    status: Annotated[State, Field(description="As bad as the worst part; with `failing` the answer's status is 503.")]
    tenant: Annotated[str, Field(description="The tenant's slug.")]
    checked_at: Annotated[Moment, Field(description="When this was found out.")]
    parts: Annotated[list[HealthPart], Field(description="Its parts.")]


EXAMPLE: dict[str, Any] = {
    "status": "ok",
    "tenant": "acme",
    "checked_at": "2026-11-29T14:00:00Z",
    "parts": [
        {"name": "database", "status": "ok", "summary": "The database answers.", "facts": {}},
        {
            "name": "outbox",
            "status": "ok",
            "summary": "Mails and notifications leave in time.",
            "facts": {"waiting": 0, "failed": 0},
        },
    ],
}


def _fact(name: str, value: Any) -> Any:
    return moment(value) if isinstance(value, int) and (name.endswith("_at") or name == "until") else value


def examine(around: Surroundings, tenant: Tenant) -> Reply:
    """Answer how a tenant fares; needs nothing of the tenant's to work."""
    found = tenant_health.examine(around.services.store, around.envelope, tenant)
    parts = [
        {
            "name": part.name,
            "status": part.status,
            "summary": part.summary,
            "facts": {name: _fact(name, value) for name, value in part.facts.items()},
        }
        for part in found.parts
    ]
    document = {"status": found.status, "tenant": tenant.slug, "checked_at": moment(now()), "parts": parts}
    return Reply(document, status=503 if found.status == "failing" else None)


def operation() -> Operation:
    """Return the operation."""
    return Operation(
        name="get_tenant_health",
        method="GET",
        path="/tenants/{tenant_id}/health",
        permission="tenants:read",
        summary="How a tenant fares",
        description="Its database, schema, signing keys, outbox and audit log. 200 while the tenant can be used, also where somebody should "
        "look at something; 503 with the same document where it cannot.",
        tag="Health",
        examine=examine,
        answer=TenantHealth,
        answer_example=EXAMPLE,
    )
