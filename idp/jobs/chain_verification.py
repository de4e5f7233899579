"""Verifying an audit chain: finds and names what was altered, removed, cut off, inserted or rewritten.

Checkpoints first: both copies of each are compared and their signatures checked, from the newest to the oldest. A
checkpoint vouches for the one before it, so old ones stay good when the key that signed them is gone. Then the events are
walked in the chain's order and compared with the sound checkpoints.

What cannot be seen: events that were altered before they were chained, and an end that was cut off in both databases
together with its checkpoints; those are therefore also worth a copy in a log outside.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from idp.jobs.chain import checkpoint_digest, checkpoint_payload, event_hash, genesis
from idp.store.control import audit_checkpoints as copies
from idp.store.tenant import audit_checkpoints, audit_events, users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from idp.store.rows import Connection, Row

    Verify = Callable[[str], bytes]

Problem = Literal[
    "altered", "removed", "cut_off", "emptied", "inserted", "rewritten", "checkpoint_altered", "checkpoint_removed"
]
MOST_FINDINGS = 1000
# A checkpoint is committed in the tenant's database a moment before its copy: look again before calling it missing.
COPY_TRIES, COPY_PAUSE = 3, 0.3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the problem, a sentence, and the event it concerns (its number in the chain, id, kind)."""

    problem: Problem
    what: str
    chain_seq: int | None = None
    event_id: str | None = None
    event_kind: str | None = None


@dataclass(slots=True)
class Report:
    """The result of a verification."""

    findings: list[Finding] = field(default_factory=list)
    chained: int = 0
    unchained: int = 0  # events recorded so recently that no chainer has come by
    checkpoints: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify_chain(tenant_conn: Connection, control_conn: Connection, tenant_id: str, verify: Verify) -> Report:
    """Check a tenant's whole audit log; ``verify`` returns what a checkpoint's signature signs, or raises.

    Events may be recorded and chained meanwhile.
    """
    report = Report()
    known = {row.number: row for row in copies.after(control_conn, 0, tenant_id)}
    with audit_events.snapshot(tenant_conn):
        own = {row.number: row for row in audit_checkpoints.after(tenant_conn, 0)}
        for _ in range(COPY_TRIES):
            if own.keys() <= known.keys():
                break
            known = {
                row.number: row
                for row in copies.after(control_conn, 0, tenant_id)
                if row.number in known or row.number in own
            }
            if not own.keys() <= known.keys():
                time.sleep(COPY_PAUSE)
        marks = _sound_marks(tenant_id, own, known, verify, report)
        report.unchained = audit_events.count_unchained(tenant_conn)
        _Walk(tenant_id, marks, report).over(audit_events.chained(tenant_conn))
        if not (report.chained or report.unchained or report.checkpoints) and users.count(tenant_conn):
            what = "the log is empty although the tenant has users, whose creation it records: everything was removed"
            report.findings.append(Finding("emptied", what))
    return report


def _sound_marks(
    tenant_id: str, own: dict[int, Row[Any]], known: dict[int, Row[Any]], verify: Verify, report: Report
) -> dict[int, str]:
    """Compare and check the checkpoints; returns the hashes that events must have, by number in the chain."""
    marks: dict[int, str] = {}
    named: set[str] = set()  # digests that the checkpoint just looked at (the next one) gives for its predecessor
    numbers = sorted(own.keys() | known.keys(), reverse=True)
    report.checkpoints = len(numbers)
    for number in range(max(numbers, default=0), 0, -1):
        places = {"tenant's": own.get(number), "control": known.get(number)}
        absent = [place for place, row in places.items() if row is None]
        if absent:
            where = "both databases" if len(absent) == 2 else f"the {absent[0]} database"
            report.findings.append(Finding("checkpoint_removed", f"checkpoint {number} is missing in {where}"))
        vouched: set[str] = set()
        for place, row in places.items():
            if row is None:
                continue
            digest = checkpoint_digest(tenant_id, row)
            if digest not in named and not _is_signed(tenant_id, row, verify):
                what = f"checkpoint {number} (event {row.chain_seq}) was altered in the {place} database: its signature does not fit"
                report.findings.append(Finding("checkpoint_altered", what))
                continue
            if named and digest not in named:
                what = f"checkpoint {number} in the {place} database is not the one that checkpoint {number + 1} names"
                report.findings.append(Finding("checkpoint_altered", what))
            vouched.add(row.previous)
            marks.setdefault(row.chain_seq, row.chain_hash)
            if marks[row.chain_seq] != row.chain_hash:
                what = f"checkpoint {number} differs between the databases, and both are signed"
                report.findings.append(Finding("checkpoint_altered", what))
        named = vouched
    return marks


def _is_signed(tenant_id: str, row: Row[Any], verify: Verify) -> bool:
    try:
        return verify(row.signature) == checkpoint_payload(tenant_id, row)
    except Exception:  # noqa: BLE001 - whatever a hostile signature makes the verifier raise, it is not a good one
        return False


@dataclass(slots=True)
class _Place:
    """An event on the walk: its number as corrected, the hashes that its successor may build on, a finding not yet sure."""

    number: int
    hashes: tuple[str, ...]
    event: Row[Any] | None = None
    suspicion: Finding | None = None


class _Walk:
    """Walks the events in the chain's order; an event is judged when its successor has been seen."""

    def __init__(self, tenant_id: str, marks: dict[int, str], report: Report) -> None:
        self._marks, self._report = marks, report
        self._numbers = {chain_hash: number for number, chain_hash in marks.items()}
        self._last = max(marks, default=0)
        self._place = _Place(0, (genesis(tenant_id),))
        self._before: _Place | None = None
        self._anchor = self._place  # the last event that a checkpoint vouches for
        self._since: list[_Place] = []  # the events behind it
        self._rivals: list[_Place] = []  # events that carry the current one's number and fit as well
        self._shift = 0  # how much the stored numbers are too high (events inserted) or too low (removed)

    def over(self, events: Iterable[Row[Any]]) -> None:
        """Judge every event, then the end."""
        for event in events:
            self._report.chained += 1
            self._step(event)
            if len(self._report.findings) > MOST_FINDINGS:
                self._report.findings.append(Finding("rewritten", "there is more; the verification stopped here"))
                return
        self._choose(None)
        self._settle()
        self._judge_end()

    def _step(self, event: Row[Any]) -> None:
        stored = event.chain_seq
        if not isinstance(stored, int) or stored <= 0:
            self._find("inserted", event, "carries a number that no chained event has")
            return
        number = stored - self._shift
        if self._rivals and number != self._place.number:
            self._choose(event)
        if number > self._place.number + 1 and not self._follows(self._anchor, event):
            self._settle()
            number = stored - self._shift  # settling may have found out how far the numbers are shifted
            if number > self._place.number + 1:
                self._over_gap(event, number)
                return
        if self._follows(self._place, event):
            self._settle()
            self._advance(event, stored - self._shift)
        elif self._before is not None and self._follows(self._before, event):
            if number == self._place.number and self._place.suspicion is None:
                self._rivals.append(self._made(self._before, event, number))
                return
            self._place_was_inserted()
            if number == self._place.number + 1:
                self._shift, number = self._shift + 1, number - 1
            self._place = self._before
            self._advance(event, number)
        elif self._since and self._follows(self._anchor, event):
            for place in [*self._since, self._place]:
                place.suspicion = None
                self._find("inserted", place.event, "was put in: the next sealed event does not build on it")
            self._place = self._anchor
            self._advance(event, number)
        elif number == self._place.number:
            self._find("inserted", event, "was put in: another event carries the same number")
        else:
            self._settle()
            before = self._place
            self._advance(event, stored - self._shift)
            near = "" if before.event is None else f" (or event {before.number} before it was, and hashed anew)"
            self._place.suspicion = self._finding("altered", event, f"was altered{near}")

    def _over_gap(self, event: Row[Any], number: int) -> None:
        missing = (self._place.number + 1, number - 1)
        names = f"event {missing[0]} was" if missing[0] == missing[1] else f"events {missing[0]} to {missing[1]} were"
        self._report.findings.append(Finding("removed", f"{names} removed", missing[0]))
        start = self._marks.get(number - 1)
        self._before = None
        self._place = _Place(number - 1, () if start is None else (start,))
        is_altered = start is not None and not self._follows(self._place, event)
        self._advance(event, number)
        self._before = None
        if is_altered:
            self._place.suspicion = self._finding("altered", event, "was altered")

    def _follows(self, place: _Place, event: Row[Any]) -> bool:
        return any(event_hash(previous, event) == event.chain_hash for previous in place.hashes)

    def _advance(self, event: Row[Any], number: int) -> None:
        self._before, self._place = self._place, self._made(self._place, event, number)

    def _made(self, before: _Place, event: Row[Any], number: int) -> _Place:
        computed = [event_hash(previous, event) for previous in before.hashes]
        return _Place(number, tuple(dict.fromkeys([str(event.chain_hash), *computed])), event)

    def _choose(self, following: Row[Any] | None) -> None:
        """Of events that carry one number and all fit, keep the one that the next event, or a checkpoint, builds on."""
        candidates, self._rivals = [self._place, *self._rivals], []
        built_on = [each for each in candidates if following is not None and self._follows(each, following)]
        sealed = [each for each in candidates if any(chain_hash in self._numbers for chain_hash in each.hashes)]
        self._place = (built_on + sealed + candidates)[0]
        for each in candidates:
            if each is not self._place:
                self._find("inserted", each.event, "was put in: another event carries the same number")

    def _place_was_inserted(self) -> None:
        self._place.suspicion = None
        self._find("inserted", self._place.event, "was put in: the next event does not build on it")

    def _settle(self) -> None:
        """Judge the current event, whose successor is known now: compare it with the checkpoints."""
        place = self._place
        if place.event is None:
            return
        if place.suspicion is not None:
            self._report.findings.append(place.suspicion)
            place.suspicion = None
        sealed_as = next((self._numbers[each] for each in place.hashes if each in self._numbers), None)
        if sealed_as is not None:
            if sealed_as != place.number:
                self._shift += place.number - sealed_as
                place.number = sealed_as
            self._anchor, self._since = place, []
        elif place.number in self._marks:
            span = f"events {self._anchor.number + 1} to {place.number}"
            self._find(
                "rewritten", place.event, f"does not have the hash that was sealed: {span} were altered and hashed anew"
            )
            self._anchor, self._since = place, []
        else:
            self._since.append(place)

    def _judge_end(self) -> None:
        reached = self._place.number
        if self._last and not self._report.chained:
            self._report.findings.append(Finding("emptied", f"the whole log was removed: events 1 to {self._last}", 1))
        elif self._last > reached:
            what = f"the end was cut off: events {reached + 1} to {self._last} are missing"
            self._report.findings.append(Finding("cut_off", what, reached + 1))
        elif not self._last and self._report.chained:
            self._report.findings.append(
                Finding("checkpoint_removed", "no sound checkpoint is left in either database")
            )
        elif self._last:
            for place in self._since:
                if place.number > self._last:
                    self._find("inserted", place.event, "was put in: it is behind the last checkpoint")

    def _finding(self, problem: Problem, event: Row[Any] | None, what: str) -> Finding:
        if event is None:  # the place before the first event, which nobody can have put in
            return Finding(problem, what)
        named = f"event {event.chain_seq} ({event.kind}, id {event.id}) {what}"
        return Finding(problem, named, event.chain_seq, event.id, event.kind)

    def _find(self, problem: Problem, event: Row[Any] | None, what: str) -> None:
        self._report.findings.append(self._finding(problem, event, what))
