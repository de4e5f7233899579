"""From a request to an operation and back: finds it in the table, guards it, validates what comes in and what goes out.

Whatever goes wrong is a problem document, and leaves a record for `idp explain`.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from idp.api import health, idempotency, preconditions, reading
from idp.api.document import document_of
from idp.api.errors import MethodNotAllowed, answered, nothing_here
from idp.api.guard import Guard, find_tenant
from idp.api.operations import JSON, JSON_LINES, Call
from idp.api.parameters import PATH_PARAMETERS
from idp.errors import IdpError, Invalid, NotFound, Refusal, Unavailable, refusal_of
from idp.tenancy.context import entered
from idp.tenancy.tenant import SYSTEM
from idp.web import cors
from idp.web.headers import json_headers
from idp.web.http import Response
from idp.web.logs import get_logger
from idp.web.problems import InternalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import BaseModel

    from idp.api.operations import Caller, Operation, Reply, Service, Surroundings
    from idp.tenancy.tenant import Tenant
    from idp.web.http import Request
    from idp.web.ratelimit import Verdict

_EXPOSED = (
    "x-correlation-id", "www-authenticate", "retry-after", "etag", "location", "allow", "idempotency-replayed",
    "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "x-total-count",
)  # fmt: skip
_SENT = ("authorization", "content-type", "if-match", "if-none-match", "idempotency-key")
_NAME = re.compile(r"{([a-z_]+)}")
_PART = 64 * 1024  # bytes of lines that are sent at once


class Route:
    """A path of a service, with its operations by method."""

    def __init__(self, template: str, operations: Iterable[Operation]) -> None:
        """Make an expression of the template; literal parts weigh more than parameters."""
        parts = _NAME.split(template)
        text = "".join(
            f"(?P<{part}>{PATH_PARAMETERS[part].expression})" if place % 2 else re.escape(part)
            for place, part in enumerate(parts)
        )
        self.template, self._match = template, re.compile(text, re.ASCII).fullmatch
        self.weight = sum(map(len, parts[::2]))
        self.by_method = {operation.method: operation for operation in operations}

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters of a path, None when it is not of this form."""
        found = self._match(path)
        if found is None:
            return None
        # The front has unescaped the path once. A slash that was escaped twice belongs to the parameter, whatever follows.
        return {name: value.replace("%2F", "/").replace("%2f", "/") for name, value in found.groupdict().items()}


class ServiceApi:
    """One service, ready to answer."""

    def __init__(self, service: Service, surroundings: Surroundings) -> None:
        """Lay out the routes, the longest literal first."""
        self.service = service
        self._around = surroundings
        self._guard = Guard(surroundings, service)
        paths = dict.fromkeys(operation.path for operation in service.operations)
        routes = [Route(path, [each for each in service.operations if each.path == path]) for path in paths]
        self.routes = sorted(routes, key=lambda route: -route.weight)

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """The service's document."""
        return document_of(self.service, self._around.settings.public_url)

    def respond(self, http: Request, rest: str) -> Response:
        """Answer a request below the service's prefix."""
        if cors.is_preflight(http):
            return cors.preflight(http, self._origins(rest), self._methods(rest), _SENT)
        response = self._respond(http, rest)
        if "origin" in http.headers:
            response.headers += cors.cors_headers(http.headers.get("origin"), self._origins(rest), _EXPOSED)
        return response

    def _respond(self, http: Request, rest: str) -> Response:
        tenant: Tenant | None = None
        verdict: Verdict | None = None
        try:
            operation, path = self._found(http, rest)
            # For the record of a refusal; who may is decided by the guard.
            tenant = find_tenant(self._around, path["tenant_id"]) if "tenant_id" in path else None
            http.endpoint = f"{self.service.name}.{operation.name}"
            if operation.permission is None:
                reading.read_query(http, None)
                return health.answer(self._around, self.service, operation)
            caller, tenant, verdict = self._guard.admit(http, operation, path)
            response = self._operated(http, operation, caller, tenant, path)
        except IdpError as error:
            self._record(http, rest, tenant, error)
            response = answered(error, http.correlation_id, self._around.settings.public_url)
        except Exception:  # noqa: BLE001 - a defect of any kind is answered, and logged once
            get_logger(__name__).exception("unhandled", request_id=http.correlation_id, endpoint=http.endpoint)
            response = answered(InternalError(), http.correlation_id, self._around.settings.public_url)
        response.headers += verdict.headers if verdict is not None else []
        return response

    def _operated(
        self, http: Request, operation: Operation, caller: Caller, tenant: Tenant, path: dict[str, str]
    ) -> Response:
        """Answer a request that was let in."""
        if operation.handle is None:
            if operation.examine is None:
                raise RuntimeError(f"nobody handles {operation.name}")
            reading.read_query(http, None)
            return _answer(operation, http, operation.examine(self._around, tenant))
        server = self._around.servers.get(tenant)
        with entered(self._around.services.store, tenant, server.database):
            call = Call(
                operation,
                http,
                tenant,
                server,
                caller,
                path,
                reading.read_query(http, operation.query),
                reading.read_body(http, operation),
                f"{self._around.settings.public_url}/{self.service.name}",
                self._around,
            )
            return self._done(call, operation.handle)

    def _found(self, http: Request, rest: str) -> tuple[Operation, dict[str, str]]:
        route, path = self._route(rest)
        operation = route.by_method.get("GET" if http.method == "HEAD" else http.method) if route is not None else None
        if operation is not None:
            return operation, path
        if route is not None:
            raise MethodNotAllowed(headers=[("allow", ", ".join(self._methods(rest)))])
        raise nothing_here()

    def _route(self, rest: str) -> tuple[Route | None, dict[str, str]]:
        """Return the route of a path and its parameters; of several the one with the longest literal."""
        for route in self.routes:
            found = route.match(rest)
            if found is not None:
                return route, found
        return None, {}

    def _methods(self, rest: str) -> list[str]:
        route, _ = self._route(rest)
        methods = list(route.by_method) if route is not None else []
        return [*methods, "HEAD"] if "GET" in methods else methods

    def _done(self, call: Call, handle: Callable[[Call], Reply]) -> Response:
        operation = call.operation
        try:
            reply, is_repeated = idempotency.run(call, handle) if operation.is_repeatable else (handle(call), False)
        except Invalid as error:
            raise reading.as_fields(error) from None
        except NotFound:
            raise nothing_here() from None
        if operation.method != "GET":
            self._around.services.spool.touch(call.tenant.id)
        return _answer(operation, call.http, reply, is_repeated=is_repeated)

    def _origins(self, rest: str) -> frozenset[str]:
        """Return whose scripts may read: those of applications of the tenant in the path, and of the platform's."""
        _, found = self._route(rest)
        named = find_tenant(self._around, found["tenant_id"]) if "tenant_id" in found else None
        system = self._around.resolver.by_slug(SYSTEM)
        active = [each for each in (named, system) if each is not None and each.state == "active"]
        return frozenset().union(*(self._around.servers.get(each).registered_origins() for each in active))

    def _record(self, http: Request, rest: str, tenant: Tenant | None, error: IdpError) -> None:
        refusal = refusal_of(error) or Refusal(
            error.code, "docs/api.md", error.title, f"See /docs/errors/{error.code}", received=_named(error)
        )
        self._around.services.spool.refusal(
            tenant.id if tenant is not None else None,
            http.correlation_id,
            error.code,
            refusal,
            http.method,
            f"/{self.service.name}{rest}",
            None,
            http.remote_addr,
        )


def _named(error: IdpError) -> str | None:
    return "; ".join(f"{where}: {what}" for where, what in error.errors.items()) or None


def _answer(operation: Operation, http: Request, reply: Reply, *, is_repeated: bool = False) -> Response:
    headers = [("etag", reply.etag)] if reply.etag is not None else []
    if reply.location is not None:
        headers.append(("location", reply.location))
    if is_repeated:
        headers.append(idempotency.REPLAYED)
    if reply.etag is not None and operation.method == "GET" and preconditions.is_unchanged(http, reply.etag):
        return Response(304, [*json_headers(), *headers])
    if operation.lines is not None and reply.lines is not None:
        fields = [("content-type", JSON_LINES), *json_headers(), *headers, ("x-total-count", str(reply.total))]
        return Response(operation.status, fields, stream=_written(reply.lines, operation.lines))
    if operation.answer is None:
        return Response(operation.status, [*json_headers(), *headers])
    # What leaves is what the document says: a model that does not fit is a defect, and never sent.
    shown = operation.answer.model_validate(reply.document)
    if reply.status == Unavailable.status:
        headers.append(("retry-after", "5"))
    return Response(
        reply.status or operation.status,
        [("content-type", JSON), *json_headers(), *headers],
        shown.model_dump_json(exclude_none=True).encode(),
    )


def _written(lines: Iterable[Mapping[str, Any]], model: type[BaseModel]) -> Iterator[bytes]:
    """Yield lines of JSON in parts of some size; each line is what the document says."""
    part = bytearray()
    for line in lines:
        part += model.model_validate(line).model_dump_json(exclude_none=True).encode() + b"\n"
        if len(part) >= _PART:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)
