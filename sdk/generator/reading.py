"""Reads the OpenAPI documents into what both languages are written from: records, and namespaces of methods.

Knows the documents' own conventions (docs/decisions/0013-api-documents.md): the tenant in the path, lists with a cursor, If-Match,
Idempotency-Key, `x-permission`. Must not know a language.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from generator.naming import iterator_name, method_name, method_of_service, pascal, snake

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Schema = dict[str, Any]
_REF = "#/components/schemas/"
TENANT = "tenant_id"
MERGE_PATCH = "application/merge-patch+json"
LINES = "application/x-ndjson"  # one object after the other


class Unclear(Exception):
    """The documents cannot be turned into an SDK: two things would be called the same."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a record, or a parameter."""

    name: str
    schema: Schema
    is_required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Record:
    """An object of the documents. Answers may get further members and values; what callers send may not."""

    name: str
    description: str
    members: tuple[Member, ...]
    is_shown: bool
    further: tuple[tuple[str, ...], Schema] | None  # members `NAME#LANGUAGE`: of which names, and their values


@dataclass(frozen=True, slots=True)
class Method:
    """An operation as a method."""

    name: str
    operation: str
    http_method: str
    path: str
    path_parameters: tuple[Member, ...]  # the tenant only where the namespace is that of the tenants
    query: tuple[Member, ...]
    body: Schema | None
    file_types: tuple[str, ...]  # of a body that is a file
    answer: Schema | None
    answer_media_type: str
    item: Schema | None  # of a list that is read by cursor
    summary: str
    permission: str | None
    takes_if_match: bool
    is_repeatable: bool

    @property
    def iterator(self) -> str:
        """What its iterator is called."""
        return iterator_name(self.name)


@dataclass(frozen=True, slots=True)
class Namespace:
    """The methods of one tag."""

    name: str
    description: str
    methods: tuple[Method, ...]


@dataclass(slots=True)
class Api:
    """All services together."""

    services: tuple[str, ...]
    records: list[Record] = field(default_factory=list)
    namespaces: list[Namespace] = field(default_factory=list)
    codes: tuple[str, ...] = ()

    def record(self, name: str) -> Record:
        """Return a record by its name."""
        return next(each for each in self.records if each.name == name)


def referred(schema: Schema) -> str | None:
    """Return the name of the record that a schema leads to."""
    ref = schema.get("$ref")
    return ref.removeprefix(_REF) if ref is not None else None


def read(documents: Mapping[str, Schema]) -> Api:
    """Return what the documents say, by the first part of their services' paths."""
    schemas = _Schemas(documents)
    api = Api(tuple(sorted(documents)))
    found: dict[str, list[tuple[str, Schema, str, str, Schema]]] = {}
    for service, document in documents.items():
        for path, http_method, operation in _operations(document):
            found.setdefault(snake(operation["tags"][0]), []).append((service, document, path, http_method, operation))
    for name, operations in sorted(found.items()):
        _, document, _, _, first = operations[0]
        description = next(tag["description"] for tag in document["tags"] if tag["name"] == first["tags"][0])
        api.namespaces.append(Namespace(name, description, tuple(_methods(schemas, name, operations))))
    api.records = schemas.records()
    problem = next(iter(documents.values()))["components"]["schemas"]["Problem"]
    api.codes = tuple(problem["properties"]["code"]["examples"])
    return api


def _methods(
    schemas: _Schemas, namespace: str, operations: list[tuple[str, Schema, str, str, Schema]]
) -> Iterator[Method]:
    """Return the methods of a namespace, each under a name of its own."""
    services: dict[str, set[str]] = {}
    for service, _, _, _, operation in operations:
        services.setdefault(operation["operationId"], set()).add(service)
    short = Counter(method_name(each[-1]["operationId"], each[-1]["tags"][0]) for each in operations)
    taken: dict[str, str] = {}
    for service, document, path, http_method, operation in operations:
        own, tag = operation["operationId"], operation["tags"][0]
        if len(services[own]) > 1:
            name = method_of_service(own, tag, document["info"]["title"])
        else:
            name = method_name(own, tag, keeps_noun=short[method_name(own, tag)] > 1)
        method = _method(schemas, service, name, path, http_method, operation)
        for wanted in (name, *([method.iterator] if method.item else [])):
            other = taken.setdefault(wanted, f"{service}.{own}")
            if other != f"{service}.{own}":
                raise Unclear(f"{other} and {service}.{own} would both be {namespace}.{wanted}")
        yield method


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in document["paths"].items():
        for http_method, operation in item.items():
            yield path, http_method.upper(), operation


def _method(schemas: _Schemas, service: str, name: str, path: str, http_method: str, operation: Schema) -> Method:
    tag = operation["tags"][0]
    parameters = operation.get("parameters", [])
    headers = {each["name"] for each in parameters if each["in"] == "header"}
    is_of_tenants = snake(tag) == "tenants"
    body, file_types = None, ()
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        media_type = MERGE_PATCH if http_method == "PATCH" else "application/json"
        if media_type in content:
            body = schemas.named(service, content[media_type]["schema"])
        else:
            file_types = tuple(content)
    done = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    media_type, content = next(iter(done.get("content", {}).items()), ("", None))
    if media_type not in ("", "application/json", LINES):
        raise Unclear(f"{operation['operationId']} answers {media_type}, which the SDKs do not read")
    answer = schemas.named(service, content["schema"]) if content is not None else None
    query = tuple(_parameter(schemas, service, each) for each in parameters if each["in"] == "query")
    item = None
    if answer is not None and any(each.name == "after" for each in query):
        item = schemas.items_of(service, done["content"]["application/json"]["schema"])
    return Method(
        name=name,
        operation=operation["operationId"],
        http_method=http_method,
        path=path,
        path_parameters=tuple(
            _parameter(schemas, service, each)
            for each in sorted(parameters, key=lambda each: path.find(f"{{{each['name']}}}"))
            if each["in"] == "path" and (is_of_tenants or each["name"] != TENANT)
        ),
        query=query,
        body=body,
        file_types=file_types,
        answer=answer,
        answer_media_type=media_type,
        item=item,
        summary=operation["summary"],
        permission=operation.get("x-permission"),
        takes_if_match="If-Match" in headers,
        is_repeatable="Idempotency-Key" in headers,
    )


def _parameter(schemas: _Schemas, service: str, parameter: Schema) -> Member:
    schema = schemas.named(service, parameter["schema"])
    return Member(parameter["name"], schema, parameter.get("required", False), parameter.get("description", ""))


class _Schemas:
    """The schemas of all documents under names that are theirs alone."""

    def __init__(self, documents: Mapping[str, Schema]) -> None:
        self._documents = documents
        self._names: dict[tuple[str, str], str] = {}
        self._made: dict[str, Record] = {}
        self._shown = {(service, name) for service, name in self._reached("responses")}
        first: dict[str, str] = {}
        for service, document in documents.items():
            for name in document["components"]["schemas"]:
                whole = self._whole(service, name, ())
                if first.setdefault(name, whole) == whole:
                    self._names[service, name] = name
                else:  # another service means something else by this name
                    self._names[service, name] = pascal(document["info"]["title"]) + name
        for service, document in documents.items():
            for name, schema in document["components"]["schemas"].items():
                final = self._names[service, name]
                if final not in self._made and "properties" in schema:
                    self._make(service, final, schema, is_shown=(service, name) in self._shown)

    def records(self) -> list[Record]:
        return [self._made[name] for name in sorted(self._made)]

    def named(self, service: str, schema: Schema, within: str = "", *, is_shown: bool = True) -> Schema:
        """Return a schema whose references have their final names; an object inside becomes a record of its own."""
        found = dict(schema)
        if "$ref" in found:
            name = str(referred(found))
            target = self._documents[service]["components"]["schemas"][name]
            if "properties" not in target:  # a name for something simple
                return self.named(service, target, within, is_shown=is_shown)
            return {"$ref": _REF + self._names[service, name]}
        if "properties" in found and within:
            self._make(service, within, found, is_shown=is_shown)
            return {"$ref": _REF + within}
        for key in ("items", "additionalProperties"):
            if isinstance(found.get(key), dict):
                found[key] = self.named(service, found[key], f"{within}Item" if within else "", is_shown=is_shown)
        for key in ("anyOf", "oneOf", "allOf"):
            if key in found:
                found[key] = [self.named(service, each, within, is_shown=is_shown) for each in found[key]]
        return found

    def items_of(self, service: str, schema: Schema) -> Schema | None:
        """Return what a page is a list of."""
        name = referred(schema)
        target = self._documents[service]["components"]["schemas"][name] if name else schema
        properties = target.get("properties", {})
        return self.named(service, properties["items"]["items"]) if {"items", "next"} <= properties.keys() else None

    def _make(self, service: str, name: str, schema: Schema, *, is_shown: bool) -> None:
        needed = schema.get("required", [])
        members = tuple(
            Member(
                each,
                self.named(service, of, name + pascal(each), is_shown=is_shown),
                each in needed,
                of.get("description", ""),
            )
            for each, of in schema["properties"].items()
        )
        further = None
        for pattern, of in schema.get("patternProperties", {}).items():
            names = re.match(r"\^\(([\w|]+)\)#", pattern)
            if names is None:
                raise Unclear(f"members {pattern} of {name} have no form in the SDKs")
            further = (tuple(names[1].split("|")), self.named(service, of))
        self._made[name] = Record(name, schema.get("description", ""), members, is_shown, further)

    def _whole(self, service: str, name: str, inside: tuple[str, ...]) -> str:
        """Return a schema as text with everything that it refers to, so that two can be compared."""
        text = json.dumps(self._documents[service]["components"]["schemas"][name], sort_keys=True)
        for other in sorted(self._documents[service]["components"]["schemas"]):
            if f'"{_REF}{other}"' in text and other not in inside and other != name:
                text += self._whole(service, other, (*inside, name))
        return text

    def _reached(self, where: str) -> Iterator[tuple[str, str]]:
        """Every schema that is part of an answer."""
        for service, document in self._documents.items():
            parts = [operation[where] for _, _, operation in _operations(document)]
            parts.append(document["components"]["responses"])
            waiting, seen = [json.dumps(parts)], set[str]()
            while waiting:
                text = waiting.pop()
                for name, schema in document["components"]["schemas"].items():
                    if name not in seen and f'"{_REF}{name}"' in text:
                        seen.add(name)
                        waiting.append(json.dumps(schema))
                        yield service, name
