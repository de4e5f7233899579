"""The spool reaches the databases exactly once, whatever is killed (architecture §4, audit; security.md §3, audit)."""

from __future__ import annotations

import json
import os
import random
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from idp import clock
from idp.audit import Spool
from idp.errors import Refusal, StorageUnavailable
from idp.jobs import drain as drain_module
from idp.jobs.drain import Drain
from idp.jobs.refusals import find_refusal
from idp.store.control import control_state, pending_work, tenants

if TYPE_CHECKING:
    from collections.abc import Callable

WHY = Refusal("redirect_uri", "RFC 6749 §3.1.2.4", "not registered", "register it", "https://x/a", ("https://x/b",))

DRAIN = """
from idp.jobs.drain import Drain
from idp.store.control import tenants
def database_of(tenant_id):
    with store.control.reading() as conn:
        row = tenants.find(conn, tenant_id)
    return store.tenant(row.id, row.database_url) if row is not None else None
drain = Drain(folder / "spool", store.control, database_of)
print("ready", flush=True)
while True:
    drain.run()
    time.sleep(0.002)
"""
WRITE = """
from idp.audit import Spool
from idp.errors import Refusal
spool = Spool(folder / "spool", "writer", max_file=40_000)
number = 0
print("ready", flush=True)
while True:
    tenant = "ab"[number % 2]
    spool.audit(tenant, "token.issued", outcome="success", actor="c", details={"n": number, "writer": sys.argv[3]})
    sys.stdout.write(f"{tenant} {number}\\n")
    sys.stdout.flush()
    number += 1
    time.sleep(0.0003)
"""


def drain_of(house: Any, database_of: Callable[[str], Any] | None = None) -> Drain:
    """A drain as a worker has one."""

    def found(tenant_id: str) -> Any:
        with house.store.control.reading() as conn:
            row = tenants.find(conn, tenant_id)
        return None if row is None else house.store.tenant(row.id, row.database_url)

    return Drain(house.spool, house.store.control, database_of or found)


def numbers(house: Any, tenant_id: str) -> list[tuple[str, int]]:
    """Which events a tenant has got."""
    with house.tenant(tenant_id).reading() as conn:
        rows = conn.exec_driver_sql("SELECT details FROM audit_events ORDER BY seq").all()
    found = [row[0] if isinstance(row[0], dict) else json.loads(row[0]) for row in rows]
    return [(each.get("writer", ""), each["n"]) for each in found]


def fill(spool: Spool, how_many: int, start: int = 0) -> None:
    """Events for two tenants, in turn."""
    for number in range(start, start + how_many):
        spool.audit("ab"[number % 2], "token.issued", outcome="success", actor="c", details={"n": number})


def test_events_and_refusals_reach_their_database(house: Any) -> None:
    """Architecture §4, audit: events go to their tenant, refusals too, or to the control database when none is known."""
    spool = Spool(house.spool, "w")
    fill(spool, 10)
    spool.refusal("a", "CORRA", "invalid_request", WHY, "GET", "/authorize", "c1", "127.0.0.1")
    spool.refusal(None, "CORRNONE", "not_found", None, "GET", "/x", None, "127.0.0.1")
    spool.refusal("gone", "CORRGONE", "not_found", WHY, "GET", "/x")
    spool.audit("gone", "token.issued", outcome="success", actor="c")
    drain = drain_of(house)
    done = drain.run()
    assert (done.events, done.refusals, done.unreadable, done.waiting) == (10, 3, 0, 0)
    assert (house.count("a", "audit_events"), house.count("b", "audit_events")) == (5, 5)
    assert (house.count("a", "refusals"), house.count("b", "refusals"), house.count("", "refusals")) == (1, 0, 2)
    assert drain.run().events == 0
    with house.store.control.reading() as conn:
        marked = {row.tenant_id: row for row in pending_work.list_all(conn)}
    assert set(marked) == {"a", "b"}
    assert {row.kind for row in marked.values()} == {"chain"}


def test_a_finished_file_is_deleted_and_a_living_workers_file_stays(house: Any) -> None:
    """Architecture §4, audit: fully drained files of workers that are gone are deleted, and nothing of them is kept."""
    living, leaving = Spool(house.spool, "living"), Spool(house.spool, "leaving")
    fill(living, 4)
    fill(leaving, 4)
    leaving.close()
    drain = drain_of(house)
    done = drain.run()
    assert (done.events, done.deleted) == (8, 1)
    left = sorted(path.name for path in house.spool.glob("*.jsonl"))
    assert len(left) == 1
    assert left[0].startswith("living")
    fill(living, 2)
    drain.run()
    with house.tenant("a").reading() as conn:
        name, value = conn.exec_driver_sql("SELECT name, value FROM tenant_state").one()
    assert name.startswith("spool:")
    assert list(value if isinstance(value, dict) else json.loads(value)) == left
    assert house.count("a", "audit_events") + house.count("b", "audit_events") == 10


def test_lines_cut_short_are_skipped(house: Any) -> None:
    """Architecture §4, audit: a line torn by a crash or a full disk is skipped and counted; what follows arrives."""
    spool = Spool(house.spool, "w")
    fill(spool, 2)
    spool.close()
    path = next(house.spool.glob("*.jsonl"))
    good = path.read_bytes()
    path.write_bytes(
        good[:50] + b"\n" + good + b"[]\n" + b'{"is":"audit","tenant":7,"at":1}\n\xff\xfe\n' + good + good[:70]
    )
    done = drain_of(house).run()
    assert (done.events, done.deleted) == (4, 1)
    assert done.unreadable == 5


def test_a_tenant_that_cannot_be_reached_holds_up_nobody_and_loses_nothing(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security §3, audit: while one tenant's database is away, the others' events arrive; later its own, in order."""
    monkeypatch.setattr(drain_module, "PATIENCE", (0.0, 0.0))
    monkeypatch.setattr(drain_module.spool, "CHUNK", 400)
    monkeypatch.setattr(drain_module.spool.read_lines, "__defaults__", (400,))
    is_away = {"a"}

    def database_of(tenant_id: str) -> Any:
        if tenant_id in is_away:
            raise StorageUnavailable
        return house.tenant(tenant_id)

    spool = Spool(house.spool, "w", max_file=2000)
    drain = drain_of(house, database_of)
    for start in range(0, 40, 10):
        fill(spool, 10, start)
        spool.refusal(None, f"NONE{start}", "not_found", WHY, "GET", "/x")
        drain.run()
    assert [number for _, number in numbers(house, "b")] == list(range(1, 40, 2))
    assert numbers(house, "a") == []
    assert house.count("", "refusals") == 4
    spool.close()
    assert drain.run().deleted == 0
    drain.close()
    drain = drain_of(house, database_of)  # a new process knows only what the databases know
    drain.run()
    is_away.add("b")
    is_away.discard("a")
    drain.run()
    is_away.clear()
    done = [drain.run(), drain.run()]
    assert [number for _, number in numbers(house, "a")] == list(range(0, 40, 2))
    assert [number for _, number in numbers(house, "b")] == list(range(1, 40, 2))
    assert house.count("", "refusals") == 4
    assert done[-1].waiting == 0
    assert not list(house.spool.glob("*.jsonl"))


def test_a_tenant_that_comes_and_goes_gets_everything_once_in_order(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security §3, audit: the same under random failures of both databases and restarts of the drain."""
    monkeypatch.setattr(drain_module, "PATIENCE", (0.0, 0.0))
    monkeypatch.setattr(drain_module.spool.read_lines, "__defaults__", (700,))
    dice = random.Random(5)  # noqa: S311 - a die

    def database_of(tenant_id: str) -> Any:
        if dice.random() < 0.4:
            raise StorageUnavailable
        return house.tenant(tenant_id)

    spool = Spool(house.spool, "w", max_file=3000)
    drain = drain_of(house, database_of)
    for start in range(0, 200, 10):
        fill(spool, 10, start)
        drain.run()
        if dice.random() < 0.3:
            drain.close()
            drain = drain_of(house, database_of)
    spool.close()
    for _ in range(60):
        drain.run()
    assert [number for _, number in numbers(house, "a")] == list(range(0, 200, 2))
    assert [number for _, number in numbers(house, "b")] == list(range(1, 200, 2))
    assert not list(house.spool.glob("*.jsonl"))


def test_a_crash_between_the_two_commits_duplicates_nothing(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4, audit: the place is stored in the transaction of the rows, so a repeated chunk adds nothing."""
    spool = Spool(house.spool, "w")
    fill(spool, 6)
    spool.refusal(None, "NONE", "not_found", WHY, "GET", "/x")
    drain = drain_of(house)
    with monkeypatch.context() as patch:

        def crash(*_: object) -> None:
            raise RuntimeError

        patch.setattr(control_state, "put", crash)
        with pytest.raises(RuntimeError):
            drain.run()
    assert house.count("a", "audit_events") == 3
    assert house.count("", "refusals") == 0
    for attempt in (drain, None):
        drain.close()
        (attempt or drain_of(house)).run()
    assert (house.count("a", "audit_events"), house.count("b", "audit_events"), house.count("", "refusals")) == (
        3,
        3,
        1,
    )


def test_control_without_the_stored_place_would_duplicate(house: Any) -> None:
    """Architecture §4, audit, negative control: the test above can fail; without the stored place a file is taken twice."""
    spool = Spool(house.spool, "w")
    fill(spool, 6)
    drain_of(house).run()
    house.store.control.writing(lambda conn: conn.exec_driver_sql("DELETE FROM control_state"))
    second = drain_of(house)
    second._lock = -1
    assert house.count("a", "audit_events") == 3
    house.tenant("a").writing(lambda conn: conn.exec_driver_sql("DELETE FROM tenant_state"))
    (house.spool / "drain.lock").unlink()
    drain_of(house).run()
    assert (house.count("a", "audit_events"), house.count("b", "audit_events")) == (6, 3)


def test_refusals_are_bounded(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue Build 8: a tenant keeps the newest refusals only, and a flood is counted, not kept."""
    monkeypatch.setattr(drain_module, "KEEP_REFUSALS", 20)
    spool = Spool(house.spool, "w")
    drain = drain_of(house)
    for second in range(3):
        for number in range(300):
            spool.refusal("a", f"N{second}{number}", "invalid_request", WHY, "GET", "/authorize")
        spool._second = -1
        drain.run()
    spool.refusal("a", "ENDR", "invalid_request", WHY, "GET", "/authorize")
    drain.run()
    assert house.count("a", "refusals") == 20
    assert house.count("", "refusals", "error_code = 'refusals_suppressed'") == 3
    assert find_refusal(house.store, house.spool, "ENDR")


def test_a_refusal_is_found_before_and_after_it_is_drained(house: Any) -> None:
    """Issue Build 8: `idp explain ID` reads the spool, the control database and the tenants, and finds it once."""
    spool = Spool(house.spool, "w")
    spool.refusal("b", "ABCDEFGHJKMNPQRS", "invalid_request", WHY, "GET", "/authorize", "c1", "127.0.0.1")
    spool.refusal(None, "0123456789ABCDEF", "not_found", WHY, "GET", "/nowhere")
    before = find_refusal(house.store, house.spool, "abcd-efgh-jkmn-pqrs")
    assert [(each.tenant_id, each.tenant_slug, each.refusal, each.client_id) for each in before] == [
        ("b", "b", WHY, "c1")
    ]
    drain_of(house).run()
    assert find_refusal(house.store, house.spool, "ABCDEFGHJKMNPQRS") == before
    spool.close()
    drain_of(house).run()
    for path in house.spool.glob("*.jsonl"):
        path.unlink()
    assert find_refusal(house.store, house.spool, "ABCDEFGHJKMNPQRS") == before
    assert find_refusal(house.store, house.spool, "ABCDEFGHJKMNPQRS", "a") == []
    assert [each.tenant_id for each in find_refusal(house.store, house.spool, "O123456789ABCDEF")] == [None]
    for hostile in ("", "'; DROP TABLE refusals", "\x00", "\ud800", "x" * 10_000):
        assert find_refusal(house.store, house.spool, hostile) == []


def test_killed_writers_and_killed_drains_lose_and_double_nothing(house: Any) -> None:
    """Architecture §4, audit; security §4 S112: kill -9 of any process at any moment; each event arrives exactly once."""
    dice = random.Random(7)  # noqa: S311 - a die
    written: dict[str, list[int]] = {}
    for life in range(4):
        writer, drain = house.program(WRITE, str(life)), house.program(DRAIN)
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
        said = []
        for _ in range(dice.randrange(300, 900)):
            said.append(writer.stdout.readline())
            if dice.random() < 0.003:
                os.kill(drain.pid, signal.SIGKILL)
                drain.wait()
                drain = house.program(DRAIN)
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.stdout.readlines()
        os.kill(drain.pid, signal.SIGKILL)
        writer.wait()
        drain.wait()
        written[str(life)] = [int(line.split()[1]) for line in said if line.endswith("\n")]
    drain_of(house).run()
    for tenant_id, parity in (("a", 0), ("b", 1)):
        got: dict[str, list[int]] = {}
        for writer_id, number in numbers(house, tenant_id):
            got.setdefault(writer_id, []).append(number)
        for life, said in written.items():
            mine = [number for number in said if number % 2 == parity]
            # The writer may have been killed after it wrote a record and before it said so: at most one more.
            assert got[life][: len(mine)] == mine
            assert len(got[life]) - len(mine) <= 1
    assert not list(house.spool.glob("*.jsonl"))


def test_times_are_those_of_the_event(house: Any) -> None:
    """Architecture §4, audit: an event drained late says when it happened."""
    spool = Spool(house.spool, "w")
    at = clock.now()
    fill(spool, 1)
    with clock.shifted(5000):
        drain_of(house).run()
    with house.tenant("a").reading() as conn:
        assert conn.exec_driver_sql("SELECT at FROM audit_events").scalar_one() - at <= 1


def test_a_folder_of_another_node_has_places_of_its_own(house: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Architecture §4, audit: two nodes with spool folders of their own drain into the same tenants."""
    other = replace(house, folder=tmp_path_factory.mktemp("node"))
    for node in (house, other):
        fill(Spool(node.spool, "w"), 4)
    drains = [drain_of(house), drain_of(other)]
    assert sum(drain.run().events for drain in drains) == 8
    assert sum(drain.run().events for drain in drains) == 0
    assert house.count("a", "tenant_state") == 2
