"""Recording what happened: audit events in the transaction of a change, and the spool for what changes no row.

:func:`record` writes an event into the caller's transaction, unchained; :mod:`idp.jobs.chain` hashes and signs later.
:class:`Spool` takes the events of the hot path and the refusals: neither waits for a database, neither ever fails a request.
Whatever is recorded is cleaned: no control characters, no endless text, no secret by name or by look.
"""

from __future__ import annotations

import math
import re
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from idp import opaque
from idp.clock import now
from idp.spool import MAX_FILE, MAX_TOTAL, SpoolFile
from idp.store.tenant import audit_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from idp.errors import Refusal
    from idp.store.rows import Connection

Outcome = Literal["success", "failure"]

SHORTEST_SECRET = 24  # characters; what is shorter is not looked through
LONGEST_FIELD = 512  # characters of one recorded value
LONGEST_NAME = 100  # characters of a name in details
MOST_DETAILS = 100  # values in details, at all depths together
LONGEST_REASON = 2000  # characters of a refusal's sentences and of what was received
REFUSALS_A_SECOND = 200  # that one worker records; the rest is counted
REFUSALS_A_SECOND_AND_TENANT = 50  # so that one tenant's flood leaves the others theirs
REFUSALS_SHARE = 0.5  # of the spool's space; the rest is for audit events alone
TOUCH_INTERVAL = 30.0  # seconds for which one note "this tenant has events to chain" holds

# Names of parameters and columns whose value is a secret: recording one is a defect of the caller.
SECRET_NAMES: Final = frozenset(
    {
        "access_token",
        "actor_token",
        "assertion",
        "authorization",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "cookie",
        "csrf_token",
        "current_password",
        "device_code",
        "dpop",
        "id_token",
        "id_token_hint",
        "master_key",
        "new_password",
        "otp",
        "password",
        "password_hash",
        "private_jwk",
        "private_key",
        "proxy_authorization",
        "recovery_code",
        "refresh_token",
        "registration_access_token",
        "sealed_private",
        "secret",
        "secret_hash",
        "session_cookie",
        "set_cookie",
        "subject_token",
        "token",
        "totp_seed",
        "user_code",
    }
)
_SECRET_LOOK = re.compile(
    r"[a-z]{1,8}_[A-Za-z0-9_-]{43}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)|whsec_[A-Za-z0-9+/_-]{16,}=*"
)
WITHHELD = "[withheld]"


class SecretInAuditError(ValueError):
    """Somebody tried to record a secret by its name: a defect, found by the first test that runs the line."""


def record(
    conn: Connection,
    kind: str,
    *,
    outcome: Outcome,
    actor: str | None,
    client_id: str | None = None,
    subject: str | None = None,
    session_id: str | None = None,
    grant_id: str | None = None,
    source: str | None = None,
    correlation_id: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Insert an event into the caller's write transaction.

    ``kind`` is a constant such as ``login.failed``; ``actor`` is who did it (a user id, ``client:ID``, ``operator``), None if
    nobody is known; ``details`` is a small JSON object. Raises :class:`SecretInAuditError` for a secret's name in ``details``.
    """
    audit_events.add(
        conn,
        {
            "id": opaque.new_id(),
            "at": now(),
            "kind": kind,
            "outcome": outcome,
            "actor": clean(actor),
            "client_id": clean(client_id),
            "subject": clean(subject),
            "session_id": clean(session_id),
            "grant_id": clean(grant_id),
            "source": clean(source),
            "correlation_id": clean(correlation_id),
            "details": None if details is None else _clean_details(details),
        },
    )


def record_alike(
    conn: Connection,
    kind: str,
    about: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    actor: str,
    source: str | None = None,
) -> None:
    """Insert successes of one kind into the caller's write transaction in one statement: (subject, details) each."""
    at = now()
    shared = {
        "at": at,
        "kind": kind,
        "outcome": "success",
        "actor": clean(actor),
        "client_id": None,
        "session_id": None,
        "grant_id": None,
        "source": clean(source),
        "correlation_id": None,
    }
    events = [
        {"id": opaque.new_id(), "subject": clean(subject), "details": _clean_details(details), **shared}
        for subject, details in about
    ]
    if events:
        audit_events.add(conn, events)


def clean(value: str | None, longest: int = LONGEST_FIELD) -> str | None:
    """Return a text as it may be recorded: printable, storable everywhere, at most ``longest`` characters."""
    return value if value is None else _shown(value, longest)


def _shown(value: str, longest: int) -> str:
    if len(value) <= longest and value.isprintable():
        return value
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[:longest])
    return shown if len(value) <= longest else f"{shown[:-1]}…"


def _withheld(value: str, longest: int) -> str:
    if len(value) < SHORTEST_SECRET and "://" not in value and value.isprintable():
        return value
    return _shown(_SECRET_LOOK.sub(WITHHELD, value[: 2 * longest]), longest)


def _clean_details(details: Mapping[str, Any]) -> Any:
    return _cleaned(details, [MOST_DETAILS])


def _cleaned(value: Any, left: list[int]) -> Any:
    """Return a JSON value as it may be recorded; ``left`` holds how many more values there is room for."""
    left[0] -= 1
    if left[0] < 0:
        return "…"
    if isinstance(value, str):
        return _withheld(value, LONGEST_FIELD)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else clean(hex(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "items"):
        for name in value:
            if str(name).lower().replace("-", "_") in SECRET_NAMES:
                raise SecretInAuditError(f"an audit event may not carry {name!r}")
        room = islice(value.items(), max(left[0], 0))
        return {clean(str(name), LONGEST_NAME): _cleaned(item, left) for name, item in room}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item, left) for item in islice(value, max(left[0], 0))]
    return clean(str(value))


def sentence(value: str) -> str:
    """Return a sentence for the people who run a tenant: cleaned, with whatever looks like a secret withheld."""
    return _withheld(value, LONGEST_REASON)


class Spool(SpoolFile):
    """A worker's spool of audit events and refusals."""

    def __init__(
        self, directory: Path, worker_name: str, *, max_file: int = MAX_FILE, max_total: int = MAX_TOTAL
    ) -> None:
        """Take the folder (``data_dir/spool``) and a name that helps people to tell workers apart."""
        super().__init__(directory, worker_name, max_file=max_file, max_total=max_total)
        self._counting = threading.Lock()
        self._second = 0
        self._recorded: dict[str | None, int] = {}
        self._total = 0
        self._suppressed = 0
        self._touched: dict[str, float] = {}

    def audit(
        self,
        tenant_id: str,
        kind: str,
        *,
        outcome: Outcome,
        actor: str | None,
        client_id: str | None = None,
        subject: str | None = None,
        session_id: str | None = None,
        grant_id: str | None = None,
        source: str | None = None,
        correlation_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an event that belongs to no transaction; the parameters of :func:`record`."""
        line: dict[str, Any] = {"is": "audit", "tenant": tenant_id, "at": now(), "kind": kind, "outcome": outcome}
        if actor is not None:
            line["actor"] = clean(actor)
        if client_id is not None:
            line["client_id"] = clean(client_id)
        if subject is not None:
            line["subject"] = clean(subject)
        if session_id is not None:
            line["session_id"] = clean(session_id)
        if grant_id is not None:
            line["grant_id"] = clean(grant_id)
        if source is not None:
            line["source"] = clean(source)
        if correlation_id is not None:
            line["correlation_id"] = clean(correlation_id)
        if details is not None:
            line["details"] = _clean_details(details)
        self.append(line)

    def refusal(
        self,
        tenant_id: str | None,
        correlation_id: str,
        error_code: str,
        refusal: Refusal | None,
        method: str,
        path: str,
        client_id: str | None = None,
        source: str | None = None,
    ) -> None:
        """Keep why a request was refused, for ``idp explain``; a flood is counted, not kept. ``path`` is without the query."""
        if not self._may_record(tenant_id):
            return
        line: dict[str, Any] = {
            "is": "refusal",
            "tenant": tenant_id,
            "at": now(),
            "correlation_id": clean(correlation_id),
            "error_code": clean(error_code),
        }
        if refusal is not None:
            line["check"], line["spec"] = clean(refusal.check), clean(refusal.spec)
            line["reason"], line["fix"] = sentence(refusal.reason), sentence(refusal.fix)
            line["received"] = None if refusal.received is None else sentence(refusal.received)
            line["registered"] = [_withheld(each, LONGEST_FIELD) for each in refusal.registered[:20]]
        line |= {
            "method": clean(method, 20),
            "path": _withheld(path, LONGEST_FIELD),
            # Of an unknown client it is whatever was sent, a secret in the wrong place too.
            "client_id": None if client_id is None else _withheld(client_id, LONGEST_FIELD),
            "source": clean(source),
        }
        self.append(line, share=REFUSALS_SHARE)

    def touch(self, tenant_id: str) -> None:
        """Note that a tenant's database has new events to chain; cheap, call it after any write of a request."""
        at = time.monotonic()
        if at - self._touched.get(tenant_id, float("-inf")) < TOUCH_INTERVAL:
            return
        if len(self._touched) > 10_000:
            self._touched.clear()
        self._touched[tenant_id] = at
        self.append({"is": "touch", "tenant": tenant_id, "at": now()}, share=REFUSALS_SHARE)

    def _may_record(self, tenant_id: str | None) -> bool:
        with self._counting:
            second = int(time.monotonic())
            remainder = 0
            if second != self._second:
                remainder, self._suppressed = self._suppressed, 0
                self._second, self._total, self._recorded = second, 0, {}
            of_tenant = self._recorded.get(tenant_id, 0)
            may = self._total < REFUSALS_A_SECOND and of_tenant < REFUSALS_A_SECOND_AND_TENANT
            if may:
                self._total += 1
                self._recorded[tenant_id] = of_tenant + 1
            else:
                self._suppressed += 1
        if remainder:
            self.append({"is": "suppressed", "at": now(), "count": remainder}, share=REFUSALS_SHARE)
        return may
