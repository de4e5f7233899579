"""The worker: runs due jobs, one worker of all nodes a job at a time; nothing that a job does ends its loop.

A job is claimed for the length of a lease and the lease is renewed while the job runs, so that a killed worker's jobs
are taken over when it runs out. A job that fails is due again after a pause that doubles; its row says why. The process
behind ``idp worker``, and beside ``idp serve``, is :func:`run_process`.
"""

from __future__ import annotations

import logging
import os
import random
import re
import secrets
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from idp.audit import sentence
from idp.clock import now
from idp.errors import StorageUnavailable
from idp.jobs.schedule import INSTALLATION, SERVED, JobContext, sweep_job
from idp.store.control import pending_work, tenants
from idp.store.db import current_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.jobs.schedule import Job, TenantPlace
    from idp.store.db import Store
    from idp.store.rows import Connection, Row

log = logging.getLogger("idp.jobs.worker")

LEASE = 60  # seconds for which a job is claimed; renewed three times in it
TICK = 1.0  # seconds between two looks for due jobs
FIRST_PAUSE, LONGEST_PAUSE = 5, 3600  # seconds until a failed job is tried again
NOT_SERVED_PAUSE = 300  # seconds until a tenant that is being made or deleted is looked at again
GRACE = 1.5  # seconds that running jobs have to end when the worker stops
DELIVERIES = 8  # tenants whose messages are delivered at a time
DELIVERY_LEASE = 15  # seconds; shorter, for people wait for what it brings


class Worker:
    """Runs the jobs of a table of kinds until it is told to stop."""

    def __init__(
        self,
        store: Store,
        kinds: Sequence[Job],
        *,
        tenants_by_id: Callable[[str], TenantPlace | None] | None = None,
        concurrency: int = 2,
        lease: int = LEASE,
        tick: float = TICK,
    ) -> None:
        """Take the table of kinds; ``tenants_by_id`` may hand jobs richer tenants than the rows of the control database."""
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._store, self._tick = store, tick
        self._leases = {"work": lease, "delivery": min(lease, DELIVERY_LEASE)}
        self._kinds = [*kinds, sweep_job(kinds)]
        self._shared = {(job.scope == "installation", job.kind): job for job in self._kinds if job.scope != "node"}
        self._tenants_by_id = tenants_by_id or self._tenant_row
        self._slots = {"work": threading.Semaphore(concurrency), "delivery": threading.Semaphore(DELIVERIES)}
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._claims: dict[tuple[str, str], threading.Event] = {}  # running jobs, each with "the claim is lost"

    def stop(self) -> None:
        """End the loop soon; running jobs are told."""
        self._stopping.set()

    def run(self, is_orphaned: Callable[[], bool] = lambda: False) -> None:
        """Run jobs until :meth:`stop`, or until ``is_orphaned`` says that there is nobody to work for."""
        for job in self._kinds:
            if job.scope == "node":
                self._in_thread(self._repeat, job)
        self._in_thread(self._renew_for_ever)
        if any(job.lane == "delivery" for job in self._kinds):
            self._in_thread(self._dispatch_for_ever, "delivery", is_orphaned)
        self._dispatch_for_ever("work", is_orphaned)
        self._stopping.set()
        deadline = time.monotonic() + GRACE
        while self._claims and time.monotonic() < deadline:
            time.sleep(0.02)

    def run_due(self) -> int:
        """Run in this thread everything that is due now, but nothing twice; returns how many jobs ran."""
        self._plan_installation()
        ran: set[tuple[str, str]] = set()
        while True:
            rows = [row for row in self._due() if (row.tenant_id, row.kind) not in ran]
            if not rows:
                return len(ran)
            for row in rows:
                ran.add((row.tenant_id, row.kind))
                if self._claim(row):
                    self._work_off(row)

    # -- one job --------------------------------------------------------------------------------------------------

    def _dispatch_for_ever(self, lane: str, is_orphaned: Callable[[], bool]) -> None:
        pause = self._tick
        while not self._stopping.is_set() and not is_orphaned():
            try:
                found = self._dispatch(lane)
                pause = self._tick
            except Exception as error:  # noqa: BLE001 - the loop outlives whatever happens to the database
                found, pause = 0, min(30.0, pause * 2)
                log.warning("jobs cannot be looked for: %s", type(error).__name__)
            if not found:
                self._stopping.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 - so that workers do not march in step

    def _dispatch(self, lane: str) -> int:
        """Claim due jobs of a lane and start them as its threads become free; returns how many were claimed."""
        if lane == "work":
            self._plan_installation()
        rows = list(self._due(lane))
        random.shuffle(rows)  # several workers that see the same list rarely reach for the same job
        slots, claimed = self._slots[lane], 0
        for row in rows:
            while not slots.acquire(timeout=0.2):
                if self._stopping.is_set():
                    return claimed
            if self._stopping.is_set() or not self._claim(row):
                slots.release()
                continue
            claimed += 1
            self._in_thread(self._work_and_release, row, slots)
        return claimed

    def _work_and_release(self, row: Row[Any], slots: threading.Semaphore) -> None:
        try:
            self._work_off(row)
        finally:
            slots.release()

    def _due(self, lane: str | None = None) -> Sequence[Row[Any]]:
        kinds = [kind for (_, kind), job in self._shared.items() if lane in (None, job.lane)]
        with self._store.control.reading() as conn:
            rows = pending_work.due(conn, kinds)
        return [row for row in rows if self._job_of(row) is not None]

    def _job_of(self, row: Row[Any]) -> Job | None:
        return self._shared.get((row.tenant_id == INSTALLATION, row.kind))

    def _claim(self, row: Row[Any]) -> bool:
        key = (row.tenant_id, row.kind)
        with self._guard:
            self._claims[key] = threading.Event()
        is_ours = False
        try:
            lease = self._lease_of(key)
            is_ours = self._store.control.writing(lambda conn: pending_work.claim(conn, *key, self.name, lease))
        finally:
            if not is_ours:
                with self._guard:
                    del self._claims[key]
        return is_ours

    def _work_off(self, row: Row[Any]) -> None:
        key = (row.tenant_id, row.kind)
        lost = self._claims[key]
        error: str | None = None
        try:
            next_due = self._run(row, lambda: self._stopping.is_set() or lost.is_set())
            if self._stopping.is_set():
                next_due = now()  # it may have stopped half-way: the next worker looks at once
        except Exception as problem:
            failures = _failures(row.last_error) + 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 20))
            next_due = now() + int(pause * random.uniform(0.8, 1.2))  # noqa: S311
            error = f"{failures}x {type(problem).__name__}: {sentence(str(problem))[:300]}"
            level = logging.WARNING if isinstance(problem, StorageUnavailable) else logging.ERROR
            log.log(
                level,
                "job %s of tenant %s failed: %s",
                row.kind,
                row.tenant_id or "-",
                error,
                exc_info=level >= logging.ERROR,
            )
        try:
            self._finish(key, next_due, error, lost)
        finally:
            with self._guard:
                del self._claims[key]

    def _run(self, row: Row[Any], is_stopping: Callable[[], bool]) -> int:
        job = self._job_of(row)
        if job is None:  # not possible: the row was chosen by it
            raise LookupError(row.kind)
        if job.scope == "installation":
            return job.run(JobContext(self._store, self._store.control, None, is_stopping))
        tenant = self._tenants_by_id(row.tenant_id)
        if tenant is None or tenant.state not in SERVED:
            return now() + NOT_SERVED_PAUSE
        database = self._store.tenant(tenant.id, tenant.database_url)
        token = current_database.set(database)
        try:
            return job.run(JobContext(self._store, database, tenant, is_stopping))
        finally:
            current_database.reset(token)

    def _finish(self, key: tuple[str, str], next_due: int, error: str | None, lost: threading.Event) -> None:
        for attempt in range(3):
            if lost.is_set():
                return
            try:
                self._store.control.writing(
                    lambda conn: pending_work.finish(conn, *key, next_due, error, worker=self.name)
                )
            except StorageUnavailable:
                self._stopping.wait(0.2 * (attempt + 1))
            else:
                return
        log.warning(
            "job %s of tenant %s is done, but its row stays claimed until the lease ends", key[1], key[0] or "-"
        )

    # -- beside the jobs ------------------------------------------------------------------------------------------

    def _plan_installation(self) -> None:
        jobs = [(INSTALLATION, job.kind, now()) for job in self._kinds if job.scope == "installation"]
        with self._store.control.reading() as conn:
            existing = pending_work.kinds_of(conn, INSTALLATION)
        missing = [each for each in jobs if each[1] not in existing]
        if missing:
            self._store.control.writing(lambda conn: pending_work.ensure(conn, missing))

    def _tenant_row(self, tenant_id: str) -> TenantPlace | None:
        with self._store.control.reading() as conn:
            found: Any = tenants.find(conn, tenant_id)
        return found  # type: ignore[no-any-return]

    def _repeat(self, job: Job) -> None:
        """Run a job of this node again and again."""
        failures = 0
        context = JobContext(self._store, self._store.control, None, self._stopping.is_set)
        while not self._stopping.is_set():
            try:
                pause = max(0.0, min(job.run(context) - now(), 3600))
                failures = 0
            except Exception as error:
                failures += 1
                pause = min(60.0, 2.0**failures)
                log.warning("job %s of this node failed: %s", job.kind, type(error).__name__, exc_info=failures == 1)
            self._stopping.wait(max(pause, self._tick / 2) * random.uniform(0.8, 1.2))  # noqa: S311

    def _renew_for_ever(self) -> None:
        while not self._stopping.wait(min(self._leases.values()) / 3):
            with self._guard:
                claims = list(self._claims.items())
            try:
                if claims:
                    self._store.control.writing(lambda conn, claims=claims: self._renew(conn, claims))  # type: ignore[misc]
            except StorageUnavailable:
                log.warning("leases cannot be renewed")

    def _renew(self, conn: Connection, claims: list[tuple[tuple[str, str], threading.Event]]) -> None:
        for key, lost in claims:
            if not pending_work.renew(conn, *key, self.name, self._lease_of(key)) and self._claims.get(key) is lost:
                lost.set()

    def _lease_of(self, key: tuple[str, str]) -> int:
        return self._leases[self._shared[key[0] == INSTALLATION, key[1]].lane]

    @staticmethod
    def _in_thread(work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, name=f"jobs-{work.__name__}", daemon=True).start()


def _failures(last_error: str | None) -> int:
    found = re.match(r"(\d{1,6})x ", last_error or "")
    return int(found[1]) if found else 0


def run_process(worker: Worker, parent: int | None = None) -> None:
    """Be a worker process: stop on SIGTERM and SIGINT within two seconds, and when the ``parent`` process is gone."""

    def stop(*_: object) -> None:
        worker.stop()
        deadline = threading.Timer(GRACE + 0.3, os._exit, [0])  # a job that hears nothing: its lease runs out
        deadline.daemon = True
        deadline.start()

    signal.signal(signal.SIGTERM, stop)
    # Beside a server, Ctrl-C reaches the whole group: the server decides when its worker stops.
    signal.signal(signal.SIGINT, stop if parent is None else signal.SIG_IGN)
    worker.run(lambda: parent is not None and os.getppid() != parent)
