"""Group commit on SQLite: calls that arrive while a commit is under way share the next transaction, each in a SAVEPOINT.

A commit costs much the same whatever it carries. A thread that writes leads its group by itself. A task (see
:mod:`idp.waiting`) is led on the loop's own thread while that is quick, because two threads of one interpreter that hand the
lock of the interpreter to and fro for each statement take half as long again; its group is made durable by
:mod:`idp.store.log_sync` when the lock is free for others again. Else a thread of a small pool leads for it.
Processes that write to one file take turns by :mod:`idp.store.file_lock`.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import exc

from idp import waiting
from idp.errors import Conflict
from idp.store.connections import LOST, command, unavailable
from idp.store.engines import BUSY_TIMEOUT
from idp.store.file_lock import FileLock
from idp.store.log_sync import LogSync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

    from idp.store.connections import Connections

T = TypeVar("T")

LOCK_TIMEOUT = 3.0  # seconds that a writer waits for its turn before 503
SOON = 0.002  # seconds that the loop itself may wait for the lock
QUICK = 0.005  # seconds that a group may take on the loop's own thread; on a slower disk other threads write
TURNS = 6  # of the loop that a group may wait for more to join it, or for the lock
WRITERS = 16  # threads of a process that write for tasks


class _Job(Generic[T]):
    """One ``work`` that waits for its turn in a group."""

    __slots__ = ("error", "leads", "result", "task", "turn", "work")

    def __init__(self, work: Callable[[Connection], T], task: waiting.Task | None) -> None:
        self.work = work
        self.task = task
        self.result: T | None = None
        self.error: BaseException | None = None
        self.leads = False
        if task is None:
            self.turn = threading.Lock()
            self.turn.acquire()

    def outcome(self) -> T:
        if isinstance(self.error, exc.IntegrityError):
            raise Conflict from self.error
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


class _NotNow(Exception):
    """A group could not begin at once."""


@contextmanager
def _transaction(connection: Connection, *, is_quick: bool) -> Iterator[None]:
    """Begin to write, and set back what differs meanwhile.

    ``is_quick`` does not wait for a writer that does not know the lock of our own, and its commit does not wait for the disk.
    """
    if not is_quick:
        command(connection, "BEGIN IMMEDIATE")
        yield
        return
    command(connection, "PRAGMA busy_timeout=0")
    command(connection, "PRAGMA synchronous=NORMAL")
    try:
        command(connection, "BEGIN IMMEDIATE")
        yield
    finally:
        try:
            command(connection, f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
            command(connection, "PRAGMA synchronous=FULL")
        except exc.SQLAlchemyError:
            connection.invalidate()


_pool: list[ThreadPoolExecutor] = []


def _writers() -> ThreadPoolExecutor:
    """Return the threads that write for tasks."""
    if not _pool:
        _pool.append(ThreadPoolExecutor(WRITERS, thread_name_prefix="writer"))
    return _pool[0]


class GroupCommit:
    """The writers of one SQLite file in this process."""

    def __init__(self, connections: Connections, inside: set[int]) -> None:
        """Take the file's connections, and the set that tells which threads are inside a transaction."""
        self._connections = connections
        self._path = str(connections.engine.url.database)
        self._inside = inside
        self._queue: list[_Job[Any]] = []
        self._pace = 0.0  # seconds that a group has taken lately
        self._leading = False
        self._guard = threading.Lock()
        self._file_lock = FileLock(self._path)
        self._log = LogSync(self._path, _writers, self._rescue_log)
        self._is_closing = False

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own or of a group; durable on return."""
        job = _Job(work, waiting.current())
        if job.task is None and waiting.is_loop():
            raise RuntimeError("a write on the loop's thread, outside of a task, would wait for itself")
        with self._guard:
            self._queue.append(job)
            is_first = not self._leading
            self._leading = True
        if job.task is not None:
            if is_first:
                waiting.soon(self._lead_here)
            job.task.pause()
            return job.outcome()
        job.leads = is_first
        if not job.leads:
            job.turn.acquire()  # until a leader has run this job, or hands the lead to it
        if job.leads and self._lead():
            self._hand_on()
        return job.outcome()

    def close(self) -> None:
        """Close the lock's files, after whoever writes just now."""
        with self._guard:
            if self._leading:
                self._is_closing = True  # by the leader, when it has finished
            else:
                self._file_lock.close()

    def _lead_here(self, turns: int = TURNS, seen: int = 0) -> None:
        """Lead for tasks on the loop's own thread while that is quick: two threads of one interpreter hinder each other.

        For some turns the loop goes on with other requests while more join the group, or while another process writes.
        """
        count = len(self._queue)
        is_here = self._log.is_sound and self._pace <= QUICK
        if is_here and turns and (count > seen or not self._file_lock.is_free()):
            waiting.soon(self._lead_here, turns - 1, count)
        elif not is_here or self._lead(is_quick=True):
            self._hand_on()

    def _hand_on(self) -> None:
        """Have a writer thread lead; if there is none to be had, whoever waits is told, for ever is no answer."""
        try:
            _writers().submit(self._lead_on)
        except RuntimeError as error:  # no new thread can be started, or the process ends
            with self._guard:
                batch, self._queue, self._leading = self._queue, [], False
            for job in batch:
                job.error = unavailable(error)
            self._release(batch)

    def _lead_on(self) -> None:
        """Lead for tasks, which cannot, as long as one is the first in the queue."""
        while self._lead():
            pass

    def _lead(self, *, is_quick: bool = False) -> bool:
        """Run what waits; say whether a task is the next who should lead."""
        with self._guard:
            batch, self._queue = self._queue, []
        must_sync = False
        try:
            must_sync = self._run_batch(batch, is_quick=is_quick)
        except _NotNow:
            with self._guard:
                self._queue[:0] = batch
            return True
        except BaseException as error:  # noqa: BLE001 - whatever happens, nobody may wait for ever
            for job in batch:
                job.result, job.error = None, error
        with self._guard:
            heir = self._queue[0] if self._queue else None
            if heir is None:
                self._leading = False
                if self._is_closing:
                    self._is_closing = False
                    self._file_lock.close()
            else:
                heir.leads = heir.task is None
        if must_sync:
            self._log.later(partial(self._written, batch))
        else:
            self._release(batch)
        if heir is None:
            return False
        if heir.task is None:
            heir.turn.release()
        return heir.task is not None

    def _written(self, batch: list[_Job[Any]], error: OSError | None) -> None:
        """Tell a group that it is durable, or that nobody knows."""
        if error is not None:
            for job in batch:
                job.result, job.error = None, unavailable(error)
        self._release(batch)

    def _rescue_log(self) -> bool:
        """Copy a log that could not be synced into the database, and say whether that is durable."""
        lock = FileLock(self._path)  # of its own: a leader of this process may hold the other
        try:
            lock.acquire(LOCK_TIMEOUT)
            try:
                self._copy_log()
            finally:
                lock.release()
        except (*LOST, exc.DBAPIError):
            return False
        finally:
            lock.close()
        return True

    def _copy_log(self, *, is_quick: bool = False) -> None:
        """Copy the log into the database and begin an empty one; ``is_quick`` leaves that to somebody who may wait."""
        if is_quick:
            raise BlockingIOError
        with self._connections.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                is_busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except connection.dialect.loaded_dbapi.Error as error:
                raise OSError from error
        if is_busy:
            raise BlockingIOError
        self._log.is_sound = True

    @staticmethod
    def _release(batch: list[_Job[Any]]) -> None:
        for job in batch:
            if job.task is None and not job.leads:
                job.turn.release()
        waiting.wake(job.task for job in batch if job.task is not None)

    def _run_batch(self, batch: list[_Job[Any]], *, is_quick: bool) -> bool:
        """Run a group in a transaction; say whether that has still to be made durable."""
        has_begun = False
        try:
            self._file_lock.acquire(SOON if is_quick else LOCK_TIMEOUT)
            began = time.perf_counter()
            try:
                if not self._log.is_sound:
                    self._copy_log(is_quick=is_quick)
                with self._connection() as connection, _transaction(connection, is_quick=is_quick):
                    has_begun = True
                    self._transact(connection, batch)
            finally:
                self._file_lock.release()
            self._pace += 0.2 * (time.perf_counter() - began - self._pace)
        except (*LOST, exc.DBAPIError) as error:
            if is_quick and not has_begun:
                raise _NotNow from error
            if not has_begun:
                # Who came meanwhile has waited too: a file that stays locked must not hold every thread of the worker.
                with self._guard:
                    batch += self._queue
                    self._queue = []
            for job in batch:
                job.result, job.error = None, unavailable(error)
            return False
        return is_quick

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        kept = self._connections.kept
        connection = kept.take()
        try:
            yield connection
        finally:
            kept.give_back(connection)

    def _transact(self, connection: Connection, batch: list[_Job[Any]]) -> None:
        me = threading.get_ident()
        self._inside.add(me)
        try:
            if len(batch) == 1:
                self._run_by_itself(connection, batch[0])
            else:
                for job in batch:
                    self._run_in_savepoint(connection, job)
            command(connection, "COMMIT")
        except BaseException:
            self._rollback(connection)
            raise
        finally:
            self._inside.discard(me)

    def _run_by_itself(self, connection: Connection, job: _Job[Any]) -> None:
        """Run the only job of a group: its savepoint is the transaction."""
        try:
            job.result = job.work(connection)
        except LOST:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the caller
            job.error = error
            command(connection, "ROLLBACK")
            command(connection, "BEGIN IMMEDIATE")
            command(connection, "SAVEPOINT job")
            self._defend(connection, job, error)

    def _run_in_savepoint(self, connection: Connection, job: _Job[Any]) -> None:
        command(connection, "SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except LOST:
            raise  # the file itself is in trouble: nobody in this group may be told of success
        except Exception as error:  # noqa: BLE001 - handed to the caller
            job.error = error
            command(connection, "ROLLBACK TO job")
            self._defend(connection, job, error)
        command(connection, "RELEASE job")

    @staticmethod
    def _defend(connection: Connection, job: _Job[Any], error: Exception) -> None:
        defence = getattr(error, "defence", None)
        if defence is None:
            return
        try:
            defence(connection)
        except LOST:
            raise
        except Exception as failed:  # noqa: BLE001 - this caller's alone: the others in the group have done nothing wrong
            job.error = failed
            command(connection, "ROLLBACK TO job")

    @staticmethod
    def _rollback(connection: Connection) -> None:
        try:
            command(connection, "ROLLBACK")
        except exc.DBAPIError:  # SQLite has rolled back by itself (disk full), or the connection is gone
            connection.invalidate()
