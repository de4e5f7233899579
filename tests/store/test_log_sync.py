"""The log of SQLite: an answer waits until what it tells is durable; the lock, the loop and other writers do not (decision 12)."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from store_world import note

from idp import waiting
from idp.errors import StorageUnavailable
from idp.store import group_commit, log_sync
from idp.store.db import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection
    from store_world import Place


async def all_of(*calls: Callable[[], Any]) -> list[Any]:
    """Run each as a task of one loop, and return their results and exceptions."""
    return list(await asyncio.gather(*(waiting.run(call) for call in calls), return_exceptions=True))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at most."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - of the product's own objects, which know no event
            await asyncio.sleep(0.001)


class Disk:
    """The real disk, which can be made slow, can fail, and remembers what it was asked to keep."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.path = Path(str(place.database.engine.url.database))
        self.kept = folder / "kept"
        self.failing = 0
        self.syncs = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.is_asked = threading.Event()

    def fdatasync(self, descriptor: int) -> None:
        """Sync, and keep what a power cut would leave from now on."""
        self.is_asked.set()
        self.may_end.wait(10)
        if self.failing:
            self.failing -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        # What is in the log now is what this sync makes durable; a commit that comes meanwhile may be in it or not.
        snapshot = self.kept.with_name(f"next{threading.get_ident()}")
        shutil.rmtree(snapshot, ignore_errors=True)
        snapshot.mkdir(parents=True)
        for name in (self.path.name, f"{self.path.name}-wal"):
            shutil.copyfile(self.path.with_name(name), snapshot / name)
        os.fsync(descriptor)
        self.syncs += 1
        shutil.rmtree(self.kept, ignore_errors=True)
        snapshot.rename(self.kept)

    def after_a_power_cut(self) -> set[str]:
        """The names that are there when the machine comes up again: only what was synced."""
        copy = self.kept.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.kept, copy)
        connection = sqlite3.connect(copy / self.path.name)
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return {name for (name,) in connection.execute("SELECT name FROM notes")}
        finally:
            connection.close()


@pytest.fixture
def disk(lite: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk below an empty SQLite database."""
    made = Disk(lite, tmp_path / "disk")
    monkeypatch.setattr(log_sync.os, "fdatasync", made.fdatasync)
    monkeypatch.setattr(group_commit, "QUICK", 10)  # however slow this machine is just now, the loop leads
    return made


def test_what_was_told_survives_a_power_cut(lite: Place, disk: Disk) -> None:
    """Security S113, §3 (RPO 0): whatever a task was told is written is in what the disk had been asked to keep by then."""

    def call(n: int) -> tuple[str, bool]:
        name = lite.database.writing(note(f"note{n}"))
        return name, name in disk.after_a_power_cut()

    for begin in range(0, 60, 20):
        calls = [lambda n=n: call(n) for n in range(begin, begin + 20)]
        assert asyncio.run(all_of(*calls)) == [(f"note{n}", True) for n in range(begin, begin + 20)]
    assert disk.syncs < 60, "writers at the same time share a sync"


def test_a_defence_is_durable_before_its_refusal_is_told(lite: Place, disk: Disk) -> None:
    """Security rule 3: a refusal's own defence is as durable as a success."""

    class Refused(Exception):
        defence = staticmethod(note("family revoked"))

    def refused(_conn: Connection) -> None:
        raise Refused

    def call() -> bool:
        with pytest.raises(Refused):
            lite.database.writing(refused)
        return "family revoked" in disk.after_a_power_cut()

    assert asyncio.run(all_of(call)) == [True]


def test_nobody_but_who_wrote_waits_for_the_disk(lite: Place, disk: Disk) -> None:
    """Decision 12: while the log is being synced, the loop answers, a reader sees what was committed, and others commit."""
    disk.may_end.clear()
    other = Database(lite.database.url)

    async def main() -> tuple[Any, Any, list[Any]]:
        slow = asyncio.ensure_future(all_of(lambda: lite.database.writing(note("slow"))))
        await until(disk.is_asked.is_set)
        seen = (await all_of(lite.names))[0]
        # Another process's writer; a thread's own commit waits for the disk by itself.
        thread = await asyncio.to_thread(other.writing, note("thread"))
        assert not slow.done(), "told before it was durable"
        disk.may_end.set()
        return seen, thread, await slow

    seen, thread, slow = asyncio.run(main())
    other.close()
    assert seen == {"slow"}
    assert (thread, slow) == ("thread", ["slow"])


def test_commits_meanwhile_share_the_next_sync(lite: Place, disk: Disk) -> None:
    """Decision 12: groups that are committed while a sync is under way wait for one sync more, together."""
    disk.may_end.clear()

    async def main() -> list[Any]:
        first = asyncio.ensure_future(all_of(lambda: lite.database.writing(note("first"))))
        await until(disk.is_asked.is_set)
        rest = []
        for n in range(5):
            rest.append(asyncio.ensure_future(all_of(lambda n=n: lite.database.writing(note(f"n{n}")))))
            await until(lambda n=n: f"n{n}" in lite.names())
        assert not any(each.done() for each in rest)
        disk.may_end.set()
        return [await each for each in (first, *rest)]

    assert asyncio.run(main()) == [["first"], *([f"n{n}"] for n in range(5))]
    assert disk.syncs == 2


def test_a_log_that_cannot_be_synced_is_copied(lite: Place, disk: Disk) -> None:
    """Security S113: the kernel may say yes the second time though it lost the pages; so the log is copied, and nothing is lost."""
    lite.database.writing(note("before"))
    disk.failing = 1
    assert asyncio.run(all_of(lambda: lite.database.writing(note("during")))) == ["during"]
    log = disk.path.with_name(f"{disk.path.name}-wal")
    assert not log.exists() or log.stat().st_size == 0, "the log was not copied to its end"
    connection = sqlite3.connect(f"file:{disk.path}?immutable=1", uri=True)  # the database alone, without a log
    assert {name for (name,) in connection.execute("SELECT name FROM notes")} == {"before", "during"}
    connection.close()
    assert asyncio.run(all_of(lambda: lite.database.writing(note("after")))) == ["after"]
    assert "after" in disk.after_a_power_cut()


def test_nobody_writes_behind_a_gap(lite: Place, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security S113: while the log can be neither synced nor copied everybody is told 503, threads too; then all goes on."""
    monkeypatch.setattr("idp.store.engines.BUSY_TIMEOUT", 50)
    lite.database.close()  # what is opened from now on waits 50 ms for the reader below
    lite.database.writing(note("before"))
    reader = sqlite3.connect(
        disk.path, isolation_level=None
    )  # whoever reads an old state keeps the log from being copied
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM notes").fetchone()
    disk.failing = 1
    (during,) = asyncio.run(all_of(lambda: lite.database.writing(note("during"))))
    (again,) = asyncio.run(all_of(lambda: lite.database.writing(note("again"))))
    assert isinstance(during, StorageUnavailable)
    assert isinstance(again, StorageUnavailable), "a later sync that succeeds says nothing about the gap"
    with pytest.raises(StorageUnavailable):
        lite.database.writing(note("thread"))
    reader.close()
    assert asyncio.run(all_of(lambda: lite.database.writing(note("after")))) == ["after"]
    assert {"before", "after"} <= lite.names()
    assert not {"again", "thread"} & lite.names(), "refused, and written all the same"


def test_a_log_that_is_gone_was_copied(lite: Place) -> None:
    """Architecture §4: a database that is closed before its log was synced has copied it; its writer is told of success."""
    syncer = log_sync.LogSync(str(lite.database.engine.url.database), group_commit._writers, lambda: False)
    lite.database.writing(note("one"))
    lite.database.close()
    told: list[OSError | None] = []
    done = threading.Event()
    syncer.later(lambda error: (told.append(error), done.set()))
    assert done.wait(5)
    assert told == [None]
    assert syncer.is_sound


def test_it_is_quick_to_commit_on_a_slow_disk(lite: Place, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decision 12: a disk that takes long to sync keeps neither the loop nor the lock; many groups share each sync."""
    real = disk.fdatasync

    def slow(descriptor: int) -> None:
        time.sleep(0.05)
        real(descriptor)

    monkeypatch.setattr(log_sync.os, "fdatasync", slow)

    async def one(n: int) -> list[Any]:
        await asyncio.sleep(n * 0.002)
        return await all_of(lambda: lite.database.writing(note(f"n{n}")))

    async def main() -> list[Any]:
        return list(await asyncio.gather(*(one(n) for n in range(100))))

    assert asyncio.run(main()) == [[f"n{n}"] for n in range(100)]
    assert disk.syncs <= 20, disk.syncs
