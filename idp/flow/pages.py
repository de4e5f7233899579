"""The flow's pages: a template with the tenant's brand, under the headers that a sign-in needs (security.md "Browser rules").

Owns how a page is answered and the pages that keep a sign-in from ending nowhere. Must not know steps or protocols.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from idp import language
from idp.errors import NotFound, Refusal, refusal_of
from idp.flow import languages, session
from idp.language import N_
from idp.web import headers, pages
from idp.web.branding import Brand
from idp.web.http import html_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.errors import IdpError
    from idp.flow.interaction import Interaction
    from idp.flow.services import FlowServer
    from idp.tenancy.settings import TenantSettings
    from idp.tenancy.tenant import Tenant
    from idp.web.http import Request, Response

Why = Literal["expired", "other_tab", "finished"]
_SECRET = re.compile(r"(^|&)token=")  # in an address that a mail led to: whoever has it may use the link
_WHY = {
    "expired": "the sign-in took longer than the tenant's interaction_lifetime, or its id is unknown",
    "other_tab": "the sign-in belongs to another browser, or to a cookie that another tab has replaced",
    "finished": "the sign-in has been finished already: the back button, a bookmark or a second click",
}


def brand_of(tenant: Tenant) -> Brand:
    """Return the look of a tenant's pages."""
    return brand_with(tenant, tenant.settings)


def brand_with(tenant: Tenant, settings: TenantSettings) -> Brand:
    """Return the look that a tenant's pages would have under some settings."""
    logo, dark, favicon, picture = (
        f"{tenant.base_path}{address}" if address.startswith("/") else address or None
        for address in (settings.logo_url, settings.logo_url_dark, settings.favicon_url, settings.background_url)
    )
    return Brand(
        tenant.name,
        logo,
        primary=settings.colour_primary,
        background=settings.colour_background,
        base_path=tenant.base_path,
        logo_dark_url=dark,
        favicon_url=favicon,
        picture_url=picture,
        welcome_text=settings.welcome_text or None,
        support_url=settings.support_url or None,
        privacy_url=settings.privacy_url or None,
        imprint_url=settings.imprint_url or None,
    )


def page(
    server: FlowServer,
    request: Request,
    template: str,
    *,
    status: int = 200,
    form_action: tuple[str, ...] = (),
    logos: tuple[str | None, ...] = (),
    frame_src: tuple[str, ...] = (),
    has_script: bool = False,
    has_switch: bool = True,
    brand: Brand | None = None,
    **context: Any,
) -> Response:
    """Answer a page in the request's language; what is named widens its content security policy by as little as it needs.

    ``brand`` is the tenant's if None. A page whose own address is a secret neither says it again nor tells it to whom it leads.
    """
    is_secret = _SECRET.search(request.query) is not None
    brand = brand or brand_of(server.tenant)
    images = (_image_source(address) for address in (*brand.images, *logos))
    policy = headers.page_csp(
        form_action=form_action,
        img_src=headers.bounded_sources(source for source in images if source),
        frame_src=frame_src,
        script_src=("'self'",) if has_script else (),
    )
    offered = languages.switch(languages.place_of(server), request) if has_switch and not is_secret else []
    chosen = languages.of(server, request)
    with language.spoken(chosen):
        html = pages.render(template, brand, request.correlation_id, page_languages=offered, **context)
    response = html_response(status, html, headers.page_headers(policy))
    languages.tell(response, chosen.tag)
    if is_secret:
        # The origin alone: `no-referrer` would make Chromium send `Origin: null` with our own form.
        response.set("referrer-policy", "strict-origin")
    return response


def interaction_page(
    server: FlowServer, request: Request, interaction: Interaction, template: str, *, status: int = 200, **context: Any
) -> Response:
    """Answer a page of an interaction: its form may lead, by redirect, to where the final answer goes."""
    client = client_of(interaction.request)
    goal = headers.origin_source(interaction.request.get("return_origin") or "")
    return page(
        server,
        request,
        template,
        status=status,
        form_action=(goal,) if goal else (),
        logos=(client["logo_url"],) if client else (),
        client=client,
        **context,
    )


def client_of(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the client of an interaction's request as the templates name its parts."""
    client = request.get("client")
    if not client or not client.get("name"):
        return None
    return {
        "name": client["name"],
        "logo_url": client.get("logo_uri") or None,
        "site_url": client.get("client_uri") or None,
        "policy_url": client.get("policy_uri") or None,
        "terms_url": client.get("tos_uri") or None,
    }


def restart(server: FlowServer, request: Request, why: Why, interaction: Interaction | None, status: int) -> Response:
    """Answer that this sign-in cannot go on as it is, with the way to begin it again where there is one."""
    _record_restart(server, request, why, interaction)
    onward = restart_url(server.tenant, interaction) if interaction is not None else None
    if interaction is not None and why != "other_tab" and interaction.browser_hash:
        # What was asked (state, nonce, hints) is told to the browser that began it, not to whoever knows the id.
        browser = session.browser_of(server.tenant, request)
        onward = onward if interaction.is_bound_to(browser) else None
    # An application that has had its answer takes no second one with the same state: then only it can begin again.
    client = client_of(interaction.request) if interaction is not None and why == "finished" else None
    return page(server, request, "restart.html", status=status, reason=why, continue_url=onward, client=client)


def _record_restart(server: FlowServer, request: Request, why: Why, interaction: Interaction | None) -> None:
    refusal = Refusal("interaction", "OpenID Connect Core §3.1.2.3", _WHY[why], "Begin again from the application.")
    client_id = interaction.client_id if interaction is not None else None
    server.services.spool.refusal(
        server.tenant.id,
        request.correlation_id,
        why,
        refusal,
        request.method,
        request.path,
        client_id,
        request.remote_addr,
    )


def restart_url(tenant: Tenant, interaction: Interaction) -> str:
    """Return the path and query that begin an interaction again."""
    return f"{tenant.base_path}{interaction.request['restart']}"


def nothing_to_do(server: FlowServer, request: Request) -> Response:
    """Answer a step's address without a sign-in under way, for instance a bookmark."""
    return _explanation(
        server,
        request,
        title=N_("Sign in from an application"),
        explanation=N_("This page is a part of signing in and cannot be opened by itself."),
        advice=[
            N_(
                "Open the application that you want to use and choose Sign in there; it brings you here and back again."
            ),
            N_("If you came by a bookmark, bookmark the application instead."),
        ],
        continue_url=f"{server.tenant.base_path}/",
        continue_label=N_("To the start page"),
    )


def nothing_there(server: FlowServer, request: Request) -> Response:
    """Answer an address of the tenant that leads nowhere; who answers has recorded it."""
    return _explanation(
        server,
        request,
        status=NotFound.status,
        code=NotFound.code,
        title=NotFound.title,
        explanation=N_("The address may be misspelt, or what stood here is gone."),
        advice=[N_("Go back to the application that you came from and begin again there.")],
        continue_url=f"{server.tenant.base_path}/",
        continue_label=N_("To the start page"),
    )


def no_cookie(server: FlowServer, request: Request, interaction: Interaction) -> Response:
    """Answer a browser that did not send back the cookie that the sign-in is bound to."""
    return _explanation(
        server,
        request,
        title=N_("Your browser did not keep a cookie"),
        explanation=N_("A sign-in needs one cookie from this address, so that nobody else can go on with it."),
        advice=[
            N_("Allow cookies for this site, then choose Continue."),
            N_("If you opened a link that somebody sent you, open the application yourself instead."),
        ],
        continue_url=restart_url(server.tenant, interaction),
        continue_label=None,
    )


def failed(server: FlowServer, request: Request, error: IdpError, onward: str | None = None) -> Response:
    """Answer an error as a page and keep its refusal for ``idp explain``."""
    server.services.spool.refusal(
        server.tenant.id,
        request.correlation_id,
        error.code,
        refusal_of(error),
        request.method,
        request.path,
        source=request.remote_addr,
    )
    answer = _explanation(
        server,
        request,
        status=error.status,
        code=error.code,
        title=error.title,
        explanation=N_("Nothing was changed."),
        advice=[],
        continue_url=onward,
        continue_label=None,
    )
    if error.retry_after is not None:
        answer.set("retry-after", str(max(1, error.retry_after)))
    return answer


def _explanation(
    server: FlowServer, request: Request, *, status: int = 400, code: str | None = None, **words: Any
) -> Response:
    return page(server, request, "error.html", status=status, code=code, rows=[], **words)


def _image_source(address: str | None) -> str | None:
    if not address or urlsplit(address).scheme != "https":
        return None
    return headers.origin_source(address)
