"""The pictures of a tenant's brand that it keeps here, as they are served: with their own type, in a sandbox, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.store.tenant import assets
from idp.web.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.flow.services import FlowServer
    from idp.web.http import Request

# kind of picture → the setting that says where it is
KINDS = {"logo": "logo_url", "logo-dark": "logo_url_dark", "favicon": "favicon_url", "background": "background_url"}
_YEAR = 31_536_000  # seconds
_FIELDS = (
    ("x-content-type-options", "nosniff"),
    # Opened by itself it is a document without rights.
    ("content-security-policy", "default-src 'none'; sandbox"),
    # Mails and applications may show it: it is public, and says nothing of who looks.
    ("cross-origin-resource-policy", "cross-origin"),
)


def address(kind: str, digest: str) -> str:
    """Return the path and query of a picture below the tenant; another picture has another one."""
    return f"/brand/{kind}?v={digest[:16]}"


def handler(kind: str) -> Callable[[FlowServer, Request], Response]:
    """Return the handler of GET for a kind of picture."""

    def show(server: FlowServer, request: Request) -> Response:
        with server.database.reading() as conn:
            found = assets.find(conn, kind)
        if found is None:
            kept = ("cache-control", "no-store")
            return Response(
                404, [("content-type", "text/plain; charset=utf-8"), kept, *_FIELDS], b"There is no such picture.\n"
            )
        is_current = request.query == f"v={found.digest[:16]}"
        kept = ("cache-control", f"public, max-age={_YEAR}, immutable" if is_current else "public, max-age=60")
        return Response(200, [("content-type", found.media_type), kept, *_FIELDS], bytes(found.body))

    return show
