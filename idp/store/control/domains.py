"""Domains: host names that belong to a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, insert, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

domains = db.Table(
    "domains",
    identifier("host"),
    identifier("tenant_id", primary_key=False),
    moment("created_at"),
    bind_key="control",
)


def find(conn: Connection, host: str) -> Row[Any] | None:
    """Return the domain with that host name, or None."""
    return conn.execute(select(domains).where(domains.c.host == host)).first()


def list_of(conn: Connection, tenant_id: str) -> Sequence[Row[Any]]:
    """Return a tenant's domains."""
    return conn.execute(select(domains).where(domains.c.tenant_id == tenant_id).order_by(domains.c.host)).all()


def count_of(conn: Connection, tenant_id: str) -> int:
    """Return how many host names a tenant has."""
    here = domains.c.tenant_id == tenant_id
    return conn.execute(select(func.count()).select_from(domains).where(here)).scalar_one()


def create(conn: Connection, host: str, tenant_id: str) -> None:
    """Give a host name to a tenant; the key refuses a second owner."""
    conn.execute(insert(domains).values(host=host, tenant_id=tenant_id, created_at=now()))


def delete(conn: Connection, host: str, tenant_id: str) -> bool:
    """Take a host name from a tenant; says whether it was its own."""
    here = (domains.c.host == host) & (domains.c.tenant_id == tenant_id)
    return conn.execute(sql_delete(domains).where(here)).rowcount == 1


def delete_of(conn: Connection, tenant_id: str) -> None:
    """Take every host name from a tenant."""
    conn.execute(sql_delete(domains).where(domains.c.tenant_id == tenant_id))
