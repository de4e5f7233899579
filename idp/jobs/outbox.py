"""Delivering what waits in a tenant's outbox: at least once, each attempt in the ledger, nobody held up by somebody else.

Many messages are under way at a time, few of them to one target, and fewer once it is in trouble: one application that hangs
delays no other. A failure is tried again after a pause that doubles, with jitter, a bounded number of times and until the
message's end; then it is dead, and an operator may look at it (``idp outbox``). Nothing is sent while a transaction is open.
What a kind of message is and how it is sent is handed in as a table of senders.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from idp import audit
from idp.clock import now
from idp.errors import StorageUnavailable
from idp.jobs.schedule import Job
from idp.store.tenant import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from idp.jobs.schedule import JobContext
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

log = logging.getLogger("idp.jobs.outbox")

KIND = "outbox"
FIRST_PAUSE, LONGEST_PAUSE = 5, 3600  # seconds to the next attempt
THREADS = 40  # messages of one tenant that are under way at a time
A_TARGET = 4  # of them to one target, while it answers
A_KIND = 24  # of them of one kind, unless its share says less: while all mail hangs, and all webhooks, logout tokens still go
LEASE = 30  # seconds for which an attempt is claimed; longer than any sending takes
TROUBLE = 3  # failures of a target one after another, after which everything for it waits
TROUBLE_PAUSE = 60  # seconds
LOOK = 0.25  # seconds between two looks for new messages while others are under way
RUN = 20.0  # seconds after which a run begins nothing more, so that another tenant gets its turn
SWEEP = 3600  # seconds to the next look at an empty outbox
SUSPENDED = 300  # seconds to the next look at the outbox of a suspended tenant
_MOST_NAMED = 50  # messages that one audit event names
SAFETY = 10  # seconds within which a worker looks, should whoever wrote a message not live to say so


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one attempt, in words for the ledger; a refusal is final, a failure is tried again.

    A failure that ``is_alone`` is the message's own (a full mailbox) and no reason to leave others to the target waiting.
    ``pause`` is the time to the next attempt of a kind with a schedule of its own; ``status`` and ``excerpt`` of an HTTP answer are
    kept in the ledger; ``also`` is done first in the transaction that writes it.
    """

    verdict: Literal["delivered", "refused", "failed"]
    words: str
    address: str | None = None
    is_alone: bool = False
    pause: int | None = None
    status: int | None = None
    excerpt: str | None = None
    also: Callable[[Connection], None] | None = None


@contextmanager
def announced(database: Database) -> Iterator[None]:
    """Let a worker visit a tenant's outbox for what the block's transaction puts there.

    Marked before the transaction, so that a process that dies behind its commit leaves nothing lying, and again after it, so
    that the visit comes at once and not too early. A mark that fails ends nothing: the look once an hour finds the message.
    """
    _mark(database, now() + SAFETY)
    yield
    _mark(database, now())


def _mark(database: Database, due: int) -> None:
    if database.mark_work is not None:
        try:
            database.mark_work(KIND, due)
        except StorageUnavailable:
            log.warning("a tenant's outbox could not be marked; it is looked at within the hour")


def outbox_job(
    senders: Mapping[str, Callable[[JobContext, Row[Any]], Sent]],
    count: Callable[[str, str], None] | None = None,
    shares: Mapping[str, int] | None = None,
) -> Job:
    """Return the job that delivers a tenant's messages; ``count(kind, verdict)`` is told of each attempt.

    ``shares`` says of how many messages a kind may be under way, where that is fewer than :data:`A_KIND`.
    """
    return Job(KIND, lambda context: _deliver_due(context, senders, count, shares or {}), lane="delivery")


def _deliver_due(
    context: JobContext,
    senders: Mapping[str, Any],
    count: Callable[[str, str], None] | None,
    shares: Mapping[str, int],
) -> int:
    if context.tenant.state != "active":  # its keys are not published: whoever got something could not check it
        return now() + SUSPENDED
    run = _Run(context, senders, count, shares)
    run.work()
    with context.database.reading() as conn:
        due = outbox.next_due(conn)
    return min(due or now() + SWEEP, now() + SWEEP)


class _Run:
    """One visit to one tenant's outbox."""

    def __init__(
        self,
        context: JobContext,
        senders: Mapping[str, Any],
        count: Callable[[str, str], None] | None,
        shares: Mapping[str, int],
    ) -> None:
        self._context, self._senders, self._count, self._shares = context, senders, count, shares
        self._database = context.database
        self._guard = threading.Lock()
        self._under_way: Counter[tuple[str, str]] = Counter()  # by target
        self._failures: Counter[tuple[str, str]] = Counter()  # of a target, one after another

    def work(self) -> None:
        """Deliver everything that is due, and what becomes due meanwhile; raises what kept it from writing its ledger."""
        end, looked = time.monotonic() + RUN, 0.0
        running: set[Future[None]] = set()
        trouble: BaseException | None = None
        with ThreadPoolExecutor(THREADS, thread_name_prefix="delivery") as pool:
            while True:
                free = THREADS - len(running)
                is_open = trouble is None and not self._context.is_stopping() and time.monotonic() < end
                if is_open and free and (free > THREADS // 2 or time.monotonic() - looked >= LOOK):
                    looked = time.monotonic()
                    running.update(pool.submit(self._attempt, row) for row in self._claim(free))
                if not running:
                    break
                done, running = wait(running, LOOK, FIRST_COMPLETED)
                trouble = trouble or next((found for each in done if (found := each.exception())), None)
        if trouble is not None:
            raise trouble

    def _claim(self, free: int) -> Sequence[Row[Any]]:
        # The look may take long where much waits: no write of the tenant's waits for it.
        with self._database.reading() as conn:
            found = outbox.due(conn, each=A_TARGET, most=8 * THREADS)
        chosen = self._choose(found, free)
        if not chosen:
            return ()
        claimed = self._database.writing(lambda conn: outbox.claim(conn, chosen, lease=LEASE))
        with self._guard:
            self._under_way.update((row.kind, row.target) for row in claimed)
        return claimed

    def _choose(self, rows: Sequence[Row[Any]], free: int) -> list[int]:
        """Return the messages to send now: no more than each target may have under way."""
        chosen: list[int] = []
        with self._guard:
            planned, kinds = Counter(self._under_way), Counter[str]()
            for (kind, _), number in planned.items():
                kinds[kind] += number
            for row in rows:
                target = (row.kind, row.target)
                most = 1 if self._failures[target] else A_TARGET
                if (
                    planned[target] < most
                    and kinds[row.kind] < self._shares.get(row.kind, A_KIND)
                    and len(chosen) < free
                ):
                    planned[target] += 1
                    kinds[row.kind] += 1
                    chosen.append(row.id)
        return chosen

    def _attempt(self, row: Row[Any]) -> None:
        target = (row.kind, row.target)
        began = time.monotonic()
        try:
            sent = self._send(row)
        finally:
            with self._guard:
                self._under_way[target] -= 1
        milliseconds = int((time.monotonic() - began) * 1000)
        with self._guard:
            is_trouble = sent.verdict == "failed" and not sent.is_alone
            self._failures[target] = self._failures[target] + 1 if is_trouble else 0
            is_in_trouble = self._failures[target] >= TROUBLE

        def work(conn: Connection) -> None:
            if sent.also is not None:  # first, so that who locks what a kind keeps beside does so in one order
                sent.also(conn)
            outbox.note_attempt(
                conn,
                row,
                address=sent.address,
                outcome=sent.words,
                milliseconds=milliseconds,
                status=sent.status,
                excerpt=sent.excerpt,
            )
            self._conclude(conn, row, sent)
            if is_in_trouble:
                outbox.defer(conn, row.kind, row.target, now() + _jittered(TROUBLE_PAUSE))

        self._database.writing(work)
        if self._count is not None:
            self._count(row.kind, sent.verdict)

    def _send(self, row: Row[Any]) -> Sent:
        sender = self._senders.get(row.kind)
        if sender is None:
            return Sent("failed", "this release does not know how to deliver it")
        try:
            sent: Sent = sender(self._context, row)
        except Exception as defect:
            log.exception("a message of kind %s could not be sent", row.kind)
            return Sent("failed", f"it could not be sent ({type(defect).__name__})")
        return sent

    @staticmethod
    def _conclude(conn: Connection, row: Row[Any], sent: Sent) -> None:
        """Say what is next for a message: nothing, another attempt, or that it is given up."""
        if sent.verdict == "delivered":
            outbox.finish(conn, row.id, "delivered")
            return
        left = row.most_attempts - row.attempts
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(0, outbox.ATTEMPTS - 1 - left))
        again = now() + _jittered(sent.pause if sent.pause is not None else pause)
        if sent.verdict == "failed" and left > 0 and again < row.expires_at:
            outbox.postpone(conn, row.id, again, sent.words)
        elif outbox.finish(conn, row.id, "dead", sent.words):
            details = {"message": row.id, "kind": row.kind, "target": row.target, "reason": sent.words}
            audit.record(conn, "outbox.dead", outcome="failure", actor="worker", details=details)


def _jittered(seconds: int) -> int:
    return max(1, round(seconds * random.uniform(0.8, 1.2)))  # noqa: S311 - so that many do not come at once


# -- what an operator decides -----------------------------------------------------------------------------------------


def retry(database: Database, messages: Sequence[int], *, actor: str) -> list[int]:
    """Let messages that wait, are dead or were discarded be delivered again, from now on; returns which those are."""

    def work(conn: Connection) -> list[int]:
        done = [message for message in messages if outbox.retry(conn, message)]
        _record_decision(conn, "outbox.retried", done, actor)
        return done

    with announced(database):
        return database.writing(work)


def discard(database: Database, messages: Sequence[int], *, actor: str) -> list[int]:
    """Give messages up that wait or are dead; returns which those are."""

    def work(conn: Connection) -> list[int]:
        done = [message for message in messages if outbox.discard(conn, message)]
        _record_decision(conn, "outbox.discarded", done, actor)
        return done

    return database.writing(work)


def _record_decision(conn: Connection, kind: str, messages: list[int], actor: str) -> None:
    if messages:
        details = {"count": len(messages), "messages": messages[:_MOST_NAMED]}
        audit.record(conn, kind, outcome="success", actor=actor, details=details)
