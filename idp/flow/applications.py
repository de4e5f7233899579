"""The applications that people can be sent to from the tenant's own pages: those with an ``initiate_login_uri`` (OIDC Core §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from idp.store.tenant import clients

if TYPE_CHECKING:
    from idp.flow.services import FlowServer

PATH = "/start"
MOST_LISTED = 200  # applications that one page or document has room for; a link by client_id leads to each


def listed(server: FlowServer) -> list[dict[str, Any]]:
    """Return the applications by name: at most so many, and of those nobody has reviewed (open registration) what room is left."""
    with server.database.reading() as conn:
        rows = clients.list_with(conn, "initiate_login_uri", MOST_LISTED)
    base = f"{server.tenant.issuer}{PATH}"
    found = [
        {
            "client_id": row.client_id,
            "name": row.metadata.get("client_name") or row.client_id,
            "host": urlsplit(row.metadata["initiate_login_uri"]).hostname,
            "is_reviewed": row.registered_by != "open",
            "logo_uri": row.metadata.get("logo_uri"),
            "start_uri": with_query(base, {"client_id": row.client_id}),
        }
        for row in rows
    ]
    return sorted(found, key=lambda each: (each["name"].casefold(), each["client_id"]))


def with_query(address: str, parameters: dict[str, str]) -> str:
    """Return an address with parameters added to its query."""
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(parameters)}"
