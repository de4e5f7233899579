"""One's own data as a file (GDPR Articles 15 and 20): what is stored about the account, without anything that opens it.

No password hash, cookie, token or digest of one is in it. The lists are bounded, so that no account can make a worker run out
of memory; a list that was cut says so.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.language import N_, gettext
from idp.store.tenant import attempts, audit_events, consents, grants, sessions
from idp.web.headers import json_headers
from idp.web.http import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idp.account.visit import Visit
    from idp.store.rows import Connection, Row

MOST = 1000  # consents, sessions and grants, each
MOST_EVENTS = 10_000
A_READ = 1000  # events read at once
WINDOW, MOST_ASKED = 3600, 10  # an account's downloads in an hour


def show(visit: Visit) -> Response:
    """Answer the page that explains what the file holds."""
    return _page(visit, [])


def submit(visit: Visit) -> Response:
    """Answer the file."""
    by, user = visit.by, visit.user

    def work(conn: Connection) -> int:
        asked, ends = attempts.count_one(conn, opaque.digest(f"export of\n{user.id}"), WINDOW)
        if asked > MOST_ASKED:
            return max(1, ends - now())
        audit.record(
            conn,
            "user.data_exported",
            outcome="success",
            actor=by.actor,
            subject=user.id,
            session_id=visit.session.id,
            source=by.source,
            correlation_id=by.correlation_id,
        )
        return 0

    wait = visit.server.database.writing(work)
    if wait:
        sentence = gettext(N_("You have downloaded this several times. Please wait an hour and try again"))
        page = _page(visit, [(None, sentence)], 429)
        page.set("retry-after", str(wait))
        return page
    visit.server.services.spool.touch(visit.server.tenant.id)
    document = _document(visit)
    headers = [
        ("content-type", "application/json"),
        *json_headers(),
        ("content-disposition", 'attachment; filename="account.json"'),
    ]
    return Response(200, headers, json.dumps(document, ensure_ascii=False, indent=2).encode())


def _document(visit: Visit) -> dict[str, Any]:
    user = visit.user
    with visit.server.database.reading() as conn:
        allowed = consents.list_of_user(conn, user.id, MOST)
        live = sessions.list_live_of(conn, user.id, MOST)
        held = grants.list_of_user(conn, user.id, MOST)
        events = list(_events(conn, user.id))
    return {
        "issuer": visit.server.tenant.issuer,
        "made_at": _time(now()),
        "account": {
            "sub": user.id,
            "username": user.username,
            "email": user.email,
            "email_verified": bool(user.email_verified),
            "state": user.state,
            "created_at": _time(user.created_at),
            "updated_at": _time(user.updated_at),
            "password_changed_at": _time(user.password_changed_at),
        },
        "claims": user.claims or {},
        "consents": [
            {"client_id": row.client_id, "scopes": row.scopes, "granted_at": _time(row.granted_at)} for row in allowed
        ],
        "sessions": [
            {
                "sid": row.id,
                "signed_in_at": _time(row.auth_time),
                "last_seen_at": _time(row.last_seen_at),
                "source": row.source,
                "user_agent": row.user_agent,
            }
            for row in live
        ],
        "grants": [
            {
                "client_id": row.client_id,
                "scope": row.scope,
                "created_at": _time(row.created_at),
                "expires_at": _time(row.expires_at),
                "revoked_at": _time(row.revoked_at),
            }
            for row in held
        ],
        "history": events[:MOST_EVENTS],
        "was_cut": [
            name
            for name, found, most in (
                ("consents", allowed, MOST),
                ("sessions", live, MOST),
                ("grants", held, MOST),
                ("history", events, MOST_EVENTS),
            )
            if _is_cut(found, most)
        ],
    }


def _is_cut(found: Sequence[Any], most: int) -> bool:
    return len(found) >= most


def _events(conn: Connection, user_id: str) -> Iterator[dict[str, Any]]:
    """Yield what is recorded about the account, a page at a time."""
    before, count = None, 0
    while count < MOST_EVENTS:
        rows: Sequence[Row[Any]] = audit_events.list_of_subject(conn, user_id, A_READ, before)
        for row in rows:
            yield {
                "at": _time(row.at),
                "kind": row.kind,
                "outcome": row.outcome,
                "client_id": row.client_id,
                "source": row.source,
            }
        count += len(rows)
        if len(rows) < A_READ:
            return
        before = (rows[-1].at, rows[-1].seq)


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _page(visit: Visit, errors: list[tuple[str | None, str]], status: int = 200) -> Response:
    return visit.page("account_data.html", status=status, errors=errors)
