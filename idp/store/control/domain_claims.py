"""Host names that tenants have said are theirs, until the DNS proves it: such a claim gives nothing and keeps nobody from anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

domain_claims = db.Table(
    "domain_claims",
    identifier("tenant_id"),
    identifier("host"),
    text("challenge"),  # what the TXT record must say; everybody may read it there
    moment("created_at"),
    moment("expires_at", index=True),
    moment("checked_at", nullable=True),
    text("found", nullable=True),  # what stood in the DNS instead, in words
    bind_key="control",
)


def _is(tenant_id: str, host: str) -> Any:
    return (domain_claims.c.tenant_id == tenant_id) & (domain_claims.c.host == host)


def find(conn: Connection, tenant_id: str, host: str) -> Row[Any] | None:
    """Return a tenant's living claim to a host name, or None."""
    here = _is(tenant_id, host) & (domain_claims.c.expires_at > now())
    return conn.execute(select(domain_claims).where(here)).first()


def list_of(conn: Connection, tenant_id: str) -> Sequence[Row[Any]]:
    """Return a tenant's living claims."""
    here = (domain_claims.c.tenant_id == tenant_id) & (domain_claims.c.expires_at > now())
    return conn.execute(select(domain_claims).where(here).order_by(domain_claims.c.host)).all()


def count_of(conn: Connection, tenant_id: str) -> int:
    """Return how many living claims a tenant has."""
    here = (domain_claims.c.tenant_id == tenant_id) & (domain_claims.c.expires_at > now())
    return conn.execute(select(func.count()).select_from(domain_claims).where(here)).scalar_one()


def create(conn: Connection, tenant_id: str, host: str, challenge: str, expires_at: int) -> None:
    """Insert a claim in the place of one that has expired; the key refuses a second living one."""
    conn.execute(sql_delete(domain_claims).where(_is(tenant_id, host) & (domain_claims.c.expires_at <= now())))
    values = {"tenant_id": tenant_id, "host": host, "challenge": challenge, "expires_at": expires_at}
    conn.execute(insert(domain_claims).values(**values, created_at=now()))


def note(conn: Connection, tenant_id: str, host: str, found: str) -> None:
    """Keep what a look into the DNS has found instead of the challenge."""
    conn.execute(update(domain_claims).where(_is(tenant_id, host)).values(checked_at=now(), found=found))


def delete(conn: Connection, tenant_id: str, host: str) -> bool:
    """Delete a claim; says whether it existed."""
    return conn.execute(sql_delete(domain_claims).where(_is(tenant_id, host))).rowcount == 1


def delete_of(conn: Connection, tenant_id: str) -> None:
    """Delete every claim of a deleted tenant."""
    conn.execute(sql_delete(domain_claims).where(domain_claims.c.tenant_id == tenant_id))


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete claims that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, domain_claims, domain_claims.c.expires_at < before, limit)
