"""One's own data as a file (GDPR Articles 15 and 20): what is stored about the account, without anything that opens it.

No password hash, cookie, token or digest of one is in it. The front sends no answer before it has it whole, so the file is
written a page of rows at a time and never held as anything but its own bytes; lists and history are bounded, so that no account
can make a worker run out of memory, and what was cut is named.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.identity import lockout, terms
from idp.language import N_, gettext
from idp.store.tenant import (
    attempts,
    audit_events,
    consents,
    grants,
    groups,
    one_time_links,
    password_history,
    role_bindings,
    session_clients,
    sessions,
)
from idp.web.headers import json_headers
from idp.web.http import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.account.visit import Visit
    from idp.store.rows import Connection, Row

MOST = 10_000  # rows of each list but the history
MOST_BYTES = 32 * 1024 * 1024  # of the history, which is well over 100,000 sign-ins
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
    headers = [
        ("content-type", "application/json"),
        *json_headers(),
        ("content-disposition", 'attachment; filename="account.json"'),
    ]
    return Response(200, headers, b"".join(_written(visit)))


def _written(visit: Visit) -> Iterator[bytes]:
    """Yield the file: what is small, then the history a page at a time, then the names of what was cut."""
    document = _facts(visit)
    lists = _lists(visit)
    cut = [name for name, rows in lists.items() if len(rows) >= MOST]
    yield _text({**document, **lists}, indent=2)[:-2]
    yield b',\n  "history": ['
    size, is_first = 0, True
    for page in _history(visit):
        if size >= MOST_BYTES:
            cut.append("history")
            break
        lines = b",\n    ".join(_text(event) for event in page)
        yield (b"\n    " if is_first else b",\n    ") + lines
        size, is_first = size + len(lines), False
    yield b'\n  ],\n  "was_cut": ' + _text(cut) + b"\n}\n"


def _facts(visit: Visit) -> dict[str, Any]:
    user = visit.user
    with visit.server.database.reading() as conn:
        roles = role_bindings.roles_of(conn, user.id)
        failed, _ = attempts.peek(conn, lockout.account(user.username_key))
    return {
        "issuer": visit.server.tenant.issuer,
        "made_at": _time(now()),
        "account": {
            "sub": user.id,
            "username": user.username,
            "email": user.email,
            "email_verified": bool(user.email_verified),
            "state": user.state,
            "roles": roles,
            "must_change_password": bool(user.must_change_password),
            "failed_sign_ins": failed,
            "created_at": _time(user.created_at),
            "updated_at": _time(user.updated_at),
            "password_changed_at": _time(user.password_changed_at),
        },
        "claims": user.claims or {},
    }


def _lists(visit: Visit) -> dict[str, list[dict[str, Any]]]:
    user_id = visit.user.id
    with visit.server.database.reading() as conn:
        signed_in = sessions.list_of_user(conn, user_id, MOST)
        applications = defaultdict(list)
        for row in session_clients.list_of(conn, [each.id for each in signed_in]):
            applications[row.session_id].append(row.client_id)
        return {
            "terms": [
                {"version": row.version, "accepted_at": _time(row.accepted_at), "source": row.source}
                for row in terms.accepted(conn, user_id)[:MOST]
            ],
            "consents": [
                {"client_id": row.client_id, "scopes": row.scopes, "granted_at": _time(row.granted_at)}
                for row in consents.list_of_user(conn, user_id, MOST)
            ],
            "sessions": [
                {
                    "sid": row.id,
                    "signed_in_at": _time(row.auth_time),
                    "last_seen_at": _time(row.last_seen_at),
                    "expires_at": _time(min(row.expires_at, row.idle_expires_at)),
                    "ended_at": _time(row.ended_at),
                    "source": row.source,
                    "user_agent": row.user_agent,
                    "applications": applications[row.id],
                }
                for row in signed_in
            ],
            "grants": [
                {
                    "client_id": row.client_id,
                    "scope": row.scope,
                    "sid": row.session_id,
                    "created_at": _time(row.created_at),
                    "expires_at": _time(row.expires_at),
                    "revoked_at": _time(row.revoked_at),
                }
                for row in grants.list_of_user(conn, user_id, MOST)
            ],
            "links": [
                {
                    "kind": row.kind,
                    "address": row.address,
                    "created_at": _time(row.created_at),
                    "expires_at": _time(row.expires_at),
                    "used_at": _time(row.used_at),
                    "revoked_at": _time(row.revoked_at),
                }
                for row in one_time_links.list_of_user(conn, user_id, MOST)
            ],
            "groups": [
                {"name": row.name, "member_since": _time(row.member_since)} for row in groups.of_user(conn, user_id)
            ],
            "role_bindings": [
                {
                    "role": row.role,
                    "by": row.holder_type,
                    "resource": row.resource or None,
                    "expires_at": _time(row.expires_at),
                    "conditions": row.conditions,
                    "given_at": _time(row.created_at),
                }
                for row in role_bindings.held_by(conn, "user", user_id)[:MOST]
            ],
            "former_passwords": [{"replaced_at": _time(at)} for at in password_history.times_of(conn, user_id, MOST)],
        }


def _history(visit: Visit) -> Iterator[list[dict[str, Any]]]:
    """Yield what is recorded about the account, a page of events at a time, the newest first; no connection is held between two."""
    user_id, before = visit.user.id, None
    while True:
        with visit.server.database.reading() as conn:
            rows = audit_events.list_of_subject(conn, user_id, A_READ, before)
        if rows:
            yield [_event(row, user_id) for row in rows]
        if len(rows) < A_READ:
            return
        before = (rows[-1].at, rows[-1].seq)


def _event(row: Row[Any], user_id: str) -> dict[str, Any]:
    """Return an event without what is empty; who else did it is nobody's data but theirs."""
    noted = row.details if isinstance(row.details, dict) else {}
    details = {name: value for name, value in noted.items() if not name.endswith("_digest")}
    found = {
        "at": _time(row.at),
        "kind": row.kind,
        "outcome": row.outcome,
        "by": _actor(row.actor, user_id),
        "client_id": row.client_id,
        "sid": row.session_id,
        "source": row.source,
        "details": details,
    }
    return {name: value for name, value in found.items() if value}


def _actor(actor: str | None, user_id: str) -> str | None:
    if not actor or actor == user_id:
        return "person" if actor else None
    return {"worker": "system"}.get(actor) or ("application" if actor.startswith("client:") else "administrator")


def _text(value: Any, *, indent: int | None = None) -> bytes:
    # Half a character that some database has kept is written as the escape that JSON has for it.
    return json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "backslashreplace")


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _page(visit: Visit, errors: list[tuple[str | None, str]], status: int = 200) -> Response:
    return visit.page("account_data.html", status=status, errors=errors)
