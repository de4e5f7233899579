"""`python -m bench`: every server in turn, three rounds, medians, and a table with the promised ratios.

Only one server runs at a time and nothing outlives the run. Figures go to the terminal and to bench/results/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from bench import raw, report, tenants, users
from bench.browser import SignInError
from bench.load import Run, WrongAnswerError
from bench.processes import StartError
from bench.report import Results, Turn
from bench.servers import AUTHSEC, CONTESTANTS, AuthSec, Cast, Contestant
from bench.wire import WireError
from bench.workloads import WORKLOADS, Workload

HERE = Path(__file__).parent
RESULTS = HERE / "results"
EXTRAS = ("raw", "tenants", "creation", "users")
FIRST_PORT = 18300
REPEAT_ABOVE = 0.1
USERS, ANSWERS = 10_000, 51
FAILURES = (WrongAnswerError, SignInError, WireError, StartError, OSError)


def _options() -> argparse.Namespace:
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of two seconds, 50 tenants: does it work?")
    parser.add_argument("--only", action="append", choices=[*names, *EXTRAS], help="this workload (may be repeated)")
    parser.add_argument("--servers", default=",".join(CONTESTANTS), help="which servers, separated by commas")
    parser.add_argument("--rounds", type=int, help="turns of each server at each workload (3)")
    parser.add_argument("--seconds", type=float, help="how long each turn is measured (6)")
    parser.add_argument("--tenants", type=int, help="how many tenants are used in turn (1000)")
    parser.add_argument(
        "--first-port", type=int, default=FIRST_PORT, help=f"the servers use a few from here ({FIRST_PORT})"
    )
    options = parser.parse_args()
    quick = options.quick
    options.rounds = options.rounds or (1 if quick else 3)
    options.seconds = options.seconds or (2.0 if quick else 6.0)
    options.tenants = options.tenants or (50 if quick else 1000)
    options.only = options.only or [*names, *EXTRAS]
    options.servers = [name.strip() for name in options.servers.split(",")]
    if unknown := set(options.servers) - set(CONTESTANTS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(CONTESTANTS)}")
    return options


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


class Bench:
    """One run: its options, its servers and what it has found."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work = options, work
        self.warm = max(1.0, options.seconds / 3)
        self.results = Results(
            settings={
                "rounds": options.rounds,
                "seconds a turn": options.seconds,
                "workers": 2,
                "connections": "32 (16 for refresh and sign-in)",
            }
        )
        cast = Cast()
        self.servers: dict[str, Contestant] = {
            name: kind(cast, work, options.first_port + offset)
            for name, (kind, offset) in CONTESTANTS.items()
            if name in options.servers
        }

    def run(self) -> None:
        """Measure everything that was asked for."""
        wanted = [workload for workload in WORKLOADS if workload.name in self.options.only]
        self._prepare(wanted)
        for number in range(1, self.options.rounds + 1):
            if "raw" in self.options.only or "login" in self.options.only:
                self._raw_round(number)
            for workload in wanted:
                present = [name for name in workload.servers if name in self.servers]
                for name in present[number % 2 :] + present[: number % 2]:  # nobody is always first
                    self._turn(number, workload, self.servers[name])
        authsec = self.servers.get(AUTHSEC)
        if isinstance(authsec, AuthSec):
            self._tenancy(authsec)

    def _prepare(self, wanted: list[Workload]) -> None:
        needed = {name for workload in wanted for name in workload.servers}
        if {"tenants", "creation", "users"} & set(self.options.only):
            needed.add(AUTHSEC)
        for name in [name for name in self.servers if name not in needed]:
            del self.servers[name]
        for server in self.servers.values():
            _say(f"preparing {server.title}")
            server.prepare()

    def _turn(self, number: int, workload: Workload, server: Contestant) -> None:
        best: Turn | None = None
        for _ in range(2):  # a second time when other programs competed
            try:
                turn = self._measure(workload, server)
            except FAILURES as failure:
                self.results.failures.append(f"round {number}, {workload.name} at {server.title}: {failure}")
                _say(f"round {number}  {workload.name:<20} {server.title:<20} NO FIGURE: {str(failure)[:600]}")
                return
            if best is None or turn.measurement.foreign_share < best.measurement.foreign_share:
                best = turn
            if best.measurement.foreign_share <= REPEAT_ABOVE or self.options.quick:
                break
        assert best is not None
        self.results.turns.setdefault((workload.name, server.name), []).append(best)
        found = best.measurement
        _say(
            f"round {number}  {workload.name:<20} {server.title:<20} {found.rate:>8,.0f}/s  p50 {found.p50:>7.2f} ms  "
            f"p99 {found.p99:>7.1f} ms  CPU {found.cpu:>6,.0f} µs  RSS {best.memory.worker_rss:>4.0f} MiB  "
            f"start {best.cold_seconds:.2f} s  errors {found.errors}",
        )

    def _measure(self, workload: Workload, server: Contestant) -> Turn:
        with server.running() as running:
            run = Run(self.work, self.warm, self.options.seconds, running.process.processor_seconds)
            measurement = workload.measure(running.target, server.cast, run)
            return Turn(measurement, running.process.memory(), running.cold_seconds)

    def _raw_round(self, number: int) -> None:
        loops = raw.LOOPS if "raw" in self.options.only else {"argon2id verify": raw.argon2id}
        for name in loops:
            for processes in (1, 2):
                pace = raw.measure(name, processes, self.work, min(2.0, self.options.seconds))
                self.results.raw.setdefault((name, processes), []).append(pace)
                _say(
                    f"round {number}  raw {name:<16} on {processes}         {pace.rate:>8,.0f}/s  "
                    f"median {pace.median_seconds * 1e6:,.0f} µs",
                )

    def _tenancy(self, authsec: AuthSec) -> None:
        options = self.options
        try:
            if "creation" in options.only:
                _say("making tenants on SQLite")
                self.results.creation["SQLite"] = tenants.creation(authsec, authsec.environment())
                if "IDP_BENCH_PG_URL" in os.environ:
                    _say("making tenants on PostgreSQL")
                    with tenants.postgresql(authsec, self.work) as environment:
                        self.results.creation["PostgreSQL"] = tenants.creation(authsec, environment)
                else:
                    _say("IDP_BENCH_PG_URL is not set: making a tenant on PostgreSQL is not measured")
            if "users" in options.only:
                count = 1_000 if options.quick else USERS
                _say(f"making {count:,} users in one tenant, and asking for their lists")
                self.results.lists = users.lists(authsec, count, 5 if options.quick else ANSWERS, self.work)
            if "tenants" in options.only:
                _say(f"making {options.tenants} tenants with a user and two clients each")
                self.results.crowd = tenants.crowd(
                    authsec,
                    options.tenants,
                    options.rounds,
                    self.work,
                    self.warm,
                    options.seconds,
                )
        except FAILURES as failure:
            self.results.failures.append(f"tenants and users: {failure}")
            _say(f"tenants and users  NO FIGURE: {failure}")


def _work_folder() -> Path:
    """Make a folder on the disk where var/ would be; remove those of runs that were killed."""
    for left in HERE.glob(".work-*"):
        if not Path(f"/proc/{left.name.split('-')[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    work = HERE / f".work-{os.getpid()}"
    work.mkdir(mode=0o700)
    return work


def main() -> int:
    """Run the bench; 0 when every figure was taken, 1 when one could not be, 2 when it could not start."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = _work_folder()
    bench = Bench(options, work)
    began = time.monotonic()
    try:
        bench.run()
    except StartError as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.write(bench.results, RESULTS)
    print(f"\n{report.markdown(bench.results)}")
    print(
        f"{time.monotonic() - began:.0f} s; also in {(RESULTS / 'latest.md').relative_to(HERE.parent)} and latest.json"
    )
    return 1 if bench.results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
