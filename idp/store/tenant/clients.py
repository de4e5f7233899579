"""Clients: relying parties of a tenant, with their metadata (RFC 7591 names) as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import String, case, false, func, insert, select, update
from sqlalchemy import delete as sql_delete

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text
from idp.store.paging import page

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection, Row

# PostgreSQL: the advisory lock that registrations take turns on, so that the last place of a quota is had by one.
_REGISTERING = 7_264_111

clients = db.Table(
    "clients",
    identifier("client_id"),
    text("client_profile"),
    text("secret_hash", nullable=True),
    moment("secret_expires_at", nullable=True),
    document("metadata"),
    text("state"),  # active, disabled
    text("registration_token_hash", nullable=True),  # of who registered dynamically: what manages the registration
    text("registered_by", nullable=True),  # "open" or the id of an initial access token; null: an administrator
    moment("created_at"),
    moment("updated_at"),
    # Words that administrators sort clients by, each between spaces, so that one is found by the text around it.
    db.Column("tags", String, nullable=False, default="", server_default=""),
    # Whether people may be asked for their credentials in it, by program (draft-ietf-oauth-first-party-apps §9.1).
    db.Column("first_party", db.Boolean, nullable=False, default=False, server_default=false()),
    bind_key="tenant",
)

# What a list may be sorted by, and how it is found in a row.
_NAME = func.lower(func.coalesce(clients.c.metadata["client_name"].as_string(), ""))
SORTS = {
    "client_id": clients.c.client_id,
    "name": _NAME,
    "created_at": clients.c.created_at,
    "updated_at": clients.c.updated_at,
}


def find(conn: Connection, client_id: str) -> Row[Any] | None:
    """Return a client, or None."""
    return conn.execute(select(clients).where(clients.c.client_id == client_id)).first()


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every client, by id."""
    return conn.execute(select(clients).order_by(clients.c.client_id)).all()


def list_with(conn: Connection, member: str, limit: int) -> Sequence[Row[Any]]:
    """Return active clients whose metadata has a member, those of administrators first, then the oldest; at most ``limit``."""
    has_member = clients.c.metadata[member].as_string().is_not(None)
    came_by_itself = case((clients.c.registered_by == "open", 1), else_=0)
    wanted = select(clients).where((clients.c.state == "active") & has_member)
    return conn.execute(wanted.order_by(came_by_itself, clients.c.created_at, clients.c.client_id).limit(limit)).all()


def list_some(conn: Connection, client_ids: Collection[str]) -> Sequence[Row[Any]]:
    """Return those of some clients that there are."""
    return conn.execute(select(clients).where(clients.c.client_id.in_(client_ids))).all()


def search(
    conn: Connection,
    *,
    sort: str,
    is_descending: bool,
    limit: int,
    offset: int = 0,
    after: tuple[Any, str] | None = None,
    **filters: Any,
) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of clients that the filters of :func:`_matching` let through (:func:`idp.store.paging.page`), and how many there are."""
    return page(
        conn,
        clients.c,
        clients.c.client_id,
        _matching(**filters),
        sort=SORTS[sort],
        is_descending=is_descending,
        limit=limit,
        offset=offset,
        after=after,
    )


def _matching(
    *,
    state: str | None = None,
    name: str | None = None,
    profile: str | None = None,
    tags: Collection[str] = (),
) -> list[ColumnElement[bool]]:
    """Return the conditions of a list: the state, a part of the name in any case, the profile, and all of some tags."""
    here: list[ColumnElement[bool]] = []
    if state is not None:
        here.append(clients.c.state == state)
    if name is not None:
        here.append(_NAME.contains(func.lower(_escaped(name)), escape="\\"))
    if profile is not None:
        here.append(clients.c.client_profile == profile)
    here += [clients.c.tags.contains(f" {tag} ", autoescape=True) for tag in tags]
    return here


def _escaped(text: str) -> str:
    """Return a text in which nothing has a meaning to LIKE."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def find_locked(conn: Connection, client_id: str) -> Row[Any] | None:
    """Return a client, or None; nobody else changes it until this transaction is over (SQLite has one writer anyway)."""
    return conn.execute(select(clients).where(clients.c.client_id == client_id).with_for_update()).first()


def count_registered(conn: Connection) -> int:
    """Return how many clients registered themselves; until this transaction is over, nobody else is told."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_REGISTERING})")
    return conn.execute(
        select(func.count()).select_from(clients).where(clients.c.registered_by.is_not(None))
    ).scalar_one()


def create(conn: Connection, **values: Any) -> None:
    """Insert a client; the columns by keyword."""
    at = now()
    conn.execute(insert(clients).values(created_at=at, updated_at=at, **values))


def change(conn: Connection, client_id: str, **values: Any) -> bool:
    """Update columns of a client; says whether it exists."""
    return (
        conn.execute(
            update(clients).where(clients.c.client_id == client_id).values(updated_at=now(), **values)
        ).rowcount
        == 1
    )


def delete(conn: Connection, client_id: str) -> bool:
    """Delete a client; says whether it existed."""
    return conn.execute(sql_delete(clients).where(clients.c.client_id == client_id)).rowcount == 1
