"""What the machine can do without a server: the primitives a sign-in and a token cannot be cheaper than.

Each loop runs in its own process for a fixed time and reports operations and the median of one, so that "two processes"
is the truth about two cores. The SQLite loop commits one row at a time to a WAL file of its own with synchronous=FULL.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.low_level import Type
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARGON2_MEMORY_KIB = 46 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """Operations a second of all processes together, and the median seconds of one operation."""

    rate: float
    median_seconds: float


def hasher() -> PasswordHasher:
    """Return argon2id with the parameters every server of the bench uses: 46 MiB, one pass, one lane."""
    return PasswordHasher(time_cost=1, memory_cost=ARGON2_MEMORY_KIB, parallelism=1, type=Type.ID)


def es256(_: Path) -> Callable[[], object]:
    """One ES256 signature and its verification."""
    key = ec.generate_private_key(ec.SECP256R1())
    public, algorithm, message = key.public_key(), ec.ECDSA(hashes.SHA256()), b"x" * 400
    return lambda: public.verify(key.sign(message, algorithm), message, algorithm)


def es256_sign(_: Path) -> Callable[[], object]:
    """One ES256 signature."""
    key, algorithm, message = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256()), b"x" * 400
    return lambda: key.sign(message, algorithm)


def argon2id(_: Path) -> Callable[[], object]:
    """One verification of a right password."""
    verifier = hasher()
    encoded = verifier.hash("a password of the bench")
    return lambda: verifier.verify(encoded, "a password of the bench")


def sqlite_commit(folder: Path) -> Callable[[], object]:
    """One row, one durable transaction."""
    connection = sqlite3.connect(folder / f"raw-{os.getpid()}.db", timeout=30, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS spent (jti TEXT, at INTEGER)")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO spent VALUES (?, ?)", ("j" * 32, time.time_ns()))
        connection.execute("COMMIT")

    return commit


LOOPS = {
    "es256 sign": es256_sign,
    "es256 sign+verify": es256,
    "argon2id verify": argon2id,
    "sqlite commit": sqlite_commit,
}


def _work(name: str, folder: Path, seconds: float, barrier: object, results: object) -> None:
    operation = LOOPS[name](folder)
    operation()
    barrier.wait()  # type: ignore[attr-defined]
    times: list[float] = []
    began = now = time.perf_counter()
    while now - began < seconds:
        operation()
        now, before = time.perf_counter(), now
        times.append(now - before)
    results.put((len(times) / (now - began), statistics.median(times)))  # type: ignore[attr-defined]


def measure(name: str, processes: int, folder: Path, seconds: float) -> Pace:
    """Run a loop on that many processes for `seconds`."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=_work, args=(name, folder, seconds, barrier, results)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=seconds + 60) for _ in workers]
    for worker in workers:
        worker.join()
    return Pace(sum(rate for rate, _ in found), statistics.median(median for _, median in found))
