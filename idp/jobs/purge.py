"""Purging what has expired, in small transactions, so that nobody waits long for the writer.

What proves a reuse outlives what it belongs to: grants with their codes and rotated refresh tokens are kept a week beyond
their end. Audit events are never purged.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from idp.clock import now
from idp.jobs.drain import KEEP_REFUSALS
from idp.jobs.schedule import Job
from idp.store.control import changes, domain_claims
from idp.store.control import idempotency_keys as control_idempotency_keys
from idp.store.control import refusals as control_refusals
from idp.store.tenant import (
    attempts,
    grants,
    idempotency_keys,
    initial_access_tokens,
    interactions,
    one_time_links,
    outbox,
    refresh_tokens,
    refusals,
    replays,
    revoked_tokens,
    role_bindings,
    sessions,
    signups,
    webhook_deliveries,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.jobs.schedule import JobContext
    from idp.store.db import Database
    from idp.store.rows import Connection
    from idp.tenancy.tenant import Tenant

    Delete = Callable[[Connection, int, int], int]

DAY = 86400
BATCH = 1000  # rows a transaction
PAUSE = 0.005  # seconds between two full batches, in which other writers get their turn
BUSY, IDLE = 3600, 6 * 3600  # seconds to the next purge, after one that found something and one that did not


class Rule(NamedTuple):
    """What is deleted, ``age`` seconds after its end."""

    what: str
    delete: Delete
    age: int
    most: int | None = None  # rows a transaction, where each has many others behind it


# Clocks of nodes may differ by a minute: nothing is deleted in the very second of its end.
TENANT_RULES = (
    Rule("sealed successors", refresh_tokens.forget_sealed, 60),
    Rule("replays", replays.purge_expired, 300),
    Rule("attempts", attempts.purge_expired, 300),
    Rule("revoked tokens", revoked_tokens.purge_expired, 300),
    Rule("interactions", interactions.purge_expired, DAY),
    Rule("sign-ups", signups.purge_expired, 300),  # there are addresses and hashes of passwords in them
    Rule("one-time links", one_time_links.purge_expired, 30 * DAY),
    Rule("idempotency keys", idempotency_keys.purge_expired, 300),
    Rule("initial access tokens", initial_access_tokens.purge_expired, 7 * DAY),
    Rule("role bindings", role_bindings.purge_expired, 30 * DAY),  # until then a decision says that one has ended
    Rule("sessions", sessions.purge_expired, DAY),
    Rule("grants", grants.purge_expired, 7 * DAY),
    Rule("delivered messages", outbox.purge_finished, 7 * DAY),
    Rule("dead messages", outbox.purge_dead, 30 * DAY),
    Rule("refusals", refusals.purge_expired, 7 * DAY),
    Rule("refusals beyond the newest", lambda conn, _before, limit: refusals.trim(conn, KEEP_REFUSALS, limit), 0),
)
CONTROL_RULES = (
    Rule("changes", changes.purge_before, DAY),
    Rule("domain claims", domain_claims.purge_expired, DAY),
    Rule("idempotency keys", control_idempotency_keys.purge_expired, 300),
    Rule("refusals", control_refusals.purge_expired, 7 * DAY),
    Rule(
        "refusals beyond the newest", lambda conn, _before, limit: control_refusals.trim(conn, KEEP_REFUSALS, limit), 0
    ),
)


def purge(
    database: Database, rules: Sequence[Rule] = TENANT_RULES, *, is_stopping: Callable[[], bool] = lambda: False
) -> dict[str, int]:
    """Delete what has expired; returns how many rows of what."""
    counts: dict[str, int] = {}
    for rule in rules:
        before, most = now() - rule.age, rule.most or BATCH
        counts[rule.what] = 0
        while not is_stopping():
            done = database.writing(lambda conn, rule=rule, before=before, most=most: rule.delete(conn, before, most))  # type: ignore[misc]
            counts[rule.what] += done
            if not done or (done < most and rule.delete not in _IN_STAGES):
                break
            time.sleep(PAUSE)
    return counts


# These delete one thing at a time: a short batch does not mean that nothing is left.
_IN_STAGES = (
    grants.purge_expired,
    sessions.purge_expired,
    outbox.purge_finished,
    outbox.purge_dead,
    webhook_deliveries.purge_expired,
)


def tenant_job(of_tenant: Callable[[Tenant], Sequence[Rule]]) -> Job:
    """Return the job that purges a tenant, by the rules above and those that ``of_tenant`` makes of its settings."""

    def run(context: JobContext) -> int:
        rules = (*TENANT_RULES, *of_tenant(context.tenant))
        counts = purge(context.database, rules, is_stopping=context.is_stopping)
        return now() + (BUSY if any(counts.values()) else IDLE)

    return Job("purge", run, first_due=BUSY)


def purge_control(context: JobContext) -> int:
    """Purge the control database; returns when it is next due."""
    purge(context.store.control, CONTROL_RULES, is_stopping=context.is_stopping)
    return now() + BUSY


CONTROL_JOB = Job("purge", purge_control, first_due=0, scope="installation")
