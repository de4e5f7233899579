"""Answering one request at one endpoint: whatever goes wrong becomes an answer with a correlation id, never a traceback.

Both doors, the RSGI front's and Flask's, end here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp import language, waiting
from idp.errors import IdpError
from idp.flow import languages
from idp.language import N_
from idp.oauth import errors
from idp.tenancy.context import entered
from idp.web import cors
from idp.web.logs import get_logger

if TYPE_CHECKING:
    from idp.feature import Endpoint
    from idp.oauth.server import TenantServer
    from idp.web.http import Request, Response


class TenantDoor:
    """One hot endpoint of one tenant's server; see :class:`idp.web.http.Door`."""

    __slots__ = ("endpoint", "is_task", "name", "server")

    def __init__(self, server: TenantServer, endpoint: Endpoint) -> None:
        self.server = server
        self.endpoint = endpoint
        self.name = endpoint.name
        self.is_task = not server.database.blocking and not server.limiter.blocking

    def handle(self, http: Request) -> Response:
        """Answer a request."""
        return answer(self.server, self.endpoint, http)

    def inline(self, http: Request) -> bool:
        """Say whether answering surely waits for nothing."""
        may_run = self.endpoint.inline
        return may_run is not None and may_run(self.server, http)


def answer(server: TenantServer, endpoint: Endpoint, http: Request) -> Response:
    """Return the endpoint's answer with its CORS headers."""
    if cors.is_preflight(http) and endpoint.cors != "none":
        return cors.preflight(http, "*" if endpoint.cors == "all" else server.registered_origins(), endpoint.methods)
    if endpoint.audience == "person":
        with language.spoken(languages.of(server, http)):
            response = _answered(server, endpoint, http)
    else:
        response = _answered(server, endpoint, http)
    if endpoint.cors == "all":
        response.headers = [*response.headers, *cors.FOR_ALL]
    elif endpoint.cors == "registered" and "origin" in http.headers:
        response.headers = [
            *response.headers,
            *cors.cors_headers(http.headers.get("origin"), server.registered_origins(), _EXPOSED),
        ]
    return response


def _answered(server: TenantServer, endpoint: Endpoint, http: Request) -> Response:
    method = "GET" if http.method == "HEAD" else http.method
    return (_handled if method in endpoint.methods else _method_not_allowed)(server, endpoint, http)


_EXPOSED = ("x-correlation-id", "www-authenticate", "retry-after")


def _handled(server: TenantServer, endpoint: Endpoint, http: Request) -> Response:
    try:
        with entered(server.services.store, server.tenant, server.database):
            response: Response = endpoint.handle(server, http)
    except IdpError as error:
        if endpoint.audience == "person":
            errors.record(server, http, error, error.code, None)
            return errors.page(
                server, http, error.status, error.code, detail=error.title, retry_after=error.retry_after
            )
        return errors.unavailable(server, http, error)
    except waiting.MustWait:
        raise
    except Exception:  # noqa: BLE001 - a defect of any kind is answered, and logged once
        get_logger(__name__).exception("unhandled", request_id=http.correlation_id, endpoint=endpoint.name)
        if endpoint.audience == "person":
            return errors.page(server, http, 500, "server_error")
        return errors.unavailable(
            server, http, IdpError(N_("Something went wrong on our side."), code="server_error", status=500)
        )
    return response


def _method_not_allowed(server: TenantServer, endpoint: Endpoint, http: Request) -> Response:
    error = IdpError(N_("This address does not take requests of this method."), code="method_not_allowed", status=405)
    if endpoint.audience == "person":
        errors.record(server, http, error, error.code, None)
        response = errors.page(server, http, 405, "invalid_request", detail=error.title)
    else:
        response = errors.unavailable(server, http, error)
    # RFC 9110 §15.5.6: a 405 names the methods that are allowed at this address; a page and its form are two endpoints.
    here = [one for feature in server.registry.features for one in feature.endpoints if one.path == endpoint.path]
    allowed = list(dict.fromkeys(method for one in here for method in one.methods))
    response.headers.append(("allow", ", ".join([*allowed, "HEAD"] if "GET" in allowed else allowed)))
    return response
