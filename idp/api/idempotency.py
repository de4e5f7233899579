"""Idempotency-Key on creates: a repeated request is answered as the first was, and makes nothing.

The key is taken in the transaction that creates, so that of any number of equal requests at once one creates and the others are
told what it answered; a process that dies leaves either both or neither. Keys belong to a caller and a tenant for 24 hours. What
was answered may hold a secret that is shown once: it is kept sealed. Refused requests are not kept: they made nothing.

What is made in a tenant has its keys in the tenant's database. A tenant itself begins to exist by a transaction of the control
database, so its keys are there: a key in the new tenant's database would be gone with a creation that failed, one in `system`'s
could be kept without the tenant, or lost with it made.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.api.errors import AnswerUnreadable, InvalidFields, KeyReused
from idp.api.operations import Reply
from idp.clock import now
from idp.keys.envelope import CannotUnseal
from idp.store.control import idempotency_keys as control_keys
from idp.store.tenant import idempotency_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.api.operations import Call, Operation
    from idp.keys.envelope import Envelope
    from idp.store.rows import Connection

HEADER = "idempotency-key"
REPLAYED = ("idempotency-replayed", "true")
LONGEST_KEY = 255
DAY = 86400


class Repeated(Exception):
    """The request has been done by another that had the same key."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A create with a key: what it is kept under."""

    caller: str
    key: str
    digest: str
    purpose: str
    envelope: Envelope

    def keep(self, conn: Connection, operation: Operation, reply: Reply) -> None:
        """Take the key and keep the answer; raises :class:`Repeated`, which undoes the transaction."""
        text = json.dumps(
            {"operation": operation.name, "document": reply.document, "etag": reply.etag, "location": reply.location}
        )
        is_mine = (control_keys if operation.is_of_platform else idempotency_keys).take(
            conn,
            caller=self.caller,
            key=self.key,
            digest=self.digest,
            sealed_answer=self.envelope.seal(text.encode(), self.purpose),
            expires_at=now() + DAY,
        )
        if not is_mine:
            raise Repeated


def of(call: Call) -> Repeatable | None:
    """Return what a request with an Idempotency-Key is kept under, None without one."""
    given = call.http.headers.all(HEADER)
    if not given:
        return None
    key = given[0].strip()
    if len(given) > 1 or not 0 < len(key) <= LONGEST_KEY or not all(" " < char <= "~" for char in key):
        raise InvalidFields(errors={f"?{HEADER}": f"must be 1 to {LONGEST_KEY} visible ASCII characters, once"})
    who = call.caller
    caller = _digest(who.home.tenant.id, who.subject.type, who.subject.id, who.client_id)
    # Keyed: a body may hold a password, of which a bare hash would tell whoever guesses.
    whole = json.dumps([call.operation.name, call.http.path, call.http.query, call.http.body.hex()])
    digest = hmac.digest(call.surroundings.services.csrf_key, whole.encode("utf-8", "surrogatepass"), "sha256").hex()
    key = _digest(key)
    return Repeatable(caller, key, digest, f"idempotency:{call.tenant.id}:{caller}:{key}", call.surroundings.envelope)


def run(call: Call, handle: Callable[[Call], Reply]) -> tuple[Reply, bool]:
    """Return the answer of a create, and whether it is that of a request before."""
    call.repeatable = of(call)
    if call.repeatable is None:
        return handle(call), False
    before = _answered_before(call, call.repeatable)
    if before is not None:
        return before, True
    try:
        return handle(call), False
    except Repeated:
        before = _answered_before(call, call.repeatable)
        if before is None:  # it expired in this very moment
            raise AnswerUnreadable from None
        return before, True
    except Exception:
        # Who lost a race against an equal request may have met its creation before its key.
        before = _answered_before(call, call.repeatable)
        if before is None:
            raise
        return before, True


def _answered_before(call: Call, mine: Repeatable) -> Reply | None:
    is_of_platform = call.operation.is_of_platform
    database = call.surroundings.services.store.control if is_of_platform else call.server.database
    with database.reading() as conn:
        row = (control_keys if is_of_platform else idempotency_keys).find(conn, mine.caller, mine.key)
    if row is None:
        return None
    if row.digest != mine.digest:
        raise KeyReused
    try:
        kept: dict[str, Any] = json.loads(mine.envelope.unseal(row.sealed_answer, mine.purpose))
    except CannotUnseal:
        raise AnswerUnreadable from None
    return Reply(kept["document"], kept["etag"], kept["location"])


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()
