"""The documents of the services: OpenAPI as JSON, Swagger UI and ReDoc with assets of ours, and a page for each error code.

No page has a script or style of its own inside. ReDoc writes its styles into the page and works in a worker, so its page alone
allows that; Swagger UI brings its icons as `data:` pictures.
"""

from __future__ import annotations

import html
import json
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from idp.api.codes import CODES
from idp.api.errors import nothing_here
from idp.web import cors, pages
from idp.web.headers import page_csp, page_headers
from idp.web.http import Response, html_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable

    from idp.api.dispatch import ServiceApi
    from idp.web.http import Request

    Render = Callable[..., Response]  # (http, status, template, **context): a page of the platform

ASSETS = "/docs/assets/"
ERRORS = "/docs/errors"
_YEAR = 31_536_000  # seconds
_SWAGGER = page_csp(script_src=("'self'",), connect_src=("'self'",), img_src=("data:",))
_REDOC = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{style}">
{head}</head>
<body>
{body}
</body>
</html>
"""
_NO_SCRIPT = '<noscript><p>This page is drawn by a script. The document itself is at <a href="{document}">{document}</a>.</p></noscript>'


class Asset(NamedTuple):
    """One file of a library, as it is sent."""

    body: bytes
    content_type: str
    etag: str


def _sources() -> dict[str, tuple[Traversable, str]]:
    from swagger_ui_bundle import swagger_ui_path

    redoc = files("flask_openapi3_redoc") / "templates" / "redoc" / "js"
    script = "text/javascript; charset=utf-8"
    return {
        "swagger-ui.css": (swagger_ui_path / "swagger-ui.css", "text/css; charset=utf-8"),
        "swagger-ui-bundle.js": (swagger_ui_path / "swagger-ui-bundle.js", script),
        "redoc.standalone.js": (redoc / "redoc.standalone.js", script),
    }


@cache
def _asset(name: str) -> Asset | None:
    """Return a file of the two libraries; what is no name of one does not exist, whatever it spells."""
    found = _sources().get(name)
    if found is None:
        return None
    body = found[0].read_bytes()
    return Asset(body, found[1], f'"{sha256(body).hexdigest()[:16]}"')


def _address(name: str) -> str:
    found = _asset(name)
    if found is None:
        raise LookupError(name)
    return f"{ASSETS}{name}?v={found.etag.strip(chr(34))}"


def asset(http: Request) -> Response:
    """Answer a file of Swagger UI or ReDoc; its address carries a digest, so it may be kept for ever."""
    name = http.path.removeprefix(ASSETS)
    found = _asset(name) if len(name) < 100 else None
    if found is None:
        raise nothing_here()
    is_current = http.query == f"v={found.etag.strip(chr(34))}"
    fields = [
        ("content-type", found.content_type),
        ("cache-control", f"public, max-age={_YEAR}, immutable" if is_current else "public, max-age=60"),
        ("etag", found.etag),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
    if found.etag in (http.headers.get("if-none-match") or ""):
        return Response(304, fields[1:])
    return Response(200, fields, found.body)


def openapi(api: ServiceApi, http: Request) -> Response:
    """Answer a service's document, which everybody may read."""
    body, etag = _written(api)
    fields = [
        ("cache-control", "public, max-age=60"),
        ("etag", etag),
        ("x-content-type-options", "nosniff"),
        *cors.FOR_ALL,
    ]
    if etag in (http.headers.get("if-none-match") or ""):
        return Response(304, fields)
    return Response(200, [("content-type", "application/json"), *fields], body)


@cache
def _written(api: ServiceApi) -> tuple[bytes, str]:
    body = json.dumps(api.openapi, ensure_ascii=False, separators=(",", ":")).encode()
    return body, f'"{sha256(body).hexdigest()[:16]}"'


def swagger(api: ServiceApi) -> Response:
    """Answer Swagger UI."""
    document = f"/{api.service.name}/openapi.json"
    head = (
        f'<link rel="stylesheet" href="{_address("swagger-ui.css")}">\n'
        f'<script src="{_address("swagger-ui-bundle.js")}" defer></script>\n'
        f'<script src="{pages.static_url("api/swagger.js")}" defer></script>\n'
    )
    body = f'<div id="swagger-ui" data-document="{document}"></div>\n{_NO_SCRIPT.format(document=document)}'
    return html_response(200, _page(api, "Swagger UI", head, body), page_headers(_SWAGGER))


def redoc(api: ServiceApi) -> Response:
    """Answer ReDoc."""
    document = f"/{api.service.name}/openapi.json"
    head = f'<script src="{_address("redoc.standalone.js")}" defer></script>\n'
    body = f'<redoc spec-url="{document}"></redoc>\n{_NO_SCRIPT.format(document=document)}'
    return html_response(200, _page(api, "ReDoc", head, body), page_headers(_REDOC))


def _page(api: ServiceApi, kind: str, head: str, body: str) -> str:
    title = html.escape(f"{api.service.title} {api.service.version} – {kind}")
    return _PAGE.format(
        title=title,
        icon=pages.static_url("icon.svg"),
        style=pages.static_url("api/reference.css"),
        head=head,
        body=body,
    )


def error_pages(http: Request, render: Render) -> Response:
    """Answer the list of the error codes, or the page of one."""
    name = http.path.removeprefix(ERRORS).strip("/")
    if not name:
        return render(http, 200, "api/errors.html", codes=list(CODES.values()), base=ERRORS)
    found = CODES.get(name)
    if found is None:
        raise nothing_here()
    return render(http, 200, "api/error.html", about=found, errors_url=ERRORS)
