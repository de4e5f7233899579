"""The life of a signing key: next → active → retired → gone, or revoked at any time (RFC 7517 §5; OIDC Core §10.1.1).

A key is published long before it signs, so that a relying party with a cached key set never meets an unknown one, and stays
published until the last token it signed has expired. Each algorithm has exactly one active key: every change is one
transaction, planned from the rows it has locked, so that a crash, or two workers at once, cannot leave two or none. Keys
are made before the transaction, because RSA takes its time. A private part is erased as soon as its key signs no more, that of
a key for encryption when it opens no more.

The caller announces the change of a tenant (:mod:`idp.tenancy`); this module knows its database only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from idp import clock
from idp.errors import NotFound
from idp.keys import encryption
from idp.keys.algorithms import ALGORITHMS, ALWAYS
from idp.keys.jwks import JWKS_MAX_AGE
from idp.keys.signer import sealing_purpose
from idp.store.tenant import signing_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.keys.envelope import Envelope
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

    Rows = Sequence[Row[Any]]
    Decide = Callable[[Rows], list["Step"]]

HOUR, DAY = 3600, 86400
PUBLISH_AHEAD = max(DAY, JWKS_MAX_AGE)  # seconds that a key is published before it signs
SETTLED = JWKS_MAX_AGE + 60  # seconds after which no copy of the key set lacks a key, workers a moment behind included
MARGIN = HOUR  # seconds that a retired key outlives its last token: skew of clocks, leeway, a worker a second behind


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How a tenant's keys live; seconds."""

    algorithms: tuple[str, ...] = ALWAYS
    rotation_period: int = 90 * DAY
    token_life: int = 14 * DAY  # the longest life of what is signed, ID tokens that come back as hints included


class Step(NamedTuple):
    """One change: ``create`` (active at once), ``publish`` (as next), ``activate``, ``retire``, ``remove`` or ``revoke``.

    ``prepare`` publishes a key that is to be active as soon as it has settled, ``schedule`` says the same of one that is published.
    """

    change: str
    alg: str
    kid: str = ""


class Transition(NamedTuple):
    """What happened to a key: created, published, scheduled, activated, retired, removed or revoked."""

    kid: str
    alg: str
    change: str


class Rotation(NamedTuple):
    """What was done, when there is next something to do, and what relying parties may notice (empty: nothing)."""

    transitions: tuple[Transition, ...]
    next_due: int
    warning: str = ""


class _NewKey(NamedTuple):
    public_jwk: dict[str, Any]
    sealed_private: str


class _ShortOfKeysError(Exception):
    """The locked rows ask for more new keys than were made beforehand."""


# What makes a key: the state that it begins in, and in how many seconds it is active, if that is settled.
_MAKING: dict[str, tuple[str, int | None]] = {
    "create": ("active", 0),
    "publish": ("next", None),
    "prepare": ("next", SETTLED),
}
_DONE = {
    "create": "created",
    "publish": "published",
    "prepare": "published",
    "schedule": "scheduled",
    "activate": "activated",
    "retire": "retired",
    "remove": "removed",
    "revoke": "revoked",
}


def create_initial(
    database: Database, envelope: Envelope, tenant_id: str, algorithms: Sequence[str] = ALWAYS
) -> Rotation:
    """Give a new tenant an active key for each algorithm that has none; the worker's next visit publishes their successors."""

    def decide(rows: Rows) -> list[Step]:
        present = {row.alg for row in rows if row.state == "active"}
        return [Step("create", alg) for alg in algorithms if alg not in present]

    return _change(database, envelope, tenant_id, KeyPolicy(tuple(algorithms)), decide, clock.now())


def rotate_due(
    database: Database, envelope: Envelope, tenant_id: str, policy: KeyPolicy, now: int | None = None
) -> Rotation:
    """Do what the calendar asks for; writes nothing when it is not yet time."""
    moment = clock.now() if now is None else now
    return _change(database, envelope, tenant_id, policy, lambda rows: plan(rows, policy, moment)[0], moment)


def rotate(
    database: Database,
    envelope: Envelope,
    tenant_id: str,
    policy: KeyPolicy,
    algorithms: Sequence[str] = (),
    now: int | None = None,
) -> Rotation:
    """Replace the active keys (of some ``algorithms``, or of all) by those that come next, each as soon as it has settled.

    A key that no copy of the key set can be without signs at once; another is published, or has been lately, and signs when it has
    settled: the calendar sees to it (:func:`rotate_due`). Keys for encryption are replaced at once: those before still open.
    """
    moment = clock.now() if now is None else now
    chosen = tuple(algorithms) or policy.algorithms

    def decide(rows: Rows) -> list[Step]:
        steps: list[Step] = []
        for alg in chosen:
            active, following = _in_state(rows, alg, "active"), _in_state(rows, alg, "next")
            if active is None or alg not in ALGORITHMS or (following and following.created_at + SETTLED <= moment):
                steps += _succession(alg, active, following, "retire")
            elif following is None:
                steps.append(Step("prepare", alg))
            elif following.activated_at is None:
                steps.append(Step("schedule", alg, following.kid))
        return steps

    return _change(database, envelope, tenant_id, policy, decide, moment)


def rotate_now(
    database: Database,
    envelope: Envelope,
    tenant_id: str,
    policy: KeyPolicy,
    algorithms: Sequence[str] = (),
    now: int | None = None,
) -> Rotation:
    """Replace the active keys at once (of some ``algorithms``, or of all) by those that come next, and publish others: an emergency.

    The warning says when relying parties cannot have seen a new key yet.
    """
    moment = clock.now() if now is None else now
    chosen = tuple(algorithms) or policy.algorithms
    ages: dict[str, int] = {}

    def decide(rows: Rows) -> list[Step]:
        steps: list[Step] = []
        for alg in chosen:
            active, following = _in_state(rows, alg, "active"), _in_state(rows, alg, "next")
            ages[alg] = 0 if following is None else moment - following.created_at
            steps += _succession(alg, active, following, "retire")
        return steps

    done = _change(database, envelope, tenant_id, policy, decide, moment)
    return done._replace(warning=_warning(ages))


def revoke(
    database: Database, envelope: Envelope, tenant_id: str, policy: KeyPolicy, kid: str, now: int | None = None
) -> Rotation:
    """Withdraw a key at once: it leaves the JWKS, what it signed is refused, and another takes its place.

    Raises :class:`~idp.errors.NotFound` for an unknown kid; a key that is revoked or gone already is left as it is.
    """
    moment = clock.now() if now is None else now
    ages: dict[str, int] = {}

    def decide(rows: Rows) -> list[Step]:
        row = next((row for row in rows if row.kid == kid), None)
        if row is None:
            raise NotFound("This tenant has no key with this kid; `idp keys list` shows those there are.")
        ages.clear()
        if row.state == "active":
            following = _in_state(rows, row.alg, "next")
            ages[row.alg] = 0 if following is None else moment - following.created_at
            return _succession(row.alg, row, following, "revoke")
        if row.state == "next":
            return [Step("revoke", row.alg, kid), Step("prepare" if row.activated_at else "publish", row.alg)]
        return [Step("revoke", row.alg, kid)] if row.state == "retired" else []

    done = _change(database, envelope, tenant_id, policy, decide, moment)
    return done._replace(warning=_warning(ages))


def plan(rows: Rows, policy: KeyPolicy, now: int) -> tuple[list[Step], int]:
    """Return what is due, and when there will be something due next (``now`` when there is); changes nothing."""
    steps: list[Step] = []
    dues: list[int] = []
    for alg in policy.algorithms:
        active, following = _in_state(rows, alg, "active"), _in_state(rows, alg, "next")
        if active is None:
            steps += _succession(alg, None, following, "retire")
        elif following is None:
            steps.append(Step("publish", alg))
        else:
            due = following.activated_at or max(
                (active.activated_at or active.created_at) + policy.rotation_period,
                following.created_at + PUBLISH_AHEAD,
            )
            dues.append(due)
            if due <= now:
                steps += _succession(alg, active, following, "retire")
    for row in rows:
        if row.state == "retired":
            due = (row.retired_at or row.created_at) + policy.token_life + MARGIN
            dues.append(due)
            if due <= now:
                steps.append(Step("remove", row.alg, row.kid))
        elif row.alg not in policy.algorithms and row.state in ("active", "next"):
            # The tenant has given the algorithm up: what it signed is still accepted, what never signed goes.
            steps.append(Step("retire" if row.state == "active" else "remove", row.alg, row.kid))
    return steps, now if steps else min(dues, default=now + policy.rotation_period)


def _succession(alg: str, active: Row[Any] | None, following: Row[Any] | None, end: str) -> list[Step]:
    steps = [] if active is None else [Step(end, alg, active.kid)]
    steps.append(Step("create", alg) if following is None else Step("activate", alg, following.kid))
    return [*steps, Step("publish", alg)]


def _in_state(rows: Rows, alg: str, state: str) -> Row[Any] | None:
    return next((row for row in rows if row.alg == alg and row.state == state), None)


def _warning(ages: dict[str, int]) -> str:
    # A key for encryption is used by who fetches the set, and the one before it still opens.
    unseen = [f"{alg} {max(age, 0)} s" for alg, age in ages.items() if alg in ALGORITHMS and age < PUBLISH_AHEAD]
    if not unseen:
        return ""
    return (
        f"The new key was published only shortly before it signs ({', '.join(unseen)}): a relying party with an older copy of "
        f"the key set refuses new tokens until it fetches the set again, by its Cache-Control within {JWKS_MAX_AGE} s of its last fetch."
    )


def _change(
    database: Database, envelope: Envelope, tenant_id: str, policy: KeyPolicy, decide: Decide, now: int
) -> Rotation:
    with database.reading() as conn:
        rows = signing_keys.list_all(conn)
    steps = decide(rows)
    if not steps:
        return Rotation((), plan(rows, policy, now)[1])
    made: dict[str, list[_NewKey]] = {}
    while True:
        wanted = Counter(step.alg for step in steps if step.change in _MAKING)
        for alg, count in wanted.items():
            fresh = made.setdefault(alg, [])
            fresh += [_generate(envelope, tenant_id, alg) for _ in range(count - len(fresh))]

        def work(conn: Connection) -> Rotation:
            rows = signing_keys.list_for_change(conn)
            steps[:] = decide(rows)  # another worker may have been quicker
            done = _apply(conn, rows, steps, {alg: list(keys) for alg, keys in made.items()}, now)
            return Rotation(done, plan(signing_keys.list_all(conn), policy, now)[1])

        try:
            return database.writing(work)
        except _ShortOfKeysError:
            continue


def _generate(envelope: Envelope, tenant_id: str, alg: str) -> _NewKey:
    public, private = ALGORITHMS[alg].generate() if alg in ALGORITHMS else encryption.generate(alg)
    return _NewKey(public, envelope.seal(private, sealing_purpose(tenant_id, public["kid"])))


def _apply(
    conn: Connection, rows: Rows, steps: Sequence[Step], supply: dict[str, list[_NewKey]], now: int
) -> tuple[Transition, ...]:
    states, created = {row.kid: row.state for row in rows}, {row.kid: row.created_at for row in rows}
    done = []
    for step in steps:
        kid = step.kid
        if step.change in _MAKING:
            if not supply.get(step.alg):
                raise _ShortOfKeysError
            new = supply[step.alg].pop()
            kid = new.public_jwk["kid"]
            state, activated = _MAKING[step.change]
            signing_keys.create(
                conn,
                kid=kid,
                alg=step.alg,
                state=state,
                created_at=now,
                activated_at=now + activated if activated is not None else None,
                **new._asdict(),
            )
        elif step.change == "schedule":
            signing_keys.change(conn, kid, "next", activated_at=created[kid] + SETTLED)
        elif step.change == "activate":
            signing_keys.change(conn, kid, "next", state="active", activated_at=now)
        elif step.change == "retire":
            # What a key for encryption has been given must still be opened.
            erased = {"sealed_private": ""} if step.alg in ALGORITHMS else {}
            signing_keys.change(conn, kid, "active", state="retired", retired_at=now, **erased)
        elif step.change == "remove":
            signing_keys.change(conn, kid, states[kid], state="gone", sealed_private="")
        else:
            signing_keys.change(conn, kid, states[kid], state="revoked", revoked_at=now, sealed_private="")
        done.append(Transition(kid, step.alg, _DONE[step.change]))
    return tuple(done)
