"""Re-encrypting a tenant's private keys and other sealed secrets under the newest master key (ASVS 5.0 §11.2: keys can be replaced)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.keys import sealed_state
from idp.keys.signer import sealing_purpose
from idp.store.tenant import signing_keys, webhooks

if TYPE_CHECKING:
    from idp.keys.envelope import Envelope
    from idp.store.db import Database
    from idp.store.rows import Connection


def rewrap(database: Database, envelope: Envelope, tenant_id: str) -> int:
    """Seal every secret anew that is not under the newest master key and return how many; may be broken off and repeated.

    Raises :class:`~idp.keys.envelope.CannotUnseal` when the master key that sealed one is missing.
    """
    with database.reading() as conn:
        rows = [(row.kid, row.sealed_private) for row in signing_keys.list_all(conn) if row.sealed_private]
    count = 0
    for kid, sealed in rows:
        if envelope.needs_rewrap(sealed):
            fresh = envelope.reseal(sealed, sealing_purpose(tenant_id, kid))

            def work(conn: Connection, kid: str = kid, sealed: str = sealed, fresh: str = fresh) -> bool:
                return signing_keys.reseal(conn, kid, sealed, fresh)

            count += database.writing(work)
    return count + sealed_state.rewrap(database, envelope, tenant_id) + _rewrap_webhooks(database, envelope, tenant_id)


def _rewrap_webhooks(database: Database, envelope: Envelope, tenant_id: str) -> int:
    def work(conn: Connection) -> int:
        count = 0
        for webhook_id in [each.id for each in webhooks.list_all(conn)]:
            row = webhooks.find_locked(conn, webhook_id)
            stored = row.sealed_secrets if row is not None else []
            stale = [each for each in stored if envelope.needs_rewrap(each["sealed"])]
            if stale:
                purpose = sealed_state.webhook_purpose(tenant_id, webhook_id)
                fresh = [
                    {**each, "sealed": envelope.reseal(each["sealed"], purpose)} if each in stale else each
                    for each in stored
                ]
                webhooks.reseal(conn, webhook_id, fresh)
                count += len(stale)
        return count

    return database.writing(work)
