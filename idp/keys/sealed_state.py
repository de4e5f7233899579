"""Secrets of a tenant that are made or given once and read back: kept sealed by the envelope among the tenant's state.

Each has a name, and is bound to its tenant and name by the purpose it is sealed for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.store.tenant import tenant_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.keys.envelope import Envelope
    from idp.store.db import Database
    from idp.store.rows import Connection

PAIRWISE_KEY = "pairwise_key"
SMTP_URL = "smtp_url"  # the tenant's own mail server, with user and password
NAMES = (PAIRWISE_KEY, SMTP_URL)


def get_or_make(database: Database, envelope: Envelope, tenant_id: str, name: str, make: Callable[[], bytes]) -> bytes:
    """Return a tenant's secret; the first caller makes it, and of several at once all get the same."""
    with database.reading() as conn:
        sealed = tenant_state.get(conn, name)
    if sealed is None:
        fresh = envelope.seal(make(), purpose(tenant_id, name))
        sealed = database.writing(lambda conn: tenant_state.put_new(conn, name, fresh))
    return envelope.unseal(sealed, purpose(tenant_id, name))


def get(database: Database, envelope: Envelope, tenant_id: str, name: str) -> bytes | None:
    """Return a tenant's secret, or None where there is none."""
    with database.reading() as conn:
        sealed = tenant_state.get(conn, name)
    return None if sealed is None else envelope.unseal(sealed, purpose(tenant_id, name))


def put(conn: Connection, envelope: Envelope, tenant_id: str, name: str, value: bytes) -> None:
    """Store a tenant's secret in place of the one that was there."""
    tenant_state.put(conn, name, envelope.seal(value, purpose(tenant_id, name)))


def rewrap(database: Database, envelope: Envelope, tenant_id: str) -> int:
    """Seal a tenant's secrets anew that are not under the newest master key; returns how many."""

    def work(conn: Connection) -> int:
        count = 0
        for name in NAMES:
            sealed = tenant_state.get(conn, name)
            if sealed is not None and envelope.needs_rewrap(sealed):
                tenant_state.put(conn, name, envelope.reseal(sealed, purpose(tenant_id, name)))
                count += 1
        return count

    return database.writing(work)


def purpose(tenant_id: str, name: str) -> str:
    """Return what binds a sealed secret to its tenant and name."""
    return f"tenant-state/{tenant_id}/{name}"


def webhook_purpose(tenant_id: str, webhook_id: str) -> str:
    """Return what binds the sealed secret of a webhook to its tenant and webhook."""
    return f"webhook/{tenant_id}/{webhook_id}"
