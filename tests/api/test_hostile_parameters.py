"""Parameters that no database can look for are wrong values of every operation, whoever wrote its models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import pytest

from idp.api.services import SERVICES

if TYPE_CHECKING:
    from api_world import World


def texts() -> list[Any]:
    """Each parameter of each list that is a text: service, path and name."""
    return [
        pytest.param(service.name, operation.path, name, id=f"{operation.name}-{name}")
        for service in SERVICES
        for operation in service.operations
        if operation.query is not None and operation.method == "GET"
        for name, member in operation.query.model_fields.items()
        if str in {member.annotation, *get_args(member.annotation)}
    ]


@pytest.mark.parametrize(("service", "path", "name"), texts())
def test_no_parameter_has_a_nul(shared: World, service: str, path: str, name: str) -> None:
    """Rule 10 (a refusal is an answer): PostgreSQL stores no NUL and fails where one is looked for; 422 names the parameter."""
    path = re.sub(r"{(\w+)}", "x", path.replace("{tenant_id}", "acme"))
    answer = shared.call("GET", f"{path}?{name}=a%00b", service=service, token=shared.token("system"))
    assert answer.status == 422, answer.text
    assert name in [each.get("parameter") for each in answer.json["errors"]]
