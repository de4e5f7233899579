"""The two doors: Flask for whatever a WSGI server brings, and the RSGI front for granian. Both lead to the same handlers.

A tenant's endpoints are looked up in one table by their path below the issuer; which tenant it is, the resolver tells from host
and path. What belongs to no tenant (the platform's root, static files, an issuer's name) has a route of its own.
"""

from __future__ import annotations

import contextlib
import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask import Response as FlaskResponse
from flask import request as flask_request

from idp import language
from idp.access.audiences import SERVICES as AUDIENCES
from idp.api.errors import answered
from idp.errors import IdpError, NotFound, Refusal, StorageUnavailable
from idp.flow import landing, languages, static_files
from idp.flow import pages as flow_pages
from idp.installation import Installation
from idp.language import N_
from idp.oauth.answering import TenantDoor, answer
from idp.settings import Settings
from idp.tenancy.languages import best
from idp.tenancy.tenant import SYSTEM
from idp.web import pages
from idp.web.branding import Brand
from idp.web.headers import page_headers
from idp.web.http import Request, Response, html_response, json_response
from idp.web.wsgi import STREAM_KEY, guarded, request_of

if TYPE_CHECKING:
    from idp.api.front_desk import FrontDesk
    from idp.feature import Endpoint
    from idp.oauth.server import TenantServer
    from idp.tenancy.tenant import Tenant
    from idp.web.server import Front

# The well-known part stands before the issuer's path: RFC 8414 §3.1, AuthZEN §9.2.
_INSERTED = ("/.well-known/oauth-authorization-server", "/.well-known/authzen-configuration")
PLATFORM = Brand("AuthSec")
_AT_THE_DESK = frozenset({*AUDIENCES, "docs", "health"})  # how the addresses of services and their documents begin


class _NothingThere(NotFound):
    """An address of a tenant that there is, with nothing at it."""

    def __init__(self, tenant: Tenant) -> None:
        super().__init__()
        self.tenant = tenant


class Router:
    """Finds the handler of a request: tenant by address, endpoint by path and method."""

    def __init__(self, installation: Installation) -> None:
        """Lay the features' endpoints out by path."""
        self.installation = installation
        is_secure = installation.settings.public_url.startswith("https://")
        self._place = languages.Place(SYSTEM, "", is_secure, language.AVAILABLE, language.DEFAULT)
        self.by_path: dict[str, dict[str, Endpoint]] = {}
        for feature in installation.registry.features:
            for endpoint in feature.endpoints:
                for method in endpoint.methods:
                    self.by_path.setdefault(endpoint.path, {})[method] = endpoint
        self._doors = installation.servers.doors
        self.hot = {path: methods for path, methods in self.by_path.items() if all(e.is_hot for e in methods.values())}

    @cached_property
    def desk(self) -> FrontDesk:
        """The services, made when one is first asked: their models cost a worker 9 MiB and a tenth of a second."""
        from idp.api.front_desk import FrontDesk
        from idp.api.operations import Surroundings
        from idp.api.services import SERVICES

        installation = self.installation
        surroundings = Surroundings(
            settings=installation.settings,
            resolver=installation.resolver,
            tenants=installation.tenants,
            lookup=installation.lookup,
            servers=installation.servers,
            services=installation.services,
            limiter=installation.limiter,
            envelope=installation.envelope,
            health=installation.health,
        )
        return FrontDesk(SERVICES, surroundings, _english_page)

    @staticmethod
    def at(table: dict[str, dict[str, Endpoint]], rest: str) -> dict[str, Endpoint] | None:
        """Return the endpoints at a path below an issuer; the last part of a path may be an id."""
        return table.get(rest) or table.get(f"{rest.rpartition('/')[0]}/{{id}}")

    def door(self, method: str, host: str, path: str) -> TenantDoor | None:
        """Return the door of a hot endpoint of a tenant that is at hand; everything else is Flask's. Never waits."""
        address = f"{method} {host}{path}"
        known = self._doors.get(address)
        if known is not None and known.server.database.is_kept:
            return known
        found = self.installation.resolver.cached(host, path)
        if found is None:
            return None
        tenant, rest = found
        endpoints = self.at(self.hot, rest)
        server = (
            self.installation.servers.cached(tenant) if endpoints is not None and tenant.state == "active" else None
        )
        if server is None or endpoints is None:
            return None
        made = TenantDoor(server, endpoints.get(method) or next(iter(endpoints.values())))
        if rest in self.hot and method in endpoints:  # what a caller can invent is not kept
            self.installation.servers.keep_door(server, address, made)
        return made

    def respond(self, http: Request) -> Response:
        """Answer any request."""
        try:
            if http.path.startswith(pages.STATIC_PATH):  # the same on every host, a tenant's own included
                return static_files.serve(http)
            return self._tenant_response(http) or self._platform_response(http)
        except IdpError as error:
            return self._refuse(http, error)

    def _tenant_response(self, http: Request) -> Response | None:
        path = http.path
        known = next((each for each in _INSERTED if path.startswith(f"{each}/t/")), None)
        if known is not None:
            path = f"{path.removeprefix(known)}{known}"
        found = self.installation.resolver.resolve(http.host, path)
        if found is None:
            return None
        tenant, rest = found
        endpoints = self.at(self.by_path, rest or "/")
        if tenant.state != "active":
            raise NotFound
        if endpoints is None:
            raise _NothingThere(tenant)
        method = "GET" if http.method == "HEAD" else http.method
        endpoint = endpoints.get(method) or next(iter(endpoints.values()))
        http.endpoint = endpoint.name
        return answer(self._server(tenant), endpoint, http)

    def _server(self, tenant: Tenant) -> TenantServer:
        return self.installation.servers.get(tenant)

    def _platform_response(self, http: Request) -> Response:
        if http.host == self.installation.settings.public_host:
            if http.path == "/":
                return self._platform_page(http, 200, "home.html")
            found = self.desk.respond(http) if http.path.partition("/")[2].partition("/")[0] in _AT_THE_DESK else None
            if found is not None:
                return found
            if http.path == languages.PATH:
                return languages.choose(self._place, http)
            if http.path == "/brand.css":
                return landing.stylesheet(PLATFORM, http)
            slug = http.path.removeprefix("/t/").removesuffix("/")
            tenant = self.installation.resolver.by_slug(slug) if http.path.startswith("/t/") and slug else None
            if tenant is not None and tenant.state == "active":
                # A tenant with a host of its own: this address only says where its issuer is.
                return json_response(200, {"issuer": tenant.issuer, "name": tenant.name, "slug": tenant.slug})
        raise NotFound

    def _refuse(self, http: Request, error: IdpError) -> Response:
        check, spec, fix = (
            (
                "database",
                "RFC 9110 §15.6.4",
                "Nothing was written. Look at the server's log at this moment, and run: idp doctor",
            )
            if isinstance(error, StorageUnavailable)
            else (
                "address",
                "the product's addresses",
                "Check the address, and the tenant's slug and state: idp tenant list",
            )
        )
        refusal = Refusal(check, spec, error.title, fix, received=f"{http.host}{http.path}"[:500])
        self.installation.spool.refusal(
            None,
            http.correlation_id,
            error.code,
            getattr(error, "refusal", refusal),
            http.method,
            http.path,
            None,
            http.remote_addr,
        )
        if not landing.prefers_html(http.headers.get("accept")):
            return answered(error, http.correlation_id, self.installation.settings.public_url)
        if isinstance(error, _NothingThere):
            with contextlib.suppress(IdpError):  # without its database the platform answers
                return flow_pages.nothing_there(self._server(error.tenant), http)
        words = _words(error)
        if error.status == NotFound.status and http.host == self.installation.settings.public_host:
            words |= {"continue_url": "/", "continue_label": N_("To the start page")}
        return _with_retry(error, self._platform_page(http, error.status, "error.html", **words))

    def _platform_page(self, http: Request, status: int, template: str, **context: Any) -> Response:
        """Answer a page that belongs to no tenant."""
        is_here = http.host == self.installation.settings.public_host and http.method in ("GET", "HEAD")
        offered = languages.switch(self._place, http, has_query=False) if is_here and status < 400 else []
        tag = languages.tag_of(self._place, http)
        return _page(status, template, tag, http.correlation_id, page_languages=offered, **context)


def create_app(settings: Settings | None = None, installation: Installation | None = None) -> Flask:
    """Return the Flask application; its routes answer through the same handlers as the front."""
    installation = installation or Installation(settings or Settings.from_env(os.environ), "wsgi")
    router = Router(installation)
    app = Flask("idp", static_folder=None, template_folder=None)
    app.extensions["idp"] = installation
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    @app.route("/", defaults={"path": ""}, methods=methods, provide_automatic_options=False)
    @app.route("/<path:path>", methods=methods, provide_automatic_options=False)
    def respond(path: str) -> FlaskResponse:  # noqa: ARG001 - the router reads the proven request
        response = router.respond(request_of(flask_request.environ))
        if response.stream is not None:  # around Flask, which would collect it or send it itself
            flask_request.environ[STREAM_KEY] = response.stream
        return FlaskResponse(response.body, response.status, response.headers)

    app.url_map.merge_slashes = False
    return app


def create_wsgi(settings: Settings | None = None, installation: Installation | None = None) -> object:
    """Return the WSGI application for a server behind a buffering proxy, with the front's checks of head and body."""
    if installation is None:
        installation = Installation(settings or Settings.from_env(os.environ), "wsgi")
        installation.feed.start()
    settings = installation.settings
    return guarded(create_app(settings, installation), settings, on_refusal=_recorder(installation))


def create_front() -> Front:
    """Return the front of one granian worker; granian calls this in each worker process."""
    from idp.web.server import Front

    settings = Settings.from_env(os.environ)
    installation = Installation(settings, "web")
    installation.feed.start()
    router = Router(installation)
    return Front(
        create_app(settings, installation),
        router.door,
        settings,
        health=installation.health,
        on_refusal=_recorder(installation),
        on_close=installation.close,
    )


def _recorder(installation: Installation) -> partial[Response]:
    return partial(_record_refusal, installation)


def _record_refusal(
    installation: Installation, correlation_id: str, error: IdpError, accept: str | None, accept_language: str | None
) -> Response:
    refusal = getattr(error, "refusal", None) or Refusal(error.code, "RFC 9110", error.title, "See the answer.")
    installation.spool.refusal(None, correlation_id, error.code, refusal, "", "", None, None)
    if not landing.prefers_html(accept):
        return answered(error, correlation_id, installation.settings.public_url)
    tag = best(language.AVAILABLE, (), accept_language, language.DEFAULT)
    return _with_retry(error, _page(error.status, "error.html", tag, correlation_id, **_words(error)))


def _english_page(http: Request, status: int, template: str, **context: Any) -> Response:
    """Return a page of the platform for those who write programs, whose words are those of the documents."""
    return _page(status, template, language.DEFAULT, http.correlation_id, **context)


def _page(status: int, template: str, tag: str, correlation_id: str, **context: Any) -> Response:
    """Return a page of the platform."""
    with language.spoken(language.load(tag)):
        html = pages.render(template, PLATFORM, correlation_id, **context)
    response = html_response(status, html, page_headers())
    languages.tell(response, tag)
    return response


def _words(error: IdpError) -> dict[str, Any]:
    """Return what the platform's page says of an error."""
    is_lost = error.status == NotFound.status
    return {
        "title": error.title,
        "explanation": N_("The address may be misspelt, or what stood here is gone.")
        if is_lost
        else N_("Nothing was changed."),
        "code": error.code,
        "rows": [],
        "advice": [N_("Go back to the application that you came from and begin again there.")],
        "continue_url": None,
        "continue_label": None,
    }


def _with_retry(error: IdpError, response: Response) -> Response:
    if error.retry_after is not None:
        response.set("retry-after", str(max(1, error.retry_after)))
    return response
