"""A tenant's front page, for a person and for a program, and the stylesheet with its colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.flow import account_switch, accounts_page, applications, own_sign_in, pages, session, signup_offer
from idp.web import cors
from idp.web.branding import brand_css, brand_css_url
from idp.web.http import Response, json_response

if TYPE_CHECKING:
    from idp.flow.services import FlowServer
    from idp.web.branding import Brand
    from idp.web.http import Request

_YEAR = 31_536_000  # seconds
_MOST_APPLICATIONS = 12  # that the front page has room for; the page of applications has all


def show(server: FlowServer, request: Request) -> Response:
    """Answer who this tenant is: a page, or JSON with ``issuer``, ``name`` and ``slug`` where that is preferred."""
    tenant = server.tenant
    if prefers_json(request.headers.get("accept")):
        found = json_response(200, {"issuer": tenant.issuer, "name": tenant.name, "slug": tenant.slug})
        found.vary("accept")
        found.headers = [*found.headers, *cors.FOR_ALL]  # public, as discovery is: programs on web pages begin here
        return found
    here = account_switch.here(server, request)
    current = here[0].session if here and here[0].secret == session.secret_of(tenant, request) else None
    reviewed = [each for each in applications.listed(server) if each["is_reviewed"]]
    answer = pages.page(
        server,
        request,
        "tenant.html",
        logos=tuple(each["logo_uri"] for each in reviewed[:_MOST_APPLICATIONS]),
        account=account_switch.shown(server, here[:1], current)[0] if current is not None else None,
        others=[each.session.username for each in here if each.session is not current],
        sign_in_url=own_sign_in.address(server, "start"),
        accounts_url=f"{tenant.base_path}{accounts_page.PATH}",
        sign_out_url=f"{tenant.base_path}/logout",
        applications=reviewed[:_MOST_APPLICATIONS],
        applications_url=f"{tenant.base_path}{applications.PATH}",
        account_url=f"{tenant.base_path}/account",
        signup_url=f"{tenant.base_path}{signup_offer.PATH}" if signup_offer.is_offered(server) else None,
        issuer=tenant.issuer,
    )
    answer.vary("accept")
    return answer


def colours(server: FlowServer, request: Request) -> Response:
    """Answer the tenant's stylesheet; its address carries a digest of it, and so may be kept for ever."""
    return stylesheet(pages.brand_of(server.tenant), request)


def stylesheet(brand: Brand, request: Request) -> Response:
    """Answer the custom properties of a brand."""
    is_current = brand_css_url(brand).partition("?")[2] == request.query
    kept = f"public, max-age={_YEAR}, immutable" if is_current else "public, max-age=60"
    fields = [
        ("content-type", "text/css; charset=utf-8"),
        ("cache-control", kept),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
    return Response(200, fields, brand_css(brand).encode())


def prefers_json(accept: str | None) -> bool:
    """Say whether an Accept header (RFC 9110 §12.5.1) prefers JSON to HTML."""
    weights = {"application/json": 0.0, "text/html": 0.0}
    for part in (accept or "").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in weights:
            weights[kind] = _weight(parameters)
    return weights["application/json"] > weights["text/html"]


def prefers_html(accept: str | None) -> bool:
    """Say whether the answer is for a person: browsers name text/html, programs do not."""
    return "text/html" in (accept or "").lower() and not prefers_json(accept)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
