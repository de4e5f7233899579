"""The operations on where a user is signed in and what the user has allowed applications, on :mod:`idp.identity.user_access`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from idp.api import listing
from idp.api.moments import moment
from idp.api.operations import Operation, Reply
from idp.api.user_flow import user_examples as examples
from idp.api.user_flow.user_models import UserConsentList, UserConsentQuery, UserSessionList, UserSessionQuery
from idp.api.user_flow.user_reading import require_over, tell, there
from idp.api.user_flow.users import ONE
from idp.identity import devices, user_access
from idp.store.tenant import clients, consents, refresh_tokens, session_clients, sessions

if TYPE_CHECKING:
    from idp.api.operations import Call

SESSIONS, CONSENTS = "Sessions", "Consents"
_SESSIONS = ONE + "/sessions"
_CONSENTS = ONE + "/consents"
WITHDRAWN = "withdrawn_by_administrator"


def list_sessions(call: Call) -> Reply:
    """List where a user is signed in."""
    query: UserSessionQuery = call.query
    with call.server.database.reading() as conn:
        user = there(conn, call)
        rows, total = sessions.search_live_of(conn, user.id, **listing.window(query, query.sort))
        used = defaultdict(list)
        for each in session_clients.list_of(conn, [row.id for row in rows]):
            used[each.session_id].append(each.client_id)
    shown = [
        {
            "id": row.id,
            "device": devices.described(row.user_agent),
            "source": row.source,
            "signed_in_at": moment(row.auth_time),
            "last_seen_at": moment(row.last_seen_at),
            "expires_at": moment(row.expires_at),
            "amr": list(row.amr),
            "client_ids": used[row.id],
        }
        for row in rows
    ]
    return Reply(listing.document(query, query.sort, rows, total, shown, "id"))


def end_session(call: Call) -> Reply:
    """End one session of a user."""
    user_id, session_id = call.path["user_id"], call.path["session_id"]
    user_access.end_session(call.server.database, user_id, session_id, by=call.caller.by, require=require_over(call))
    return Reply()


def end_sessions(call: Call) -> Reply:
    """End every session of a user."""
    told, require = tell(call, "sessions_ended"), require_over(call)
    user_access.end_sessions(call.server.database, call.path["user_id"], by=call.caller.by, tell=told, require=require)
    return Reply()


def list_consents(call: Call) -> Reply:
    """List what a user has allowed applications."""
    query: UserConsentQuery = call.query
    window = listing.window(query, query.sort)
    del window["sort"]  # there is one
    with call.server.database.reading() as conn:
        user = there(conn, call)
        rows, total = consents.search_applications_of(conn, user.id, **window)
        ids = [row.client_id for row in rows]
        allowed = {row.client_id: row for row in consents.list_some(conn, user.id, ids)}
        alive = {row.client_id: row for row in refresh_tokens.use_of_user(conn, user.id, None)}
        names = {row.client_id: row.metadata.get("client_name") for row in clients.list_some(conn, ids)}

    def shown(client_id: str) -> dict[str, Any]:
        consent, use = allowed.get(client_id), alive.get(client_id)
        return {
            "client_id": client_id,
            "client_name": names.get(client_id) or client_id,
            "scopes": list(consent.scopes) if consent is not None else [],
            "granted_at": moment(consent.granted_at) if consent is not None else None,
            "last_used_at": moment(max(use.last_at, use.refreshed_at or 0)) if use is not None else None,
        }

    return Reply(listing.document(query, query.sort, rows, total, [shown(each) for each in ids], "client_id"))


def withdraw_consent(call: Call) -> Reply:
    """Take back what a user has allowed an application."""
    user_id, client_id = call.path["user_id"], call.path["client_id"]
    user_access.withdraw(
        call.server.database, user_id, client_id, WITHDRAWN, by=call.caller.by, require=require_over(call)
    )
    return Reply()


_OVER = "The caller must hold what the user holds."
OPERATIONS = (
    Operation(
        name="list_user_sessions",
        method="GET",
        path=_SESSIONS,
        permission="sessions:read",
        summary="List where a user is signed in",
        description="The browser sessions of the user that are alive.",
        tag=SESSIONS,
        handle=list_sessions,
        query=UserSessionQuery,
        answer=UserSessionList,
        answer_example=examples.SESSIONS,
    ),
    Operation(
        name="end_user_session",
        method="DELETE",
        path=_SESSIONS + "/{session_id}",
        permission="sessions:write",
        summary="End a session",
        description="The session ends with what was granted in it, but for offline access; applications that asked for it are told. "
        f"{_OVER}",
        tag=SESSIONS,
        handle=end_session,
        status=204,
        errors=("more_than_held",),
    ),
    Operation(
        name="end_user_sessions",
        method="DELETE",
        path=_SESSIONS,
        permission="sessions:write",
        summary="End all sessions of a user",
        description=f"Every session and every token of the user ends, offline access too; the user is told by mail. {_OVER}",
        tag=SESSIONS,
        handle=end_sessions,
        status=204,
        errors=("more_than_held",),
    ),
    Operation(
        name="list_user_consents",
        method="GET",
        path=_CONSENTS,
        permission="consents:read",
        summary="List what a user has allowed applications",
        description="Every client that the user has allowed something, or that has a living grant.",
        tag=CONSENTS,
        handle=list_consents,
        query=UserConsentQuery,
        answer=UserConsentList,
        answer_example=examples.CONSENTS,
    ),
    Operation(
        name="withdraw_user_consent",
        method="DELETE",
        path=_CONSENTS + "/{client_id}",
        permission="consents:write",
        summary="Take back what a user has allowed an application",
        description=f"The consent ends with every grant and token; the application has to ask again. {_OVER}",
        tag=CONSENTS,
        handle=withdraw_consent,
        status=204,
        errors=("more_than_held",),
    ),
)
