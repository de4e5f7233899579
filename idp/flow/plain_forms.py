"""Forms outside of a sign-in, which somebody comes to by an address or by a mail: bound to the browser as every form is.

A browser that has no cookie yet gets one with the form. Must not know what a form is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.flow import interaction as interactions
from idp.flow import pages, session
from idp.flow.preamble import PARAMETER
from idp.web import csrf

if TYPE_CHECKING:
    from idp.flow.interaction import Interaction
    from idp.flow.services import FlowServer
    from idp.web.http import Request, Response


def page(
    server: FlowServer, request: Request, template: str, purpose: str, bound: str, *, status: int = 200, **words: Any
) -> Response:
    """Answer a page with a form; ``bound`` is what the form belongs to beside its purpose."""
    browser = session.browser_of(server.tenant, request)
    fresh = None if browser is not None else opaque.new_secret("b")
    token = csrf.token(server.services.csrf_key, browser or fresh or "", purpose, bound)
    answer = pages.page(server, request, template, status=status, csrf=token, **words)
    if fresh is not None:
        answer.headers.append(session.browser_cookie(server.tenant, fresh))
    return answer


def check(server: FlowServer, request: Request, purpose: str, bound: str) -> None:
    """Refuse a form that is not this one, from this browser; raises :class:`idp.web.csrf.ForeignForm`."""
    csrf.require(request, server.services.csrf_key, session.browser_of(server.tenant, request), purpose, bound)


def field(request: Request, name: str) -> str:
    """Return a field that was sent exactly once, else an empty text."""
    given = [value for key, value in request.form if key == name]
    return given[0] if len(given) == 1 else ""


def argument(request: Request, name: str) -> str:
    """Return a parameter of the address that stands there exactly once, else an empty text."""
    given = [value for key, value in request.args if key == name]
    return given[0] if len(given) == 1 else ""


def pending(server: FlowServer, request: Request, interaction_id: str | None) -> Interaction | None:
    """Return the sign-in that this browser can still go on with, if that is one."""
    found = interactions.find(server.database, interaction_id) if interaction_id else None
    if found is None or found.finished_at is not None or found.is_expired:
        return None
    return found if found.is_bound_to(session.browser_of(server.tenant, request)) else None


def onward(server: FlowServer, request: Request, interaction_id: str | None) -> dict[str, Any]:
    """Return where a page leads when everything is done: on with the sign-in, or to the tenant's applications."""
    found = pending(server, request, interaction_id)
    base = server.tenant.base_path
    if found is None:
        return {"client": None, "continue_url": f"{base}/start", "goes_on": False}
    address = f"{base}/continue?{PARAMETER}={found.id}"
    return {"client": pages.client_of(found.request), "continue_url": address, "goes_on": True}
