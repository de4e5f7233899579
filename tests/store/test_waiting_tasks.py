"""Tasks: what waits steps aside on the loop's thread, and a task's write is as durable as a thread's (decision 6)."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import sqlite3
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import exc
from store_world import Group, note

from idp import waiting
from idp.errors import Conflict, StorageUnavailable
from idp.store import group_commit
from idp.store.db import Database, NestedWriting
from idp.store.file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

shown: ContextVar[str] = ContextVar("shown", default="nothing")


async def all_of(*calls: Callable[[], Any]) -> list[Any]:
    """Run each as a task of one loop, and return their results and exceptions."""
    return list(await asyncio.gather(*(waiting.run(call) for call in calls), return_exceptions=True))


async def ticks_while(awaited: Any) -> int:
    """How often the loop comes round while something is awaited."""
    ticks = 0
    running = asyncio.ensure_future(awaited)
    while not running.done():
        await asyncio.sleep(0.005)
        ticks += 1
    await running
    return ticks


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_a_task_returns_and_raises_as_a_call_does() -> None:
    """Architecture §3 (one handler, two doors): what ran as a task has the outcome of a call."""

    def fails() -> None:
        raise ValueError("no")

    returned, raised = asyncio.run(all_of(lambda: 7, fails))
    assert returned == 7
    assert isinstance(raised, ValueError)
    assert waiting.current() is None


def test_what_blocks_leaves_the_loop_free() -> None:
    """Architecture §2 (the front): inline answers must not block."""
    with ThreadPoolExecutor(1) as pool:

        def call() -> str:
            return waiting.elsewhere(pool, lambda: (time.sleep(0.3), threading.current_thread().name)[1])

        async def main() -> tuple[int, list[Any]]:
            found: list[Any] = []

            async def run() -> None:
                found.append(await waiting.run(call))

            return await ticks_while(run()), found

        ticks, found = asyncio.run(main())
        assert ticks > 10
        assert found[0].startswith("ThreadPoolExecutor")
        assert call() == threading.current_thread().name, "without a task it is an ordinary call"


def test_many_tasks_wait_at_once_and_keep_their_own_context() -> None:
    """Architecture §2 (tenancy.context): the current tenant of one request is never another's, whoever goes on first."""
    with ThreadPoolExecutor(4) as pool:

        def call(number: int) -> tuple[str, str]:
            shown.set(str(number))
            there = waiting.elsewhere(pool, lambda: (time.sleep(0.01 * (number % 5)), shown.get())[1])
            return there, shown.get()

        outcomes = asyncio.run(all_of(*(lambda n=n: call(n) for n in range(40))))
    assert outcomes == [(str(n), str(n)) for n in range(40)]
    assert shown.get() == "nothing"


def test_an_error_elsewhere_is_raised_where_it_was_called() -> None:
    """Architecture §4 (errors): an error goes to its caller, wherever it was made."""
    with ThreadPoolExecutor(1) as pool:

        def fails() -> None:
            raise KeyError("there")

        def call() -> str:
            try:
                waiting.elsewhere(pool, fails)
            except KeyError as error:
                return f"caught {error}"
            return "not raised"

        assert asyncio.run(all_of(call)) == ["caught 'there'"]


def test_a_cancelled_task_ends_its_blocks() -> None:
    """RFC 9110 §9.2.2: whoever asked may be gone; what the request held is let go all the same."""
    let_go = threading.Event()
    may_go = threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def call() -> None:
            try:
                waiting.elsewhere(pool, lambda: may_go.wait(5))
            finally:
                let_go.set()

        async def main() -> None:
            running = asyncio.ensure_future(waiting.run(call))
            await asyncio.sleep(0.05)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            may_go.set()
            await asyncio.sleep(0.05)  # the other thread wakes nobody

        asyncio.run(main())
    assert let_go.is_set()


def test_a_loop_that_has_ended_is_let_go() -> None:
    """Architecture §3: tasks that wait to be used again hold on to neither their loop nor what they were given."""

    class Given:
        pass

    known: list[weakref.ref[Any]] = []

    def call(given: Given) -> None:
        known.append(weakref.ref(given))
        with ThreadPoolExecutor(1) as pool:
            waiting.elsewhere(pool, lambda: None)

    async def main() -> None:
        known.append(weakref.ref(asyncio.get_running_loop()))
        await waiting.run(call, Given())

    asyncio.run(main())
    gc.collect()
    assert [each() for each in known] == [None, None]


# -- writes -----------------------------------------------------------------------------------------------------------


def test_writes_of_tasks_are_durable_and_share_commits(lite) -> None:
    """Architecture §3 step 9, security §3: committed before the answer; who writes at the same time shares a commit."""
    commits: list[str] = []

    def traced(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    with lite.database.reading() as conn:
        traced(conn.connection.driver_connection)  # the pool hands out the one that was used last
    names = [f"note{n}" for n in range(50)]

    def call(name: str) -> tuple[str, bool]:
        return lite.database.writing(note(name)), name in lite.names()

    outcomes = asyncio.run(all_of(*(lambda name=name: call(name) for name in names)))
    assert outcomes == [(name, True) for name in names]
    assert 1 <= len(commits) <= 5, commits


class Refused(Exception):
    """A refusal with a defence."""

    def __init__(self, defence: Callable[[Connection], Any]) -> None:
        super().__init__("refused")
        self.defence = defence


def test_a_refused_task_is_rolled_back_alone_and_its_defence_stays(lite) -> None:
    """Architecture §3 step 9, security rule 3: the same promises as for threads."""

    def refused(conn: Connection) -> None:
        note("mine")(conn)
        raise Refused(note("family revoked"))

    def nested(_conn: Connection) -> None:
        lite.database.writing(note("inner"))

    works = [note("one"), refused, note("one"), nested, note("two")]
    outcomes = asyncio.run(all_of(*(lambda work=work: lite.database.writing(work) for work in works)))
    assert [type(outcome) for outcome in outcomes] == [str, Refused, Conflict, NestedWriting, str]
    assert lite.names() == {"one", "family revoked", "two"}


def test_a_failing_file_fails_every_task_of_the_group(lite) -> None:
    """Security S113: when the file itself is in trouble nobody is told of success."""

    def full(_conn: Connection) -> None:
        raise exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    works = [note("first"), full, note("last")]
    outcomes = asyncio.run(all_of(*(lambda work=work: lite.database.writing(work) for work in works)))
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    assert lite.names() == set()
    assert asyncio.run(all_of(lambda: lite.database.writing(note("next")))) == ["next"]


@pytest.mark.parametrize("holder", ["our lock", "sqlite3"])
def test_a_locked_file_does_not_hold_the_loop(lite, monkeypatch: pytest.MonkeyPatch, holder: str) -> None:
    """Security S113: while a stranger holds the file, the loop answers others; the task waits for the limit and is told 503."""
    monkeypatch.setattr(group_commit, "LOCK_TIMEOUT", 0.4)
    path = str(lite.database.engine.url.database)
    lock, stranger = FileLock(path), sqlite3.connect(path, isolation_level=None)
    if holder == "our lock":
        lock.acquire(1)
    else:
        stranger.execute("BEGIN IMMEDIATE")

    async def main() -> tuple[int, list[Any]]:
        found: list[Any] = []

        async def run() -> None:
            found.extend(await all_of(lambda: lite.database.writing(note("waits"))))

        return await ticks_while(run()), found

    began = time.monotonic()
    ticks, found = asyncio.run(main())
    waited = time.monotonic() - began
    if holder == "our lock":
        lock.release()
    lock.close()
    stranger.close()
    assert isinstance(found[0], StorageUnavailable)
    assert found[0].retry_after
    assert ticks > 20 * waited, (ticks, waited)
    assert asyncio.run(all_of(lambda: lite.database.writing(note("goes")))) == ["goes"]
    assert lite.names() == {"goes"}


def test_on_a_slow_disk_other_threads_write(lite) -> None:
    """Decision 6: a group that takes long does so in a thread, and comes back to the loop when the disk is quick again."""
    threads: list[str] = []

    def work(seconds: float) -> Callable[[Connection], None]:
        def slow(_conn: Connection) -> None:
            threads.append(threading.current_thread().name)
            time.sleep(seconds)

        return slow

    def call() -> None:
        lite.database.writing(work(0.06))  # quick until now: here
        lite.database.writing(work(0.06))  # no longer
        for _ in range(30):
            lite.database.writing(work(0))  # until the mean is small again

    asyncio.run(all_of(call))
    here = threading.current_thread().name
    assert threads[0] == here
    assert threads[1].startswith("writer")
    assert threads[-1] == here


def test_threads_and_tasks_lead_one_another(lite) -> None:
    """Decisions 2 and 6: whoever is next leads, or is led, and nobody waits for ever."""
    outcomes: list[Any] = []

    def tasks() -> None:
        calls = [lambda n=n: [lite.database.writing(note(f"task{n}.{m}")) for m in range(20)] for n in range(10)]
        outcomes.extend(asyncio.run(all_of(*calls)))

    def writes(n: int) -> None:
        outcomes.append([lite.database.writing(note(f"thread{n}.{m}")) for m in range(20)])

    threads = [threading.Thread(target=tasks), *(threading.Thread(target=writes, args=(n,)) for n in range(6))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert all(isinstance(outcome, list) and len(outcome) == 20 for outcome in outcomes), outcomes
    assert len(outcomes) == 16
    assert len(lite.names()) == 320


def test_tasks_join_the_group_that_a_thread_leads(lite) -> None:
    """Decision 6: a task that comes while a thread writes is written next, without a thread of the caller's."""
    group = Group(lite.database)
    found: list[Any] = []
    runner = threading.Thread(
        target=lambda: found.extend(asyncio.run(all_of(lambda: lite.database.writing(note("task")))))
    )
    runner.start()
    time.sleep(0.05)
    group.add("thread", note("thread"))
    assert found == []
    group.go()
    runner.join(5)
    assert found == ["task"]
    assert lite.names() == {"task", "thread"}


def test_a_write_on_the_loop_outside_a_task_is_refused(lite) -> None:
    """Decision 6: what would wait for the loop that it holds is an error at once, also while tasks write."""

    async def main() -> list[Any]:
        await all_of(lambda: None)  # the loop is known by now
        writing = asyncio.ensure_future(all_of(lambda: lite.database.writing(note("task"))))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="outside of a task"):
            lite.database.writing(note("inline"))
        return await writing

    assert asyncio.run(main()) == ["task"]
    assert lite.names() == {"task"}


def test_a_task_that_writes_to_two_databases(lite, tmp_path) -> None:
    """Decision 6: one after the other; one inside the other would wait for itself, and is refused."""
    path = tmp_path / "second.db"
    sqlite3.connect(path).close()
    second = Database(f"sqlite:///{path}")

    def work(conn: Connection) -> None:
        conn.exec_driver_sql("CREATE TABLE other (name VARCHAR(50))")

    def inside(_conn: Connection) -> None:
        second.writing(work)

    outcomes = asyncio.run(
        all_of(
            lambda: lite.database.writing(inside), lambda: (lite.database.writing(note("one")), second.writing(work))
        )
    )
    assert [type(outcome) for outcome in outcomes] == [RuntimeError, tuple]
    second.close()


@pytest.mark.parametrize("trouble", [errno.ENOLCK, errno.EIO])
def test_a_lock_that_fails_by_itself(lite, monkeypatch: pytest.MonkeyPatch, trouble: int) -> None:
    """Security S113: a file system that gives no locks is a 503, and the next write goes on."""
    lite.database.writing(note("before"))

    def flock(*_: Any) -> None:
        raise OSError(trouble, os.strerror(trouble))

    monkeypatch.setattr("idp.store.file_lock.fcntl.flock", flock)
    (outcome,) = asyncio.run(all_of(lambda: lite.database.writing(note("during"))))
    assert isinstance(outcome, StorageUnavailable)
    monkeypatch.undo()
    assert asyncio.run(all_of(lambda: lite.database.writing(note("after")))) == ["after"]
    assert lite.names() == {"before", "after"}


def test_no_thread_to_be_had(lite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security S111: when no thread can be started, whoever waits is told 503, and nobody waits for ever."""

    class Full(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, Full() as full:
        patch.setattr(group_commit, "_pool", [full])
        patch.setattr(group_commit, "QUICK", -1)
        outcomes = asyncio.run(all_of(*(lambda n=n: lite.database.writing(note(f"{n}")) for n in range(3))))
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    assert asyncio.run(all_of(lambda: lite.database.writing(note("after")))) == ["after"]
    assert lite.names() == {"after"}


def test_who_waits_too_long_for_a_pool_is_told() -> None:
    """Security S111: patience has an end also for a task whose turn in another thread does not come."""
    may_go, begun = threading.Event(), []
    with ThreadPoolExecutor(1) as pool:

        def call(number: int) -> int:
            def work() -> int:
                begun.append(number)
                may_go.wait(5)
                return number

            return waiting.elsewhere(pool, work, 0.2)

        async def main() -> list[Any]:
            running = asyncio.ensure_future(all_of(lambda: call(1), lambda: call(2)))
            await asyncio.sleep(0.4)
            may_go.set()
            return await running

        first, second = asyncio.run(main())
    assert first == 1, "what has begun is waited for"
    assert isinstance(second, TimeoutError)
    assert begun == [1]


def test_a_closed_database_still_writes_for_tasks(lite) -> None:
    """Architecture §3 (bounded engines): a database that was closed to make room serves whoever still holds it."""

    def call(name: str) -> str:
        lite.database.close()
        return lite.database.writing(note(name))

    assert asyncio.run(all_of(lambda: call("one"), lambda: call("two"))) == ["one", "two"]
    lite.database.close()
    assert lite.names() == {"one", "two"}
