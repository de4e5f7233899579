"""One attempt to deliver: signed at that moment, POSTed to the address of that moment; 2xx alone is success (Standard Webhooks).

410 and an address that has failed for days disable the webhook, in the transaction that writes the ledger, and the administrators
are told by mail. Must not know how a message is claimed and tried again (:mod:`idp.jobs.outbox`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp import audit
from idp.clock import now
from idp.identity.administrators import ADMINISTRATORS
from idp.jobs.outbox import Sent
from idp.keys.envelope import CannotUnseal
from idp.outbound import FetchFailed
from idp.store.tenant import outbox, role_bindings, users, webhook_deliveries, webhooks
from idp.webhooks import schedule, signing

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.jobs.schedule import JobContext
    from idp.keys.envelope import Envelope
    from idp.notify.mailer import Mailer
    from idp.outbound import Fetched, Outbound
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

SECONDS = 15.0  # for one attempt (Standard Webhooks: 15 to 30)
SHARE = 12  # deliveries of one tenant that are under way at a time
MOST_READ = 4096  # bytes of an answer
LONGEST_EXCERPT = 500  # characters of it that are kept
MOST_TOLD = 20  # administrators who get a mail
GONE, FAILING = "gone", "failing"
_OWN_FAULT = frozenset({408, 425, 429})  # of the 4xx: the receiver is in trouble, whatever the message says


def sender(outbound: Outbound, envelope: Envelope, mailer: Mailer) -> Callable[[JobContext, Row[Any]], Sent]:
    """Return what sends a message of the outbox: payload ``delivery``, target the webhook."""

    def send(context: JobContext, message: Row[Any]) -> Sent:
        delivery_id = message.payload["delivery"]
        with context.database.reading() as conn:
            webhook = webhooks.find(conn, message.target)
            body = webhook_deliveries.body_of(conn, delivery_id)
        if webhook is None or body is None:
            return Sent("refused", "the webhook was deleted meanwhile")
        if webhook.state != "enabled":
            return Sent("refused", "the webhook was disabled meanwhile")
        pause = schedule.pause_after(message.attempts, message.most_attempts)
        try:
            keys = signing.in_force(envelope, context.tenant.id, webhook.id, webhook.sealed_secrets)
        except CannotUnseal:
            return Sent("failed", "its secret cannot be opened: another master key sealed it", pause=pause)
        after = _After(context.tenant, mailer, webhook, message.id)
        sent = body.encode()
        headers = signing.headers(delivery_id, now(), sent, keys)
        try:
            answer = outbound.post(
                webhook.url, sent, content_type="application/json", headers=headers, most_read=MOST_READ
            )
        except FetchFailed as error:
            return Sent("failed", str(error), webhook.url, pause=pause, also=after.failure)
        return _judged(answer, webhook.url, pause, after)

    return send


def _judged(answer: Fetched, address: str, pause: int, after: _After) -> Sent:
    kept: dict[str, Any] = {"status": answer.status, "excerpt": excerpt_of(answer), "address": address}
    if 200 <= answer.status < 300:
        return Sent("delivered", f"the answer is {answer.status}", also=after.success, **kept)
    if answer.status == 410:
        return Sent("refused", "the answer is 410: the address is gone", also=after.gone, **kept)
    words = f"the answer is {answer.status}"
    if 300 <= answer.status < 400:
        words += "; redirects are not followed"
    is_alone = 400 <= answer.status < 500 and answer.status not in _OWN_FAULT
    return Sent("failed", words, is_alone=is_alone, pause=pause, also=after.failure, **kept)


def excerpt_of(answer: Fetched) -> str | None:
    """Return how an answer begins, as it may be kept; None where it is empty or no text."""
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    text = " ".join(answer.body.decode("utf-8", "replace").split())
    return audit.sentence(text)[:LONGEST_EXCERPT] or None


class _After:
    """What an attempt means for the webhook, in the transaction of the ledger.

    The webhook's row is always written before rows of the outbox: two attempts that end at once do not wait for one another.
    """

    def __init__(self, tenant: Tenant, mailer: Mailer, webhook: Row[Any], message_id: int) -> None:
        self._tenant, self._mailer, self._webhook, self._message_id = tenant, mailer, webhook, message_id

    def success(self, conn: Connection) -> None:
        webhooks.note_success(conn, self._webhook.id)

    def failure(self, conn: Connection) -> None:
        found = webhooks.note_failure(conn, self._webhook.id)
        if found is None or found.url != self._webhook.url:
            return
        if now() - found.failing_since >= schedule.FAILING and found.failures >= schedule.FEWEST_FAILURES:
            self._disable(conn, FAILING)

    def gone(self, conn: Connection) -> None:
        current = webhooks.find(conn, self._webhook.id)
        if current is not None and current.url == self._webhook.url:  # else another address was asked
            self._disable(conn, GONE)

    def _disable(self, conn: Connection, reason: str) -> None:
        webhook = self._webhook
        if not webhooks.disable(conn, webhook.id, reason):
            return
        # A message that was refused is dead by itself; one that failed would be tried again.
        but = self._message_id if reason == GONE else None
        given_up = outbox.discard_of(conn, outbox.WEBHOOK, webhook.id, but=but)
        host = urlsplit(webhook.url).hostname or ""
        details = {"webhook": webhook.id, "host": host, "reason": reason, "given_up": given_up}
        audit.record(conn, "webhook.disabled", outcome="failure", actor="worker", details=details)
        for user_id in role_bindings.holders_for_good(conn, ADMINISTRATORS, limit=MOST_TOLD):
            user = users.find(conn, user_id)
            if user is not None and user.email is not None:
                self._mailer.enqueue(
                    conn,
                    self._tenant,
                    "webhook_disabled",
                    user.email,
                    language=(user.claims or {}).get("locale") or self._tenant.settings.default_language,
                    host=host,
                    webhook_id=webhook.id,
                    is_gone=reason == GONE,
                    at=now(),
                )
