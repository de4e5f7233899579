"""How long an answer takes says nothing of an account (security rule 7): interleaved runs, compared by rank (`make soak`).

Each run asks about an account that nobody has asked about before, so that no counter, lock or limit of a mailbox makes one kind into
another, and the kinds take turns in an order drawn anew each time, so that drift and neighbours meet all alike. Whoever is unknown
is what each other kind is compared with.
"""

from __future__ import annotations

import gc
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from databases import environment
from house import PASSWORD
from letters import letters
from ranks import least_seen, probability
from serving import Served, eventually, rows, scalar

from idp import opaque
from idp.identity import accounts, invitations, kept_accounts, link_use, links, lockout
from idp.identity.accounts import By

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from house import Answer, House

    from idp.store.rows import Connection
    from idp.tenancy.tenant import Tenant

pytestmark = pytest.mark.soak
RUNS = int(os.environ.get("IDP_TIMING_RUNS", "500"))
WARM = 20
LEAST = 0.001  # the probability below which two samples are taken for different, before Bonferroni's correction
ACCOUNTS = ("unknown", "known", "locked", "invited", "disabled", "deleted")
LINKS = ("unknown", "used", "expired", "cancelled", "replaced")
PLACES = {"sign-in": ACCOUNTS, "sign-up": ACCOUNTS, "recovery": ACCOUNTS, "invitation": LINKS}
DATABASES = ("sqlite", "postgresql")
COMPARISONS = len(DATABASES) * sum(len(kinds) - 1 for kinds in PLACES.values())
A_DAY = str(86400)
NEW = "five unrelated words here"
BY = By("operator")


def test_control_the_statistic_sees_a_difference() -> None:
    """Security rule 7, negative control: samples of one kind are alike, a shift by a tenth of their spread is seen, and p is the textbook's."""
    chance = random.Random(1)  # noqa: S311 - samples
    left = [chance.gauss(1, 0.1) for _ in range(2000)]
    assert probability(left, [chance.gauss(1, 0.1) for _ in range(2000)]) > LEAST
    assert probability(left, [chance.gauss(1.02, 0.1) for _ in range(2000)]) < LEAST
    assert probability([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(0.00902, abs=1e-4)
    # Ties share a rank: U = 2, its mean 6, its variance 12/12 · (8 - 24/42), because three values are alike.
    assert probability([1, 2, 2, 3], [2, 4, 5]) == pytest.approx(0.1422, abs=1e-4)
    assert probability([1, 1, 1], [1, 1]) == 1.0
    assert 0.005 < least_seen(left, LEAST) < 0.02


@dataclass
class Place:
    """Where somebody asks: one question about the account or link of a kind and number, and what it is always answered."""

    ask: Callable[[str, int], Answer]
    status: int


def address(kind: str, number: int) -> str:
    """The address of one account of a kind."""
    return f"{kind}-{number:05d}@example.com"


def furnished(house: House, kinds: Sequence[str]) -> Tenant:
    """A tenant with so many accounts of each kind as there are runs, or links, and limits that no run reaches."""
    tenant = house.tenant(
        "acme",
        source_attempts="100000",
        account_attempts="3",
        attempts_window=A_DAY,
        recovery_mails="20",
        interaction_lifetime=A_DAY,
        signup="on",
        signup_source_limit="100000",
    )
    if kinds == ACCOUNTS:
        _people(house, tenant)
    return tenant


def _people(house: House, tenant: Tenant) -> None:
    database, services = house.database(tenant), house.installation.services
    password_hash = services.hasher.hash(PASSWORD)
    everybody = {kind: [address(kind, number) for number in range(RUNS + WARM)] for kind in ACCOUNTS}
    claims = {"name": "Ada Lovelace", "given_name": "Ada", "locale": "en"}

    def work(conn: Connection) -> None:
        for kind in ("known", "locked", "disabled", "deleted"):
            for each in everybody[kind]:
                new = accounts.checked(each, each, claims)
                accounts.insert(conn, new, password_hash=password_hash, must_change=False, state="active")
        for each in everybody["locked"]:
            for _ in range(tenant.settings.account_attempts + 1):
                lockout.count(conn, lockout.subjects(each, "192.0.2.1"), tenant.settings)

    database.writing(work)
    for each in everybody["disabled"]:
        accounts.disable_user(database, house.user_id(tenant, each), by=BY)
    for each in everybody["deleted"]:
        kept_accounts.delete(database, house.user_id(tenant, each), by=BY)
    for each in everybody["invited"]:
        invitations.invite(database, services.mailer, tenant, email=each, by=BY, claims=claims)


def dead_links(house: House, tenant: Tenant, each: int = 20) -> Mapping[str, list[str]]:
    """Invitations' tokens that do not work, by what became of them, and as many that never were any."""
    database, mailer = house.database(tenant), house.installation.services.mailer
    password_hash = house.installation.services.hasher.hash(PASSWORD)
    ids: dict[str, str] = {}
    for kind in LINKS[1:]:
        for number in range(each):
            to = address(kind, number)
            lifetime = 1 if kind == "expired" else None
            ids[to] = invitations.invite(database, mailer, tenant, email=to, by=BY, lifetime=lifetime)
    tokens = {letter.to: letter.token for letter in letters(house, tenant, "invitation")}
    for number in range(each):
        opened = link_use.opened(database, invitations.KIND, tokens[address("used", number)])
        invitations.accept(database, tenant, opened, password_hash, by=BY)
        invitations.cancel(database, ids[address("cancelled", number)], by=BY)
        invitations.resend(database, mailer, tenant, ids[address("replaced", number)], by=BY)
    time.sleep(2)  # those that expire have done so
    found = {kind: [tokens[address(kind, number)] for number in range(each)] for kind in LINKS[1:]}
    return {"unknown": [opaque.new_secret(links.PREFIX) for _ in range(each)], **found}


def place_of(what: str, served: Served, tenant: Tenant) -> Place:
    """Where the questions of a kind are asked, with a browser that is there already."""
    browser, base = served.browser(tenant), tenant.base_path
    if what == "invitation":
        dead = dead_links(served.house, tenant)

        def open_(kind: str, number: int) -> Answer:
            return browser.get(f"{base}/invitation?token={dead[kind][number % len(dead[kind])]}")

        return Place(open_, 410)
    if what == "sign-in":
        page = browser.follow(browser.authorize(served.client(tenant), verifier="v" * 43))
        fields, name, status = {"password": "wrong"}, "username", 400
    elif what == "sign-up":
        page = browser.follow(browser.get(f"{base}/signup"))
        fields, name, status = {"password": NEW, "confirm_password": NEW, "profile_name": "Eve"}, "email", 303
    else:
        page = browser.get(f"{base}/recover")
        fields, name, status = {}, "username", 303
    action, hidden = page.form
    return Place(lambda kind, number: browser.post(action, {**hidden, **fields, name: address(kind, number)}), status)


def sampled(place: Place, kinds: Sequence[str]) -> dict[str, list[float]]:
    """Times of each kind, one after the other in an order drawn anew each round."""
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    gc.collect()
    gc.disable()
    try:
        for number in range(RUNS + WARM):
            for kind in random.sample(kinds, len(kinds)):
                began = time.perf_counter()
                answer = place.ask(kind, number)
                took = time.perf_counter() - began
                assert answer.status == place.status, (kind, number, answer.text)
                if number >= WARM:
                    found[kind].append(took)
    finally:
        gc.enable()
    return found


def compare(what: str, found: Mapping[str, Sequence[float]]) -> None:
    """Tell the figures, and fail where a kind differs from ``unknown``."""
    unknown = found["unknown"]
    told = {kind: probability(times, unknown) for kind, times in found.items() if kind != "unknown"}
    limit = LEAST / COMPARISONS
    print(f"\n{what}: {RUNS} runs of each kind; a delay of {least_seen(unknown, limit) * 1000:.2f} ms would be seen")
    for kind, times in found.items():
        middle = sorted(times)[len(times) // 2] * 1000
        verdict = f"p = {told[kind]:.3g}, corrected {min(1.0, told[kind] * COMPARISONS):.3g}" if kind in told else ""
        print(f"  {kind:10} median {middle:7.3f} ms  {verdict}", flush=True)
    assert min(told.values()) >= limit, told


@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("what", PLACES)
def test_no_account_is_told_by_time(tmp_path: Path, what: str, kind: str) -> None:
    """Security rule 7, ASVS 6.3.8, issue 5: 500 interleaved runs of each; none differs from unknown (Mann-Whitney U, Bonferroni)."""
    with environment(kind) as environ, Served(tmp_path, workers=1, **environ) as served:
        tenant = furnished(served.house, PLACES[what])
        place = place_of(what, served, tenant)
        rows(tenant.database_url, "ANALYZE")
        waiting = "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'"
        eventually(lambda: scalar(tenant.database_url, waiting) == 0, 300)
        compare(f"{what} on {kind}", sampled(place, PLACES[what]))
