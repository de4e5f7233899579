"""Where somebody is signed in: every session that is alive, with the way to end one or all others (ASVS 5.0 §7.4.3, §7.5.2).

Ending one asks for no fresh sign-in: whoever sees a stranger's session should be rid of it at once.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from idp import audit
from idp.account.applications import names_of
from idp.errors import NotFound
from idp.flow import session as browser_session
from idp.identity import devices, notices, session_end
from idp.jobs.outbox import announced
from idp.store.tenant import session_clients, sessions
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.account.visit import Visit
    from idp.store.rows import Connection
    from idp.web.http import Response

MOST_SHOWN = 100
MOST_NAMED = 10  # applications of one session
REASON = "ended_by_user"


def show(visit: Visit) -> Response:
    """Answer the list, this browser's session first."""
    with visit.server.database.reading() as conn:
        live = sessions.list_live_of(conn, visit.user.id, MOST_SHOWN)
        used = session_clients.list_of(conn, [row.id for row in live])
        names = names_of(conn, {row.client_id for row in used})
    applications = defaultdict(list)
    for row in used:
        applications[row.session_id].append(names[row.client_id])
    shown: list[dict[str, Any]] = [
        {
            "id": row.id,
            "device": devices.described(row.user_agent),
            "source": row.source,
            "signed_in": visit.moment(row.auth_time),
            "last_seen": visit.moment(row.last_seen_at),
            "applications": applications[row.id][:MOST_NAMED],
            "more": max(0, len(applications[row.id]) - MOST_NAMED),
            "is_this": row.id == visit.session.id,
        }
        for row in live
    ]
    shown.sort(key=lambda each: not each["is_this"])
    return visit.page("account_sessions.html", sessions=shown, has_others=len(shown) > 1)


def submit(visit: Visit) -> Response:
    """End one session, or all but this one."""
    action = visit.field("action")
    if action == "end":
        return _end(visit, visit.field("session"))
    if action == "end_others":
        return _end_others(visit)
    return redirect(303, visit.url)


def _end(visit: Visit, session_id: str) -> Response:
    if session_id == visit.session.id:
        return redirect(303, f"{visit.server.tenant.base_path}/logout")
    if not session_id.isprintable():  # PostgreSQL refuses some of it
        raise NotFound

    def work(conn: Connection) -> None:
        found = sessions.find_open(conn, session_id)
        if found is None or found.user_id != visit.user.id:
            raise NotFound
        browser_session.end(conn, visit.request, found, reason=REASON)

    with announced(visit.server.database):
        visit.server.database.writing(work)
    return visit.done("session")


def _end_others(visit: Visit) -> Response:
    server, by = visit.server, visit.by

    def work(conn: Connection) -> None:
        ended = session_end.end_all_of(conn, visit.user.id, REASON, but=visit.session.id)
        audit.record(
            conn,
            "user.sessions_ended",
            outcome="success",
            actor=by.actor,
            subject=visit.user.id,
            session_id=visit.session.id,
            source=by.source,
            correlation_id=by.correlation_id,
            details={"sessions_ended": ended},
        )
        notices.tell(conn, server.services.mailer, server.tenant, "sessions_ended", visit.user.email, visit.origin)

    with announced(server.database):
        server.database.writing(work)
    return visit.done("sessions")
