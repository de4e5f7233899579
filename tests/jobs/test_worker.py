"""Workers: each due job once at a time, whatever is killed (architecture §4, pending work; security.md §3, availability)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from idp import clock
from idp.errors import StorageUnavailable
from idp.jobs.companion import Companion
from idp.jobs.schedule import INSTALLATION, Job, plan
from idp.jobs.worker import Worker
from idp.store.control import pending_work, tenants
from idp.store.db import Store, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from idp.jobs.schedule import JobContext

# A worker process: its job writes a line when it begins and one when it ends, and takes its time.
WORK = """
from idp import clock
from idp.jobs.schedule import Job
from idp.jobs.worker import Worker, run_process
def work(context):
    fd = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    name = context.tenant.id if context.tenant is not None else "all"
    os.write(fd, f"{time.monotonic()} begin {name} {os.getpid()}\\n".encode())
    end = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < end and (sys.argv[4] == "deaf" or not context.is_stopping()):
        time.sleep(0.01)
    os.write(fd, f"{time.monotonic()} end {name} {os.getpid()}\\n".encode())
    os.close(fd)
    return clock.now() + 1
parent = int(sys.argv[5]) if len(sys.argv) > 5 else None
worker = Worker(store, [Job("work", work, first_due=0)], lease=int(os.environ.get("LEASE", "3")), tick=0.1)
print("ready", flush=True)
run_process(worker, parent)
"""


def log_of(folder: Path) -> list[tuple[float, str, str, int]]:
    """What the worker processes have written."""
    path = folder / "log"
    rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(float(at), what, tenant, int(pid)) for at, what, tenant, pid in rows]


def row_of(house: Any, tenant_id: str, kind: str) -> Any:
    """A row of pending work."""
    with house.store.control.reading() as conn:
        return next(row for row in pending_work.list_all(conn) if (row.tenant_id, row.kind) == (tenant_id, kind))


def job(run: Callable[[JobContext], int | None], **more: Any) -> Job:
    """A kind of job that is due a second later unless it says otherwise."""
    return Job("work", lambda context: run(context) or clock.now() + 1000, **{"first_due": 0, **more})


def test_each_tenant_gets_its_job_in_its_database(house: Any) -> None:
    """Architecture §4, pending work: a sweep gives every tenant its rows, and the job runs with the tenant's database."""
    seen: list[Any] = []
    house.add_tenant("s", "suspended")
    house.add_tenant("d", "deleting")
    house.add_tenant("c", "creating")
    worker = Worker(house.store, [job(lambda context: seen.append((context.tenant.id, context.database is current())))])
    worker.run_due()
    assert sorted(seen) == [("a", True), ("b", True), ("s", True)]
    assert worker.run_due() == 0
    with clock.shifted(1001):
        worker.run_due()
    assert len(seen) == 6


def test_a_tenant_that_is_being_deleted_is_skipped_and_one_that_is_gone_forgotten(house: Any) -> None:
    """Architecture §4, pending work: a deleting tenant's jobs do not run; the sweep forgets those of a deleted one."""
    seen: list[str] = []
    worker = Worker(house.store, [job(lambda context: seen.append(context.tenant.id))])
    worker.run_due()
    house.store.control.writing(lambda conn: tenants.change(conn, "a", state="deleting"))
    house.store.control.writing(lambda conn: tenants.delete(conn, "b"))
    with clock.shifted(2000):
        worker.run_due()
    assert sorted(seen) == ["a", "b"]
    with clock.shifted(8000):
        worker.run_due()
        assert row_of(house, "a", "work").last_error is None
        with house.store.control.reading() as conn:
            assert {row.tenant_id for row in pending_work.list_all(conn)} == {"a", INSTALLATION}


def test_a_new_tenant_can_be_planned_at_once(house: Any) -> None:
    """Architecture §4, pending work: provisioning need not wait for the sweep; what is planned already stays."""
    kinds = [job(lambda _: None), Job("later", lambda _: clock.now() + 1000, first_due=5000)]
    house.store.control.writing(lambda conn: plan(conn, kinds, "a"))
    due = row_of(house, "a", "later").next_due
    assert clock.now() <= due < clock.now() + 5000
    house.store.control.writing(lambda conn: pending_work.mark(conn, "a", "later", 7))
    house.store.control.writing(lambda conn: plan(conn, kinds, "a"))
    assert row_of(house, "a", "later").next_due == 7


def test_a_failing_job_is_recorded_and_tried_ever_more_rarely(house: Any) -> None:
    """Architecture §4, pending work: an error is written down, secrets withheld, backs off, and harms no other job."""
    calls: list[int] = []

    def fail(context: JobContext) -> int:
        if context.tenant.id == "b":
            return clock.now() + 10
        calls.append(clock.now())
        message = "no way\nto postgresql://app:hunter2@db"
        raise RuntimeError(message)

    worker = Worker(house.store, [Job("work", fail, first_due=0)])
    shift, pauses = 0, []
    for _ in range(12):
        with clock.shifted(shift):
            worker.run_due()
            row = row_of(house, "a", "work")
            pauses.append(row.next_due - clock.now())
            shift += row.next_due - clock.now()
    assert len(calls) == 12
    assert pauses[0] <= 6
    assert 2800 <= pauses[-1] <= 4400
    assert all(later > earlier for earlier, later in pairwise(pauses[:10]))
    assert row.last_error.startswith("12x RuntimeError: no way")
    assert "hunter2" not in row.last_error
    assert row.claimed_by is None
    assert row_of(house, "b", "work").last_error is None


def test_success_clears_the_error(house: Any) -> None:
    """Architecture §4, pending work: after a success the count of failures begins anew."""
    is_broken = [True]

    def sometimes(_: JobContext) -> int:
        if is_broken[0]:
            raise StorageUnavailable
        return clock.now() + 1000

    worker = Worker(house.store, [Job("work", sometimes, first_due=0)])
    worker.run_due()
    assert row_of(house, "a", "work").last_error.startswith("1x StorageUnavailable")
    is_broken[0] = False
    with clock.shifted(10):
        worker.run_due()
    assert row_of(house, "a", "work").last_error is None


def test_work_that_is_marked_while_the_job_runs_is_not_forgotten(house: Any) -> None:
    """Architecture §4, pending work: a mark that comes during a run makes the job due again, at the mark's time."""
    runs: list[str] = []

    def run(context: JobContext) -> None:
        runs.append(context.tenant.id)
        if context.tenant.id == "a":
            context.store.control.writing(lambda conn: pending_work.mark(conn, "a", "work", clock.now() + 2))

    worker = Worker(house.store, [job(run)])
    worker.run_due()
    assert row_of(house, "a", "work").next_due <= clock.now() + 2
    assert row_of(house, "b", "work").next_due > clock.now() + 900


def test_two_workers_never_do_one_job_at_a_time(house: Any, until: Callable[..., bool]) -> None:
    """Architecture §4, pending work: one worker a job, on however many nodes; also when the job outlasts its lease."""
    processes = [house.program(WORK, work, "listens", LEASE="1") for work in ("0.4", "0.4", "2.8")]
    try:
        assert until(lambda: len([row for row in log_of(house.folder) if row[1] == "end"]) >= 10, 40)
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(5) for process in processes] == [0, 0, 0]
    open_by: dict[str, int] = {}
    for _, what, tenant, pid in sorted(log_of(house.folder)):
        if what == "begin":
            assert tenant not in open_by, f"{tenant} is being worked on by {open_by[tenant]} and {pid}"
            open_by[tenant] = pid
        else:
            assert open_by.pop(tenant) == pid
    assert len({pid for *_, pid in log_of(house.folder)}) >= 2


def test_one_claim_of_many_succeeds(house: Any) -> None:
    """Architecture §4, pending work: of workers that reach for one job at the same moment, one gets it."""
    stores = [Store(house.settings) for _ in range(4)]
    for number in range(20):
        house.store.control.writing(lambda conn, number=number: pending_work.mark(conn, str(number), "work"))
    got: list[tuple[int, str]] = []
    barrier = threading.Barrier(8)

    def reach(worker: int) -> None:
        control = stores[worker % 4].control
        for number in range(20):
            barrier.wait(20)
            if control.writing(
                lambda conn, number=number: pending_work.claim(conn, str(number), "work", str(worker), 60)
            ):
                got.append((number, str(worker)))

    threads = [threading.Thread(target=reach, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in got) == list(range(20))
    assert {(int(row.tenant_id), row.claimed_by) for row in _rows(house)} == set(got)
    for store in stores:
        store.close()


def test_a_claim_that_ran_out_is_not_released_by_its_first_owner(house: Any) -> None:
    """Architecture §4, pending work: who has lost a job to another neither renews nor finishes it."""
    control = house.store.control
    control.writing(lambda conn: pending_work.mark(conn, "a", "work"))
    assert control.writing(lambda conn: pending_work.claim(conn, "a", "work", "slow", 10))
    assert not control.writing(lambda conn: pending_work.claim(conn, "a", "work", "quick", 10))
    with clock.shifted(12):
        assert control.writing(lambda conn: pending_work.claim(conn, "a", "work", "quick", 10))
        assert not control.writing(lambda conn: pending_work.renew(conn, "a", "work", "slow", 10))
        assert not control.writing(lambda conn: pending_work.finish(conn, "a", "work", 5, worker="slow"))
        assert control.writing(lambda conn: pending_work.renew(conn, "a", "work", "quick", 10))
        assert row_of(house, "a", "work").claimed_by == "quick"


def _rows(house: Any) -> Any:
    with house.store.control.reading() as conn:
        return pending_work.list_all(conn)


def test_a_killed_workers_job_is_taken_over_when_its_lease_ends(house: Any, until: Callable[..., bool]) -> None:
    """Security §3, availability: kill -9 of a worker: another does its jobs, not before the lease ends."""
    first = house.program(WORK, "60", "listens")
    assert until(lambda: len(log_of(house.folder)) == 2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    killed = time.monotonic()
    second = house.program(WORK, "0.1", "listens")
    try:
        assert until(lambda: {row[2] for row in log_of(house.folder) if row[3] == second.pid} == {"a", "b"}, 20)
        took_over = min(row[0] for row in log_of(house.folder) if row[3] == second.pid)
        assert took_over - killed > 0.5
    finally:
        second.terminate()
        second.wait(5)


def test_a_stopped_worker_hands_its_jobs_back(house: Any, until: Callable[..., bool]) -> None:
    """Architecture §4, pending work: SIGTERM ends a worker within two seconds, and its jobs are free at once."""
    worker = house.program(WORK, "60", "listens")
    assert until(lambda: len(log_of(house.folder)) == 2)
    began = time.monotonic()
    worker.terminate()
    assert worker.wait(5) == 0
    assert time.monotonic() - began < 10
    assert row_of(house, "a", "work").claimed_by is None
    assert row_of(house, "a", "work").next_due <= clock.now()


def test_a_job_that_hears_nothing_does_not_hold_the_worker(house: Any, until: Callable[..., bool]) -> None:
    """Architecture §4, pending work: SIGTERM ends a worker within two seconds also when a job goes on; the lease stays."""
    worker = house.program(WORK, "60", "deaf")
    assert until(lambda: len(log_of(house.folder)) == 2)
    began = time.monotonic()
    worker.terminate()
    assert worker.wait(5) == 0
    assert time.monotonic() - began < 10
    assert row_of(house, "a", "work").claimed_by is not None


def test_a_worker_goes_with_its_parent(house: Any, until: Callable[..., bool]) -> None:
    """Architecture §4, pending work: the worker beside a server ends when the server is killed."""
    source = (
        "import subprocess, sys, os, time\n"
        "p = subprocess.Popen([sys.executable, '-c', *sys.argv[1:], str(os.getpid())])\n"
        "print(p.pid, flush=True)\ntime.sleep(60)\n"
    )
    template = house.program(WORK, "0.1", "listens")
    template.kill()
    template.wait()
    arguments = [*template.args[2:]]
    parent = subprocess.Popen([sys.executable, "-c", source, *arguments], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert until(lambda: any(row[3] == pid for row in log_of(house.folder)))
    parent.kill()
    parent.wait()
    assert until(lambda: not _is_running(pid), 5)


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - proc
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_companion_comes_back_and_goes_at_once(tmp_path: Path, until: Callable[..., bool]) -> None:
    """Architecture §9, jobs: the embedded worker is started again when it dies, and stopped with the server."""
    source = f"import os, time; fd = os.open({str(tmp_path / 'pids')!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT); os.write(fd, b'%d ' % os.getpid()); time.sleep(60)"
    companion = Companion([sys.executable, "-c", source])

    def pids() -> list[int]:
        path = tmp_path / "pids"
        return [int(each) for each in path.read_text().split()] if path.exists() else []

    companion.start()
    assert until(lambda: len(pids()) == 1)
    os.kill(pids()[0], signal.SIGKILL)
    assert until(lambda: len(pids()) == 2)
    began = time.monotonic()
    companion.stop()
    assert time.monotonic() - began < 10
    assert until(lambda: not _is_running(pids()[1]), 2)
    time.sleep(1.2)
    assert len(pids()) == 2


def test_the_loop_survives_a_lost_control_database(
    house: Any, until: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security §3, DB loss: a worker goes on by itself when the database is back; a node's own job runs meanwhile."""
    seen: list[str] = []
    beats: list[float] = []

    def beat(_: JobContext) -> int:
        beats.append(time.monotonic())
        if len(beats) == 2:
            raise RuntimeError
        return clock.now()

    worker = Worker(
        house.store, [job(lambda context: seen.append(context.tenant.id)), Job("beat", beat, scope="node")], tick=0.05
    )
    real = house.store.control.reading
    is_lost = [True]

    def reading() -> Any:
        if is_lost[0]:
            raise StorageUnavailable
        return real()

    monkeypatch.setattr(house.store.control, "reading", reading)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        time.sleep(0.3)
        assert seen == []
        assert beats
        is_lost[0] = False
        assert until(lambda: sorted(seen) == ["a", "b"], 10)
    finally:
        worker.stop()
        thread.join(5)
    assert not thread.is_alive()
    assert until(lambda: True)


@pytest.mark.parametrize("scope", ["installation", "node"])
def test_other_scopes_run_without_a_tenant(house: Any, scope: Any, until: Callable[..., bool]) -> None:
    """Architecture §4, pending work: a job of the installation runs once for all, one of the node in each process."""
    seen: list[Any] = []
    worker = Worker(
        house.store, [job(lambda context: seen.append((context.tenant, context.database)), scope=scope)], tick=0.05
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        assert until(lambda: len(seen) == 1)
    finally:
        worker.stop()
        thread.join(5)
    assert seen == [(None, house.store.control)]
    if scope == "installation":
        assert row_of(house, INSTALLATION, "work").next_due > clock.now() + 900
