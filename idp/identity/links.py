"""One-time links by mail: made for one person and one purpose, opened by whoever holds the mail, used up once.

Opening a link (GET) uses nothing up, because mail scanners do that; the form behind it does. The address is the tenant's
issuer, whatever host the request that asked for it named. Must not know pages or mails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.clock import now
from idp.store.tenant import one_time_links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

PREFIX = "l"
MOST_TOKEN = 64  # characters


@dataclass(frozen=True, slots=True)
class Link:
    """A link just made: its row's id and the address for the mail."""

    id: str
    url: str


def make(
    conn: Connection,
    tenant: Tenant,
    kind: str,
    path: str,
    *,
    user_id: str,
    address: str,
    lifetime: int,
    by: str,
    payload: Mapping[str, Any] | None = None,
) -> Link:
    """Make a link to ``path`` under the tenant's issuer; older ones of the kind for the user die."""
    one_time_links.revoke_of_user(conn, user_id, kind)
    token, link_id = opaque.new_secret(PREFIX), opaque.new_id()
    one_time_links.create(
        conn,
        id=link_id,
        kind=kind,
        token_hash=opaque.digest(token),
        user_id=user_id,
        address=address,
        payload=dict(payload or {}),
        created_by=by,
        expires_at=now() + lifetime,
    )
    return Link(link_id, f"{tenant.issuer}{path}?token={token}")


def find(database: Database, kind: str, token: str) -> Row[Any] | None:
    """Return the row of a link that can still be used, or None for every other token."""
    if not 0 < len(token) <= MOST_TOKEN:
        return None
    with database.reading() as conn:
        return one_time_links.find_live(conn, kind, opaque.digest(token))
