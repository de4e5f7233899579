"""A step's two addresses: the page, shown only while the step is the next one, and its form, judged before anything is done.

Owns what every step has in common, so that a step is only its question, its page and its form; and ``/continue``, where an
interaction goes on whatever is next. Must not know any step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from idp import language, opaque
from idp.errors import IdpError
from idp.flow import interaction as interactions
from idp.flow import languages, pages, session
from idp.flow.dispatcher import context_of, first_needed, proceed
from idp.flow.interaction import AlreadyFinished
from idp.flow.preamble import check_form, find_interaction, load_step, other_browser
from idp.web.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.flow.services import FlowServer, Step
    from idp.web.http import Request

    Handle = Callable[[FlowServer, Request], Response]


def show(step: Step) -> Handle:
    """Return the handler of GET: the step's page, or whatever is next by now (back button, second tab)."""

    def handle(server: FlowServer, request: Request) -> Response:
        context = load_step(server, request)
        if isinstance(context, Response):
            return context
        with language.spoken(languages.of(server, request)):
            if first_needed(context) is step and "none" not in context.interaction.prompt:
                return step.show(context)
            return proceed(context)

    return answered(handle)


def submit(step: Step) -> Handle:
    """Return the handler of POST: the form is judged, unless a step before this one has become necessary."""

    def handle(server: FlowServer, request: Request) -> Response:
        context = load_step(server, request)
        if isinstance(context, Response):
            return context
        steps = server.services.steps
        if "none" in context.interaction.prompt or any(one.is_needed(context) for one in steps[: steps.index(step)]):
            return proceed(context)
        try:
            check_form(context, step)
            with language.spoken(languages.of(server, request)):
                return step.submit(context)
        except AlreadyFinished:
            return pages.restart(server, request, "finished", context.interaction, 410)
        except IdpError as error:
            return pages.failed(server, request, error, context.url_of(step.path))

    return answered(handle)


def resume(server: FlowServer, request: Request) -> Response:
    """Go on with an interaction; one that another site posted is bound to the first browser that comes here with it."""
    found = find_interaction(server, request)
    if isinstance(found, Response):
        return found
    tenant = server.tenant
    browser = session.browser_of(tenant, request)
    cookies = []
    if not found.browser_hash:
        if browser is None:
            browser = opaque.new_secret("b")
            cookies = [session.browser_cookie(tenant, browser)]
        if not interactions.bind(server.database, found, browser):
            return pages.restart(server, request, "other_tab", found, 400)
        found = replace(found, browser_hash=opaque.digest(browser))
    if browser is None:
        return pages.no_cookie(server, request, found)
    if not found.is_bound_to(browser):
        return other_browser(server, request, found)
    context = context_of(server, request, found, browser)
    context.set_cookies.extend(cookies)
    return proceed(context)


def answered(handle: Handle) -> Handle:
    """Return a handler that answers our own errors as a page of the tenant."""

    def with_errors(server: FlowServer, request: Request) -> Response:
        try:
            return handle(server, request)
        except IdpError as error:
            return pages.failed(server, request, error)

    return with_errors
