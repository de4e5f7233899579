"""How long an answer takes says nothing of an account (security rule 7): interleaved runs, compared by rank (`make soak`)."""

from __future__ import annotations

import itertools
import math
import os
import random
import time
from typing import TYPE_CHECKING

import pytest
from serving import Served

from idp.identity import accounts, invitations, kept_accounts
from idp.identity.accounts import By

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from idp.tenancy.tenant import Tenant

pytestmark = pytest.mark.soak
RUNS = int(os.environ.get("IDP_TIMING_RUNS", "500"))
LEAST = 0.001  # the probability below which two samples are taken for different, before Bonferroni's correction
NAMES = ("known", "unknown", "invited", "disabled", "deleted")
BY = By("operator")


def probability(left: Sequence[float], right: Sequence[float]) -> float:
    """The two-sided p of the Mann-Whitney U test, by the normal approximation with ties corrected."""
    both = sorted([(value, 0) for value in left] + [(value, 1) for value in right])
    ranks, ties = 0.0, 0.0
    at = 0
    for _, group in itertools.groupby(both, key=lambda pair: pair[0]):
        members = list(group)
        rank = at + (len(members) + 1) / 2
        ranks += rank * sum(side == 0 for _, side in members)
        ties += len(members) ** 3 - len(members)
        at += len(members)
    n, m = len(left), len(right)
    u = ranks - n * (n + 1) / 2
    deviation = math.sqrt(n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1))))
    return math.erfc(abs(u - n * m / 2) / deviation / math.sqrt(2)) if deviation else 1.0


def test_control_the_statistic_sees_a_difference() -> None:
    """Security rule 7, negative control: samples of one kind are alike, a shift by a tenth of their spread is seen, and p is the textbook's."""
    chance = random.Random(1)  # noqa: S311 - samples
    left = [chance.gauss(1, 0.1) for _ in range(2000)]
    assert probability(left, [chance.gauss(1, 0.1) for _ in range(2000)]) > LEAST
    assert probability(left, [chance.gauss(1.02, 0.1) for _ in range(2000)]) < LEAST
    assert probability([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(0.00902, abs=1e-4)


def furnished(served: Served) -> Tenant:
    """A tenant with an account in each state, and limits that no run reaches."""
    tenant = served.tenant("acme", source_attempts="100000", account_attempts="100", recovery_mails="1")
    house = served.house
    database = house.database(tenant)
    for name in ("known", "disabled", "deleted"):
        house.user(tenant, f"{name}@example.com")
    accounts.disable_user(database, house.user_id(tenant, "disabled@example.com"), by=BY)
    kept_accounts.delete(database, house.user_id(tenant, "deleted@example.com"), by=BY)
    mailer = house.installation.services.mailer
    invitations.invite(database, mailer, tenant, email="invited@example.com", by=BY)
    return tenant


def sampled(measure: Callable[[str], float]) -> dict[str, list[float]]:
    """Times of each kind of account, one after the other in an order drawn anew each round, so that drift meets all alike."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for name in NAMES * 10:  # warm
        measure(name)
    for _ in range(RUNS):
        for name in random.sample(NAMES, len(NAMES)):
            found[name].append(measure(name))
    return found


def compare(found: dict[str, list[float]]) -> None:
    pairs = list(itertools.combinations(NAMES, 2))
    told = {pair: probability(found[pair[0]], found[pair[1]]) for pair in pairs}
    for name, times in found.items():
        print(f"  {name:9} median {sorted(times)[len(times) // 2] * 1000:.3f} ms", flush=True)
    assert min(told.values()) >= LEAST / len(pairs), told


@pytest.mark.parametrize("what", ["sign-in", "recovery"])
def test_no_account_is_told_by_time(tmp_path: Path, what: str) -> None:
    """Security rule 7, ASVS 6.3.8: 500 interleaved runs each; no two kinds of account differ (Mann-Whitney U, Bonferroni)."""
    with Served(tmp_path, workers=1) as served:
        tenant = furnished(served)
        rp = served.client(tenant)
        browser = served.browser(tenant)
        page = (
            browser.follow(browser.authorize(rp, verifier="v" * 43))
            if what == "sign-in"
            else browser.get(f"{tenant.base_path}/recover")
        )

        def measure(name: str) -> float:
            fields = {"username": f"{name}@example.com", **({"password": "wrong"} if what == "sign-in" else {})}
            began = time.perf_counter()
            answer = browser.submit(page, **fields)
            took = time.perf_counter() - began
            assert answer.status in (303, 400)
            return took

        compare(sampled(measure))
