"""The health of a service, for everybody, and of each tenant, for its administrators: operations that every service has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api import tenant_health
from idp.api.operations import Operation, Shown
from idp.errors import Unavailable
from idp.web.http import json_response

if TYPE_CHECKING:
    from idp.api.operations import Service, Surroundings
    from idp.web.http import Response


class Health(Shown):
    """That the service can answer."""

    status: Annotated[Literal["ready"], Field(description="Requests can be served.")]
    service: Annotated[str, Field(description="The service's name, the first part of its paths.")]
    version: Annotated[str, Field(description="The version of its document.")]


class Live(Shown):
    """That the process runs."""

    status: Annotated[Literal["live"], Field(description="The process answers.")]


def answer(surroundings: Surroundings, service: Service, asked: Operation) -> Response:
    """Answer whether the process runs, or can answer requests; raises :class:`Unavailable` when it cannot."""
    if asked.answer is Live:
        return json_response(200, {"status": "live"})
    if surroundings.health.ready().status != 200:
        raise Unavailable(retry_after=1)
    return json_response(200, _document(service.name, service.version))


def _document(service: str, version: str) -> dict[str, str]:
    return {"status": "ready", "service": service, "version": version}


def operations(service: str, version: str) -> tuple[Operation, ...]:
    """Return the operations on health that a service has."""
    ready = "200 while requests can be served, 503 while they cannot, or the process is about to stop. It names no component; operators "
    ready += "find those in the log. No token is needed."
    same: dict[str, Any] = {"method": "GET", "permission": None, "tag": "Health"}
    return (
        Operation(
            name="health",
            path="/health",
            summary="Whether the service can answer",
            description=f"For load balancers and people: {ready}",
            answer=Health,
            answer_example=_document(service, version),
            **same,
        ),
        Operation(
            name="health_ready",
            path="/health/ready",
            summary="Whether the service can answer",
            description=f"For load balancers, as `/health`: {ready}",
            answer=Health,
            answer_example=_document(service, version),
            **same,
        ),
        Operation(
            name="health_live",
            path="/health/live",
            summary="Whether the process runs",
            description="For whoever restarts processes: 200 as long as it answers at all. No database is asked, and no token is needed.",
            answer=Live,
            answer_example={"status": "live"},
            **same,
        ),
        tenant_health.operation(),
    )
