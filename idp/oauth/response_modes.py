"""Response modes: how the parameters of an authorization response travel (OAuth 2.0 Multiple Response Types, Form Post)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from idp.flow import pages
from idp.web.headers import origin_source
from idp.web.http import Response, redirect

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
    source = origin_source(redirect_uri)
    # No switch of languages: what led here is not asked for twice.
    return pages.page(
        server,
        http,
        "form_post.html",
        form_action=(source,) if source else (),
        has_script=True,
        has_switch=False,
        action=redirect_uri,
        fields=fields,
        client_name=None,
    )
