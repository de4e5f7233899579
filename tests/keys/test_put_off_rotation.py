"""A rotation by hand that no relying party notices: a key that is published now signs when every copy of the key set has it."""

from __future__ import annotations

import json

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from idp import clock
from idp.keys.encryption import KEY_ALGORITHMS
from idp.keys.jwks import JWKS_MAX_AGE, jwks_document
from idp.keys.rotation import DAY, HOUR, SETTLED, KeyPolicy, create_initial, revoke, rotate, rotate_due, rotate_now

POLICY = KeyPolicy(("ES256",), rotation_period=90 * DAY, token_life=HOUR)


def act(site, what, *more, policy=POLICY):
    return what(site.database, site.envelope, site.id, policy, *more)


def changes(done) -> list[str]:
    return [step.change for step in done.transitions]


def kid_of(site, state: str) -> str:
    (row,) = site.rows(state)
    return row.kid


def test_it_is_published_first(site) -> None:
    """OIDC Core §10.1.1: without a next key one is published, signs when it has settled, and not a second before."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    first = kid_of(site, "active")
    done = act(site, rotate)
    assert changes(done) == ["published"]
    assert done.warning == ""
    (row,) = site.rows("next")
    due = row.created_at + SETTLED
    assert (row.activated_at, done.next_due) == (due, due)
    assert SETTLED > JWKS_MAX_AGE
    assert act(site, rotate_due, due - 1).transitions == ()
    assert kid_of(site, "active") == first
    done = act(site, rotate_due, due)
    assert changes(done) == ["retired", "activated", "published"]
    assert kid_of(site, "active") == row.kid
    (row,) = site.rows("active")
    assert row.activated_at == due
    assert [row.activated_at for row in site.rows("next")] == [None], "the one after it is the calendar's again"


def test_one_that_everybody_has_signs_at_once(site) -> None:
    """OIDC Core §10.1.1: a next key that was published long ago need not wait."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    act(site, rotate_due)
    following = kid_of(site, "next")
    with clock.shifted(SETTLED - 2):
        assert changes(act(site, rotate)) == ["scheduled"]
    with clock.shifted(SETTLED + 2):
        assert changes(act(site, rotate)) == ["retired", "activated", "published"]
    assert kid_of(site, "active") == following


def test_asked_for_again_it_is_put_off_once(site) -> None:
    """Issue 6: a second request while the first waits changes nothing, and moves nothing."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    first = act(site, rotate)
    with clock.shifted(100):
        again = act(site, rotate)
    assert (again.transitions, again.next_due) == ((), first.next_due)


def test_an_emergency_does_not_wait(site) -> None:
    """Security §3: `--now` and a revocation activate the key that waits, and say what relying parties may notice."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    act(site, rotate)
    waiting = kid_of(site, "next")
    done = act(site, rotate_now)
    assert changes(done) == ["retired", "activated", "published"]
    assert "ES256" in done.warning
    assert kid_of(site, "active") == waiting
    act(site, rotate)
    waiting = kid_of(site, "next")
    assert "activated" in changes(act(site, revoke, kid_of(site, "active")))
    assert kid_of(site, "active") == waiting


def test_a_key_that_waits_is_revoked(site) -> None:
    """Security §3: another waits in its place, from its own publication on."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    act(site, rotate)
    with clock.shifted(200):
        assert changes(act(site, revoke, kid_of(site, "next"))) == ["revoked", "published"]
        (row,) = site.rows("next")
        assert row.activated_at == row.created_at + SETTLED


def test_an_algorithm_without_a_key_gets_one(site) -> None:
    """Issue 3 §3: where nothing signs there is nothing to wait for (what `idp doctor` advises)."""
    assert changes(act(site, rotate)) == ["created", "published"]


def test_keys_for_encryption_do_not_wait(site) -> None:
    """OIDC Core §10.2.1: who encrypts fetches the set; the key before still opens."""
    alg = KEY_ALGORITHMS[0]
    create_initial(site.database, site.envelope, site.id, ("ES256", alg))
    assert changes(act(site, rotate, (alg,), policy=KeyPolicy(("ES256", alg)))) == ["retired", "created", "published"]


@pytest.mark.parametrize("how", [rotate, rotate_now])
def test_a_relying_party_with_a_fresh_copy(site, how) -> None:
    """S042: with a copy of the key set as old as it may be, nobody meets an unknown key; with `--now` (control) somebody does."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    copy = KeySet.import_key_set(json.loads(jwks_document(site.keys())[0]))
    fetched, failed = clock.now(), 0
    for seconds in range(0, 3 * SETTLED, 20):
        with clock.shifted(seconds):
            if seconds == 20:
                act(site, how)
            act(site, rotate_due)
            token = site.keys().sign(site.claims(), alg="ES256", typ="JWT")
            if clock.now() - fetched >= JWKS_MAX_AGE:
                copy, fetched = KeySet.import_key_set(json.loads(jwks_document(site.keys())[0])), clock.now()
            try:
                jwt.decode(token, copy, algorithms=["ES256"])
            except (JoseError, ValueError):
                failed += 1
    assert len(site.rows("retired")) == 1
    assert bool(failed) is (how is rotate_now)
