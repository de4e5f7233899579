"""The files of ``static/`` over HTTP; they belong to no tenant. Their addresses carry a digest, so they may be kept for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.errors import NotFound
from idp.web.http import Response
from idp.web.pages import STATIC_PATH, static_file

if TYPE_CHECKING:
    from idp.web.http import Request

_YEAR = 31_536_000  # seconds


def serve(request: Request) -> Response:
    """Answer one file below ``/static/``; raises :class:`NotFound` for what did not stand there at the start."""
    found = static_file(request.path.removeprefix(STATIC_PATH))
    if found is None or not request.path.startswith(STATIC_PATH):
        raise NotFound
    is_current = request.query == f"v={found.etag.strip(chr(34))}"
    fields = [
        ("content-type", found.content_type),
        ("cache-control", f"public, max-age={_YEAR}, immutable" if is_current else "public, max-age=60"),
        ("etag", found.etag),
        ("x-content-type-options", "nosniff"),
    ]
    if found.etag in (request.headers.get("if-none-match") or ""):
        return Response(304, fields[1:])
    return Response(200, fields, found.body)
