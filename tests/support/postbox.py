"""What lies in a tenant's outbox for people: mails as they were put there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idp.flow.services import Services
    from idp.store.db import Database
    from idp.tenancy.tenant import Tenant


def mails(services: Services, tenant: Tenant, database: Database, address: str | None = None) -> list[dict[str, Any]]:
    """The mails in the outbox, the oldest first; those to one address only."""
    with database.reading() as conn:
        found = conn.exec_driver_sql("SELECT payload FROM outbox WHERE kind = 'mail' ORDER BY id").all()
    payloads = [json.loads(row.payload) if isinstance(row.payload, str) else row.payload for row in found]
    opened = [services.mailer.opened(tenant, payload) for payload in payloads]
    return [mail for mail in opened if address in (None, mail["to"])]


def code_of(mail: dict[str, Any]) -> str:
    """The code that a mail brings."""
    assert mail["template"] == "signup_code", mail
    return str(mail["context"]["code"])
