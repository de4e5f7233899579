"""Session management (OpenID Connect Session Management 1.0): the page that a relying party frames to ask whether the login changed.

The page has one small script, which answers messages from the cookie that :mod:`idp.flow.browser_state` keeps; it asks no server
and knows no secret. What goes into the authentication response is decided there, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.feature import Endpoint, Feature
from idp.flow import browser_state
from idp.oidc.discovery import always_inline
from idp.web.headers import page_headers
from idp.web.http import Response, html_response
from idp.web.pages import static_url

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.web.http import Request

PATH = "/check-session"
MAX_AGE = 3600  # seconds that a browser may keep the page: it is the same for everybody
# Everybody may frame it: without `frame-ancestors`, and nothing may run or be loaded in it but the one script.
_POLICY = "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'"
_PAGE = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Session check</title><script src="{}" data-cookie="{}"></script></head><body></body></html>'


def handle(server: TenantServer, _http: Request) -> Response:
    """Answer the page."""
    html = _PAGE.format(static_url("check_session.js"), browser_state.cookie_name(server.tenant))
    response = html_response(200, html, page_headers(_POLICY, framed=True))
    response.set("cache-control", f"public, max-age={MAX_AGE}")
    return response


SESSION_MANAGEMENT = Feature(
    name="session_management",
    spec="OpenID Connect Session Management 1.0",
    endpoints=(
        Endpoint("check_session", PATH, ("GET",), handle, is_hot=True, inline=always_inline, audience="person"),
    ),
    metadata=lambda server: {"check_session_iframe": f"{server.tenant.issuer}{PATH}"},
)
