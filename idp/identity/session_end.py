"""The end of browser sessions before their time: the one place that ends them, revokes their grants and tells the applications.

Whoever calls it wraps the transaction in :func:`idp.jobs.outbox.announced`, so that the messages leave at once. A session that
ends by itself, idle or old, is told to nobody: relying parties know its tokens' ends. Must not know requests or protocols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.store.tenant import grants, outbox, session_clients, sessions

if TYPE_CHECKING:
    from idp.store.rows import Connection

BACKCHANNEL_LOGOUT = "backchannel_logout"  # the kind of message, and the member of the metadata but for its `_uri`


def end(conn: Connection, session_id: str, user_id: str, reason: str) -> bool:
    """End a session and its grants but those with offline access; False when it had ended already."""
    if not sessions.end(conn, session_id):
        return False
    # Back-Channel Logout §2.7: refresh tokens without offline_access are revoked, those with it should not be.
    grants.revoke_of_session(conn, session_id, reason)
    _tell(conn, session_id, user_id, reason)
    return True


def end_all_of(conn: Connection, user_id: str, reason: str, *, but: str | None = None) -> int:
    """End every session and every grant of a user, except one session and its grants; returns how many sessions ended."""
    # Sessions before grants, as everywhere: two transactions that lock in one order cannot deadlock.
    ended = sessions.end_all_of(conn, user_id, but=but)
    grants.revoke_of_user(conn, user_id, reason, but_session=but)
    for session_id in ended:
        _tell(conn, session_id, user_id, reason)
    return len(ended)


def _tell(conn: Connection, session_id: str, user_id: str, reason: str) -> None:
    """Put a message for every application that the session signed in to into the outbox (Back-Channel Logout §2.5)."""
    told = [client for client, _ in session_clients.addresses(conn, session_id, f"{BACKCHANNEL_LOGOUT}_uri")]
    payload = {"sid": session_id, "user_id": user_id, "reason": reason}
    outbox.enqueue(conn, BACKCHANNEL_LOGOUT, told, payload)
