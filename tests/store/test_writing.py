"""Durable writes: group commit on SQLite, a transaction each on PostgreSQL; the same promises on both."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from serving import rows, together
from sqlalchemy import event, exc
from store_world import TABLE, Group, note

from idp.errors import Conflict, StorageUnavailable
from idp.store import group_commit
from idp.store.db import Database, NestedWriting
from idp.store.file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection


class Refused(Exception):
    """A refusal, with or without a defence."""

    def __init__(self, defence: Callable[[Connection], Any] | None = None) -> None:
        super().__init__("refused")
        if defence is not None:
            self.defence = defence


def refusing(name: str, defence: Callable[[Connection], Any] | None = None) -> Callable[[Connection], None]:
    """A piece of work that writes and is refused then."""

    def work(conn: Connection) -> None:
        note(name)(conn)
        raise Refused(defence)

    return work


def test_a_refusal_rolls_its_own_work_back(place) -> None:
    """Architecture §3 step 9: raised → rolled back, and the exception reaches the caller."""
    with pytest.raises(Refused):
        place.database.writing(refusing("mine"))
    assert place.database.writing(note("next")) == "next"
    assert place.names() == {"next"}


def test_a_refusal_does_not_undo_its_own_defence(place) -> None:
    """Architecture §3 step 9, security rule 3: what the error carries is committed, the refused work is not."""
    with pytest.raises(Refused):
        place.database.writing(refusing("mine", note("family revoked")))
    assert place.names() == {"family revoked"}


def test_a_defence_that_fails_is_told(place) -> None:
    """Architecture §3 step 9: a defence that could not be written is never answered as if it had been."""
    place.database.writing(note("taken"))
    with pytest.raises((Conflict, exc.IntegrityError)):
        place.database.writing(refusing("mine", note("taken")))
    assert place.names() == {"taken"}


def test_a_taken_key_is_a_conflict(place) -> None:
    """Architecture §6: a key that exists is the caller's conflict, and spoils nothing for who comes next."""
    place.database.writing(note("one"))
    with pytest.raises(Conflict):
        place.database.writing(note("one"))
    place.database.writing(note("two"))
    assert place.names() == {"one", "two"}


def test_one_of_many_fails_alone(place) -> None:
    """Architecture §4: 40 writers at once, every fourth refused: exactly the others' rows are there."""

    def write(i: int) -> object:
        try:
            return place.database.writing(refusing(f"r{i}", note(f"d{i}")) if i % 4 == 0 else note(f"w{i}"))
        except Refused:
            return None

    together(40, write)
    assert place.names() == {f"d{i}" if i % 4 == 0 else f"w{i}" for i in range(40)}


def test_a_transaction_within_a_transaction_is_an_error(place) -> None:
    """Interfaces of the store: nested writing is found at once, it does not wait for itself; nothing is written."""

    def work(conn: Connection) -> None:
        note("outer")(conn)
        place.database.writing(note("inner"))

    began = time.monotonic()
    with pytest.raises(NestedWriting):
        place.database.writing(work)
    assert time.monotonic() - began < 10
    place.database.writing(note("after"))
    assert place.names() == {"after"}


def test_writing_to_another_database_inside_is_allowed(place, tmp_path) -> None:
    """Interfaces of the store: only the same database cannot be written to inside its own transaction."""
    rows(f"sqlite:///{tmp_path / 'other.db'}", TABLE)
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")

    def work(conn: Connection) -> None:
        note("here")(conn)
        other.writing(note("there"))

    place.database.writing(work)
    assert place.names() == {"here"}
    other.close()


# -- the group, on SQLite ------------------------------------------------------------------------------------------------


def test_writers_that_wait_share_one_commit(lite) -> None:
    """Decision 0002: what arrives while a commit is under way is committed together, each in its savepoint."""
    statements: list[str] = []
    event.listen(lite.database.engine.pool, "checkout", lambda raw, *_: raw.set_trace_callback(statements.append))
    group = Group(lite.database)
    for i in range(10):
        group.add(f"w{i}", note(f"w{i}"))
    assert group.go() == {f"w{i}": f"w{i}" for i in range(10)}
    assert statements.count("COMMIT") == 2  # the one that held the others up, and theirs
    assert statements.count("SAVEPOINT job") == 10  # who writes alone needs none
    assert len(lite.names()) == 10


def test_the_group_shields_its_members(lite) -> None:
    """Decision 0002: in one group a refusal, a defence, a failed defence, a conflict and a nested write touch nobody else."""
    lite.database.writing(note("taken"))
    group = Group(lite.database)
    group.add("good", note("good"))
    group.add("refused", refusing("refused"))
    group.add("defended", refusing("defended", note("defence")))
    group.add("undefended", refusing("undefended", note("taken")))
    group.add("conflict", note("taken"))
    group.add("nested", lambda _conn: lite.database.writing(note("inner")))
    group.add("late", note("late"))
    outcomes = group.go()
    assert outcomes["good"] == "good"
    assert outcomes["late"] == "late"
    assert isinstance(outcomes["refused"], Refused)
    assert isinstance(outcomes["defended"], Refused)
    assert isinstance(outcomes["undefended"], Conflict)
    assert isinstance(outcomes["conflict"], Conflict)
    assert isinstance(outcomes["nested"], NestedWriting)
    assert lite.names() == {"taken", "good", "defence", "late"}


def test_the_lead_is_handed_on(lite) -> None:
    """Decision 0002: who led one group returns to its caller; the first of the next group leads that one."""
    group = Group(lite.database)
    second = threading.Event()

    def slow(conn: Connection) -> str:
        assert second.wait(10)
        return note("first")(conn)

    group.add("first", slow)
    group.add("beside", note("beside"))
    group._may_go.set()
    while "first" not in group.runners:
        time.sleep(0.001)
    group.add("next", note("next"))
    second.set()
    group.go()
    assert group.runners == {"first": "first", "beside": "first", "next": "next"}
    assert lite.names() == {"first", "beside", "next"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_whatever_happens_nobody_waits_for_ever(lite, error: type[BaseException]) -> None:
    """Decision 0002: even what no handler expects ends the group for everybody, and the next one works."""
    group = Group(lite.database)
    group.add("before", note("before"))

    def work(_conn: Connection) -> None:
        raise error

    group.add("breaks", work)
    group.add("after", note("after"))
    outcomes = group.go()
    assert isinstance(outcomes["breaks"], error)
    told = {name: outcome for name, outcome in outcomes.items() if not isinstance(outcome, BaseException)}
    assert lite.names() == set(told)
    assert lite.database.writing(note("next")) == "next"


def test_a_failing_file_is_told_to_everybody(lite) -> None:
    """Security S113: when the file fails under one writer, nobody in the group is told of success, nothing is written."""
    group = Group(lite.database)
    group.add("first", note("first"))

    def work(_conn: Connection) -> None:
        raise exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    group.add("full", work)
    group.add("last", note("last"))
    outcomes = group.go()
    assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes.values()), outcomes
    assert lite.names() == set()
    lite.database.writing(note("next"))
    assert lite.names() == {"next"}


def test_a_lock_that_is_held_ends_in_503(lite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security S113: a writer that hangs with the lock makes others wait for the time limit, not for ever."""
    monkeypatch.setattr(group_commit, "LOCK_TIMEOUT", 0.2)
    stranger = FileLock(str(lite.database.engine.url.database))
    stranger.acquire(1)
    with pytest.raises(StorageUnavailable) as caught:
        lite.database.writing(note("waits"))
    assert caught.value.retry_after
    stranger.release()
    stranger.close()
    lite.database.writing(note("goes"))
    assert lite.names() == {"goes"}


HOLD = """
import sys, time
from idp.store.file_lock import FileLock
lock = FileLock(sys.argv[1])
end = time.monotonic() + 20
print("begun", flush=True)
while time.monotonic() < end:
    lock.acquire(5)
    time.sleep(0.002)
    lock.release()
"""


def test_no_process_starves(lite) -> None:
    """Security §3 (p99 holds): a process that takes the lock again at once lets a waiting one go first."""
    path = str(lite.database.engine.url.database)
    greedy = [subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for process in greedy:
            assert process.stdout is not None
            process.stdout.readline()
        lock, waits = FileLock(path), []
        for _ in range(100):
            began = time.monotonic()
            lock.acquire(5)
            waits.append(time.monotonic() - began)
            lock.release()
            time.sleep(0.001)
        lock.close()
    finally:
        for process in greedy:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]
    assert max(waits) < 0.25, sorted(waits)[-5:]


def test_closing_leaves_no_file_open(lite) -> None:
    """Architecture §4: a database that is closed, even while somebody writes, keeps no descriptor; it can be used again."""
    name = Path(str(lite.database.engine.url.database)).name

    def is_open() -> list[str]:
        return [t for fd in Path("/proc/self/fd").iterdir() if name in (t := _target(fd))]

    group = Group(lite.database)
    lite.database.close()
    group.go()
    gc.collect()  # the connection that was in use went back to a pool that nobody holds any more
    assert is_open() == []
    lite.database.writing(note("again"))
    lite.database.close()
    assert is_open() == []


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


# -- durability ------------------------------------------------------------------------------------------------------------

WRITE_AND_DIE = """
import os, signal, sys
from idp.store.db import Database
database = Database(sys.argv[1])
def late(conn):
    conn.exec_driver_sql("INSERT INTO notes VALUES ('half')")
    os.kill(os.getpid(), signal.SIGKILL)
database.writing(lambda conn: conn.exec_driver_sql("INSERT INTO notes VALUES ('told')"))
database.writing(late)
"""


def test_what_was_told_survives_sigkill(place) -> None:
    """Security §3 (RPO 0): what ``writing`` returned for is there after kill -9; what was under way is not, not even half."""
    dead = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, place.database.url], check=False, timeout=60)
    assert dead.returncode == -signal.SIGKILL
    began = time.monotonic()
    place.database.writing(note("next"))
    assert time.monotonic() - began < 10, "the dead process holds the lock"
    assert place.names() == {"told", "next"}


def test_a_commit_waits_for_the_disk(place) -> None:
    """Security §3: SQLite in WAL with synchronous=FULL, PostgreSQL with synchronous_commit; foreign keys are enforced."""
    with place.database.reading() as conn:
        if place.database.kind == "sqlite":
            asked = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
            assert {name: conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked} == asked
        else:
            shown = {
                name: conn.exec_driver_sql(f"SHOW {name}").scalar()
                for name in ("synchronous_commit", "transaction_isolation")
            }
            assert shown == {"synchronous_commit": "on", "transaction_isolation": "read committed"}
            assert conn.exec_driver_sql("SHOW lock_timeout").scalar() == "3s"
            assert conn.exec_driver_sql("SHOW statement_timeout").scalar() == "10s"
