"""What is written from the documents is what the documents say now, under names that follow from rules."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from authsec import AsyncAuthSecClient, AuthSecClient
from generator.naming import camel, iterator_name, method_name, method_of_service, singular
from generator.reading import Unclear, read
from idp.api.document import document_of
from idp.api.services import SERVICES

if TYPE_CHECKING:
    from idp.api.operations import Operation, Service

SDK = Path(__file__).resolve().parents[2] / "sdk"
SOURCES = (SDK / "typescript" / "src" / "generated" / "resources.ts").read_text("utf-8")
LONGEST = 400
GENERATED = ("types.py", "resources.py", "async_resources.py", "types.ts", "resources.ts")
EVERY_OPERATION = pytest.mark.parametrize(
    ("service", "operation"),
    [
        pytest.param(service, operation, id=f"{service.name}.{operation.name}")
        for service in SERVICES
        for operation in service.operations
    ],
)


def documents() -> dict[str, Any]:
    return {service.name: document_of(service, "https://id.example.com") for service in SERVICES}


def test_the_committed_files_are_current() -> None:
    """Interfaces §6, generated types: the files are those that `make sdk` would write."""
    found = runpy.run_path(str(SDK / "generate.py"))["stale"]()
    assert [path.relative_to(SDK).as_posix() for path in found] == [], "run: make sdk"


@EVERY_OPERATION
def test_every_operation_is_a_method(service: Service, operation: Operation) -> None:
    """Interfaces §6: each operation of each document is a method of all three clients, with the permission that it needs."""
    (name,) = (
        method.name
        for each in read(documents()).namespaces
        for method in each.methods
        if (method.operation, method.path) == (operation.name, f"/{service.name}{operation.path}")
    )
    namespace = re.sub(r"\W+", "_", operation.tag).lower()
    for client in (AuthSecClient("http://localhost"), AsyncAuthSecClient("http://localhost")):
        method = getattr(getattr(client, namespace), name)
        assert operation.permission is None or operation.permission in str(method.__doc__)
        assert f"/{service.name}{operation.path}" in inspect.getsource(method)
    assert f'"/{service.name}{operation.path}"' in SOURCES
    assert re.search(rf"^  {camel(name)}\(", SOURCES, re.MULTILINE)


def test_every_method_is_an_operation() -> None:
    """Interfaces §6: no client has a method that no document has, iterators of lists aside."""
    operations = sum(len(service.operations) for service in SERVICES)
    module = importlib.import_module("authsec._generated.resources")
    methods = [
        name
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == module.__name__ and each.__name__ != "Namespaces"
        for name in vars(each)
        if not name.startswith("_")
    ]
    assert len([name for name in methods if not name.startswith("iterate")]) == operations


@pytest.mark.parametrize(
    ("operation", "tag", "name"),
    [
        ("list_groups", "Groups", "list"),
        ("get_group", "Groups", "get"),
        ("patch_group", "Groups", "update"),
        ("list_group_members", "Groups", "list_members"),
        ("rotate_client_secret", "Clients", "rotate_secret"),
        ("revoke_initial_access_token", "Initial access tokens", "revoke"),
        ("list_policies", "Policies", "list"),
        ("get_policy", "Policies", "get"),
        ("import_users", "Users", "import_"),
        ("list_user_sessions", "Sessions", "list_user_sessions"),
    ],
)
def test_names_follow_from_rules(operation: str, tag: str, name: str) -> None:
    """Interfaces §6, decision 16: the method is the operation's name without the noun of its tag where that follows the verb."""
    assert method_name(operation, tag) == name


@pytest.mark.parametrize(
    ("operation", "name"),
    [("health", "user_flow"), ("health_ready", "user_flow_ready"), ("get_tenant_health", "user_flow_tenant")],
)
def test_what_several_services_have_is_named_by_the_service(operation: str, name: str) -> None:
    """Interfaces §6, decision 16: an operation of one name in several services is told apart by the service."""
    assert method_of_service(operation, "Health", "User Flow") == name


def test_iterators_and_singulars() -> None:
    """Interfaces §6, decision 16: a list has its iterator beside it; nouns have one singular."""
    assert [iterator_name(name) for name in ("list", "list_members", "query")] == [
        "iterate",
        "iterate_members",
        "iterate_query",
    ]
    assert [singular(word) for word in ("policies", "addresses", "users", "status", "access")] == [
        "policy",
        "address",
        "user",
        "status",
        "access",
    ]


def test_two_operations_of_one_name_are_refused() -> None:
    """Interfaces §6, negative control: what would be called the same stops the generator instead of hiding an operation."""
    given = documents()
    paths = given["uflow"]["paths"]
    one = "/uflow/tenants/{tenant_id}/groups/{group_id}"
    paths[one]["put"] = {**paths[one]["patch"], "operationId": "update_group"}
    paths[one]["put"]["requestBody"] = {
        "content": {"application/json": paths[one]["patch"]["requestBody"]["content"]["application/json"]}
    }
    with pytest.raises(
        Unclear, match=r"uflow.(patch|update)_group and uflow.(patch|update)_group would both be groups.update_group"
    ):
        read(given)


def test_names_that_would_be_alike_keep_their_noun() -> None:
    """Interfaces §6, decision 16: one and many of a kind are told apart by the noun that is otherwise left out."""
    given = documents()
    paths = given["uflow"]["paths"]
    many = {**paths["/uflow/tenants/{tenant_id}/groups"]["post"], "operationId": "delete_groups"}
    paths["/uflow/tenants/{tenant_id}/groups"]["delete"] = many
    (groups,) = (each for each in read(given).namespaces if each.name == "groups")
    names = {method.name for method in groups.methods}
    assert {"delete_group", "delete_groups", "list", "create"} <= names


def test_models_of_one_name_that_differ_are_kept_apart() -> None:
    """Interfaces §6: where two services mean different things by one name, the second is named by its service."""
    given = documents()
    given["clientms"]["components"]["schemas"]["Health"]["properties"]["more"] = {"type": "string"}
    names = {each.name for each in read(given).records}
    assert {"Health", "ClientManagementHealth"} <= names or {"Health", "UserFlowHealth"} <= names


def test_namespaces_leave_the_client_its_names() -> None:
    """Interfaces §6: no tag takes a name that the client itself has."""
    own = {"login", "continue_login", "logout", "close", "aclose", "for_tenant", "base_url", "tenant", "is_signed_in"}
    assert not own & {each.name for each in read(documents()).namespaces}


def test_written_modules_are_short() -> None:
    """Architecture, layout: what is written by hand has at most 400 lines a module; what is generated is not counted."""
    found = [*SDK.rglob("src/**/*.py"), *SDK.rglob("src/**/*.ts"), *(SDK / "generator").glob("*.py")]
    by_hand = [path for path in found if path.name not in GENERATED and "node_modules" not in path.parts]
    assert len(by_hand) > 30
    assert {path.name: len(path.read_text("utf-8").splitlines()) for path in by_hand if _lines(path) > LONGEST} == {}
    for path in by_hand:
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())
