from __future__ import annotations

import base64
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp import clock
from idp.errors import Conflict, NotFound
from idp.keys import rotation
from idp.keys.compact import InvalidToken
from idp.keys.envelope import Envelope
from idp.keys.jwks import JWKS_MAX_AGE, jwks_document
from idp.keys.rotation import (
    DAY,
    HOUR,
    MARGIN,
    PUBLISH_AHEAD,
    KeyPolicy,
    create_initial,
    plan,
    revoke,
    rotate_due,
    rotate_now,
)
from idp.store.tenant import signing_keys

POLICY = KeyPolicy(("ES256",), rotation_period=90 * DAY, token_life=HOUR)


def act(site, what, *more, policy=POLICY):
    """Call an operation of the module on the tenant."""
    return what(site.database, site.envelope, site.id, policy, *more)


def changes(done) -> list[str]:
    """What happened, in order."""
    return [step.change for step in done.transitions]


def exactly_one_active(site, *algorithms: str) -> None:
    """The rule that nothing may break."""
    assert Counter(row.alg for row in site.rows("active")) == dict.fromkeys(algorithms or ("ES256",), 1)


def begin(site, *algorithms: str) -> None:
    """A tenant with an active key and one that comes next."""
    algorithms = algorithms or ("ES256",)
    create_initial(site.database, site.envelope, site.id, algorithms)
    rotate_due(site.database, site.envelope, site.id, KeyPolicy(algorithms))


def test_a_new_tenant_signs_at_once(site) -> None:
    """Issue 3 §3: ES256 and RS256 at once; a second call makes no second key."""
    done = create_initial(site.database, site.envelope, site.id)
    assert changes(done) == ["created", "created"]
    assert done.next_due <= clock.now()  # a worker publishes what comes next
    assert create_initial(site.database, site.envelope, site.id).transitions == ()
    exactly_one_active(site, "ES256", "RS256")


def test_the_life_of_a_key(site) -> None:
    """OIDC Core §10.1.1, security §3: next → active → retired → gone, each at its time and not a second before."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    first = site.rows("active")[0].kid
    done = act(site, rotate_due)
    assert changes(done) == ["published"]
    second = done.transitions[0].kid
    assert abs(done.next_due - clock.now() - 90 * DAY) <= 2
    due = done.next_due

    quiet = act(site, rotate_due, due - 1)
    assert quiet.transitions == ()
    assert quiet.next_due == due
    done = act(site, rotate_due, due)
    assert [(step.change, step.kid) for step in done.transitions][:2] == [("retired", first), ("activated", second)]
    assert changes(done) == ["retired", "activated", "published"]
    assert done.next_due == due + HOUR + MARGIN
    exactly_one_active(site)

    assert act(site, rotate_due, done.next_due - 1).transitions == ()
    assert len(site.rows("retired")) == 1
    gone = act(site, rotate_due, done.next_due)
    assert [(step.change, step.kid) for step in gone.transitions] == [("removed", first)]
    assert gone.next_due == due + 90 * DAY


def test_a_key_is_published_before_it_signs(site) -> None:
    """OIDC Core §10.1.1, S042: however overdue the active key is, the next one waits until it has been published a day."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    first = site.rows("active")[0].kid
    late = clock.now() + 200 * DAY  # the worker was away
    assert changes(act(site, rotate_due, late)) == ["published"]
    for moment in (late, late + HOUR, late + PUBLISH_AHEAD - 1):
        assert act(site, rotate_due, moment).transitions == ()
        assert site.keys().active_kid("ES256") == first
    assert "activated" in changes(act(site, rotate_due, late + PUBLISH_AHEAD))


def test_private_parts_end_with_their_use(site) -> None:
    """ASVS 5.0 §11.1: a key that signs no more has no private part any more; what it signed still verifies."""
    begin(site)
    token = site.keys().sign(site.claims(), alg="ES256", typ="JWT")
    act(site, rotate_now)
    assert [bool(row.sealed_private) for row in site.rows("retired")] == [False]
    assert all(row.sealed_private for row in site.rows("active", "next"))
    assert site.keys().verify(token, typ="JWT", issuer=site.issuer)


def test_a_worker_that_has_not_noticed_yet(site) -> None:
    """Architecture §4: for the second until a worker reads the change it signs with the former key, and both accept both."""
    begin(site)
    before = site.keys()
    act(site, rotate_now)
    after = site.keys()
    assert before.active_kid("ES256") != after.active_kid("ES256")
    late = before.sign(site.claims(), alg="ES256", typ="JWT")
    early = after.sign(site.claims(), alg="ES256", typ="JWT")
    for keys in (before, after):
        for token in (late, early):
            assert keys.verify(token, typ="JWT", issuer=site.issuer)


def test_relying_parties_with_a_cached_key_set_never_fail(site) -> None:
    """S042, OIDC Core §10.1.1: 200 relying parties that cache the set for 5 minutes verify every token over three rotations."""
    policy = KeyPolicy(("ES256",), rotation_period=2 * DAY, token_life=HOUR)
    chance = random.Random(42)  # noqa: S311 - a simulation
    cached: list[tuple[int, KeySet]] = [(-(10**9), KeySet([]))] * 200
    recent: deque[tuple[int, str]] = deque()
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    offset, activations, checked, quiet, kids = 0, 0, 0, 0, set()
    keys, document = site.keys(), KeySet([])
    while activations < 3 or quiet < 200:
        with clock.shifted(offset):
            now = clock.now()
            done = rotate_due(site.database, site.envelope, site.id, policy)
            if done.transitions:
                keys = site.keys()
                quiet = 0
            if done.transitions or not document.keys:
                document = KeySet.import_key_set(json.loads(jwks_document(keys)[0]))
            activations += changes(done).count("activated")
            recent.append((now + HOUR, keys.sign(site.claims(), alg="ES256", typ="JWT")))
            while recent[0][0] <= now:
                recent.popleft()
            for party in chance.sample(range(200), 6):
                if now - cached[party][0] >= JWKS_MAX_AGE:
                    cached[party] = (now, document)
                token = chance.choice((recent[0], recent[-1], chance.choice(recent)))[1]
                kids.add(jwt.decode(token, cached[party][1], algorithms=["ES256"]).header["kid"])
                checked += 1
            quiet += 1
            # Small steps around a change and where one is due, large ones between.
            offset += (
                30 if quiet < 200 and done.next_due - now < 2 * DAY + HOUR else max(30, min(1800, done.next_due - now))
            )
    assert checked > 3000
    assert len(kids) == 4


def test_control_without_the_lead_they_do_fail(site, monkeypatch: pytest.MonkeyPatch) -> None:
    """S042, negative control: a key that signs the moment it is published is unknown to a cached set."""
    monkeypatch.setattr(rotation, "PUBLISH_AHEAD", 0)
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    cached = KeySet.import_key_set(json.loads(jwks_document(site.keys())[0]))
    policy = KeyPolicy(("ES256",), rotation_period=0)
    rotate_due(site.database, site.envelope, site.id, policy)
    assert "activated" in changes(rotate_due(site.database, site.envelope, site.id, policy))
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(site.keys().sign(site.claims(), alg="ES256", typ="JWT"), cached, algorithms=["ES256"])


def test_rotating_by_hand(site) -> None:
    """Issue 3 §3: the published next key signs at once, another is published; no warning when all could have seen it."""
    begin(site)
    following = site.rows("next")[0].kid
    with clock.shifted(PUBLISH_AHEAD):
        done = act(site, rotate_now)
    assert changes(done) == ["retired", "activated", "published"]
    assert done.warning == ""
    assert site.keys().active_kid("ES256") == following
    exactly_one_active(site)
    assert len(site.rows("next")) == 1


def test_rotating_by_hand_says_what_it_means(site) -> None:
    """OIDC Core §10.1.1: a key that nobody can have seen yet signs at once, and the operator is told what that means."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    done = act(site, rotate_now)
    assert changes(done) == ["retired", "created", "published"]
    assert "ES256 0 s" in done.warning
    assert f"{JWKS_MAX_AGE} s" in done.warning
    assert "ES256" in act(site, rotate_now).warning  # published only a moment ago
    exactly_one_active(site)


def test_rotating_one_algorithm_by_hand(site) -> None:
    """Issue 3 §3: the other algorithms keep their keys."""
    begin(site, "ES256", "EdDSA")
    kept = site.keys().active_kid("EdDSA")
    act(site, rotate_now, ("ES256",), policy=KeyPolicy(("ES256", "EdDSA")))
    assert site.keys().active_kid("EdDSA") == kept
    exactly_one_active(site, "ES256", "EdDSA")


def test_algorithms_stand_in_one_order(site) -> None:
    """RFC 8414 §2: what discovery lists stands in the same order however old each algorithm's key is."""
    begin(site, "EdDSA", "RS256", "ES256")
    with clock.shifted(PUBLISH_AHEAD):
        act(site, rotate_now, ("RS256",), policy=KeyPolicy(("ES256", "RS256", "EdDSA")))
    assert site.keys().algorithms == ("ES256", "RS256", "EdDSA")


def test_revoking_the_active_key(site) -> None:
    """Security §3 (emergency): its tokens are refused, it leaves the set, and the next key signs, all in one change."""
    begin(site)
    before = site.keys()
    token = before.sign(site.claims(), alg="ES256", typ="JWT")
    assert before.verify(token, typ="JWT", issuer=site.issuer)
    kid, following = before.active_kid("ES256"), site.rows("next")[0].kid
    done = act(site, revoke, kid)
    assert changes(done) == ["revoked", "activated", "published"]
    assert "ES256" in done.warning
    after = site.keys()
    assert after.active_kid("ES256") == following
    with pytest.raises(InvalidToken, match="no key of this tenant"):
        after.verify(token, typ="JWT", issuer=site.issuer)
    assert kid not in jwks_document(after)[0].decode()
    assert [row.sealed_private for row in site.rows("revoked")] == [""]
    exactly_one_active(site)


def test_revoking_the_active_key_without_a_next(site) -> None:
    """Security §3: where none was published, a new key signs at once."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    done = act(site, revoke, site.rows("active")[0].kid)
    assert changes(done) == ["revoked", "created", "published"]
    exactly_one_active(site)


@pytest.mark.parametrize("state", ["next", "retired"])
def test_revoking_another_key(site, state: str) -> None:
    """Issue 3 §3: a key that waits is replaced, one that is retired is only withdrawn; the active one stays."""
    begin(site)
    act(site, rotate_now)
    active = site.keys().active_kid("ES256")
    kid = site.rows(state)[0].kid
    done = act(site, revoke, kid)
    assert changes(done) == (["revoked", "published"] if state == "next" else ["revoked"])
    assert done.warning == ""
    assert site.keys().active_kid("ES256") == active
    assert kid not in jwks_document(site.keys())[0].decode()
    assert len(site.rows("next")) == 1
    assert act(site, revoke, kid).transitions == ()


def test_revoking_what_is_not_there(site) -> None:
    """Issue 3 §3: an unknown kid is an error that says where to look, and changes nothing."""
    begin(site)
    before = [tuple(row) for row in site.rows()]
    with pytest.raises(NotFound, match="idp keys list"):
        act(site, revoke, "unknown")
    assert [tuple(row) for row in site.rows()] == before


def test_a_tenant_takes_up_and_gives_up_an_algorithm(site) -> None:
    """Issue 3 §3: a new algorithm has a key at once; of one that is given up, what it signed is accepted until it expires."""
    begin(site, "ES256")
    both, one = KeyPolicy(("ES256", "EdDSA"), token_life=HOUR), KeyPolicy(("ES256",), token_life=HOUR)
    assert changes(act(site, rotate_due, policy=both)) == ["created", "published"]
    exactly_one_active(site, "ES256", "EdDSA")
    token = site.keys().sign(site.claims(), alg="EdDSA", typ="JWT")
    assert sorted(changes(act(site, rotate_due, policy=one))) == ["removed", "retired"]
    keys = site.keys()
    assert keys.algorithms == ("ES256",)
    assert [row.sealed_private for row in site.rows("gone", "retired")] == ["", ""]
    assert keys.verify(token, typ="JWT", issuer=site.issuer)
    assert changes(act(site, rotate_due, clock.now() + HOUR + MARGIN, policy=one)) == ["removed"]
    with pytest.raises(InvalidToken):
        site.keys().verify(token, typ="JWT", issuer=site.issuer)


@pytest.mark.parametrize("operation", ["due", "initial"])
def test_many_workers_rotate_once(site, operation: str) -> None:
    """Security §3: eight workers that find the same thing due at once do it once; one key is active at every moment."""
    if operation == "due":
        begin(site)
    moment = clock.now() + 90 * DAY + 10
    barrier, results, wrong, over = threading.Barrier(8), [], [], threading.Event()

    def work() -> None:
        barrier.wait()
        try:
            if operation == "due":
                results.append(act(site, rotate_due, moment))
            else:
                results.append(create_initial(site.database, site.envelope, site.id, ("ES256",)))
        except Exception as error:
            results.append(error)

    def watch() -> None:
        while not over.is_set():
            if operation == "due" and len(site.rows("active")) != 1:
                wrong.append(site.rows())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in [watcher, *threads]]
    [thread.join() for thread in threads]
    over.set()
    watcher.join()
    assert not [result for result in results if isinstance(result, Exception)]
    assert sorted(bool(result.transitions) for result in results) == [False] * 7 + [True]
    assert wrong == []
    exactly_one_active(site)
    assert len(site.rows()) == (3 if operation == "due" else 1)


def test_operators_rotate_at_once(site) -> None:
    """Security §3: rotations by hand, scheduled ones and a revocation at the same time leave one active and one next key."""
    begin(site)
    victim = site.rows("active")[0].kid
    barrier, errors = threading.Barrier(6), []

    def work(number: int) -> None:
        barrier.wait()
        try:
            if number == 0:
                act(site, revoke, victim)
            elif number % 2:
                act(site, rotate_now)
            else:
                act(site, rotate_due)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert errors == []
    exactly_one_active(site)
    assert len(site.rows("next")) == 1
    assert [row.kid for row in site.rows("revoked")] == [victim]


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("operation", ["rotate_now", "revoke"])
def test_a_failure_in_the_middle_changes_nothing(
    site, monkeypatch: pytest.MonkeyPatch, operation: str, step: int
) -> None:
    """Security §3: a crash between any two steps of a rotation leaves exactly one active key, the former one."""
    begin(site)
    before = [tuple(row) for row in site.rows()]
    calls = []

    class Crash(Exception):
        pass

    def crashing(real):
        def call(*arguments, **values):
            calls.append(real)
            if len(calls) == step:
                raise Crash
            return real(*arguments, **values)

        return call

    monkeypatch.setattr(signing_keys, "change", crashing(signing_keys.change))
    monkeypatch.setattr(signing_keys, "create", crashing(signing_keys.create))
    more = (site.rows("active")[0].kid,) if operation == "revoke" else ()
    with pytest.raises(Crash):
        act(site, getattr(rotation, operation), *more)
    monkeypatch.undo()
    assert [tuple(row) for row in site.rows()] == before
    assert changes(act(site, rotate_now)) == ["retired", "activated", "published"]
    exactly_one_active(site)


def test_more_keys_needed_than_were_made(site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security §3: when the rows have changed while keys were made, the change is planned anew with as many as it needs."""
    begin(site)
    generate, made = rotation._generate, []

    def meanwhile(*arguments):
        if not made:
            kid = site.rows("next")[0].kid
            site.database.writing(lambda conn: signing_keys.change(conn, kid, "next", state="revoked"))
        made.append(arguments[-1])
        return generate(*arguments)

    monkeypatch.setattr(rotation, "_generate", meanwhile)
    done = act(site, rotate_now)
    assert changes(done) == ["retired", "created", "published"]
    assert made == ["ES256", "ES256"]
    assert "ES256 0 s" in done.warning
    exactly_one_active(site)


KILLED = """
import os, signal, sys
from idp.keys import rotation
from idp.keys.envelope import Envelope
from idp.store.db import Database
from idp.store.tenant import signing_keys

url, key, tenant, step = sys.argv[1:]
calls = []

def deadly(real):
    def call(*arguments, **values):
        done = real(*arguments, **values)
        calls.append(real)
        if len(calls) == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return call

signing_keys.change, signing_keys.create = deadly(signing_keys.change), deadly(signing_keys.create)
rotation.rotate_now(Database(url), Envelope([key]), tenant, rotation.KeyPolicy(("ES256",)))
print("survived")
"""


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_killed_process_leaves_one_active_key(site, step: int) -> None:
    """Security §3: SIGKILL after any step of a rotation leaves the former key active; the next rotation works."""
    key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    own = type(site)(site.database, Envelope([key]), site.id)
    begin(own)
    before = [tuple(row) for row in own.rows()]
    url = own.database.url
    dead = subprocess.run(
        [sys.executable, "-c", KILLED, url, key, own.id, str(step)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert [tuple(row) for row in own.rows()] == before
    assert changes(act(own, rotate_now)) == ["retired", "activated", "published"]
    exactly_one_active(own)


def test_the_database_refuses_a_second_active_key(site) -> None:
    """Security §3: two active keys of one algorithm cannot be stored, nor two that come next, whatever a program does."""
    begin(site)
    for state in ("active", "next"):
        with pytest.raises(Conflict):
            site.database.writing(
                lambda conn, state=state: signing_keys.create(
                    conn, kid=f"x-{state}", alg="ES256", state=state, public_jwk={}, sealed_private="", created_at=1
                )
            )
    exactly_one_active(site)


def test_keys_are_made_outside_the_transaction(site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4: while an RSA key is made nobody waits for the database: no transaction is open."""
    begin(site, "RS256")
    busy, seen, made = [], [], []
    writing, generate = type(site.database).writing, rotation._generate

    def observed(self, work):
        busy.append(1)
        try:
            return writing(self, work)
        finally:
            busy.pop()

    def observed_generate(*arguments):
        seen.append(len(busy))
        made.append(arguments[-1])
        return generate(*arguments)

    monkeypatch.setattr(type(site.database), "writing", observed)
    monkeypatch.setattr(rotation, "_generate", observed_generate)
    act(site, rotate_now, policy=KeyPolicy(("RS256",)))
    assert made == ["RS256"]
    assert seen == [0]


def test_nothing_due_writes_nothing(site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4: 10,000 idle tenants cost nothing: looking writes nothing, and says when to look again."""
    begin(site)
    monkeypatch.setattr(type(site.database), "writing", lambda *_: pytest.fail("wrote"))
    done = act(site, rotate_due)
    assert done.transitions == ()
    assert done.next_due > clock.now() + 89 * DAY


def test_a_key_gone_missing_is_replaced(site) -> None:
    """Security §3: a tenant without an active key (a damaged restore) gets one on the worker's next visit."""
    begin(site)
    following, kid = site.rows("next")[0].kid, site.rows("active")[0].kid
    site.database.writing(lambda conn: signing_keys.change(conn, kid, "active", state="revoked"))
    assert changes(act(site, rotate_due)) == ["activated", "published"]
    assert site.keys().active_kid("ES256") == following
    exactly_one_active(site)


def test_the_plan_is_complete(site) -> None:
    """Security §3: what has been done is not planned again, at any moment of two years; there is always one active key."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    moment, runs = clock.now(), 0
    end = moment + 730 * DAY
    while moment < end:
        done = act(site, rotate_due, moment)
        exactly_one_active(site)
        assert plan(site.rows(), POLICY, moment)[0] == []
        assert done.next_due > moment
        moment, runs = done.next_due, runs + 1
    assert 15 <= runs <= 18
    assert len(site.rows("gone")) >= 7
