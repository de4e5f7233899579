"""The outbox: at least once, each attempt in the ledger, nobody held up by somebody else (architecture §4; security S097)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from idp import clock
from idp.errors import StorageUnavailable
from idp.jobs import outbox as delivery
from idp.jobs.outbox import LEASE, Sent, announced, outbox_job
from idp.jobs.schedule import Job, JobContext
from idp.jobs.worker import Worker
from idp.store.control import pending_work, tenants
from idp.store.tenant import audit_events, outbox

if TYPE_CHECKING:
    from collections.abc import Callable

KIND = "test"
DELIVERED = Sent("delivered", "200", "https://there.example/")


def put(house: Any, *targets: str, tenant: str = "a", **payload: Any) -> None:
    """Messages for some targets, announced as the product does."""
    database = house.tenant(tenant)
    with announced(database):
        database.writing(lambda conn: outbox.enqueue(conn, KIND, targets, payload))


def worker(house: Any, send: Callable[[Any, Any], Sent], **more: Any) -> Worker:
    """A worker that delivers."""
    return Worker(house.store, [outbox_job({KIND: send})], tick=0.05, **more)


def messages(house: Any, tenant: str = "a") -> list[Any]:
    """All messages, the first put first."""
    with house.tenant(tenant).reading() as conn:
        return list(outbox.list_some(conn, outbox.STATES))[::-1]


def ledger(house: Any, message: Any, tenant: str = "a") -> list[Any]:
    """A message's attempts."""
    with house.tenant(tenant).reading() as conn:
        return list(outbox.attempts_of(conn, message.id))


def marked(house: Any, tenant: str = "a") -> int | None:
    """When the tenant's outbox is visited next."""
    with house.store.control.reading() as conn:
        rows = {(row.tenant_id, row.kind): row.next_due for row in pending_work.list_all(conn)}
    return rows.get((tenant, delivery.KIND))


def test_a_message_is_delivered_and_the_ledger_says_so(house: Any) -> None:
    """Architecture §4, pending work: the tenant is marked, a worker visits it and no other, and leaves a ledger."""
    seen: list[Any] = []

    def send(context: Any, message: Any) -> Sent:
        time.sleep(0.02)
        seen.append((context.tenant.id, message.target, message.payload))
        return DELIVERED

    put(house, "app", n=1)
    assert marked(house) is not None
    assert marked(house, "b") is None
    worker(house, send).run_due()
    assert seen == [("a", "app", {"n": 1})]
    (message,) = messages(house)
    assert (message.state, message.attempts, message.last_error) == ("delivered", 1, None)
    (attempt,) = ledger(house, message)
    assert (attempt.outcome, attempt.address) == ("200", "https://there.example/")
    assert 20 <= attempt.milliseconds < 2000
    assert abs(attempt.begun_at - clock.now()) < 10
    with clock.shifted(3700):
        worker(house, send).run_due()
    assert len(seen) == 1


def test_the_mark_stands_before_the_commit(house: Any) -> None:
    """Architecture §4, pending work: a process that dies behind its commit has left its mark; the visit comes within seconds."""
    database = house.tenant("a")
    seen: list[int | None] = []

    class Killed(BaseException):
        """Stands for the end of the process."""

    def work(conn: Any) -> None:
        outbox.enqueue(conn, KIND, ["app"], {})
        seen.append(marked(house))

    def killed() -> None:
        with announced(database):
            database.writing(work)
            raise Killed

    with pytest.raises(Killed):
        killed()
    assert seen[0] is not None
    assert seen[0] <= clock.now() + delivery.SAFETY
    with clock.shifted(delivery.SAFETY + 1):
        worker(house, lambda *_: DELIVERED).run_due()
    assert [message.state for message in messages(house)] == ["delivered"]


def test_a_lost_control_database_keeps_nobody_from_signing_out(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4, pending work: without a mark the message lies in the box, and the look once an hour finds it."""
    worker(house, lambda *_: DELIVERED).run_due()  # the sweep gives every tenant its row
    with monkeypatch.context() as lost:
        lost.setattr(house.store.control, "writing", _unavailable)
        put(house, "app")
    assert [message.state for message in messages(house)] == ["waiting"]
    with clock.shifted(delivery.SWEEP + 1):
        worker(house, lambda *_: DELIVERED).run_due()
    assert [message.state for message in messages(house)] == ["delivered"]


def _unavailable(_work: Any) -> Any:
    raise StorageUnavailable


def test_a_failure_is_tried_again_ever_more_rarely_and_then_given_up(house: Any) -> None:
    """S097: retries are bounded: twelve, with pauses that double and differ; each is in the ledger, the end is an event."""
    times: list[int] = []

    def send(_context: Any, _message: Any) -> Sent:
        times.append(clock.now())
        return Sent("failed", "the answer is 503", "https://there.example/")

    put(house, "app")
    passed = 0
    for _ in range(40):
        with clock.shifted(passed):
            worker(house, send).run_due()
            due = messages(house)[0].next_attempt_at
            if messages(house)[0].state != "waiting":
                break
            passed += max(1, due - clock.now())
    (message,) = messages(house)
    assert (message.state, message.attempts, message.last_error) == ("dead", outbox.ATTEMPTS, "the answer is 503")
    assert [attempt.outcome for attempt in ledger(house, message)] == ["the answer is 503"] * outbox.ATTEMPTS
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(pauses) == outbox.ATTEMPTS - 1
    assert 3 <= pauses[0] <= 8
    for number, pause in enumerate(pauses):
        expected = min(3600, 5 * 2**number)
        assert 0.75 * expected - 2 <= pause <= 1.25 * expected + 2
    with house.tenant("a").reading() as conn:
        rows = conn.execute(audit_events.audit_events.select()).all()
    (event,) = [row for row in rows if row.kind == "outbox.dead"]
    assert event.details["target"] == "app"
    assert event.details["reason"] == "the answer is 503"


def test_a_refusal_is_final(house: Any) -> None:
    """S097 (Back-Channel Logout §2.8): who refuses a message is not asked again."""
    put(house, "app")
    worker(house, lambda *_: Sent("refused", "400")).run_due()
    (message,) = messages(house)
    assert (message.state, message.attempts, message.last_error) == ("dead", 1, "400")
    assert message.finished_at is not None


def test_a_message_has_an_end(house: Any) -> None:
    """S097: however few attempts there were, a message of yesterday is given up."""
    put(house, "app")
    with clock.shifted(outbox.LIFETIME):
        worker(house, lambda *_: Sent("failed", "no connection")).run_due()
    (message,) = messages(house)
    assert (message.state, message.attempts) == ("dead", 1)


def test_a_sender_that_breaks_is_a_failure_like_any_other(house: Any) -> None:
    """Architecture §4: a defect in a sender, or a kind that this release does not know, loses no message."""
    put(house, "app")
    worker(house, lambda *_: 1 / 0).run_due()  # type: ignore[arg-type, return-value]
    assert messages(house)[0].last_error == "it could not be sent (ZeroDivisionError)"
    with clock.shifted(60):
        Worker(house.store, [outbox_job({})]).run_due()
    assert messages(house)[0].last_error == "this release does not know how to deliver it"
    with clock.shifted(600):
        worker(house, lambda *_: DELIVERED).run_due()
    assert messages(house)[0].state == "delivered"


def test_s097_one_that_hangs_delays_no_other(house: Any, until: Callable[..., bool]) -> None:
    """S097: while one application hangs, with many messages, all others get theirs; also those that come meanwhile."""
    release = threading.Event()
    served: list[tuple[str, float]] = []

    def send(_context: Any, message: Any) -> Sent:
        if message.target == "hangs":
            release.wait(20)
            return Sent("failed", "no answer")
        served.append((message.target, time.monotonic()))
        return DELIVERED

    put(house, *["hangs"] * 50, *(f"app{number}" for number in range(200)))
    made = worker(house, send)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        assert until(lambda: len(served) == 200, 10)
        began = time.monotonic()
        put(house, "late")
        put(house, "other tenant's", tenant="b")
        assert until(lambda: len(served) == 202, 5)
        assert time.monotonic() - began < 3
        assert not release.is_set()
    finally:
        release.set()
        made.stop()
        thread.join(10)
    assert not thread.is_alive()


def test_no_other_work_holds_it_up(house: Any, until: Callable[..., bool]) -> None:
    """Architecture §4: however long purges and the like take, messages go; and delivery takes no turn of theirs."""
    release = threading.Event()

    def slow(_context: Any) -> int:
        release.wait(20)
        return clock.now() + 1000

    others = [Job(name, slow, first_due=0) for name in ("one", "two", "three")]
    made = Worker(house.store, [*others, outbox_job({KIND: lambda *_: DELIVERED})], tick=0.05)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        time.sleep(0.5)
        put(house, "app")
        assert until(lambda: messages(house)[0].state == "delivered", 5)
    finally:
        release.set()
        made.stop()
        thread.join(10)


def test_s097_an_application_in_trouble_is_left_alone(house: Any) -> None:
    """S097: three failures of an application one after another, and everything else for it waits a minute, uncounted."""
    tried: list[str] = []

    def send(_context: Any, message: Any) -> Sent:
        tried.append(message.target)
        return Sent("failed", "no connection") if message.target == "down" else DELIVERED

    put(house, *["down"] * 100, "up")
    worker(house, send).run_due()
    assert tried.count("down") <= delivery.TROUBLE + delivery.A_TARGET
    assert tried.count("up") == 1
    waiting = [message for message in messages(house) if message.state == "waiting"]
    assert len(waiting) == 100
    assert sum(message.attempts == 0 for message in waiting) >= 90
    untouched = [message.next_attempt_at for message in waiting if message.attempts == 0]
    assert min(untouched) >= clock.now() + 40


def test_no_more_than_a_few_at_a_time_to_one_target(house: Any) -> None:
    """S097: an application gets its messages a few at a time, not all at once."""
    guard, now_open, most = threading.Lock(), [0], [0]

    def send(_context: Any, _message: Any) -> Sent:
        with guard:
            now_open[0] += 1
            most[0] = max(most[0], now_open[0])
        time.sleep(0.02)
        with guard:
            now_open[0] -= 1
        return DELIVERED

    put(house, *["one"] * 40)
    worker(house, send).run_due()
    assert 1 < most[0] <= delivery.A_TARGET
    assert {message.state for message in messages(house)} == {"delivered"}


def test_nothing_is_sent_inside_a_transaction(house: Any) -> None:
    """Architecture §4: while a message is under way, its tenant's database is free for others to write."""

    def send(context: Any, _message: Any) -> Sent:
        began = time.monotonic()
        context.database.writing(lambda conn: outbox.enqueue(conn, "other", ["x"], {}))
        return Sent("delivered", "free" if time.monotonic() - began < 1 else "locked")

    put(house, "app")
    worker(house, send).run_due()
    assert ledger(house, messages(house)[0])[0].outcome == "free"


# A worker process: its sender writes a line and then hangs, for ever.
HANGS = """
from idp.jobs.outbox import Sent, outbox_job
from idp.jobs.worker import Worker, run_process
def send(context, message):
    (folder / "begun").write_text(str(message.id))
    time.sleep(600)
worker = Worker(store, [outbox_job({"test": send})], lease=2, tick=0.1)
print("ready", flush=True)
run_process(worker)
"""


@pytest.mark.slow
def test_a_killed_workers_messages_are_sent_by_the_next(house: Any, until: Callable[..., bool]) -> None:
    """S097, security §3: kill -9 while a message is under way: it goes again when the lease ends; the ledger shows both."""
    put(house, "app")
    process = house.program(HANGS)
    try:
        assert process.stdout.readline() == "ready\n"
        assert until((house.folder / "begun").exists)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    worker(house, lambda *_: DELIVERED).run_due()
    assert messages(house)[0].state == "waiting", "as long as the lease lasts, it may be under way"
    with clock.shifted(LEASE + 5):
        worker(house, lambda *_: DELIVERED).run_due()
    (message,) = messages(house)
    assert (message.state, message.attempts) == ("delivered", 2)
    assert [attempt.outcome for attempt in ledger(house, message)] == [None, "200"]


def test_two_workers_claim_a_message_once(house: Any) -> None:
    """Architecture §4, at-least-once: two that look at the same moment never take the same message."""
    put(house, *(f"app{number}" for number in range(40)))
    database = house.tenant("a")
    taken: list[int] = []
    barrier = threading.Barrier(4)

    def take() -> None:
        barrier.wait()
        for _ in range(10):
            with database.reading() as conn:
                seen = [row.id for row in outbox.due(conn, each=4, most=100)][:5]
            found = database.writing(lambda conn, seen=seen: outbox.claim(conn, seen, lease=LEASE))
            taken.extend(row.id for row in found)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(message.id for message in messages(house))


def test_s097_a_look_into_the_box_waits_for_no_write_and_none_for_it(house: Any) -> None:
    """S097, Architecture §4: however much lies there, looking for what is due takes no lock that a sign-in needs."""
    database = house.tenant("a")
    tenant = SimpleNamespace(id="a", slug="a", state="active", database_url=None)
    visited = threading.Event()

    def visit() -> None:
        outbox_job({}).run(JobContext(house.store, database, tenant, lambda: False))
        visited.set()

    def work(_conn: Any) -> bool:
        threading.Thread(target=visit, daemon=True).start()
        return visited.wait(3)

    assert database.writing(work)


def test_a_suspended_tenants_box_stays_closed(house: Any) -> None:
    """Architecture §4: a suspended tenant's keys are not published, so nothing that they sign is sent; later it is."""
    put(house, "app")
    house.store.control.writing(lambda conn: tenants.change(conn, "a", state="suspended"))
    worker(house, lambda *_: DELIVERED).run_due()
    assert messages(house)[0].state == "waiting"
    house.store.control.writing(lambda conn: tenants.change(conn, "a", state="active"))
    with clock.shifted(delivery.SUSPENDED + 1):
        worker(house, lambda *_: DELIVERED).run_due()
    assert messages(house)[0].state == "delivered"


def test_discarding_while_it_is_under_way(house: Any) -> None:
    """Architecture §4: an operator's decision stands, whatever comes of the attempt; the ledger has it all the same."""

    def send(context: Any, message: Any) -> Sent:
        assert context.database.writing(lambda conn: outbox.discard(conn, message.id))
        return Sent("failed", "the answer is 500")

    put(house, "app")
    worker(house, send).run_due()
    (message,) = messages(house)
    assert message.state == "discarded"
    assert [attempt.outcome for attempt in ledger(house, message)] == ["the answer is 500"]


def test_a_dead_message_can_be_tried_again(house: Any) -> None:
    """Issue Build 6: a dead letter that is retried starts anew; one that was delivered does not."""
    put(house, "app")
    worker(house, lambda *_: Sent("refused", "400")).run_due()
    database = house.tenant("a")
    with announced(database):
        assert database.writing(lambda conn: outbox.retry(conn, messages(house)[0].id))
    worker(house, lambda *_: DELIVERED).run_due()
    (message,) = messages(house)
    assert (message.state, message.attempts, message.most_attempts) == ("delivered", 2, 1 + outbox.ATTEMPTS)
    assert [attempt.outcome for attempt in ledger(house, message)] == ["400", "200"]
    assert not database.writing(lambda conn: outbox.retry(conn, message.id))
    assert not database.writing(lambda conn: outbox.discard(conn, message.id))


def test_a_failure_of_one_message_holds_up_no_other(house: Any) -> None:
    """S097: what is wrong with one message alone (a full mailbox) is no reason to leave the target's others waiting."""
    bad = {f"bad{number}" for number in range(8)}

    def send(_context: Any, message: Any) -> Sent:
        return Sent("failed", "full", is_alone=True) if message.payload["n"] in bad else DELIVERED

    for name in [*sorted(bad), "good"]:
        put(house, "domain", n=name)
    worker(house, send).run_due()
    assert [message.state for message in messages(house)] == ["waiting"] * 8 + ["delivered"]
    assert [message.attempts for message in messages(house)] == [1] * 9


def test_one_kind_leaves_room_for_others(house: Any, until: Callable[..., bool]) -> None:
    """S097: however many targets of one kind hang, as all do behind one mail server, threads are left for another kind."""
    release, told = threading.Event(), threading.Event()
    under_way: list[str] = []

    def hang(_context: Any, message: Any) -> Sent:
        under_way.append(message.target)
        release.wait(20)
        return DELIVERED

    def tell(_context: Any, _message: Any) -> Sent:
        told.set()
        return DELIVERED

    put(house, *(f"domain{number}" for number in range(100)))
    made = Worker(house.store, [outbox_job({KIND: hang, "other": tell})], tick=0.05)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        assert until(lambda: len(under_way) == delivery.A_KIND)
        database = house.tenant("a")
        with announced(database):
            database.writing(lambda conn: outbox.enqueue(conn, "other", ["app"], {}))
        assert told.wait(5)
        assert len(under_way) == delivery.A_KIND
    finally:
        release.set()
        made.stop()
        thread.join(10)


def test_a_kind_may_have_a_smaller_share(house: Any, until: Callable[..., bool]) -> None:
    """S097: of a kind whose targets are others' servers fewer are under way, so that two kinds that hang leave room for a third."""
    release = threading.Event()
    under_way: list[str] = []

    def hang(_context: Any, message: Any) -> Sent:
        under_way.append(message.kind)
        release.wait(20)
        return DELIVERED

    database = house.tenant("a")
    targets = [f"domain{number}" for number in range(60)]
    with announced(database):
        for kind in ("mail", "hooks"):
            database.writing(lambda conn, kind=kind: outbox.enqueue(conn, kind, targets, {}))
        database.writing(lambda conn: outbox.enqueue(conn, KIND, ["app"], {}))
    senders = {KIND: hang, "mail": hang, "hooks": hang}
    made = Worker(house.store, [outbox_job(senders, shares={"hooks": 5})], tick=0.05)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        assert until(lambda: Counter(under_way) == {"mail": delivery.A_KIND, "hooks": 5, KIND: 1})
    finally:
        release.set()
        made.stop()
        thread.join(10)


def test_what_an_attempt_means_is_one_transaction_with_its_ledger(house: Any) -> None:
    """Decision 14: a kind's own pause, the answer's status and beginning, and what is to be done with it; or none of it."""
    seen: list[int] = []

    def send(_context: Any, message: Any) -> Sent:
        def also(conn: Any) -> None:
            seen.append(message.attempts)
            outbox.enqueue(conn, "other", ["x"], {})
            if message.attempts == 1:
                raise StorageUnavailable

        return Sent("failed", "503", pause=1000, status=503, excerpt="busy", also=also)

    put(house, "app")
    worker(house, send).run_due()
    assert [message.kind for message in messages(house)] == [KIND]
    assert [attempt.outcome for attempt in ledger(house, messages(house)[0])] == [None]
    with clock.shifted(LEASE + 10):
        worker(house, send).run_due()
        message = messages(house)[0]
        assert 790 <= message.next_attempt_at - clock.now() <= 1210
    assert seen == [1, 2]
    assert [each.kind for each in messages(house)] == [KIND, "other"]
    assert [(each.status, each.excerpt) for each in ledger(house, message)] == [(None, None), (503, "busy")]
