"""The documents are the tables: routes, permissions, examples and errors both ways; and the pages that show them."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, get_args

import jsonschema_rs
import pytest
from api_world import HOST, PUBLIC, World

from idp.access.audiences import SERVICES as AUDIENCES
from idp.access.permissions import PERMISSIONS
from idp.api import errors as api_errors
from idp.api import pages as api_pages
from idp.api.client_management import metadata, models
from idp.api.codes import CODES
from idp.api.document import document_of, error_codes
from idp.api.operations import Given, Operation, Service
from idp.api.parameters import PATH_PARAMETERS
from idp.api.services import SERVICES
from idp.errors import IdpError
from idp.oauth import client_metadata, initial_access
from idp.oauth.profiles import PROFILES
from idp.web import entrance, http, problems

if TYPE_CHECKING:
    from house import Answer

OPERATIONS = [
    pytest.param(service, operation, id=f"{service.name}.{operation.name}")
    for service in SERVICES
    for operation in service.operations
]
EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def document(world: World, service: Service) -> Any:
    answer = world.house.send("GET", f"/{service.name}/openapi.json", host=HOST)
    assert answer.status == 200
    return answer.json


def schema_of(whole: Any, part: Any) -> Any:
    """A schema of the document that can be used by itself."""
    return {**part, "components": whole["components"]}


def follow(whole: Any, part: Any) -> Any:
    """What a reference leads to, or the part itself."""
    while "$ref" in part:
        found = whole
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


# -- documents and routes ----------------------------------------------------------------------------------------------------


@EVERY_SERVICE
def test_documents_and_routes_are_the_same_both_ways(shared: World, service: Service) -> None:
    """Issue 6, item 5: what the document lists is served, and what is served is listed."""
    listed = {
        (method.upper(), path.removeprefix(f"/{service.name}"))
        for path, methods in document(shared, service)["paths"].items()
        for method in methods
    }
    api = shared.house.router.desk.services[service.name]
    served = {(method, route.template) for route in api.routes for method in route.by_method}
    assert listed == served == {(each.method, each.path) for each in service.operations}
    names = [each.name for each in service.operations]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_a_listed_operation_is_there_and_another_method_is_not(
    shared: World, service: Service, operation: Operation
) -> None:
    """Issue 6, RFC 9110 §15.5.6: the address takes the method; a method that the document does not have is 405 with Allow."""
    path = f"/{service.name}{operation.path}".format(
        **dict.fromkeys(PATH_PARAMETERS, "x") | {"tenant_id": "acme", "permission": "x:y", "picture": "logo"}
    )
    assert shared.house.send(operation.method, path, host=HOST).status not in (404, 405)
    there = {each.method for each in service.operations if each.path == operation.path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - there:
        answer = shared.house.send(method, path, host=HOST)
        assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
        assert {each for each in (answer.header("allow") or "").split(", ") if each != "HEAD"} == there


@EVERY_SERVICE
def test_the_document_is_openapi(shared: World, service: Service) -> None:
    """OpenAPI 3.1.0: the document fits the specification's own schema; every reference leads somewhere."""
    whole = document(shared, service)
    assert whole["openapi"] == "3.1.0"
    assert whole["info"]["version"] == service.version
    assert whole["servers"] == [{"url": PUBLIC}]
    refs = re.findall(r'"\$ref":\s*"([^"]+)"', json.dumps(whole))
    assert refs
    for ref in refs:
        assert follow(whole, {"$ref": ref})
    for name, schema in whole["components"]["schemas"].items():
        jsonschema_rs.Draft202012Validator(schema_of(whole, schema))
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
    assert service.name in AUDIENCES


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_every_operation_says_permission_examples_and_errors(
    shared: World, service: Service, operation: Operation
) -> None:
    """Issue 6, item 5: permission, examples and errors stand on every operation; the permission is one that there is."""
    whole = document(shared, service)
    shown = whole["paths"][f"/{service.name}{operation.path}"][operation.method.lower()]
    if operation.permission is None:
        assert operation.tag == "Health"
        assert shown["security"] == []
    else:
        assert operation.permission in PERMISSIONS
        assert shown["x-permission"] == operation.permission
        assert f"`{operation.permission}`" in shown["description"]
        assert shown["security"] == [{"bearer": [operation.permission]}]
    assert shown["summary"]
    assert shown["tags"] == [operation.tag]
    assert operation.tag in {tag["name"] for tag in whole["tags"]}
    assert (operation.body is None) == (operation.body_example is None)
    assert ((operation.answer or operation.lines) is None) == (operation.answer_example is None)
    for parameter in shown.get("parameters", ()):
        assert parameter["description"], parameter["name"]
    statuses = {str(code.status) for code in error_codes(operation)} | {str(operation.status)}
    if operation.has_etag and operation.method == "GET":
        statuses.add("304")
    assert set(shown["responses"]) == statuses
    writes = operation.method in ("PUT", "PATCH", "DELETE")
    assert not (writes and operation.answer is not None and not operation.takes_if_match)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_examples_fit_their_schemas(shared: World, service: Service, operation: Operation) -> None:
    """Issue 6, item 5: each example, of a request, an answer and an error, is valid by the schema that it stands beside."""
    whole = document(shared, service)
    shown = whole["paths"][f"/{service.name}{operation.path}"][operation.method.lower()]
    contents = [each["content"] for each in (shown.get("requestBody"),) if each is not None]
    contents += [follow(whole, each).get("content", {}) for each in shown["responses"].values()]
    seen = 0
    for content in contents:
        for kind, media in content.items():
            if kind.startswith("image/"):  # a file; no example is one
                continue
            validator = jsonschema_rs.Draft202012Validator(schema_of(whole, media["schema"]), validate_formats=True)
            for example in media["examples"].values():
                validator.validate(example["value"])
                seen += 1
    assert seen >= 4


@EVERY_SERVICE
def test_what_is_sent_is_closed_and_what_is_shown_is_open(shared: World, service: Service) -> None:
    """Interfaces §5: a request has no members but those of the document; callers must tolerate further ones in answers."""
    whole = document(shared, service)
    for operation in service.operations:
        if operation.body is not None:
            assert issubclass(operation.body, Given)
            assert whole["components"]["schemas"][operation.body.__name__]["additionalProperties"] is False
        if operation.answer is not None:
            assert "additionalProperties" not in whole["components"]["schemas"][operation.answer.__name__]
            assert '"null"' not in json.dumps(whole["components"]["schemas"][operation.answer.__name__])


@EVERY_SERVICE
def test_every_member_is_described(shared: World, service: Service) -> None:
    """Issue 6, item 5: whoever reads the document is told what each member means."""
    for name, schema in document(shared, service)["components"]["schemas"].items():
        for member, each in schema.get("properties", {}).items():
            assert each.get("description") or member in ("items", "status", "keys"), f"{name}.{member}"


def test_the_members_of_a_client_are_those_that_can_be_registered() -> None:
    """Decision 13: the document's metadata and the rules that every way of registering shares have the same members and choices."""
    assert set(metadata.ClientMetadata.model_fields) == set(client_metadata.MEMBERS)
    assert get_args(models.Profile) == tuple(PROFILES)
    assert get_args(metadata.GrantType) == client_metadata.GRANT_TYPES
    assert get_args(metadata.AuthMethod) == client_metadata.AUTH_METHODS
    from idp.keys.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS
    from idp.oauth.response_types import RESPONSE_TYPES

    assert set(get_args(metadata.ResponseType)) == set(RESPONSE_TYPES)
    assert get_args(metadata.EncryptionAlg) == KEY_ALGORITHMS
    assert get_args(metadata.EncryptionEnc) == CONTENT_ALGORITHMS
    fields = models.NewInitialAccessToken.model_fields
    limits = {each.le for name in ("uses", "lifetime") for each in fields[name].metadata if hasattr(each, "le")}
    assert limits == {initial_access.MOST_USES, initial_access.LONGEST_LIFE}


@EVERY_SERVICE
def test_a_person_who_opens_the_service_is_led_to_its_document(shared: World, service: Service) -> None:
    """RFC 9110 §12.5.1: the service's own address leads a browser to Swagger UI; a program is told that nothing is there."""
    for path in (f"/{service.name}", f"/{service.name}/"):
        answer = shared.house.send("GET", path, headers={"accept": "text/html"}, host=HOST)
        assert (answer.status, answer.location) == (303, f"/{service.name}/swagger")
        assert shared.house.send("GET", path, host=HOST).status == 404


def test_documents_are_public_and_cached(shared: World) -> None:
    """S120: the OpenAPI documents stay public, also to scripts of others; an unchanged one is not sent again."""
    answer = shared.house.send("GET", "/clientms/openapi.json", host=HOST)
    assert answer.header("access-control-allow-origin") == "*"
    etag = answer.header("etag")
    assert etag
    again = shared.house.send("GET", "/clientms/openapi.json", headers={"if-none-match": etag}, host=HOST)
    assert (again.status, again.body) == (304, b"")
    assert shared.house.send("POST", "/clientms/openapi.json", host=HOST).status == 405


def test_the_document_names_the_public_address() -> None:
    """Interfaces §4: addresses in the document are the installation's own, never those of a request."""
    made = json.dumps(document_of(SERVICES[0], "https://id.example"))
    assert f"https://id.example/{SERVICES[0].name}" in made
    assert "localhost" not in made


# -- pages -------------------------------------------------------------------------------------------------------------------


def page(world: World, path: str) -> Answer:
    answer = world.house.send("GET", path, headers={"accept": "text/html"}, host=HOST)
    assert answer.status == 200, answer.text
    return answer


@pytest.mark.parametrize("kind", ["swagger", "redoc"])
@EVERY_SERVICE
def test_the_readers_run_under_a_policy(shared: World, service: Service, kind: str) -> None:
    """CSP3 §6.7, ASVS 3.4: no script or style inside the page, everything from ourselves; only ReDoc may style itself."""
    answer = page(shared, f"/{service.name}/{kind}")
    assert not re.search(r"<style|<script(?! src=\")|\son[a-z]+=|style=", answer.text)
    policy = dict(part.split(" ", 1) for part in (answer.header("content-security-policy") or "").split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["style-src"] == ("'self'" if kind == "swagger" else "'self' 'unsafe-inline'")
    assert policy.get("worker-src") == (None if kind == "swagger" else "blob:")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(addresses) >= 4
    for address in addresses:
        assert address.startswith("/")
        assert shared.house.send("GET", address, host=HOST).status == 200


def test_assets_are_named_by_their_content(shared: World) -> None:
    """Architecture §9: the assets are ours; an address with the digest may be kept for ever, another for a minute."""
    for name in api_pages._sources():
        plain = shared.house.send("GET", f"/docs/assets/{name}", host=HOST)
        assert (plain.status, plain.header("cache-control")) == (200, "public, max-age=60")
        kept = shared.house.send("GET", api_pages._address(name), host=HOST)
        assert "immutable" in (kept.header("cache-control") or "")
        assert len(kept.body) > 100_000
        again = shared.house.send(
            "GET", f"/docs/assets/{name}", headers={"if-none-match": str(kept.header("etag"))}, host=HOST
        )
        assert again.status == 304


@pytest.mark.parametrize(
    "name", ["", "../wsgi.py", "swagger-ui.css/", "%2e%2e/x", "x" * 5000, "swagger-ui-bundle.js.map"]
)
def test_what_is_no_asset_is_not_there(shared: World, name: str) -> None:
    """S120: only the files of the list are served."""
    assert shared.house.send("GET", f"/docs/assets/{name}", host=HOST).status == 404


def test_every_code_has_its_page(shared: World) -> None:
    """Interfaces §5: each code's doc_url is a page that says what it means and what to do; the list has them all."""
    index = page(shared, "/docs/errors")
    for code in CODES.values():
        assert f'href="/docs/errors/{code.code}"' in index.text
        shown = page(shared, f"/docs/errors/{code.code}")
        assert f'<code id="error-code">{code.code}</code>' in shown.text
        assert str(code.status) in shown.text
        text = html.unescape(shown.text)
        assert code.meaning in text
        assert code.fix in text
    for path in ("/docs/errors/nothing", "/docs/errors/<script>", "/docs/errors/conflict/x"):
        assert shared.house.send("GET", path, host=HOST).status == 404


def test_every_error_that_a_service_meets_is_in_the_table() -> None:
    """Interfaces §5: the codes of our errors, of the front's and of the frame's, have the status that the table says."""
    found: dict[str, type[IdpError]] = {}
    for module in (api_errors, entrance, http, problems, client_metadata):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, IdpError) and each is not IdpError:
                found[each.code] = each
    from idp.access.granting import MoreThanHeld
    from idp.oauth.clients import WithoutSecret

    found |= {each.code: each for each in (MoreThanHeld, WithoutSecret)}
    assert found.keys() - CODES.keys() == set()
    for code, each in found.items():
        if code in CODES and code not in ("invalid_client_metadata", "invalid_redirect_uri"):
            assert each.status == CODES[code].status, code
    named = {code.code for service in SERVICES for each in service.operations for code in error_codes(each)}
    assert named <= CODES.keys()


def test_health(shared: World) -> None:
    """Interfaces §5: every service and the process say that they are well, to everybody, and to HEAD too."""
    for service in SERVICES:
        answer = shared.house.send("GET", f"/{service.name}/health", host=HOST)
        assert answer.json == {"status": "ready", "service": service.name, "version": service.version}
        assert shared.house.send("GET", f"/{service.name}/health?x=1", host=HOST).status == 422
    assert shared.house.send("GET", "/health/live", host=HOST).json == {"status": "live"}
    assert shared.house.send("GET", "/health/ready", host=HOST).json == {"status": "ready"}
    assert shared.house.send("POST", "/health/ready", host=HOST).status == 405


def test_a_draining_process_is_not_well(world: World) -> None:
    """Interfaces §5: 503 with Retry-After while the process is about to stop."""
    world.house.installation.health.draining.begin()
    answer = world.house.send("GET", "/clientms/health", host=HOST)
    assert (answer.status, answer.json["code"]) == (503, "temporarily_unavailable")
    assert answer.header("retry-after")
    assert world.house.send("GET", "/health/ready", host=HOST).status == 503
    assert world.house.send("GET", "/health/live", host=HOST).status == 200


def test_services_are_on_the_platforms_host_alone(world: World) -> None:
    """Interfaces §5: a tenant's own host has no services, and no path below an issuer leads to one."""
    own = world.house.tenant("own", domain="id.own.example")
    for path in ("/clientms/health", "/clientms/openapi.json", "/docs/errors", "/docs/assets/swagger-ui.css"):
        assert world.house.send("GET", path, host=own.host, scheme="https").status == 404
        assert world.house.send("GET", f"/t/acme{path}", host=HOST).status == 404


def test_a_worker_that_serves_no_program_does_not_carry_the_services() -> None:
    """Architecture §5 (heavy modules on first use): the models of the services are imported with the first request to one."""
    program = "import sys, idp.app; print([name for name in ('pydantic', 'idp.api.services') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
