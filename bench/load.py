"""The load generators: wrk for single requests, threads of browsers for sign-ins; the same for every server.

A measurement counts what was not answered as asked. wrk reports statuses itself; that the bodies are right is held by a
sample before and after each run and by the mean size of an answer in between.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.browser import SignInError, sign_in
from bench.meter import Meter
from bench.wire import Answer, Connection, WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.targets import Client, Target, User

LUA = Path(__file__).parent / "lua"
THREADS, CONNECTIONS = 2, 32
CHAINS = 16
BROWSERS = 16
WARM_LOGINS = 5
SIZE_TOLERANCE = 0.1


class WrongAnswerError(Exception):
    """A server did not answer what the workload asks for: no figure may be made of it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a plan; `process` restricts it to the connections of one process of the server."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    process: int | None = None

    def line(self) -> str:
        """Return the line of the plan that lua/requests.lua reads."""
        headers = "|".join(f"{name}={value}" for name, value in self.headers.items())
        process = "*" if self.process is None else str(self.process)
        return f"request\t{self.method}\t{self.path}\t{headers}\t{self.body}\t{process}"

    def send(self, connection: Connection) -> Answer:
        """Send it once."""
        lines = "".join(f"{n}: {v}\r\n" for n, v in self.headers.items() if n != "Content-Type")
        if self.method == "GET":
            return connection.get(self.path, lines)
        return connection.post(self.path, self.body, lines)


@dataclass(frozen=True, slots=True)
class Run:
    """Where and how long a measurement runs: a folder for plans, seconds, and the server's processor time so far."""

    folder: Path
    warm: float
    seconds: float
    processor_seconds: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one workload at one server; p50 and p99 in milliseconds, cpu in microseconds a request."""

    rate: float
    p50: float
    p99: float
    requests: int
    errors: int
    cpu: float
    foreign_share: float

    @property
    def error_share(self) -> float:
        """Errors by requests."""
        return self.errors / max(1, self.requests)


def _wrk(script: str, plan: list[str], folder: Path, seconds: float, threads: int, connections: int) -> dict[str, int]:
    program = shutil.which("wrk")
    if program is None:
        raise WrongAnswerError("wrk is not installed (Debian: wrk).")
    path = folder / "plan.tsv"
    path.write_text("\n".join(plan) + "\n")
    done = subprocess.run(
        [
            program,
            f"-t{threads}",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            "10s",
            "-s",
            str(LUA / script),
            plan[1].replace("address\t", "http://").replace("\t", ":") + "/",
        ],
        env=os.environ | {"BENCH_PLAN": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith("BENCH "):
            found: dict[str, int] = json.loads(line[6:])
            return found
    raise WrongAnswerError(f"wrk: {done.stdout[-500:]}{done.stderr[-500:]}")


def _plan(target: Target) -> list[str]:
    return [f"host\t{target.host}", *(f"address\t{host}\t{port}" for host, port in target.addresses)]


def _measured(found: dict[str, int], meter: Meter) -> Measurement:
    seconds, requests = found["microseconds"] / 1e6, found["requests"]
    return Measurement(
        rate=(requests - found["refused"]) / seconds,
        p50=found["p50"] / 1e3,
        p99=found["p99"] / 1e3,
        requests=requests,
        errors=found["refused"] + found["failed"],
        cpu=meter.server_seconds * 1e6 / max(1, requests),
        foreign_share=meter.foreign_share,
    )


def sample(target: Target, requests: Sequence[Request], check: Callable[[Answer], bool]) -> float:
    """Send the first request of each process once; return the mean size of the answers or raise WrongAnswerError."""
    sizes = []
    for number, address in enumerate(target.addresses):
        mine = next(request for request in requests if request.process in {None, number})
        with Connection(address, target.host) as connection:
            answer = mine.send(connection)
        if answer.status != 200 or not check(answer):
            raise WrongAnswerError(f"{mine.method} {mine.path} at {address}: {answer.status} {answer.body[:500]!r}")
        sizes.append(len("HTTP/1.1 200 OK\r\n") + len(answer.head) + 4 + len(answer.body))
    return statistics.mean(sizes)


def steady(target: Target, requests: Sequence[Request], check: Callable[[Answer], bool], run: Run) -> Measurement:
    """Load the server with the requests in turn on 32 connections, after a warm-up."""
    plan = _plan(target) + [request.line() for request in requests]
    sample(target, requests, check)
    _wrk("requests.lua", plan, run.folder, run.warm, THREADS, CONNECTIONS)
    expected = sample(target, requests, check)
    with Meter(run.processor_seconds) as meter:
        found = _wrk("requests.lua", plan, run.folder, run.seconds, THREADS, CONNECTIONS)
    sample(target, requests, check)
    size = found["bytes"] / max(1, found["requests"])
    if not found["refused"] and abs(size - expected) > SIZE_TOLERANCE * expected:
        raise WrongAnswerError(
            f"{requests[0].path}: answers of {size:.0f} bytes in the run, {expected:.0f} in the sample"
        )
    return _measured(found, meter)


def chains(target: Target, request: Request, seed: Callable[[int], list[str]], run: Run) -> Measurement:
    """Follow 16 chains of rotated refresh tokens, one a connection; `seed(n)` signs n users in, in turn by process."""
    for duration in (run.warm, run.seconds):
        plan = [*_plan(target), request.line(), *(f"token\t{token}" for token in seed(CHAINS))]
        with Meter(run.processor_seconds) as meter:
            found = _wrk("refresh.lua", plan, run.folder, duration, CHAINS, CHAINS)
    return _measured(found, meter)


def sign_ins(target: Target, client: Client, user: User, scope: str, run: Run) -> Measurement:
    """Sign in over and over with 16 fresh browsers at a time; a sign-in counts when it ends inside the window."""
    begin = time.perf_counter() + run.warm
    end = begin + run.seconds
    taken: list[float] = []
    failures: list[str] = []

    def person(number: int) -> None:
        address = target.addresses[number % len(target.addresses)]
        with Connection(address, target.host) as backend:
            while (started := time.perf_counter()) < end:
                try:
                    sign_in(target, client, user, scope, address, backend)
                except SignInError as error:
                    failures.append(str(error))
                except (WireError, OSError) as error:
                    failures.append(repr(error))
                    return
                else:
                    if begin <= (now := time.perf_counter()) <= end:
                        taken.append(now - started)

    people = [threading.Thread(target=person, args=(number,)) for number in range(BROWSERS)]
    for one in people:
        one.start()
    time.sleep(run.warm)
    with Meter(run.processor_seconds) as meter:
        time.sleep(max(0.0, end - time.perf_counter()))
    for one in people:
        one.join()
    if failures:
        print(f"    {len(failures)} sign-ins failed, the first: {failures[0][:400]}")
    return _of_times(taken, run.seconds, len(failures), meter)


def logins(target: Target, client: Client, user: User, scope: str, run: Run) -> Measurement:
    """Sign in one after the other on an idle server; the times are those of the password login alone."""
    address, taken = target.addresses[0], []
    with Connection(address, target.host) as backend:
        for _ in range(WARM_LOGINS):
            sign_in(target, client, user, scope, address, backend)
        end = time.perf_counter() + run.seconds
        with Meter(run.processor_seconds) as meter:
            while time.perf_counter() < end:
                taken.append(sign_in(target, client, user, scope, address, backend).login_seconds)
    return _of_times(taken, sum(taken), 0, meter)


def _of_times(taken: list[float], seconds: float, errors: int, meter: Meter) -> Measurement:
    if not taken:
        raise WrongAnswerError("no sign-in succeeded")
    ordered = sorted(taken)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Measurement(
        rate=len(taken) / seconds,
        p50=statistics.median(taken) * 1e3,
        p99=p99 * 1e3,
        requests=len(taken) + errors,
        errors=errors,
        cpu=meter.server_seconds * 1e6 / len(taken),
        foreign_share=meter.foreign_share,
    )
