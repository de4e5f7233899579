"""The one entrance to all services and their documents: by the path's beginning to the service, the page or the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.api import pages
from idp.api.dispatch import ServiceApi
from idp.api.errors import MethodNotAllowed, answered, nothing_here
from idp.errors import IdpError
from idp.flow import landing
from idp.web.health import LIVE_PATH, READY_PATH
from idp.web.http import redirect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.api.operations import Service, Surroundings
    from idp.api.pages import Render
    from idp.web.http import Request, Response


class FrontDesk:
    """The services of one process."""

    def __init__(self, services: Sequence[Service], surroundings: Surroundings, render: Render) -> None:
        """Make each service ready; `render` answers a page of the platform."""
        self._around, self._render = surroundings, render
        self.services = {service.name: ServiceApi(service, surroundings) for service in services}

    def respond(self, http: Request) -> Response | None:
        """Answer a request on the platform's host; None when the address is none of ours."""
        name, slash, rest = http.path.removeprefix("/").partition("/")
        api = self.services.get(name)
        try:
            if api is not None:
                return self._of_service(api, http, slash + rest)
            if http.path.startswith(pages.ASSETS):
                return self._read_only(http, pages.asset(http))
            if http.path in (LIVE_PATH, READY_PATH):
                health = self._around.health
                return self._read_only(http, health.live() if http.path == LIVE_PATH else health.ready())
        except IdpError as error:
            return answered(error, http.correlation_id, self._around.settings.public_url)
        if http.path == pages.ERRORS or http.path.startswith(f"{pages.ERRORS}/"):
            return pages.error_pages(http, self._render)
        return None

    def _of_service(self, api: ServiceApi, http: Request, rest: str) -> Response:
        if rest == "/openapi.json":
            return self._read_only(http, pages.openapi(api, http))
        if rest == "/swagger":
            return self._read_only(http, pages.swagger(api))
        if rest == "/redoc":
            return self._read_only(http, pages.redoc(api))
        if rest in ("", "/"):
            if http.method in ("GET", "HEAD") and landing.prefers_html(http.headers.get("accept")):
                return redirect(303, f"/{api.service.name}/swagger")
            raise nothing_here()
        return api.respond(http, rest)

    @staticmethod
    def _read_only(http: Request, response: Response) -> Response:
        if http.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers=[("allow", "GET, HEAD")])
        return response
