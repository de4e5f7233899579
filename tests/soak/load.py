"""People and programs for the soak: each does one thing after the other, remembers what it was told and notices broken promises.

An answer that never came (the worker was killed) may have been carried out or not; who did not get one asks again, as clients
do. Whatever was answered with 200 must hold from then on, over any number of SIGKILLs.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cast import JWT_BEARER, SigningKey, assertion_claims
from house import CALLBACK, Browser, Grant, RelyingParty

if TYPE_CHECKING:
    from collections.abc import Callable

    from house import Answer
    from serving import Served

LOST = (OSError, http.client.HTTPException)
CHANCE = random.Random()  # noqa: S311 - who does what
GRACE = 10  # seconds
MARGIN = 3  # seconds on either side of the grace in which nothing is expected
SCOPE = "openid profile email offline_access"


class Busy(Exception):
    """503: nothing was done; try something else."""


@dataclass
class Family:
    """What a client holds of one authorization, and what it knows of it."""

    rp: RelyingParty
    browser: Browser
    offline: bool
    head: str = ""
    access: str = ""
    # Token, its successor, and between which two moments it was used.
    spent: list[tuple[str, str, float, float]] = field(default_factory=list)
    unsure_since: float | None = None  # the head was sent, and no answer came
    dead: bool = False


@dataclass
class Ledger:
    """What everybody was told; appended to by all threads."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    graveyard: list[Family] = field(default_factory=list)
    spent_assertions: list[tuple[str, str]] = field(default_factory=list)  # tenant, jti
    redeemed: Counter[str] = field(default_factory=Counter)  # answers of 200 by code

    def __post_init__(self) -> None:
        self._guard = threading.Lock()

    def count(self, what: str) -> None:
        with self._guard:
            self.counts[what] += 1

    def broken(self, promise: str) -> None:
        with self._guard:
            self.violations.append(promise)
            print(f"  BROKEN: {promise}", flush=True)

    def take(self) -> Family | None:
        """A living family for one thread alone."""
        with self._guard:
            return self.families.pop(CHANCE.randrange(len(self.families))) if self.families else None

    def give_back(self, family: Family) -> None:
        with self._guard:
            (self.graveyard if family.dead else self.families).append(family)


class Actor:
    """One thread's doings."""

    def __init__(
        self,
        served: Served,
        parties: list[RelyingParty],
        signed: list[RelyingParty],
        key: SigningKey,
        users: list[str],
        ledger: Ledger,
        seed: int,
    ) -> None:
        self.served, self.parties, self.signed, self.key, self.users, self.ledger = (
            served,
            parties,
            signed,
            key,
            users,
            ledger,
        )
        self.random = random.Random(seed)  # noqa: S311 - who does what

    def act(self) -> None:
        """Do one thing."""
        doings: list[tuple[int, Callable[[], None]]] = [
            (6, self.sign_in),
            (22, self.with_family(self.refresh)),
            (14, self.with_family(self.introspect)),
            (14, self.with_family(self.userinfo)),
            (12, self.credentials),
            (4, self.assertion),
            (3, self.with_family(self.revoke)),
            (3, self.with_family(self.reuse)),
            (2, self.with_family(self.log_out)),
        ]
        (doing,) = self.random.choices([each for _, each in doings], [weight for weight, _ in doings])
        try:
            doing()
        except LOST:
            self.ledger.count("lost")
        except Busy:
            self.ledger.count("503")

    def with_family(self, doing: Callable[[Family], None]) -> Callable[[], None]:
        def do() -> None:
            family = self.ledger.take()
            if family is None:
                return self.sign_in()
            try:
                doing(family)
            finally:
                self.ledger.give_back(family)
            return None

        return do

    def checked(self, answer: Answer, what: str) -> Answer:
        self.ledger.count(f"{what} {answer.status}")
        if answer.status == 503:
            raise Busy
        if answer.status >= 500:
            self.ledger.broken(f"{what}: {answer.status} {answer.text[:200]}")
        return answer

    # -- a sign-in, to its tokens -------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        rp = self.random.choice(self.parties)
        browser = self.served.browser(rp.tenant)
        offline = self.random.random() < 0.5
        scope = SCOPE if offline else "openid profile email"
        try:
            grant = browser.sign_in(rp, username=self.random.choice(self.users), scope=scope)
        except AssertionError as error:
            if str(error).startswith("503"):
                raise Busy from None
            if not any(
                sign in str(error) for sign in ("Too many people", "410", "finished")
            ):  # an answer was lost on the way
                self.ledger.broken(f"sign-in: {str(error)[:300]}")
            return
        self.ledger.count("sign-in")
        self.redeem(Family(rp, browser, offline), grant)

    def redeem(self, family: Family, grant: Grant) -> None:
        form = {
            "grant_type": "authorization_code",
            "code": grant.code,
            "redirect_uri": CALLBACK,
            "code_verifier": grant.verifier,
        }
        lost = False
        for _ in range(3):
            try:
                answer = self.checked(family.rp.post("/token", form), "code")
            except LOST:
                lost = True
                continue
            if answer.status == 200:
                self.ledger.redeemed[grant.code] += 1
                family.head, family.access = answer.json["refresh_token"], answer.json["access_token"]
                if lost or self.random.random() < 0.05:
                    self.reuse_code(family, form)
                self.ledger.give_back(family)
            elif not lost:
                self.ledger.broken(f"a fresh code was refused: {answer.text[:200]}")
            return

    def reuse_code(self, family: Family, form: dict[str, str]) -> None:
        answer = self.checked(family.rp.post("/token", form), "code again")
        if answer.status == 200:
            self.ledger.broken("a code was redeemed twice")
        family.dead = True

    # -- what is done with a family -------------------------------------------------------------------------------------

    def refresh(self, family: Family) -> None:
        sent, at = family.head, time.monotonic()
        if family.unsure_since is not None and at - family.unsure_since > GRACE - MARGIN:
            family.dead = (
                True  # a client that comes too late with a lost answer; it is told so, or not, either is right
            )
            return
        try:
            answer = self.checked(
                family.rp.post("/token", {"grant_type": "refresh_token", "refresh_token": sent}), "refresh"
            )
        except LOST:
            family.unsure_since = family.unsure_since or at
            raise
        if answer.status != 200:
            self.ledger.broken(
                f"a living refresh token was refused: {answer.text[:200]} (unsure: {family.unsure_since})"
            )
            family.dead = True
            return
        # The grace began with an attempt whose answer was lost, or with this one.
        family.spent.append((sent, answer.json["refresh_token"], family.unsure_since or at, at))
        family.unsure_since = None
        family.head, family.access = answer.json["refresh_token"], answer.json["access_token"]

    def reuse(self, family: Family) -> None:
        """The last token but one again: the same successor within the grace, death after it."""
        if not family.spent or family.unsure_since is not None:
            return
        token, successor, first, last = family.spent[-1]
        oldest, youngest = time.monotonic() - first, time.monotonic() - last
        is_within, is_after = oldest < GRACE - MARGIN, youngest > GRACE + MARGIN
        if not is_within and not is_after:
            return
        family.dead = is_after  # also if the answer is lost: it may have been done
        answer = self.checked(
            family.rp.post("/token", {"grant_type": "refresh_token", "refresh_token": token}), "reuse"
        )
        if is_within:
            if answer.status != 200 or answer.json["refresh_token"] != successor:
                self.ledger.broken(f"within the grace another successor, or none: {answer.text[:200]}")
        else:
            if answer.status != 400:
                self.ledger.broken("a token was accepted again after its grace")
            self.must_be_dead(family)

    def introspect(self, family: Family) -> None:
        answer = self.checked(family.rp.post("/introspect", {"token": family.access}), "introspect")
        if answer.json != {"active": False} or family.unsure_since is not None:
            return
        self.ledger.broken("a living access token is inactive")

    def userinfo(self, family: Family) -> None:
        answer = self.checked(family.rp.userinfo(family.access), "userinfo")
        if answer.status != 200:
            self.ledger.broken(f"a living access token is refused at userinfo: {answer.text[:200]}")

    def revoke(self, family: Family) -> None:
        family.dead = True  # also if the answer is lost: who asked for it no longer uses it
        self.checked(family.rp.post("/revoke", {"token": family.head}), "revoke")
        self.must_be_dead(family)

    def log_out(self, family: Family) -> None:
        tenant = family.rp.tenant
        page = family.browser.get(f"{tenant.base_path}/logout")
        if page.status != 200 or "<form" not in page.text:
            return
        family.dead = not family.offline  # also if the answer is lost: it may have been done
        answer = self.checked(family.browser.submit(page, action="logout"), "logout")
        if answer.status != 200:
            family.dead = False
            return
        silent = family.browser.authorize(family.rp, verifier="v" * 43, prompt="none")
        if "code" in silent.params:
            self.ledger.broken("a session that has ended signs in")
        if family.dead:
            self.must_be_dead(family)

    def must_be_dead(self, family: Family) -> None:
        for token in (family.access, family.head):
            answer = self.checked(family.rp.post("/introspect", {"token": token}), "introspect")
            if answer.json != {"active": False}:
                self.ledger.broken("what was answered as revoked is alive")

    # -- a program for itself -------------------------------------------------------------------------------------------

    def credentials(self) -> None:
        rp = self.random.choice(self.parties)
        answer = self.checked(rp.post("/token", {"grant_type": "client_credentials"}), "client_credentials")
        if answer.status != 200:
            self.ledger.broken(f"client_credentials: {answer.text[:200]}")

    def assertion(self) -> None:
        rp = self.random.choice(self.signed)
        claims: dict[str, Any] = assertion_claims(rp)
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": JWT_BEARER,
            "client_assertion": self.key.sign(claims),
        }
        if self.checked(self.served.post(rp.tenant, "/token", form), "assertion").status != 200:
            self.ledger.broken("a fresh assertion was refused")
            return
        self.ledger.spent_assertions.append((rp.tenant.id, claims["jti"]))
        if self.checked(self.served.post(rp.tenant, "/token", form), "assertion again").status == 200:
            self.ledger.broken("a consumed jti was accepted")
