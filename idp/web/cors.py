"""Cross-origin reading by scripts (Fetch §3.2): the origins of a client's redirect URIs, or everybody for public documents.

Owns the response headers and the preflight answer. Credentials are never allowed, and `null` is never an origin. Must
not know a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from idp.web.http import Response
from idp.web.proxies import normal_host

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from idp.web.http import Request

FOR_ALL = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "x-correlation-id"),
)  # public documents
_MAX_AGE = "600"


def cors_headers(
    origin: str | None, allowed: Collection[str] | Literal["*"], expose: Iterable[str] = ("x-correlation-id",)
) -> list[tuple[str, str]]:
    """Return the headers that let `origin` read the answer when it is allowed, and keep caches apart when it depends on it."""
    if allowed == "*":
        return list(FOR_ALL)
    headers = [("vary", "origin")]
    if origin is not None and origin != "null" and origin in allowed:
        headers.append(("access-control-allow-origin", origin))
        headers.append(("access-control-expose-headers", ", ".join(expose)))
    return headers


def is_preflight(request: Request) -> bool:
    """Say whether a request is a CORS preflight (Fetch §3.2.2)."""
    return (
        request.method == "OPTIONS"
        and "origin" in request.headers
        and "access-control-request-method" in request.headers
    )


def preflight(
    request: Request,
    allowed: Collection[str] | Literal["*"],
    methods: Iterable[str] = ("GET", "POST"),
    headers: Iterable[str] = ("authorization", "content-type", "dpop"),
) -> Response:
    """Answer a preflight with 204; an origin that is not allowed gets no permission, and no reason."""
    granted = cors_headers(request.headers.get("origin"), allowed, ())
    answer = [pair for pair in granted if pair[0] != "access-control-expose-headers"]
    if any(name == "access-control-allow-origin" for name, _ in granted):
        answer.append(("access-control-allow-methods", ", ".join(methods)))
        answer.append(("access-control-allow-headers", ", ".join(headers)))
        answer.append(("access-control-max-age", _MAX_AGE))
    return Response(204, answer)


def origin_of(uri: str) -> str | None:
    """Return the web origin of a redirect URI as a browser sends it, or None for an app's own scheme or a broken URI."""
    scheme, separator, rest = uri.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("http", "https"):
        return None
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    if "@" in authority or "\\" in authority:
        return None
    host = normal_host(authority, scheme)
    return f"{scheme}://{host}" if host else None
