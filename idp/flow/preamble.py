"""The preamble of every step: which interaction a request belongs to, and whether this browser may go on with it.

Owns what happens when it may not: another browser's, a finished, an expired or no interaction at all never ends in a dead
page but begins again or says how (OIDC Core §3.1.2.3; security cases S015, S095). Must not know any step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.flow import interaction as interactions
from idp.flow import languages, pages, session
from idp.flow.dispatcher import context_of
from idp.web import csrf
from idp.web.http import Response, redirect

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.flow.interaction import Interaction
    from idp.flow.services import FlowServer, Step
    from idp.web.http import Request

PARAMETER = "interaction"


def load_step(server: FlowServer, request: Request) -> Context | Response:
    """Return the context of a step's request, or the answer to give when there is nothing to go on with.

    A form is judged by ``check_form`` afterwards; this only finds out whose interaction it is.
    """
    found = find_interaction(server, request)
    if isinstance(found, Response):
        return found
    browser = session.browser_of(server.tenant, request)
    if not found.browser_hash:
        return redirect(303, f"{server.tenant.base_path}/continue?{PARAMETER}={found.id}")
    if browser is None:
        return pages.no_cookie(server, request, found)
    if not found.is_bound_to(browser):
        return other_browser(server, request, found)
    return context_of(server, request, found, browser)


def find_interaction(server: FlowServer, request: Request) -> Interaction | Response:
    """Return the interaction a request names, if it can still be gone on with by somebody."""
    given = [value for name, value in request.args if name == PARAMETER]
    if not given and request.method == "POST":
        given = [value for name, value in request.form if name == PARAMETER]
    if len(given) != 1:
        return pages.nothing_to_do(server, request)
    found = interactions.find(server.database, given[0])
    if found is None or found.protocol not in server.services.protocols:
        return pages.restart(server, request, "expired", None, 410)
    languages.wish(request, found.request.get("ui_locales"), found.created_at)
    if found.finished_at is not None:
        return pages.restart(server, request, "finished", found, 410)
    if found.is_expired:
        return pages.restart(server, request, "expired", found, 410)
    return found


def check_form(context: Context, step: Step) -> None:
    """Refuse a form that is not this step's, this browser's and this interaction's, or showed something else.

    Raises :class:`idp.web.csrf.ForeignForm`.
    """
    key = context.server.services.csrf_key
    csrf.require(context.request, key, context.browser, step.name, _bound(context, step))


def form_token(context: Context, step: Step) -> str:
    """Return the token for the form of a step's page."""
    return csrf.token(context.server.services.csrf_key, context.browser or "", step.name, _bound(context, step))


def other_browser(server: FlowServer, request: Request, found: Interaction) -> Response:
    """Answer a browser that comes with an interaction of another one: begin a new one here."""
    if request.method == "POST":
        return pages.restart(server, request, "other_tab", found, 400)
    # Tabs opened at once on a first visit overwrite each other's cookie: begin again with the one that was kept.
    return redirect(303, pages.restart_url(server.tenant, found))


def _bound(context: Context, step: Step) -> str:
    return f"{context.interaction.id} {step.shows(context)}"
