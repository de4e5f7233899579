"""`make soak`: minutes of mixed load while workers are killed at random, then an audit of the databases in SQL (S112).

``IDP_SOAK_SECONDS`` shortens it. Progress is printed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import checker
from cast import SigningKey
from databases import environment
from load import CHANCE, Actor, Ledger
from serving import Served, eventually, rows, scalar

if TYPE_CHECKING:
    from house import RelyingParty

pytestmark = pytest.mark.soak
SECONDS = int(os.environ.get("IDP_SOAK_SECONDS", "300"))
THREADS = 10
PAUSE = 2.0  # seconds between two SIGKILLs
USERS = [f"person{i}@example.com" for i in range(6)]


def kill_at_random(served: Served, until: float, kills: list[int]) -> None:
    """SIGKILL a random worker every two seconds, and now and then the process that does the jobs."""
    while time.monotonic() < until:
        time.sleep(PAUSE * CHANCE.uniform(0.7, 1.3))
        serving = served.workers()
        others = [pid for pid in served.processes() if pid not in serving and pid != served.leader]
        pool = others if others and CHANCE.random() < 0.15 else serving
        if pool:
            with contextlib.suppress(ProcessLookupError):
                os.kill(CHANCE.choice(pool), signal.SIGKILL)
                kills.append(int(time.monotonic()))


def report(ledger: Ledger, kills: list[int], began: float) -> None:
    done = sum(ledger.counts.values()) - ledger.counts["lost"] - ledger.counts["503"]
    print(
        f"  {time.monotonic() - began:4.0f} s: {done} answers, {ledger.counts['sign-in']} sign-ins, {len(kills)} kills,"
        f" {ledger.counts['lost']} lost, {ledger.counts['503']} busy, {len(ledger.families)} living families,"
        f" {len(ledger.violations)} broken promises",
        flush=True,
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_s112_nothing_is_broken_by_killing_workers(kind: str, tmp_path: Path) -> None:
    """S112, issue 3: no code redeemed twice, no two living heads, no orphan session, no consumed jti accepted, a whole audit chain."""
    print(f"\n{kind}: {SECONDS} s, {THREADS} threads, a SIGKILL every {PAUSE:.0f} s", flush=True)
    with environment(kind) as environ, Served(tmp_path, **environ) as served:
        settings = {"rate_limits": "off", "source_attempts": "100000", "account_attempts": "100"}
        tenants = [served.tenant(slug, **settings) for slug in ("alpha", "beta")]
        key = SigningKey.new("ES256", "k")
        parties, signed = [], []
        for tenant in tenants:
            for name in USERS:
                served.house.user(tenant, name)
            parties += [served.client(tenant, f"rp{i}") for i in range(2)]
            signed.append(
                served.client(
                    tenant, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
                )
            )
        ledger, kills = Ledger(), []
        began = time.monotonic()
        until = began + SECONDS
        threads = [
            threading.Thread(target=_live, args=(Actor(served, parties, signed, key, USERS, ledger, i), until))
            for i in range(THREADS)
        ]
        threads.append(threading.Thread(target=kill_at_random, args=(served, until, kills)))
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            time.sleep(min(10.0, max(0.1, until - time.monotonic())))
            report(ledger, kills, began)
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive(), "a thread hangs"
        eventually(lambda: len(served.workers()) == 2, 30)
        served.wait_for("/health/ready", 200, 30)
        print(f"  answers: {dict(sorted(ledger.counts.items()))}", flush=True)
        what_was_told_holds(served, ledger)
        everything_is_in_order(served, ledger, signed, kind)
        assert ledger.violations == []
        assert max(ledger.redeemed.values()) == 1
        # What a kill breaks is what was in flight: at most every thread once or twice.
        assert ledger.counts["lost"] <= 2 * THREADS * (len(kills) + 1)
        assert len(kills) >= SECONDS / PAUSE / 3
        assert ledger.counts["sign-in"] >= SECONDS / 5


def _live(actor: Actor, until: float) -> None:
    while time.monotonic() < until:
        try:
            actor.act()
        except Exception as error:
            actor.ledger.broken(f"{type(error).__name__}: {error}")


def what_was_told_holds(served: Served, ledger: Ledger) -> None:
    """Security §3, RPO 0: after the last kill the living are alive and the dead are dead."""
    for family in ledger.families:
        if family.unsure_since is not None:
            continue
        if family.rp.introspect(family.head)["active"] is not True:
            ledger.broken("a head that was handed out is not alive")
    for family in ledger.graveyard:
        if family.unsure_since is None and family.head and family.rp.introspect(family.head)["active"] is not False:
            # a revocation or reuse whose answer was lost may not have happened
            ledger.count("unanswered revocation")
    print(
        f"  {len(ledger.families)} living and {len(ledger.graveyard)} dead families are as they were told", flush=True
    )
    assert served.workers()


def everything_is_in_order(served: Served, ledger: Ledger, signed: list[RelyingParty], kind: str) -> None:
    """Let the jobs finish, stop everything, and look into the databases."""
    provisioning = served.house.installation.provisioning
    tenants = [tenant for tenant in provisioning.list_all() if tenant.slug in ("alpha", "beta")]
    control = served.house.settings.control_url
    time.sleep(3)  # the spool is drained
    served.stop()
    rows(control, "UPDATE pending_work SET next_due = 0, claimed_until = NULL, claimed_by = NULL WHERE kind = 'chain'")
    served.start()
    for tenant in tenants:
        waiting = f"SELECT count(*) FROM audit_events WHERE chain_seq IS NULL -- {tenant.slug}"
        eventually(
            lambda url=tenant.database_url, waiting=waiting: scalar(url, waiting) == 0,
            60,
            lambda: "events stay unchained",
        )
    served.stop()
    for tenant in tenants:
        found = checker.violations(tenant.database_url)
        spent = [jti for tenant_id, jti in ledger.spent_assertions if tenant_id == tenant.id]
        found += [
            f"an assertion that was accepted is not spent: {jti}"
            for jti in checker.unspent(tenant.database_url, "signed", spent)
        ]
        for each in found:
            ledger.broken(f"{tenant.slug}: {each}")
        done = subprocess.run(
            [sys.executable, "-m", "idp.cli", "audit", "verify", tenant.slug],
            env=served.process_environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            ledger.broken(f"{tenant.slug}: idp audit verify: {done.stdout}{done.stderr}")
        print(
            f"  {kind} {tenant.slug}: {checker.figures(tenant.database_url)}, {len(checker.INVARIANTS)} invariants hold: {not found}",
            flush=True,
        )
