"""Applications: who was allowed what, and taking it back (OpenID Connect Core §11, RFC 6749 §10.3: revoking access).

What is taken back dies at once: the consent, every grant, and so each token at introspection, userinfo and refresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.flow.scope_words import described
from idp.identity.user_access import withdraw
from idp.store.tenant import clients, consents, refresh_tokens
from idp.web.http import redirect

if TYPE_CHECKING:
    from collections.abc import Collection

    from idp.account.visit import Visit
    from idp.store.rows import Connection
    from idp.web.http import Response

MOST_SHOWN = 200
REASON = "withdrawn_by_user"


def show(visit: Visit) -> Response:
    """Answer the list, what was used last first."""
    with visit.server.database.reading() as conn:
        allowed = {row.client_id: row for row in consents.list_of_user(conn, visit.user.id, MOST_SHOWN)}
        alive = {row.client_id: row for row in refresh_tokens.use_of_user(conn, visit.user.id, MOST_SHOWN)}
        names = names_of(conn, allowed.keys() | alive.keys())

    def entry(client_id: str) -> dict[str, Any]:
        consent, use = allowed.get(client_id), alive.get(client_id)
        used = max(use.last_at, use.refreshed_at or 0) if use is not None else None
        since = consent.granted_at if consent is not None else use.first_at if use is not None else 0
        return {
            "client_id": client_id,
            "name": names[client_id],
            "scopes": described(list(consent.scopes), visit.user, visit.server.profile) if consent is not None else [],
            "since": visit.moment(since),
            "used": visit.moment(used) if used is not None else None,
            "order": (-(used or 0), names[client_id].casefold(), client_id),
        }

    shown = sorted(map(entry, allowed.keys() | alive.keys()), key=lambda each: each["order"])
    return visit.page("account_applications.html", applications=shown[:MOST_SHOWN])


def submit(visit: Visit) -> Response:
    """Take back what one application was allowed."""
    if visit.field("action") != "revoke":
        return redirect(303, visit.url)
    session_id, by = visit.session.id, visit.by
    withdraw(visit.server.database, visit.user.id, visit.field("client"), REASON, by=by, session_id=session_id)
    return visit.done("application")


def names_of(conn: Connection, client_ids: Collection[str]) -> dict[str, str]:
    """Return what people call some clients; of one that is gone its id is all that is left."""
    found = {row.client_id: row.metadata.get("client_name") for row in clients.list_some(conn, client_ids)}
    return {client_id: found.get(client_id) or client_id for client_id in client_ids}
