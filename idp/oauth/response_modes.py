"""Response modes: how the parameters of an authorization response travel (OAuth 2.0 Multiple Response Types, Form Post)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from idp.web import pages
from idp.web.branding import Brand
from idp.web.headers import origin_source, page_csp, page_headers
from idp.web.http import Response, html_response, redirect

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.web.http import Request

SUPPORTED = ("query", "fragment", "form_post")


def respond(
    server: TenantServer, http: Request, mode: str, redirect_uri: str, fields: list[tuple[str, str]]
) -> Response:
    """Send ``fields`` to a proven redirect URI."""
    if mode == "form_post":
        return _form_post(server, http, redirect_uri, fields)
    if mode == "fragment":
        # Multiple Response Types §2.1; a registered redirect URI has no fragment of its own.
        return redirect(303, f"{redirect_uri}#{urlencode(fields)}")
    separator = "&" if "?" in redirect_uri else "?"
    # RFC 9700 §4.12: 303 lets no browser repeat the POST that came before.
    return redirect(303, f"{redirect_uri}{separator}{urlencode(fields)}")


def _form_post(server: TenantServer, http: Request, redirect_uri: str, fields: list[tuple[str, str]]) -> Response:
    settings = server.tenant.settings
    brand = Brand(server.tenant.name, None, settings.colour_primary, base_path=server.tenant.base_path)
    html = pages.render(
        "form_post.html", brand, http.correlation_id, action=redirect_uri, fields=fields, client_name=None
    )
    source = origin_source(redirect_uri)
    csp = page_csp(form_action=(source,) if source else (), script_src=("'self'",))
    return html_response(200, html, page_headers(csp))
