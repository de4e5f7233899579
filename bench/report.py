"""The table at the end: medians, the ratios the project promises, and whether each holds.

A ratio is refused, not printed, when either side answered more than 0.1 % of the requests wrongly.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.servers import AUTHLIB, AUTHSEC, CONTESTANTS, NODE

if TYPE_CHECKING:
    from bench.load import Measurement
    from bench.processes import Memory
    from bench.raw import Pace
    from bench.tenants import Creation, Crowd
    from bench.users import Lists

MOST_ERRORS = 0.001
DISTURBED = 0.05


@dataclass(frozen=True, slots=True)
class Turn:
    """One server's turn at one workload."""

    measurement: Measurement
    memory: Memory
    cold_seconds: float


@dataclass(slots=True)
class Results:
    """Everything a run found."""

    turns: dict[tuple[str, str], list[Turn]] = field(default_factory=dict)
    raw: dict[tuple[str, int], list[Pace]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    creation: dict[str, Creation] = field(default_factory=dict)
    crowd: Crowd | None = None
    lists: Lists | None = None
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promise:
    """One figure of the issue: what was measured (or why not) beside what was promised."""

    name: str
    bound: str
    target: float
    value: float | None
    unit: str
    note: str = ""

    @property
    def mark(self) -> str:
        """`pass`, `short`, or a dash when there is no figure."""
        if self.value is None:
            return "–"
        return "pass" if (self.value >= self.target if self.bound == "≥" else self.value <= self.target) else "short"


def _median(turns: list[Turn], name: str) -> float:
    return statistics.median(float(getattr(turn.measurement, name)) for turn in turns)


def _errors(turns: list[Turn]) -> float:
    wrong = sum(turn.measurement.errors for turn in turns)
    return wrong / max(1, sum(turn.measurement.requests for turn in turns))


def _ratio(results: Results, workload: str, over: str, target: float) -> Promise:
    title = f"{workload} ÷ {CONTESTANTS[over][0].title}"
    ours, theirs = results.turns.get((workload, AUTHSEC)), results.turns.get((workload, over))
    if not ours or not theirs:
        return Promise(title, "≥", target, None, "×", "not measured")
    for who, turns in ((AUTHSEC, ours), (over, theirs)):
        if _errors(turns) > MOST_ERRORS:
            return Promise(title, "≥", target, None, "×", f"refused: {_errors(turns):.2%} errors at {who}")
    by_cpu = _median(theirs, "cpu") / max(1e-9, _median(ours, "cpu"))
    note = f"{by_cpu:.2f} × by processor time a request"
    return Promise(title, "≥", target, _median(ours, "rate") / _median(theirs, "rate"), "×", note)


def _login(results: Results) -> Promise:
    title = "password login ÷ raw argon2id verify, median times"
    ours, raw = results.turns.get(("login", AUTHSEC)), results.raw.get(("argon2id verify", 1))
    if not ours or not raw:
        return Promise(title, "≤", 1.3, None, "×", "not measured")
    base = statistics.median(pace.median_seconds for pace in raw) * 1e3
    took = _median(ours, "p50")
    return Promise(title, "≤", 1.3, took / base, "×", f"{took:.1f} ms beside {base:.1f} ms")


def _hybrid(results: Results) -> Promise:
    title = "hybrid sign-in ÷ code sign-in, time of one"
    code, hybrid = results.turns.get(("sign_in", AUTHSEC)), results.turns.get(("hybrid_sign_in", AUTHSEC))
    if not code or not hybrid:
        return Promise(title, "≤", 1.3, None, "×", "not measured")
    rates = _median(code, "rate"), _median(hybrid, "rate")
    by_cpu = _median(hybrid, "cpu") / max(1e-9, _median(code, "cpu"))
    note = f"{by_cpu:.2f} × by processor time; {rates[0]:.1f}/s and {rates[1]:.1f}/s"
    return Promise(title, "≤", 1.3, rates[0] / max(1e-9, rates[1]), "×", note)


def _footprint(results: Results) -> list[Promise]:
    turns = [turn for (_, server), found in results.turns.items() if server == AUTHSEC for turn in found]
    if not turns:
        return [
            Promise("peak memory (RSS) of a worker", "≤", 150, None, "MiB", "not measured"),
            Promise("cold start to the first 200", "≤", 1.5, None, "s", "not measured"),
        ]
    rss, pss = max(t.memory.worker_rss for t in turns), max(t.memory.worker_pss for t in turns)
    cold = statistics.median(turn.cold_seconds for turn in turns)
    return [
        Promise("peak memory (RSS) of a worker", "≤", 150, rss, "MiB", f"PSS {pss:.0f} MiB; largest of all workloads"),
        Promise("cold start to the first 200", "≤", 1.5, cold, "s", f"median of {len(turns)} starts"),
    ]


def _tenancy(results: Results) -> list[Promise]:
    found, crowd = [], results.crowd
    for name, target in (("client_credentials", 0.9), ("userinfo", 0.7)):
        title = f"{name}: {crowd.count if crowd else 1000:,} tenants in turn ÷ one"
        if crowd is None:
            found.append(Promise(title, "≥", target, None, "×", "not measured"))
            continue
        one, many = crowd.one[name], crowd.many[name]
        wrong = max(measurement.error_share for measurement in [*one, *many])
        if wrong > MOST_ERRORS:
            found.append(Promise(title, "≥", target, None, "×", f"refused: {wrong:.2%} errors"))
            continue
        rates = [statistics.median(m.rate for m in side) for side in (one, many)]
        cpus = [statistics.median(m.cpu for m in side) for side in (one, many)]
        note = f"{cpus[0] / max(1e-9, cpus[1]):.2f} × by processor time; {rates[0]:,.0f}/s and {rates[1]:,.0f}/s"
        found.append(Promise(title, "≥", target, rates[1] / rates[0], "×", note))
    added = crowd.memory_many - crowd.memory_one if crowd else None
    note = f"{crowd.memory_one:.0f} → {crowd.memory_many:.0f} MiB RSS" if crowd else "not measured"
    found.append(Promise("memory a worker that the tenants add", "≤", 300, added, "MiB", note))
    for kind, target in (("SQLite", 0.2), ("PostgreSQL", 1.0)):
        made = results.creation.get(kind)
        note = f"{made.command:.2f} s as a command" if made else "not measured"
        found.append(Promise(f"making a tenant on {kind}", "≤", target, made.inside if made else None, "s", note))
    return found


def _lists(results: Results) -> Promise:
    found = results.lists
    title = f"slowest list of {found.count if found else 10_000:,} users, p50"
    if found is None:
        return Promise(title, "≤", 20, None, "ms", "not measured")
    return Promise(title, "≤", 20, found.slowest[1], "ms", found.slowest[0])


def promises(results: Results) -> list[Promise]:
    """Return every promised figure in the order of the issue."""
    ratios = [
        ("client_credentials", NODE, 1.0),
        ("sign_in", NODE, 1.0),
        ("discovery", NODE, 1.2),
        ("jwks", NODE, 1.2),
        ("refresh", NODE, 0.8),
        ("introspection", NODE, 0.7),
        ("userinfo", NODE, 0.7),
        ("client_credentials", AUTHLIB, 1.6),
    ]
    rows = [_ratio(results, workload, over, target) for workload, over, target in ratios]
    return [*rows, _login(results), _hybrid(results), *_footprint(results), *_tenancy(results), _lists(results)]


def _table(rows: list[list[str]], left: set[int]) -> list[str]:
    """Return a Markdown table that lines up in a terminal; the first row is the head, `left` are columns of text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        cells = [c.ljust(w) if n in left else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))]
        return f"| {' | '.join(cells)} |"

    rule = [("-" * w) if n in left else ("-" * (w - 1) + ":") for n, w in enumerate(widths)]
    return [line(rows[0]), f"| {' | '.join(rule)} |", *map(line, rows[1:])]


def _measured(results: Results) -> list[str]:
    rows = [["workload", "server", "a second", "p50 ms", "p99 ms", "CPU µs", "RSS MiB", "PSS MiB", "errors", "note"]]
    for (workload, server), turns in results.turns.items():
        shares = [turn.measurement.foreign_share for turn in turns]
        note = f"other programs took {max(shares):.0%} of the processors" if max(shares) > DISTURBED else ""
        rows.append(
            [
                workload,
                CONTESTANTS[server][0].title,
                f"{_median(turns, 'rate'):,.0f}",
                f"{_median(turns, 'p50'):.2f}",
                f"{_median(turns, 'p99'):.1f}",
                f"{_median(turns, 'cpu'):,.0f}",
                f"{max(turn.memory.worker_rss for turn in turns):.0f}",
                f"{max(turn.memory.worker_pss for turn in turns):.0f}",
                f"{_errors(turns):.2%}",
                note,
            ]
        )
    return _table(rows, {0, 1, 9})


def _raw(results: Results) -> list[str]:
    rows = [["loop", "processes", "a second", "median µs"]]
    for (name, processes), paces in results.raw.items():
        rate = statistics.median(pace.rate for pace in paces)
        middle = statistics.median(pace.median_seconds for pace in paces) * 1e6
        rows.append([name, str(processes), f"{rate:,.0f}", f"{middle:,.0f}"])
    return _table(rows, {0})


def _promised(results: Results) -> list[str]:
    rows = [["promised", "mark", "measured", "target", "note"]]
    for promise in promises(results):
        value = "–" if promise.value is None else f"{promise.value:.2f} {promise.unit}"
        target = f"{promise.bound} {promise.target:g} {promise.unit}"
        rows.append([promise.name, promise.mark, value, target, promise.note])
    return _table(rows, {0, 1, 4})


def markdown(results: Results) -> str:
    """Return the whole report."""
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    machine = f"{platform.machine()}, {len(_processors())} processors, Linux {platform.release()}"
    lines = ["# Bench", "", f"{made}. {machine}, Python {platform.python_version()}. {_settings(results)}", ""]
    if results.turns:
        lines += ["## Measured", "", *_measured(results), ""]
    if results.raw:
        lines += ["## Raw loops", "", *_raw(results), ""]
    if results.lists is not None:
        rows = [["list of users", "p50 ms"], *([name, f"{took:.1f}"] for name, took in results.lists.medians.items())]
        lines += ["## Lists of users", "", *_table(rows, {0}), ""]
    lines += ["## Promised", "", *_promised(results), ""]
    if results.failures:
        lines += ["## Without a figure", "", *(f"- {failure}" for failure in results.failures), ""]
    return "\n".join(lines)


def _settings(results: Results) -> str:
    return ", ".join(f"{name} {value}" for name, value in results.settings.items())


def _processors() -> list[str]:
    text = Path("/proc/cpuinfo").read_text()
    return [line for line in text.splitlines() if line.startswith("processor")]


def write(results: Results, folder: Path) -> None:
    """Write latest.md and latest.json."""
    folder.mkdir(exist_ok=True)
    (folder / "latest.md").write_text(markdown(results))
    found = {
        "made": int(time.time()),
        "settings": results.settings,
        "turns": {
            f"{workload}/{server}": [asdict(t) for t in turns] for (workload, server), turns in results.turns.items()
        },
        "raw": {f"{name}/{processes}": [asdict(p) for p in paces] for (name, processes), paces in results.raw.items()},
        "creation": {kind: asdict(made) for kind, made in results.creation.items()},
        "crowd": asdict(results.crowd) if results.crowd else None,
        "lists": asdict(results.lists) if results.lists else None,
        "promises": [asdict(promise) | {"mark": promise.mark} for promise in promises(results)],
        "failures": results.failures,
    }
    (folder / "latest.json").write_text(json.dumps(found, indent=1) + "\n")
