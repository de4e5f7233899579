"""The outbox: what must reach somebody outside, written in the transaction that makes it true, and the ledger of every attempt.

A message waits until it is delivered, dead (given up) or discarded (by an operator). An attempt is claimed before anything is
sent, by moving the message's next attempt to the end of a lease, and leaves its row in the ledger then: a killed worker's
messages are due again when the lease ends, and the ledger shows that it began. Must not know what is sent, nor how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, document, moment, number, row_number, text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection, Row

LIFETIME = 86400  # seconds until a message is given up
ATTEMPTS = 12  # after which it is given up sooner
STATES = ("waiting", "delivered", "dead", "discarded")
WEBHOOK = "webhook"  # the kind whose messages belong to deliveries, and are purged with them

outbox = db.Table(
    "outbox",
    row_number("id"),
    text("kind"),  # backchannel_logout
    text("target"),  # for whom it is; messages to one target never hold up those to another
    document("payload"),
    text("state"),
    number("attempts"),
    number("most_attempts"),  # with how many it is given up
    moment("created_at"),
    moment("next_attempt_at"),
    moment("expires_at"),  # when it is given up, however few attempts there were
    moment("finished_at", nullable=True),
    text("last_error", nullable=True),
    bind_key="tenant",
    sqlite_autoincrement=True,
)
db.Index(
    "ix_outbox_waiting",
    outbox.c.next_attempt_at,
    sqlite_where=outbox.c.state == "waiting",
    postgresql_where=outbox.c.state == "waiting",
)
db.Index(
    "ix_outbox_finished_at",
    outbox.c.finished_at,
    sqlite_where=outbox.c.finished_at.is_not(None),
    postgresql_where=outbox.c.finished_at.is_not(None),
)

outbox_attempts = db.Table(
    "outbox_attempts",
    db.Column("message_id", db.BigInteger, primary_key=True, autoincrement=False, nullable=False),
    db.Column("number", db.BigInteger, primary_key=True, autoincrement=False, nullable=False),
    moment("begun_at"),
    text("address", nullable=True),  # where it went
    text("outcome", nullable=True),  # the status or the trouble, in words; null: under way, or the worker was killed
    number("milliseconds", nullable=True),
    number("status", nullable=True),  # of the HTTP answer, where the kind keeps it
    text("excerpt", nullable=True),  # how the answer begins, where the kind keeps it
    bind_key="tenant",
)


def enqueue(
    conn: Connection,
    kind: str,
    targets: Sequence[str],
    payload: Mapping[str, Any],
    *,
    lifetime: int = LIFETIME,
    attempts: int = ATTEMPTS,
) -> None:
    """Put one message for each target into the box, due now, given up after ``lifetime`` seconds or so many attempts."""
    same = {"payload": dict(payload), **_fresh(kind, lifetime, attempts)}
    if targets:
        conn.execute(insert(outbox), [{**same, "target": target} for target in targets])


def enqueue_to(
    conn: Connection,
    kind: str,
    target: str,
    payloads: Sequence[Mapping[str, Any]],
    *,
    lifetime: int = LIFETIME,
    attempts: int = ATTEMPTS,
) -> Sequence[int]:
    """Put several messages to one target into the box, as :func:`enqueue` does; returns their ids, in order."""
    if not payloads:
        return ()
    same = {"target": target, **_fresh(kind, lifetime, attempts)}
    made = insert(outbox).returning(outbox.c.id, sort_by_parameter_order=True)
    return conn.execute(made, [{**same, "payload": dict(payload)} for payload in payloads]).scalars().all()


def _fresh(kind: str, lifetime: int, attempts: int) -> dict[str, Any]:
    at = now()
    same = {"kind": kind, "state": "waiting", "attempts": 0, "most_attempts": attempts}
    return {**same, "created_at": at, "next_attempt_at": at, "expires_at": at + lifetime}


def due(conn: Connection, *, each: int, most: int) -> Sequence[Row[Any]]:
    """Return what is due: at most ``each`` messages of one target and ``most`` in all, those that were tried least first.

    Looks at everything that is due, which may be much: nobody should wait for it.
    """
    place = func.row_number().over(
        partition_by=(outbox.c.kind, outbox.c.target), order_by=(outbox.c.next_attempt_at, outbox.c.id)
    )
    columns = (outbox.c.id, outbox.c.kind, outbox.c.target, outbox.c.attempts)
    ranked = select(*columns, place.label("place")).where(_is_due(now())).subquery()
    order = (ranked.c.attempts, ranked.c.id)
    return conn.execute(select(ranked).where(ranked.c.place <= each).order_by(*order).limit(most)).all()


def claim(conn: Connection, messages: Collection[int], *, lease: int) -> Sequence[Row[Any]]:
    """Begin an attempt of each of some messages that is still due; returns them, ``attempts`` this one's number."""
    at = now()
    taken = conn.execute(
        update(outbox)
        .where(outbox.c.id.in_(messages) & _is_due(at))  # another worker may have taken one meanwhile
        .values(attempts=outbox.c.attempts + 1, next_attempt_at=at + lease)
        .returning(*outbox.c)
    ).all()
    if taken:
        rows = [{"message_id": row.id, "number": row.attempts, "begun_at": at} for row in taken]
        conn.execute(insert(outbox_attempts), rows)
    return taken


def _is_due(at: int) -> ColumnElement[bool]:
    return (outbox.c.state == "waiting") & (outbox.c.next_attempt_at <= at)


def note_attempt(
    conn: Connection,
    message: Row[Any],
    *,
    address: str | None,
    outcome: str,
    milliseconds: int,
    status: int | None = None,
    excerpt: str | None = None,
) -> None:
    """Write into the ledger what became of the attempt of a message that :func:`claim` returned."""
    here = (outbox_attempts.c.message_id == message.id) & (outbox_attempts.c.number == message.attempts)
    values = {
        "address": address,
        "outcome": outcome,
        "milliseconds": milliseconds,
        "status": status,
        "excerpt": excerpt,
    }
    conn.execute(update(outbox_attempts).where(here).values(**values))


def finish(conn: Connection, message_id: int, state: str, error: str | None = None) -> bool:
    """End a waiting message as ``delivered``, ``dead`` or ``discarded``; False when it had ended already."""
    here = (outbox.c.id == message_id) & (outbox.c.state == "waiting")
    values = {"state": state, "finished_at": now(), "last_error": error}
    return conn.execute(update(outbox).where(here).values(**values)).rowcount == 1


def postpone(conn: Connection, message_id: int, until: int, error: str) -> None:
    """Say when a waiting message is tried again."""
    here = (outbox.c.id == message_id) & (outbox.c.state == "waiting")
    conn.execute(update(outbox).where(here).values(next_attempt_at=until, last_error=error))


def defer(conn: Connection, kind: str, target: str, until: int) -> None:
    """Let every message to one target that is due now wait, because the target is in trouble; no attempt is counted."""
    here = (outbox.c.kind == kind) & (outbox.c.target == target) & (outbox.c.state == "waiting")
    conn.execute(update(outbox).where(here & (outbox.c.next_attempt_at <= now())).values(next_attempt_at=until))


def retry(
    conn: Connection,
    message_id: int,
    *,
    lifetime: int = LIFETIME,
    attempts: int = ATTEMPTS,
    even_delivered: bool = False,
) -> bool:
    """Let a message wait again, due now, for so long and so many attempts more; False when it is not there or was delivered."""
    at = now()
    here = outbox.c.id == message_id
    if not even_delivered:
        here &= outbox.c.state != "delivered"
    values = {"state": "waiting", "next_attempt_at": at, "expires_at": at + lifetime, "finished_at": None}
    again = update(outbox).where(here).values(**values, most_attempts=outbox.c.attempts + attempts)
    return conn.execute(again).rowcount == 1


def hasten(conn: Connection, message_id: int) -> None:
    """Let a waiting message be tried now, unless an attempt is under way."""
    under_way = exists().where(
        (outbox_attempts.c.message_id == outbox.c.id)
        & (outbox_attempts.c.number == outbox.c.attempts)
        & outbox_attempts.c.outcome.is_(None)
    )
    here = (outbox.c.id == message_id) & (outbox.c.state == "waiting") & ~under_way
    conn.execute(update(outbox).where(here).values(next_attempt_at=now()))


def discard(conn: Connection, message_id: int) -> bool:
    """Give up a message that waits or is dead, for good; False when there is none such."""
    here = (outbox.c.id == message_id) & outbox.c.state.in_(("waiting", "dead"))
    values = {"state": "discarded", "finished_at": now()}
    return conn.execute(update(outbox).where(here).values(**values)).rowcount == 1


def discard_of(conn: Connection, kind: str, target: str, *, but: int | None = None) -> int:
    """Give up everything that waits for one target, ``but`` one message; returns how much that is."""
    here = (outbox.c.kind == kind) & (outbox.c.target == target) & (outbox.c.state == "waiting")
    if but is not None:
        here &= outbox.c.id != but
    return conn.execute(update(outbox).where(here).values(state="discarded", finished_at=now())).rowcount


def next_due(conn: Connection) -> int | None:
    """Return when the next waiting message is due; None when none waits."""
    found: int | None = conn.execute(
        select(func.min(outbox.c.next_attempt_at)).where(outbox.c.state == "waiting")
    ).scalar()
    return found


def find(conn: Connection, message_id: int) -> Row[Any] | None:
    """Return a message, or None."""
    return conn.execute(select(outbox).where(outbox.c.id == message_id)).first()


def list_some(
    conn: Connection, states: Collection[str], *, target: str | None = None, limit: int = 1000
) -> Sequence[Row[Any]]:
    """Return messages in some states, the newest first."""
    wanted = select(outbox).where(outbox.c.state.in_(states))
    if target is not None:
        wanted = wanted.where(outbox.c.target == target)
    return conn.execute(wanted.order_by(outbox.c.id.desc()).limit(limit)).all()


def attempts_of(conn: Connection, message_id: int) -> Sequence[Row[Any]]:
    """Return the ledger of one message, the first attempt first."""
    here = outbox_attempts.c.message_id == message_id
    return conn.execute(select(outbox_attempts).where(here).order_by(outbox_attempts.c.number)).all()


def count(conn: Connection) -> dict[str, int]:
    """Return how many messages there are in each state."""
    found = dict.fromkeys(STATES, 0)
    for state, number_ in conn.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state)):
        found[state] = number_
    return found


def purge_finished(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete messages that were delivered or discarded before a moment, their attempts first; at most ``limit`` rows."""
    return _purge(conn, outbox.c.state.in_(("delivered", "discarded")) & (outbox.c.finished_at < before), limit)


def purge_dead(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete messages that were given up before a moment, their attempts first; at most ``limit`` rows."""
    return _purge(conn, (outbox.c.state == "dead") & (outbox.c.finished_at < before), limit)


def _purge(conn: Connection, is_old: Any, limit: int) -> int:
    is_old &= outbox.c.kind != WEBHOOK
    old = select(outbox.c.id).where(is_old)
    done = delete_some(conn, outbox_attempts, outbox_attempts.c.message_id.in_(old), limit)
    return done or delete_some(conn, outbox, is_old, limit)
