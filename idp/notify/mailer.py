"""Putting mails into a tenant's outbox, in the transaction that makes them true.

A mail waits as the name of its template and what is to be filled in, sealed, for that may be a link that opens an account.
It is written and sent by the worker. Must not know what any mail says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from idp.notify.message import domain_of
from idp.store.tenant import outbox

if TYPE_CHECKING:
    from idp.store.rows import Connection
    from idp.tenancy.tenant import Tenant

KIND = "mail"
LIFETIME = 86400  # seconds after which a mail that could not be sent is given up


class Sealer(Protocol):
    """What seals the content: the envelope."""

    def seal(self, value: bytes, purpose: str) -> str:
        """Return ``value`` sealed for a purpose."""

    def unseal(self, sealed: str, purpose: str) -> bytes:
        """Return what was sealed for the purpose."""


class Mailer:
    """Writes mails into outboxes; one a process."""

    def __init__(self, sealer: Sealer) -> None:
        """Take what seals the content."""
        self._sealer = sealer

    def enqueue(
        self,
        conn: Connection,
        tenant: Tenant,
        template: str,
        to: str,
        *,
        language: str | None = None,
        lifetime: int = LIFETIME,
        **context: Any,
    ) -> None:
        """Put a mail into the box: ``templates/mail/{template}.txt`` and ``.html`` with ``context``, given up after ``lifetime`` seconds.

        ``context`` is JSON; ``language`` is a BCP 47 tag, None the tenant's default. Whoever calls it wraps the transaction in
        :func:`idp.jobs.outbox.announced`, so that the mail leaves at once.
        """
        content = {"template": template, "to": to, "language": language, "context": context}
        sealed = self._sealer.seal(json.dumps(content).encode(), purpose(tenant.id))
        # What is addressed to one domain waits for that domain's trouble alone; the address itself is not to be read here.
        outbox.enqueue(conn, KIND, [domain_of(to) or KIND], {"sealed": sealed}, lifetime=lifetime)

    def opened(self, tenant: Tenant, payload: dict[str, Any]) -> dict[str, Any]:
        """Return ``template``, ``to``, ``language`` and ``context`` of a message's payload."""
        found: dict[str, Any] = json.loads(self._sealer.unseal(payload["sealed"], purpose(tenant.id)))
        return found


def purpose(tenant_id: str) -> str:
    """Return what binds a sealed mail to its tenant."""
    return f"mail/{tenant_id}"
