"""schemathesis reads the documents and sends what they allow and what they forbid: no 5xx, no undocumented status, no schema violated."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from api_world import HOST, NAMES, World, client_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from user_world import user_things

from idp.access.permissions import BUILT_IN, EVERYBODY, OF_PLATFORM
from idp.api.parameters import PATH_PARAMETERS
from idp.api.services import SERVICES
from idp.app import create_wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.api.operations import Operation


@schemathesis.serializer("image/png", "image/jpeg", "image/webp")
def as_it_is(_context: Any, value: Any) -> bytes:
    """A file: whatever was made up."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


EXAMPLES = int(os.environ.get("IDP_TEST_FUZZ_EXAMPLES", "20"))
MODES = {"allowed": GenerationMode.POSITIVE, "forbidden": GenerationMode.NEGATIVE}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
OPERATIONS = [
    pytest.param(service.name, operation, mode, id=f"{service.name}.{operation.name}-{mode}")
    for service in SERVICES
    for operation in service.operations
    for mode in MODES
    if mode == "allowed" or operation.permission is not None  # health takes nothing that could be forbidden
]


# Something that every tenant has, or nobody.
THERE = {"role": "auditor", "permission": "x:y"}
NOTHING = {"role": "nothing", "permission": "no:thing"}
OWN = ("tenant_id", "client_id", "token_id")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world without limits of rate, with a few things to be found."""
    from house import House

    made = House(tmp_path_factory.mktemp("fuzzed") / "var", IDP_DNS_RESOLVERS=NAMES.setting)
    world = World(made)
    for slug in world.tenants:
        made.installation.provisioning.change_settings(world.tenants[slug], {"rate_limits": "off"})
    made.tenant("doomed")
    for number in range(12):
        assert world.clients("POST", "", client_of(client_id=f"c{number}", tags=["a"])).status == 201
    token, person = world.token(), world.people["acme", "apps"]

    def make(path: str, body: dict[str, Any], name: str) -> str:
        answer = world.uflow("POST", path, body, token=token)
        assert answer.status == 201, answer.text
        made_id: str = answer.json[name]
        return made_id

    binding = {"holder_type": "user", "holder_id": person, "role": "user"}
    world.there["acme"] = {
        "permission": " ".join(make("/permissions", {"name": f"p{n}:read"}, "name") for n in range(4)),
        "role": " ".join(make("/roles", {"name": f"r{n}"}, "name") for n in range(4)),
        "scope": " ".join(make("/scopes", {"name": f"s{n}"}, "name") for n in range(4)),
        "group_id": " ".join(make("/groups", {"name": f"g{n}"}, "id") for n in range(4)),
        "binding_id": " ".join(make("/role-bindings", binding | {"resource": f"x:{n}"}, "id") for n in range(4)),
        "user_id": " ".join(make("/users", {"username": f"u{n}"}, "id") for n in range(4)),
        **user_things(world, "acme", "target", "c0"),
        "domain": " ".join(make("/domains", {"domain": f"d{n}.acme.example"}, "domain") for n in range(4)),
    }
    hook = {"url": "https://hooks.example/x", "event_types": ["*"]}
    hooks = [make("/webhooks", hook, "id") for _ in range(4)]
    world.there["acme"]["webhook_id"] = " ".join(hooks)
    tests = [world.uflow("POST", f"/webhooks/{hooks[0]}/test", token=token).json["id"] for _ in range(4)]
    world.there["acme"]["delivery_id"] = " ".join(tests)
    yield world
    made.close()


def at_home(world: World) -> Any:
    """The WSGI application with the front's checks, as if it were asked at its public address."""
    app: Any = create_wsgi(installation=world.house.installation)

    def asked(environ: dict[str, Any], start_response: Any) -> Any:
        return app({**environ, "HTTP_HOST": HOST}, start_response)

    return asked


@pytest.mark.parametrize("who", ["admin", "nobody"])
@pytest.mark.parametrize(("service", "operation", "mode"), OPERATIONS)
def test_the_document_holds(fuzzed: World, service: str, operation: Operation, who: str, mode: str) -> None:
    """Issue 6 (must show): with an administrator's and with an unprivileged token, whatever is sent."""
    schema = schemathesis.openapi.from_wsgi(f"/{service}/openapi.json", at_home(fuzzed))
    target: Any = schema[f"/{service}{operation.path}"][operation.method]
    is_of_platform = operation.is_of_platform or operation.permission in OF_PLATFORM
    token = fuzzed.token("system" if is_of_platform else "acme", who)
    # Things that there are, and others.
    names: dict[str, Any] = {}
    if "{tenant_id}" in operation.path:
        # What is suspended or deleted is not there for the others.
        known = ["acme", "acme", "acme", "globex", "nowhere"] if not is_of_platform else ["doomed", "nowhere"]
        names["tenant_id"] = st.sampled_from(known)
    if "{client_id}" in operation.path:
        names["client_id"] = st.sampled_from([f"c{number}" for number in range(12)] + ["nothing"])
    if "{token_id}" in operation.path:
        names["token_id"] = st.sampled_from(["nothing"])
    for name in PATH_PARAMETERS.keys() - set(OWN):
        if f"{{{name}}}" in operation.path:
            there = fuzzed.there["acme"].get(name, "").split()
            names[name] = st.sampled_from([THERE.get(name, "x"), *there, NOTHING.get(name, "nothing")])
    seen: set[int] = set()

    @given(data=st.data())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES <= 20,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(data: Any) -> None:
        path = data.draw(st.fixed_dictionaries(names)) if names and data.draw(st.booleans()) else None
        case = data.draw(target.as_strategy(generation_mode=MODES[mode], **({"path_parameters": path} if path else {})))
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
        response = case.call()
        seen.add(response.status_code)
        checks = [*CHECKS, negative_data_rejection] if mode == "forbidden" and who == "admin" else CHECKS
        case.validate_response(response, checks=checks)

    run()
    assert seen, "nothing was sent"
    if who == "nobody" and operation.permission not in (None, *BUILT_IN[EVERYBODY]):
        assert not seen & {200, 201, 204}
