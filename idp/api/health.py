"""The health of a service: one operation that every service has, for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

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


def answer(surroundings: Surroundings, service: Service) -> Response:
    """Answer whether the service can answer; raises :class:`Unavailable` when it cannot."""
    if surroundings.health.ready().status != 200:
        raise Unavailable(retry_after=1)
    return json_response(200, _document(service.name, service.version))


def _document(service: str, version: str) -> dict[str, str]:
    return {"status": "ready", "service": service, "version": version}


def operation(service: str, version: str) -> Operation:
    """Return the operation."""
    return Operation(
        name="health",
        method="GET",
        path="/health",
        permission=None,
        summary="Whether the service can answer",
        description="For load balancers and people: 200 while requests can be served, 503 while they cannot, or the process is "
        "about to stop. It names no component; operators find those in the log. No token is needed.",
        tag="Health",
        answer=Health,
        answer_example=_document(service, version),
    )
