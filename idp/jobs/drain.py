"""Draining the spool: the workers' files become rows in the tenants' databases, each record exactly once.

How far a file has been taken over is stored in the same transaction as the rows: in each tenant's database for its own
records, in the control database for those of no tenant. After a crash the chunk is read again and each database takes
only what it has not got. A tenant whose database cannot be reached holds up nobody but itself. A file whose owner is gone
(it holds no lock any more) is deleted once everything in it has arrived.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from idp import spool
from idp.clock import now
from idp.jobs import spool_records
from idp.jobs.schedule import SERVED, Job
from idp.store.control import control_state, pending_work, tenants
from idp.store.control import refusals as control_refusals
from idp.store.tenant import audit_events, refusals, tenant_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from idp.jobs.schedule import JobContext
    from idp.store.db import Database, Store
    from idp.store.rows import Connection

    Place = tuple[int, dict[str, Any]]  # a record and where it stands in the file

log = logging.getLogger("idp.jobs.drain")

INTERVAL = 1  # seconds between two runs
KEEP_REFUSALS = 10_000  # the newest, of each tenant and of no tenant
CHAIN_SOON = 30  # seconds after which a tenant with new events is chained
PATIENCE = (1.0, 60.0)  # seconds until a tenant that could not be reached is tried again: at first, at most


@dataclass(slots=True)
class Drained:
    """What a run did."""

    events: int = 0
    refusals: int = 0
    unreadable: int = 0  # lines that are no records: cut short by a crash or a full disk
    waiting: int = 0  # tenants that could not be reached
    deleted: int = 0  # finished files


@dataclass(slots=True)
class _Wait:
    pause: float
    until: float


@dataclass(slots=True)
class _Progress:
    """How far a file is: everything before ``mark`` has arrived everywhere, before ``control`` in the control database.

    Before ``ahead`` everybody has got theirs but the tenants that are ``behind``, each from some place on; those two are
    not stored.
    """

    mark: int = 0
    control: int = 0
    ahead: int = 0
    behind: dict[str, int] = field(default_factory=dict)


class Drain:
    """Drains one folder; make one and keep it: it holds the folder's lock, so that another process only stands by."""

    def __init__(
        self,
        directory: Path,
        control: Database,
        database_of: Callable[[str], Database | None],
        chain_kind: str = "chain",
    ) -> None:
        """Take what it needs; ``database_of`` returns a tenant's database, None for a tenant that is deleted."""
        self._directory, self._control = directory, control
        self._database_of, self._chain_kind = database_of, chain_kind
        self._lock = -1
        self._folder = ""
        self._files: dict[str, _Progress] = {}
        self._existing: set[str] = set()
        self._held: set[str] = set()  # tenants that miss something of an older file: what follows waits as well
        self._waits: dict[str, _Wait] = {}
        self._fresh: set[str] = set()  # tenants that got something since the last write to the control database
        self._marked: dict[str, float] = {}

    def run(self, is_stopping: Callable[[], bool] = lambda: False) -> Drained:
        """Take over what is there; does nothing while another process drains this folder.

        Raises :class:`~idp.errors.StorageUnavailable` when the control database cannot be reached.
        """
        done = Drained()
        if not self._directory.is_dir() or not self._has_folder():
            return done
        paths = spool.files(self._directory)
        self._existing = {path.name for path in paths}
        self._held = set()
        for path in paths:
            if is_stopping():
                break
            self._drain_file(path, done)
        done.waiting = len(self._waits)
        return done

    def close(self) -> None:
        """Let another process drain the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _has_folder(self) -> bool:
        if self._lock >= 0:
            return True
        fd = os.open(self._directory / "drain.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._folder = _folder_id(self._directory)
            with self._control.reading() as conn:
                stored = control_state.get(conn, f"spool:{self._folder}", {})
        except BaseException as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._files = {name: _Progress(mark, control, mark) for name, (mark, control) in stored.items()}
        self._lock = fd
        return True

    def _drain_file(self, path: Path, done: Drained) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            is_abandoned = spool.lock_abandoned(fd)
            size = os.fstat(fd).st_size
            progress = self._files.setdefault(path.name, _Progress())
            retried = {tenant for tenant in progress.behind if not self._must_wait(tenant)} - self._held
            if retried:
                self._catch_up(fd, path.name, progress, retried, done)
            if progress.ahead < size:
                self._go_on(fd, path.name, progress, size, done)
            self._held |= progress.behind.keys()
            if is_abandoned and not progress.behind:
                done.unreadable += progress.ahead < size  # a last line that its writer could not finish
                path.unlink()
                del self._files[path.name]
                done.deleted += 1
        finally:
            os.close(fd)

    def _go_on(self, fd: int, file: str, progress: _Progress, size: int, done: Drained) -> None:
        """Take over the lines that nobody has seen yet."""
        while progress.ahead < size:
            lines, following = spool.read_lines(fd, progress.ahead)
            if following == progress.ahead:
                break
            by_tenant: dict[str, list[Place]] = defaultdict(list)
            for offset, line in lines:
                record = spool_records.parse(line)
                if record is not None:
                    by_tenant[record.get("tenant") or ""].append((offset, record))
                else:
                    done.unreadable += line != b"\n"
            rest = by_tenant.pop("", [])
            for tenant_id, records in by_tenant.items():
                if tenant_id in progress.behind:
                    continue  # its records arrive in their order, see _catch_up
                if tenant_id in self._held or not self._hand_over(tenant_id, file, following, records, rest, done):
                    progress.behind[tenant_id] = progress.ahead
            self._write_control(file, progress, following, rest, done)

    def _catch_up(self, fd: int, file: str, progress: _Progress, tenants: set[str], done: Drained) -> None:
        """Take over what some tenants have missed, each from its own place on."""
        reached, place = set(tenants), min(progress.behind[each] for each in tenants)
        while place < progress.ahead and reached:
            lines, following = spool.read_lines(fd, place)
            by_tenant: dict[str, list[Place]] = defaultdict(list)
            for offset, line in lines:
                record = spool_records.parse(line)
                tenant_id = record.get("tenant") if record is not None else None
                if (
                    record is not None
                    and tenant_id in reached
                    and progress.behind[tenant_id] <= offset < progress.ahead
                ):
                    by_tenant[tenant_id].append((offset, record))
            place = min(following, progress.ahead)
            for tenant_id, records in by_tenant.items():
                if not self._hand_over(tenant_id, file, place, records, [], done):
                    reached.discard(tenant_id)
            progress.behind |= {each: max(place, progress.behind[each]) for each in reached}
        for tenant_id in reached:
            del progress.behind[tenant_id]
        self._write_control(file, progress, progress.ahead, [], done)

    def _must_wait(self, tenant_id: str) -> bool:
        wait = self._waits.get(tenant_id)
        return wait is not None and wait.until > time.monotonic()

    def _hand_over(
        self, tenant_id: str, file: str, end: int, records: list[Place], rest: list[Place], done: Drained
    ) -> bool:
        """Write a tenant's records; False when it cannot be reached now. Refusals of a deleted tenant join the ``rest``."""
        if self._must_wait(tenant_id):
            return False
        try:
            database = self._database_of(tenant_id)
            if database is None:
                rest += [(offset, record) for offset, record in records if record["is"] == "refusal"]
            else:
                self._write_tenant(database, file, end, records, done)
                self._fresh.add(tenant_id)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one tenant must not hold up the others
            wait = self._waits.get(tenant_id)
            pause = min(PATIENCE[1], wait.pause * 2) if wait is not None else PATIENCE[0]
            self._waits[tenant_id] = _Wait(pause, time.monotonic() + pause)
            log.warning("records of tenant %s wait in the spool: %s", tenant_id, type(error).__name__)
            return False
        self._waits.pop(tenant_id, None)
        return True

    def _write_tenant(self, database: Database, file: str, end: int, records: list[Place], done: Drained) -> None:
        name = f"spool:{self._folder}"

        def work(conn: Connection) -> tuple[int, int]:
            taken: dict[str, int] = tenant_state.get(conn, name, {})
            missing = [(offset, record) for offset, record in records if offset >= taken.get(file, 0)]
            events = [
                spool_records.event_row(record, _event_id(file, offset))
                for offset, record in missing
                if record["is"] == "audit"
            ]
            refused = [spool_records.refusal_row(record) for _, record in missing if record["is"] == "refusal"]
            if events:
                audit_events.add(conn, events)
            if refused:
                refusals.add(conn, refused)
                refusals.trim(conn, KEEP_REFUSALS)
            if events or refused:
                others = {each: place for each, place in taken.items() if each in self._existing}
                tenant_state.put(conn, name, others | {file: end})
            return len(events), len(refused)

        if any(record["is"] in ("audit", "refusal") for _, record in records):
            events, refused = database.writing(work)
            done.events += events
            done.refusals += refused

    def _write_control(self, file: str, progress: _Progress, reached: int, rest: list[Place], done: Drained) -> None:
        """Store the control database's own records, how far the file is, and which tenants are to be chained soon."""
        rows = [spool_records.refusal_row(record) for offset, record in rest if offset >= progress.control]
        at = time.monotonic()
        marked = [tenant for tenant in self._fresh if at - self._marked.get(tenant, float("-inf")) > CHAIN_SOON]
        mark = min(progress.behind.values(), default=reached)
        stored = {name: [each.mark, each.control] for name, each in self._files.items() if name in self._existing}
        stored[file] = [mark, max(progress.control, reached)]

        def work(conn: Connection) -> None:
            if rows:
                control_refusals.add(conn, rows)
                control_refusals.trim(conn, KEEP_REFUSALS)
            for tenant_id in marked:
                pending_work.mark(conn, tenant_id, self._chain_kind, now() + CHAIN_SOON)
            control_state.put(conn, f"spool:{self._folder}", stored)

        self._control.writing(work)
        progress.ahead = reached
        progress.mark, progress.control = stored[file]
        done.refusals += len(rows)
        if len(self._marked) > 20_000:
            self._marked.clear()
        self._marked.update(dict.fromkeys(marked, at))
        self._fresh.clear()


def drain_job(directory: Path, store: Store) -> Job:
    """Return the kind of job that drains this node's folder, once a second."""

    def database_of(tenant_id: str) -> Database | None:
        with store.control.reading() as conn:
            row = tenants.find(conn, tenant_id)
        return store.tenant(row.id, row.database_url) if row is not None and row.state in SERVED else None

    drain = Drain(directory, store.control, database_of)

    def run(context: JobContext) -> int:
        done = drain.run(context.is_stopping)
        if done.unreadable:
            log.warning("%d lines of the spool were cut short and are skipped", done.unreadable)
        return now() + INTERVAL

    return Job("drain", run, scope="node")


def _folder_id(directory: Path) -> str:
    """Return the folder's own random name, so that nodes with folders of their own do not mix up their places."""
    path = directory / "folder.id"
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        made = directory / f"folder.id.{secrets.token_hex(6)}"
        made.write_text(secrets.token_hex(12), "ascii")
        made.rename(path)  # whole or not at all; the caller holds the folder's lock
        return path.read_text("ascii")


def _event_id(file: str, offset: int) -> str:
    return hashlib.sha256(f"{file}@{offset}".encode()).hexdigest()[:32]
