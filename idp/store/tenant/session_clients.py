"""Which applications a browser session signed in to: whom its end is told (OpenID Connect Back-Channel Logout §2.3, Front-Channel §2).

Kept as long as the session itself; grants do not serve for it, because those without refresh tokens are purged long before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, prebuilt
from idp.store.prepared import Prepared
from idp.store.tenant.clients import clients

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection, Row

session_clients = db.Table(
    "session_clients",
    identifier("session_id"),
    db.Column("client_id", db.String(255), primary_key=True, nullable=False, index=True),
    moment("first_at"),
    bind_key="tenant",
)

_NOTE = Prepared(prebuilt(lambda insert: insert.on_conflict_do_nothing(), session_clients))


def note(conn: Connection, session_id: str, client_id: str) -> None:
    """Note that a session signed in to a client; once or a hundred times is the same."""
    _NOTE.execute(conn, {"session_id": session_id, "client_id": client_id, "first_at": now()})


def addresses(conn: Connection, session_id: str, member: str) -> list[tuple[str, str]]:
    """Return the active clients of a session that registered an address as metadata ``member``, with it, the first client first."""
    address = clients.c.metadata[member].as_string()
    found = conn.execute(
        select(clients.c.client_id, address.label("address"))
        .join(session_clients, session_clients.c.client_id == clients.c.client_id)
        .where((session_clients.c.session_id == session_id) & (clients.c.state == "active") & address.is_not(None))
        .order_by(session_clients.c.first_at, clients.c.client_id)
    )
    return [(row.client_id, row.address) for row in found]


def list_of(conn: Connection, session_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Return ``session_id`` and ``client_id`` of what some sessions signed in to, the first client first."""
    order = (session_clients.c.first_at, session_clients.c.client_id)
    columns: Any = (session_clients.c.session_id, session_clients.c.client_id)
    query = select(*columns)
    return conn.execute(query.where(session_clients.c.session_id.in_(session_ids)).order_by(*order)).all()


def delete_of_client(conn: Connection, client_id: str) -> None:
    """Forget a deleted client: another one by the same id learns nothing of its sessions."""
    conn.execute(delete(session_clients).where(session_clients.c.client_id == client_id))
