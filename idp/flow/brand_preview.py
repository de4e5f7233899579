"""How the pages look under a brand that is not stored yet: for the tenant's administrators, to try colours and texts.

What is tried stands in the query of a GET form, is checked like the settings it would become, and is kept nowhere; what another site
would have tried counts for nothing. For everybody else there is no such page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from idp.access import policy
from idp.access.conditions import Context
from idp.access.policy import Subject
from idp.clock import now
from idp.errors import Invalid, NotFound
from idp.flow import landing, languages, pages, session
from idp.language import N_
from idp.notify import catalogue, rendering, wording
from idp.store.tenant import mail_templates
from idp.tenancy import settings as tenant_settings
from idp.web.branding import check_colours, mail_colours
from idp.web.http import Response

if TYPE_CHECKING:
    from idp.flow.services import FlowServer
    from idp.notify.rendering import Written
    from idp.tenancy.settings import TenantSettings
    from idp.web.http import Request

PATH = "/brand/preview"
STYLESHEET = "/brand/preview.css"
MAIL = "/brand/preview/mail"
PERMISSION = "branding:read"  # what it takes to see it
FIELDS = ("colour_primary", "colour_background", "welcome_text", *tenant_settings.LINKS)
SAMPLE = "recovery"  # the mail that is shown: it has a button, and everybody may get it
# A mail has its look in its own markup, and its wording may be the tenant's HTML: it is nobody's page, has no rights and loads nothing.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
_WRONG = {
    "colour_primary": N_("Give a colour such as #1f5fd6"),
    "colour_background": N_("Give a colour such as #1f5fd6"),
    "welcome_text": N_("Give one line of at most %(num)s characters", num=tenant_settings.LONGEST_WELCOME),
    **dict.fromkeys(tenant_settings.LINKS, N_("Give an address that begins with https://")),
}


def show(server: FlowServer, request: Request) -> Response:
    """Answer the page: the form with what is tried, what is to be said about it, and samples of the pages and of a mail."""
    _require_administrator(server, request)
    tried, values, errors = _tried(server, request)
    base, colours = server.tenant.base_path, {name: getattr(tried, name) for name in FIELDS[:2]}
    return pages.page(
        server,
        request,
        "brand_preview.html",
        brand=pages.brand_with(server.tenant, tried),
        brand_css=f"{base}{STYLESHEET}?{urlencode(colours)}",
        frame_src=("'self'",),
        has_switch=_is_ours(request),  # it would try what stands in the address
        action=f"{base}{PATH}",
        values=values,
        sample={"name": "Ada Lovelace", "username": "ada@example.org"},
        errors=errors,
        advice=check_colours(tried.colour_primary, tried.colour_background),
        mail={"subject": _mail(server, request, tried).subject, "url": f"{base}{MAIL}?{urlencode(colours)}"},
        start_url=f"{base}/",
    )


def colours(server: FlowServer, request: Request) -> Response:
    """Answer the stylesheet of what is tried."""
    _require_administrator(server, request)
    answer = landing.stylesheet(pages.brand_with(server.tenant, _tried(server, request)[0]), request)
    answer.set("cache-control", "private, no-store")
    return answer


def mail(server: FlowServer, request: Request) -> Response:
    """Answer a mail of the tenant, as it is sent, in the colours that are tried; made to be framed by the page."""
    _require_administrator(server, request)
    written = _mail(server, request, _tried(server, request)[0])
    fields = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "private, no-store"),
        ("content-security-policy", MAIL_POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
    return Response(200, fields, (written.html or "").encode())


def _mail(server: FlowServer, request: Request, tried: TenantSettings) -> Written:
    tenant, spoken = server.tenant, languages.of(server, request)
    with server.database.reading() as conn:
        rows = {(row.language, row.part): row.body for row in mail_templates.list_of(conn, SAMPLE)}
    sender = rendering.Sender(tenant.name, tenant.issuer, rendering.Look(*mail_colours(tried.colour_primary)))
    sample = catalogue.get(SAMPLE).sample_for(tenant.issuer)
    return rendering.write(SAMPLE, sample, sender, spoken, wording.chosen(rows, spoken.tag))


def _require_administrator(server: FlowServer, request: Request) -> None:
    live = session.current(server, request)
    if live is not None:
        context = Context(now(), request.remote_addr, live.amr)
        with server.database.reading() as conn:
            if policy.permitted(conn, Subject("user", live.user_id), PERMISSION, context=context).allowed:
                return
    raise NotFound


def _is_ours(request: Request) -> bool:
    """Say whether the address comes from our own page or was typed: nobody's link puts words on a page of ours."""
    return request.headers.get("sec-fetch-site") in (None, "same-origin", "none")


def _tried(server: FlowServer, request: Request) -> tuple[TenantSettings, dict[str, str], list[tuple[str | None, str]]]:
    """Return the settings with what is tried, what the form shows again, and a sentence for each value that cannot be."""
    settings = server.tenant.settings
    given = {name: value for name, value in request.args if name in FIELDS} if _is_ours(request) else {}
    good: dict[str, Any] = {}
    errors: list[tuple[str | None, str]] = []
    for name, text in given.items():
        try:
            # Checked by itself: an empty text means the default.
            parsed = tenant_settings.parse({name: text}, {})
        except Invalid:
            errors.append((name, _WRONG[name]))
        else:
            good[name] = parsed.get(name, getattr(type(settings)(), name))
    shown = {name: given.get(name, getattr(settings, name)) for name in FIELDS}
    return replace(settings, **good), shown, errors
