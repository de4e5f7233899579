"""The OpenAPI 3.1 document of a service, made of its table: what is not in the table is not in the document.

Owns how operations, parameters, models and errors are written down. Must not know any service.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from idp.api.codes import CODES, doc_url
from idp.api.idempotency import LONGEST_KEY
from idp.api.operations import JSON_LINES, MERGE_PATCH, Shown
from idp.api.parameters import PATH_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from idp.api.codes import Code
    from idp.api.operations import Given, Operation, Service

VERSION = "3.1.0"
PROBLEM = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
_STATUS = {
    200: "Done.",
    201: "Made.",
    202: "Taken on; it is done soon.",
    204: "Done; there is nothing to show.",
}
_HEADERS: Mapping[str, dict[str, Any]] = {
    "ETag": {
        "description": "The state of what is shown; send it as If-Match with a change.",
        "schema": {"type": "string"},
    },
    "Location": {"description": "The address of what was made.", "schema": {"type": "string", "format": "uri"}},
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "What the service wants (RFC 6750 §3).", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the address takes.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "`true` where this is the answer of an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "X-Total-Count": {
        "description": "How many lines the answer has. One that has fewer was cut off: ask again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Limit": {"description": "How many requests a minute takes.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "How many are left.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until there are more.", "schema": {"type": "integer"}},
}
_RATE = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_OF_STATUS = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After", *_RATE),
    503: ("Retry-After",),
}


def error_codes(operation: Operation) -> list[Code]:
    """Return every code that an operation may answer: what follows from its record, and what it names itself."""
    found = ["invalid_request", "invalid_fields", "internal_error", "temporarily_unavailable"]
    if operation.permission is not None:
        found += ["token_missing", "invalid_token", "permission_required", "not_found", "too_many_requests"]
    if operation.body is not None or operation.is_file:
        found += ["body_too_large", "unsupported_media_type"]
    if operation.takes_if_match:
        found += ["precondition_failed"]
    if operation.is_repeatable:
        found += ["idempotency_key_reused", "answer_unreadable"]
    return sorted({CODES[code] for code in (*found, *operation.errors)}, key=lambda each: (each.status, each.code))


def document_of(service: Service, public_url: str) -> dict[str, Any]:
    """Return the document of a service that is reached at `public_url`."""
    responses: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in service.operations:
        written = _operation(operation)
        for status, codes in _by_status(operation).items():
            name = _response_name(codes)
            responses.setdefault(name, _error_response(status, codes, public_url))
            written["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}
            if status == 503 and operation.examine is not None:
                shown = written["responses"][str(operation.status)]["content"]
                whole = responses[name]
                about = f"- The document, where its status is `failing`.\n{whole['description']}"
                written["responses"]["503"] = {**whole, "description": about, "content": {**whole["content"], **shown}}
        paths[f"/{service.name}{operation.path}"][operation.method.lower()] = written
    return {
        "openapi": VERSION,
        "info": {"title": service.title, "version": service.version, "description": _about(service, public_url)},
        "servers": [{"url": public_url}],
        "tags": [{"name": name, "description": text} for name, text in service.tags.items()],
        "paths": dict(paths),
        "components": {
            "schemas": {**_schemas(service), "Problem": _problem_schema()},
            "responses": {name: responses[name] for name in sorted(responses)},
            "headers": dict(_HEADERS),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": f"An access token (RFC 9068) whose audience has {public_url}/{service.name}: of the tenant in the "
                    "path, or of `system`. Each operation names the permission that the token's holder needs.",
                }
            },
        },
        "externalDocs": {"description": "Every error code", "url": f"{public_url}/docs/errors"},
    }


def _schemas(service: Service) -> dict[str, Any]:
    used = (model for each in service.operations for model in (each.body, each.answer, each.lines))
    models = {model for model in used if model is not None}
    pairs: list[tuple[type[BaseModel], Any]] = [
        (model, "validation") for model in sorted(models, key=lambda model: model.__name__)
    ]
    _, found = models_json_schema(pairs, ref_template=_SCHEMAS + "{model}")
    schemas: dict[str, Any] = found.get("$defs", {})
    shown = {model.__name__ for model in models if issubclass(model, Shown)}
    return {name: _tidied(schemas[name], is_shown=name in shown) for name in sorted(schemas)}


def _tidied(schema: dict[str, Any], *, is_shown: bool) -> dict[str, Any]:
    """Return a model's schema without titles that only repeat names, and without null where an answer never has it."""
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
        if each.get("default", "") is None:
            del each["default"]
        if is_shown and "anyOf" in each:
            (own,) = [choice for choice in each.pop("anyOf") if choice.get("type") != "null"]
            each.update(own)
    return schema


def _operation(operation: Operation) -> dict[str, Any]:
    permission = operation.permission
    needs = f"\n\nPermission: `{permission}`." if permission is not None else ""
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description + needs,
    }
    parameters = [*_path_parameters(operation), *_query_parameters(operation.query), *_header_parameters(operation)]
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": {"$ref": _SCHEMAS + operation.body.__name__}}
        if operation.body_example is not None:
            content["examples"] = {"usual": {"summary": operation.summary, "value": operation.body_example}}
        found["requestBody"] = {"required": True, "content": dict.fromkeys(operation.media_types, content)}
    if operation.is_file:
        # OpenAPI 3.1 §4.8.14.2: a file in the body needs no schema but its media type.
        files = {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in operation.media_types}
        found["requestBody"] = {"required": True, "content": files}
    found["responses"] = _done_responses(operation)
    if permission is None:
        found["security"] = []
    else:
        # OpenAPI 3.1: what a scheme other than OAuth 2 needs beside the credential may stand there as a role's name.
        found |= {"security": [{"bearer": [permission]}], "x-permission": permission}
    return found


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": parameter.description,
            "schema": parameter.schema(),
            "example": parameter.example,
        }
        for name, parameter in PATH_PARAMETERS.items()
        if f"{{{name}}}" in operation.path
    ]


def _query_parameters(model: type[Given] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
    found = []
    for name, each in schema["properties"].items():
        each.pop("title", None)
        description = each.pop("description", "")
        choices = each.pop("anyOf", None)
        if choices is not None:  # a parameter is left out, never null
            (own,) = [choice for choice in choices if choice.get("type") != "null"]
            each.update(own)
            each.pop("default", None)
        found.append({"name": name, "in": "query", "description": description, "schema": each})
    return found


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    found = []
    if operation.takes_if_match:
        found.append(
            _header(
                "If-Match",
                "The ETag of the state that the change is made for. Optional: without it the change is made whatever the state; "
                "with it, 412 when somebody changed it first, and nothing is changed.",
            )
        )
    if operation.has_etag and operation.method == "GET":
        found.append(_header("If-None-Match", "An ETag that the caller has: 304 when it is still the state."))
    if operation.is_repeatable:
        schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"}
        found.append(
            _header(
                "Idempotency-Key",
                "A name of the caller's for this one request, for instance a UUID. Repeated within 24 hours with the same key, the "
                "request makes nothing and is answered as the first was. The same key with another request: 422. Refused requests "
                "are not kept.",
                schema,
            )
        )
    return found


def _header(name: str, description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema or {"type": "string"}}


def _done_responses(operation: Operation) -> dict[str, Any]:
    headers = [*(["ETag"] if operation.has_etag else []), *(["Location"] if operation.status == 201 else [])]
    headers += ["Idempotency-Replayed"] if operation.is_repeatable else []
    headers += ["X-Total-Count"] if operation.lines is not None else []
    headers += _RATE if operation.permission is not None else ()
    done: dict[str, Any] = {"description": _STATUS[operation.status], "headers": _referred(headers)}
    if operation.answer is not None:
        content: dict[str, Any] = {"schema": {"$ref": _SCHEMAS + operation.answer.__name__}}
        if operation.answer_example is not None:
            content["examples"] = {"usual": {"summary": operation.summary, "value": operation.answer_example}}
        done["content"] = {"application/json": content}
    if operation.lines is not None:
        # Of a sequence of values OpenAPI 3.1 has the schema of one only by custom; 3.2 calls it itemSchema.
        name = operation.lines.__name__
        done["description"] = f"Done. JSON lines: the schema and the example are those of one line, a {name}."
        content = {"schema": {"$ref": _SCHEMAS + name}}
        content["examples"] = {"usual": {"summary": operation.summary, "value": operation.answer_example}}
        done["content"] = {JSON_LINES: content}
    found = {str(operation.status): done}
    if operation.has_etag and operation.method == "GET":
        found["304"] = {"description": "It is still as If-None-Match says.", "headers": _referred(["ETag"])}
    return found


def _by_status(operation: Operation) -> dict[int, tuple[Code, ...]]:
    found: dict[int, tuple[Code, ...]] = {}
    for code in error_codes(operation):
        found[code.status] = (*found.get(code.status, ()), code)
    return found


def _response_name(codes: Iterable[Code]) -> str:
    return ".".join(code.code for code in codes)


def _error_response(status: int, codes: Iterable[Code], public_url: str) -> dict[str, Any]:
    return {
        "description": "\n".join(f"- `{code.code}`: {code.title}." for code in codes),
        "headers": _referred(_OF_STATUS.get(status, ())),
        "content": {
            PROBLEM: {
                "schema": {"$ref": _SCHEMAS + "Problem"},
                "examples": {code.code: {"value": _problem(code, public_url)} for code in codes},
            }
        },
    }


def _referred(names: Any) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problem(code: Code, public_url: str) -> dict[str, Any]:
    address = doc_url(public_url, code.code)
    found: dict[str, Any] = {
        "type": address,
        "title": code.title,
        "status": code.status,
        "detail": code.meaning,
        "code": code.code,
        "request_id": "7Q2M4ZK9X1VB3NTC",
        "doc_url": address,
    }
    if code.code == "permission_required":
        found["permission"] = "clients:write"
    if code.status == 422 and code.code != "idempotency_key_reused":
        found["errors"] = [{"pointer": "#/name", "detail": "must be a valid string"}]
    return found


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    uri = {"type": "string", "format": "uri"}
    fault = {
        "type": "object",
        "properties": {
            "pointer": {**text, "description": "Where in the body: a JSON Pointer as a URI fragment (RFC 6901 §6)."},
            "parameter": {**text, "description": "Which query parameter or header, where it is not in the body."},
            "detail": {**text, "description": "What is wrong with it."},
        },
        "required": ["detail"],
    }
    return {
        "type": "object",
        "description": "A problem document (RFC 9457). Decide by `code`, which is stable; show `detail` to people; give "
        "`request_id` to the operators (`idp explain`).",
        "properties": {
            "type": {**uri, "description": "The code's page."},
            "title": {**text, "description": "What the code stands for, the same each time."},
            "status": {"type": "integer"},
            "detail": {**text, "description": "What is wrong with this request."},
            "code": {**text, "description": "The stable code; new ones may be added.", "examples": sorted(CODES)},
            "request_id": {**text, "description": "The request's id, also in the header X-Correlation-Id."},
            "doc_url": {**uri, "description": "The code's page."},
            "permission": {**text, "description": "With `permission_required`: the permission that is missing."},
            "errors": {"type": "array", "items": fault, "description": "What is wrong with which value."},
        },
        "required": ["type", "title", "status", "detail", "code", "request_id", "doc_url"],
    }


def _about(service: Service, public_url: str) -> str:
    return (
        f"{service.description}\n\n"
        f"**Tokens.** Send `Authorization: Bearer TOKEN` with an access token whose audience has `{public_url}/{service.name}`. Tokens of "
        "`system` are for every tenant, a tenant's own for itself only. What a token's holder may do is decided by their roles, anew "
        "with each request; each operation names the permission it needs.\n\n"
        "**Errors** are problem documents (RFC 9457) with a stable `code`; each code has a page at its `doc_url`.\n\n"
        "**Lists** have pages of at most 100 items with `page`, `limit`, `total` and `total_pages`; long ones are read by sending the "
        "answer's `next` as `after`.\n\n"
        "**Changes.** Single things carry an `ETag`. Send it as `If-Match` with a change, and a change that somebody else made first is "
        "not overwritten (412). Creates take an `Idempotency-Key`, and may then be repeated safely for 24 hours.\n\n"
        f"**What is unknown.** A member that a request has and the document does not is refused (422), so a misspelt one never passes "
        f"unseen. Answers may get further members and values: tolerate them. PATCH is a JSON merge patch (RFC 7396, `{MERGE_PATCH}`)."
    )
