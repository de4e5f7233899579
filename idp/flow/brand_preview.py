"""How the pages look under a brand that is not stored yet: for the tenant's administrators, to try colours and texts.

What is tried stands in the query of a GET form, is checked like the settings it would become, and is kept nowhere. For everybody
else there is no such page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from idp.errors import Invalid, NotFound
from idp.flow import landing, pages, session
from idp.store.tenant import role_bindings
from idp.tenancy import settings as tenant_settings
from idp.web.branding import check_colours

if TYPE_CHECKING:
    from idp.flow.services import FlowServer
    from idp.tenancy.settings import TenantSettings
    from idp.web.http import Request, Response

PATH = "/brand/preview"
STYLESHEET = "/brand/preview.css"
ADMINISTRATOR = "tenant-admin"  # the role that sees it
FIELDS = ("colour_primary", "colour_background", "welcome_text", "support_url", "privacy_url", "imprint_url")


def show(server: FlowServer, request: Request) -> Response:
    """Answer the page: the form with what is tried, what is to be said about it, and samples of the pages and of a mail."""
    _require_administrator(server, request)
    tried, values, errors = _tried(server, request)
    colours = {name: getattr(tried, name) for name in FIELDS[:2]}
    return pages.page(
        server,
        request,
        "brand_preview.html",
        brand=pages.brand_with(server.tenant, tried),
        brand_css=f"{server.tenant.base_path}{STYLESHEET}?{urlencode(colours)}",
        action=f"{server.tenant.base_path}{PATH}",
        values=values,
        sample={"name": "Ada Lovelace", "username": "ada@example.org"},
        errors=errors,
        advice=check_colours(tried.colour_primary, tried.colour_background),
        start_url=f"{server.tenant.base_path}/",
    )


def colours(server: FlowServer, request: Request) -> Response:
    """Answer the stylesheet of what is tried."""
    _require_administrator(server, request)
    answer = landing.stylesheet(pages.brand_with(server.tenant, _tried(server, request)[0]), request)
    answer.set("cache-control", "private, no-store")
    return answer


def _require_administrator(server: FlowServer, request: Request) -> None:
    live = session.current(server, request)
    if live is not None:
        with server.database.reading() as conn:
            if ADMINISTRATOR in role_bindings.roles_of(conn, live.user_id):
                return
    raise NotFound("This page does not exist.")


def _tried(server: FlowServer, request: Request) -> tuple[TenantSettings, dict[str, str], list[tuple[str | None, str]]]:
    """Return the settings with what is tried, what the form shows again, and a sentence for each value that cannot be."""
    settings = server.tenant.settings
    given = {name: value for name, value in request.args if name in FIELDS}
    good: dict[str, Any] = {}
    errors: list[tuple[str | None, str]] = []
    for name, text in given.items():
        try:
            # Checked by itself: an empty text means the default.
            parsed = tenant_settings.parse({name: text}, {})
        except Invalid as error:
            errors.append((name, error.title.rstrip(".")))
        else:
            good[name] = parsed.get(name, getattr(type(settings)(), name))
    shown = {name: given.get(name, getattr(settings, name)) for name in FIELDS}
    return replace(settings, **good), shown, errors
