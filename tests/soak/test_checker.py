"""Negative control of the soak's audit: each invariant notices the damage that it is there for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import checker
from serving import rows

if TYPE_CHECKING:
    from house import House

pytestmark = pytest.mark.soak
DAMAGE = {
    "a code issued tokens twice": ["UPDATE audit_events SET kind = 'token.issued' WHERE kind = 'token.refreshed'"],
    "a code is used, but no tokens were issued in that transaction, or the other way round": ["UPDATE authorization_codes SET used_at = NULL"],
    "a family has two living heads": ["UPDATE refresh_tokens SET used_at = NULL"],
    "a living family has lost its head": ["UPDATE refresh_tokens SET used_at = 1"],
    "a rotation without its event, or an event without its rotation": ["DELETE FROM audit_events WHERE kind = 'token.refreshed'"],
    "an orphan refresh token": ["UPDATE refresh_tokens SET grant_id = 'x'"],
    "an orphan code": ["UPDATE authorization_codes SET grant_id = 'x'"],
    "a grant without its code": ["DELETE FROM authorization_codes"],
    "a grant of nobody": ["UPDATE grants SET user_id = 'x'"],
    "a grant to nobody": ["UPDATE grants SET client_id = 'x'"],
    "a grant of no session": ["DELETE FROM sessions"],
    "an orphan session": ["UPDATE sessions SET user_id = 'x'"],
    "a session without its sign-in": ["DELETE FROM audit_events WHERE kind = 'login.succeeded'"],
    "an ended session without its event, or the other way round": ["UPDATE sessions SET ended_at = 1"],
    "a living grant of an ended session": ["UPDATE sessions SET ended_at = 1", "UPDATE grants SET is_offline = 0"],
    "an orphan consent": ["UPDATE consents SET client_id = 'x'"],
    "a finished interaction of no session": ["UPDATE interactions SET session_id = 'x'"],
    "two active keys of one algorithm": ["DROP INDEX uq_signing_keys_active", "UPDATE signing_keys SET alg = 'ES256'"],
    "an event that is in the chain twice, or twice in the log": ["UPDATE audit_events SET id = 'x'"],
    "a checkpoint number that is missing": ["INSERT INTO audit_checkpoints SELECT 5, chain_seq, chain_hash, at, previous, signature FROM audit_checkpoints LIMIT 1"],
}  # fmt: skip


def used(house: House) -> str:
    """A tenant with a refreshed family and a chain; returns its database's URL."""
    from idp.jobs.chain import chain_events

    tenant = house.tenant("acme")
    rp = house.client(tenant)
    tokens = rp.redeem(house.browser(tenant).sign_in(rp, scope="openid offline_access")).json
    assert rp.refresh(tokens["refresh_token"]).status == 200
    chain_events(house.database(tenant), house.installation.store.control, tenant.id, lambda payload: payload.hex())
    return tenant.database_url


def test_every_invariant_has_its_damage() -> None:
    """S112: the list of damages is complete."""
    assert DAMAGE.keys() == checker.INVARIANTS.keys()


def test_a_sound_database_is_sound(house: House) -> None:
    """S112: the audit finds nothing where nothing is wrong."""
    assert checker.violations(used(house)) == []


@pytest.mark.parametrize("invariant", DAMAGE)
def test_an_invariant_notices(house: House, invariant: str) -> None:
    """S112: after the damage the audit names this invariant."""
    url = used(house)
    for statement in DAMAGE[invariant]:
        rows(url, statement)
    assert any(found.startswith(invariant) for found in checker.violations(url))


def test_a_gap_in_the_chain_is_noticed(house: House) -> None:
    """S112: a removed event, and an end that was cut off."""
    url = used(house)
    rows(url, "DELETE FROM audit_events WHERE chain_seq = 2")
    assert any("gaps" in found for found in checker.violations(url))


def test_an_unspent_assertion_is_noticed(house: House) -> None:
    """S112: a jti that was accepted and is not known."""
    assert checker.unspent(used(house), "signed", ["a"]) == ["a"]
