"""The audit chain and what its verification finds (architecture §4, audit; security.md §1 rule 9; ASVS 16)."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from idp import audit, clock
from idp.jobs.chain import BATCH, chain_events, event_hash, genesis
from idp.jobs.chain_verification import verify_chain
from idp.store.control import audit_checkpoints as copies
from idp.store.tenant import audit_checkpoints, audit_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.jobs.chain_verification import Report
    from idp.store.db import Database

TENANT = "a" * 32
EVENTS, SEALS = 20, 4  # twenty events, sealed five at a time


def record(database: Database, how_many: int, **more: Any) -> None:
    """Record events as a request does."""

    def work(conn: Any) -> None:
        for number in range(how_many):
            audit.record(
                conn,
                "login.succeeded",
                outcome="success",
                actor=f"user{number}",
                details={"n": number, "x": "ü\n"},
                **more,
            )

    database.writing(work)


def execute(database: Database, sql: str) -> int:
    """Do to a database what somebody with its password can do."""
    with database.engine.connect() as conn:
        return conn.exec_driver_sql(sql).rowcount


def verify(place: Any, key: Any, tenant_id: str = TENANT) -> Report:
    """Verify as the command does."""
    with place.tenant.reading() as conn, place.control.reading() as control:
        return verify_chain(conn, control, tenant_id, key.verify)


@pytest.fixture
def sealed(place: Any, key: Any) -> Any:
    """Twenty events under four checkpoints."""
    for _ in range(SEALS):
        record(place.tenant, EVENTS // SEALS)
        chain_events(place.tenant, place.control, TENANT, key.sign)
    return place


def event(place: Any, number: int) -> Any:
    """An event by its number in the chain."""
    with place.tenant.reading() as conn:
        return next(row for row in audit_events.chained(conn) if row.chain_seq == number)


def test_an_untouched_chain_is_sound(sealed: Any, key: Any) -> None:
    """Architecture §4, audit: what was recorded and chained verifies; what is not yet chained is counted."""
    record(sealed.tenant, 3)
    report = verify(sealed, key)
    assert report.is_sound, report.findings
    assert (report.chained, report.unchained, report.checkpoints) == (EVENTS, 3, SEALS)


def test_an_event_commits_or_rolls_back_with_its_change(place: Any) -> None:
    """Architecture §4, audit: an event commits unchained in the transaction of the change that it records."""

    def work(conn: Any) -> None:
        audit.record(conn, "user.created", outcome="success", actor="operator")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        place.tenant.writing(work)
    record(place.tenant, 1)
    with place.tenant.reading() as conn:
        assert audit_events.count_unchained(conn) == 1


def test_batches_are_chained_and_the_next_visit_is_planned(place: Any, key: Any) -> None:
    """Architecture §4, audit: rows are hashed in batches; an idle tenant is visited ever more rarely."""
    record(place.tenant, BATCH + 5)
    done = chain_events(place.tenant, place.control, TENANT, key.sign)
    assert done.events == BATCH + 5
    assert done.next_due - clock.now() <= 61
    report = verify(place, key)
    assert report.is_sound
    assert (report.chained, report.checkpoints) == (BATCH + 5, 2)
    with clock.shifted(600):
        assert 590 <= chain_events(place.tenant, place.control, TENANT, key.sign).next_due - clock.now() <= 610
    with clock.shifted(10**6):
        assert chain_events(place.tenant, place.control, TENANT, key.sign).next_due - clock.now() == 3600


def test_chainers_at_once_make_one_chain(place: Any, key: Any) -> None:
    """Architecture §4, audit: one chainer per tenant; should two run, the chain is still one."""
    errors: list[BaseException] = []

    def chain() -> None:
        try:
            for _ in range(5):
                chain_events(place.tenant, place.control, TENANT, key.sign)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=chain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        record(place.tenant, 3)
    for thread in threads:
        thread.join()
    chain_events(place.tenant, place.control, TENANT, key.sign)
    assert errors == []
    report = verify(place, key)
    assert report.is_sound, report.findings
    assert report.chained == 60


@dataclass(frozen=True)
class Attack:
    """What somebody does to a database, and what the verification must say."""

    name: str
    do: Callable[[Any], None]
    problem: str
    number: int | None  # the event that must be named
    others: tuple[str, ...] = ()  # findings that rightly come with it


def insert_behind(number: int, *, renumber: bool, genuine: bool) -> Callable[[Any], None]:
    """Put an event in behind another, with a hash that is right as far as anybody can compute."""

    def do(place: Any) -> None:
        before = event(place, number)
        if renumber:
            execute(place.tenant, f"UPDATE audit_events SET chain_seq = -(chain_seq + 1) WHERE chain_seq > {number}")
            execute(place.tenant, "UPDATE audit_events SET chain_seq = -chain_seq WHERE chain_seq < 0")
        else:
            execute(place.tenant, "DROP INDEX uq_audit_events_chain_seq")
        place.tenant.writing(lambda conn: audit.record(conn, "forged", outcome="success", actor="mallory"))
        with place.tenant.reading() as conn:
            forged = audit_events.unchained(conn, 1)[0]
        chain_hash = event_hash(before.chain_hash, forged) if genuine else "0" * 64
        execute(
            place.tenant,
            f"UPDATE audit_events SET chain_seq = {number + 1}, chain_hash = '{chain_hash}' WHERE seq = {forged.seq}",
        )

    return do


def rewrite_all(place: Any) -> None:
    """Alter an event and hash everything behind it anew."""
    execute(place.tenant, "UPDATE audit_events SET actor = 'mallory' WHERE chain_seq = 7")
    with place.tenant.reading() as conn:
        rows = list(audit_events.chained(conn))
    previous = genesis(TENANT)
    for row in rows:
        previous = event_hash(previous, row)
        execute(place.tenant, f"UPDATE audit_events SET chain_hash = '{previous}' WHERE seq = {row.seq}")


def rehash_one(place: Any) -> None:
    """Alter an event and hash it anew, but nothing behind it."""
    execute(place.tenant, "UPDATE audit_events SET actor = 'mallory' WHERE chain_seq = 7")
    chain_hash = event_hash(event(place, 6).chain_hash, event(place, 7))
    execute(place.tenant, f"UPDATE audit_events SET chain_hash = '{chain_hash}' WHERE chain_seq = 7")


def remove_and_renumber(place: Any) -> None:
    """Remove an event and close the gap."""
    execute(place.tenant, "DELETE FROM audit_events WHERE chain_seq = 8")
    execute(place.tenant, "UPDATE audit_events SET chain_seq = -(chain_seq - 1) WHERE chain_seq > 8")
    execute(place.tenant, "UPDATE audit_events SET chain_seq = -chain_seq WHERE chain_seq < 0")


def swap(place: Any) -> None:
    """Exchange two events' places."""
    for old, new in ((7, -9), (9, 7), (-9, 9)):
        execute(place.tenant, f"UPDATE audit_events SET chain_seq = {new} WHERE chain_seq = {old}")


def on_tenant(*sql: str) -> Callable[[Any], None]:
    """Statements in the tenant's database."""
    return lambda place: [execute(place.tenant, each) for each in sql] and None


def on_control(*sql: str) -> Callable[[Any], None]:
    """Statements in the control database."""
    return lambda place: [execute(place.control, each) for each in sql] and None


def on_both(*sql: str) -> Callable[[Any], None]:
    """Statements in both."""
    return lambda place: [execute(each, line) for each in (place.tenant, place.control) for line in sql] and None


def altered(column: str, value: str, number: int = 7) -> Attack:
    """One column of one event is changed."""
    return Attack(
        f"altered {column}",
        on_tenant(f"UPDATE audit_events SET {column} = {value} WHERE chain_seq = {number}"),
        "altered",
        number,
    )


ATTACKS = [
    *[
        altered(column, "'mallory'")
        for column in (
            "id",
            "kind",
            "outcome",
            "actor",
            "client_id",
            "subject",
            "session_id",
            "grant_id",
            "source",
            "correlation_id",
        )
    ],
    altered("at", "at + 1"),
    altered("seq", "seq + 1000"),
    altered("details", "'{}'"),
    altered("actor", "NULL"),
    altered("chain_hash", "'" + "0" * 64 + "'"),
    altered("actor", "'mallory'", 1),
    altered("actor", "'mallory'", 5),
    altered("actor", "'mallory'", 20),
    Attack("altered and hashed anew", rehash_one, "altered", 8),
    Attack("all rewritten", rewrite_all, "rewritten", 10, ("rewritten",)),
    Attack("removed in the middle", on_tenant("DELETE FROM audit_events WHERE chain_seq = 8"), "removed", 8),
    Attack("removed at a checkpoint", on_tenant("DELETE FROM audit_events WHERE chain_seq = 10"), "removed", 10),
    Attack("removed first", on_tenant("DELETE FROM audit_events WHERE chain_seq = 1"), "removed", 1),
    Attack("removed several", on_tenant("DELETE FROM audit_events WHERE chain_seq BETWEEN 4 AND 12"), "removed", 4),
    Attack("removed and renumbered", remove_and_renumber, "altered", 8),
    Attack("swapped", swap, "altered", 7, ("altered",)),
    Attack("last cut off", on_tenant("DELETE FROM audit_events WHERE chain_seq = 20"), "cut_off", 20),
    Attack("end cut off", on_tenant("DELETE FROM audit_events WHERE chain_seq > 12"), "cut_off", 13),
    Attack(
        "end cut off with its checkpoints",
        on_tenant("DELETE FROM audit_events WHERE chain_seq > 10", "DELETE FROM audit_checkpoints WHERE number > 2"),
        "cut_off",
        11,
        ("checkpoint_removed",),
    ),
    Attack("emptied", on_tenant("DELETE FROM audit_events"), "emptied", 1),
    Attack(
        "emptied with its checkpoints",
        on_tenant("DELETE FROM audit_events", "DELETE FROM audit_checkpoints"),
        "emptied",
        1,
        ("checkpoint_removed",),
    ),
    Attack(
        "unchained again",
        on_tenant("UPDATE audit_events SET chain_seq = NULL, chain_hash = NULL WHERE chain_seq = 8"),
        "removed",
        8,
    ),
    Attack("inserted under a used number", insert_behind(6, renumber=False, genuine=False), "inserted", 7),
    Attack("inserted under a used number, well hashed", insert_behind(6, renumber=False, genuine=True), "inserted", 7),
    Attack("inserted and renumbered", insert_behind(6, renumber=True, genuine=False), "inserted", 7),
    Attack("inserted and renumbered, well hashed", insert_behind(6, renumber=True, genuine=True), "inserted", 7),
    Attack("inserted at a checkpoint", insert_behind(10, renumber=True, genuine=True), "inserted", 11),
    Attack("appended, well hashed", insert_behind(20, renumber=True, genuine=True), "inserted", 21),
    Attack("appended, badly hashed", insert_behind(20, renumber=True, genuine=False), "inserted", 21, ("altered",)),
    *[
        Attack(
            f"checkpoint's {column} altered at the {where}",
            on(f"UPDATE audit_checkpoints SET {column} = {value} WHERE number = {number}"),
            "checkpoint_altered",
            None,
        )
        for where, on in (("tenant", on_tenant), ("control", on_control))
        for column, value in (
            ("chain_hash", "'" + "0" * 64 + "'"),
            ("chain_seq", "chain_seq + 100"),
            ("at", "at + 1"),
            ("previous", "''"),
            ("signature", "'x'"),
        )
        for number in (2, 4)
        if (column, number) != ("previous", 1)
    ],
    *[
        Attack(
            f"checkpoint {number} removed at the {where}",
            on(f"DELETE FROM audit_checkpoints WHERE number = {number}"),
            "checkpoint_removed",
            None,
        )
        for where, on in (("tenant", on_tenant), ("control", on_control), ("both", on_both))
        for number in (1, 2)
    ],
    Attack(
        "last checkpoint removed at the tenant",
        on_tenant("DELETE FROM audit_checkpoints WHERE number = 4"),
        "checkpoint_removed",
        None,
    ),
    Attack(
        "last checkpoint removed at control",
        on_control("DELETE FROM audit_checkpoints WHERE number = 4"),
        "checkpoint_removed",
        None,
    ),
    Attack("all checkpoints removed", on_both("DELETE FROM audit_checkpoints"), "checkpoint_removed", None),
    Attack(
        "all copies removed",
        on_control("DELETE FROM audit_checkpoints"),
        "checkpoint_removed",
        None,
        ("checkpoint_removed",),
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_what_was_tampered_with_is_named(sealed: Any, key: Any, attack: Attack) -> None:
    """Security §1 rule 9: an altered, removed, cut-off or inserted event and a touched checkpoint are found and named."""
    assert verify(sealed, key).is_sound
    names = {event(sealed, number).chain_seq: event(sealed, number).id for number in (7, 8, 10, 20)}
    attack.do(sealed)
    findings = verify(sealed, key).findings
    assert attack.problem in [found.problem for found in findings], findings
    named = [found for found in findings if found.problem == attack.problem and found.chain_seq == attack.number]
    assert named, findings
    assert {found.problem for found in findings} <= {attack.problem, *attack.others}, findings
    if attack.problem in ("altered", "inserted", "rewritten"):
        assert named[0].event_id
        assert named[0].event_kind
        assert named[0].event_id in named[0].what
    if attack.name.startswith("altered") and attack.number in names and attack.name != "altered id":
        assert named[0].event_id == names[attack.number]
    if len([one for one in findings if one.problem == "altered"]) > 1:
        assert "altered" in attack.others, findings


def test_two_attacks_are_both_named(sealed: Any, key: Any) -> None:
    """Security §1 rule 9: one finding does not hide another."""
    execute(sealed.tenant, "UPDATE audit_events SET actor = 'mallory' WHERE chain_seq = 3")
    execute(sealed.tenant, "DELETE FROM audit_events WHERE chain_seq = 9")
    execute(sealed.tenant, "UPDATE audit_events SET actor = 'mallory' WHERE chain_seq = 15")
    execute(sealed.tenant, "DELETE FROM audit_events WHERE chain_seq > 18")
    found = [(one.problem, one.chain_seq) for one in verify(sealed, key).findings]
    assert found == [("altered", 3), ("removed", 9), ("altered", 15), ("cut_off", 19)]


def test_recording_goes_on_behind_a_cut_and_the_gap_stays_visible(
    sealed: Any, key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Security §3, audit: tampering never stops the recording and never goes unnoticed; later events do not hide it."""
    execute(sealed.tenant, "DELETE FROM audit_events WHERE chain_seq > 10")
    execute(sealed.tenant, "DELETE FROM audit_checkpoints WHERE number > 2")
    record(sealed.tenant, 5)
    with caplog.at_level(logging.ERROR, "idp.jobs.chain"):
        chain_events(sealed.tenant, sealed.control, TENANT, key.sign)
    assert "does not end where it was sealed" in caplog.text
    record(sealed.tenant, 5)
    chain_events(sealed.tenant, sealed.control, TENANT, key.sign)
    report = verify(sealed, key)
    assert ("removed", 11) in [(one.problem, one.chain_seq) for one in report.findings]
    assert {one.problem for one in report.findings} == {"removed", "checkpoint_removed"}
    assert report.unchained == 0


def test_a_forged_end_is_not_sealed_as_genuine(sealed: Any, key: Any) -> None:
    """Security §1 rule 9: an event that somebody chained himself is named, also after the chainer went on behind it."""
    insert_behind(20, renumber=True, genuine=True)(sealed)
    record(sealed.tenant, 3)
    chain_events(sealed.tenant, sealed.control, TENANT, key.sign)
    report = verify(sealed, key)
    assert [(one.problem, one.event_kind) for one in report.findings] == [("inserted", "forged")]
    assert report.unchained == 0


def test_another_tenants_log_does_not_fit(sealed: Any, key: Any) -> None:
    """Architecture §1.3: a chain, and a checkpoint, is good for its tenant only."""
    execute(sealed.control, "UPDATE audit_checkpoints SET tenant_id = 'b'")
    assert {one.problem for one in verify(sealed, key, "b").findings} >= {"checkpoint_altered"}


def test_checkpoints_outlive_the_key_that_signed_them(place: Any, key: Any) -> None:
    """Security §3, key rotation: a checkpoint vouches for the one before it, so retired keys may go."""
    old, new = type(key)(), type(key)()
    for signer in (old, old, new):
        record(place.tenant, 2)
        chain_events(place.tenant, place.control, TENANT, signer.sign)
    assert verify(place, new).is_sound
    assert not verify(place, old).is_sound


def test_a_copy_that_a_crash_prevented_is_made_later(sealed: Any, key: Any) -> None:
    """Architecture §4, audit: checkpoints are copied to the control database; a crash between the commits heals."""
    execute(sealed.control, "DELETE FROM audit_checkpoints WHERE number = 4")
    chain_events(sealed.tenant, sealed.control, TENANT, key.sign)
    assert verify(sealed, key).is_sound
    with sealed.tenant.reading() as conn, sealed.control.reading() as control:
        assert audit_checkpoints.last(conn).signature == copies.last(control, TENANT).signature


def test_verifying_while_events_are_chained_raises_no_false_alarm(place: Any, key: Any) -> None:
    """Security §1 rule 9: a sound log verifies at any moment."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            record(place.tenant, 2)
            chain_events(place.tenant, place.control, TENANT, key.sign)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        reports = [verify(place, key)]
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (reports[-1].chained < 30 or len(reports) < 15):
            reports.append(verify(place, key))
    finally:
        stop.set()
        thread.join()
    assert [report.findings for report in reports if not report.is_sound] == []
    assert reports[-1].chained >= 30
