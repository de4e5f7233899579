from __future__ import annotations

import json

import pytest

from idp import clock
from idp.keys.jwks import JWKS_MAX_AGE, PUBLIC_MEMBERS, jwks_document
from idp.keys.rotation import DAY, HOUR, KeyPolicy, create_initial, revoke, rotate_due, rotate_now
from idp.store.tenant import signing_keys

PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}


def published(site) -> list[dict]:
    """The keys of the document."""
    return json.loads(jwks_document(site.keys())[0])["keys"]


def test_only_public_parts(acme) -> None:
    """RFC 7517 §9.3, S042: no private member of any key type, exactly the members a verifier needs."""
    found = published(acme)
    assert len(found) == 4
    for jwk in found:
        assert not PRIVATE & jwk.keys()
        assert jwk.keys() <= set(PUBLIC_MEMBERS)
        assert jwk["use"] == "sig"
    assert {(jwk["kty"], jwk["alg"]) for jwk in found} == {
        ("EC", "ES256"),
        ("RSA", "RS256"),
        ("RSA", "PS256"),
        ("OKP", "EdDSA"),
    }


def test_a_private_member_in_a_row_has_no_way_out(site) -> None:
    """RFC 7517 §9.3, S042: were a private member ever stored beside the public ones, the document would not show it."""
    create_initial(site.database, site.envelope, site.id)
    row = site.rows()[0]
    site.database.writing(
        lambda conn: signing_keys.change(
            conn, row.kid, "active", public_jwk=row.public_jwk | {"d": "secret", "k": "secret"}
        )
    )
    assert b"secret" not in jwks_document(site.keys())[0]
    assert row.kid in {jwk["kid"] for jwk in published(site)}


def test_kids_are_unique_and_never_used_again(site) -> None:
    """RFC 7517 §4.5, S042: a kid names one key for ever: over many rotations none comes twice."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    policy = KeyPolicy(("ES256",), token_life=HOUR)
    seen = set()
    for number in range(6):
        with clock.shifted(number * 2 * DAY):
            done = rotate_now(site.database, site.envelope, site.id, policy)
            fresh = {step.kid for step in done.transitions if step.change in ("created", "published")}
            assert not fresh & seen
            seen |= fresh
            rotate_due(site.database, site.envelope, site.id, policy)
            kids = [jwk["kid"] for jwk in published(site)]
            assert len(kids) == len(set(kids))
    assert len({row.kid for row in site.rows()}) == len(site.rows()) == 8
    assert len(site.rows("gone")) >= 4


def test_the_entity_tag_follows_the_keys(site) -> None:
    """RFC 9110 §8.8.3, S042: the same keys give the same bytes and tag; any change of the set changes the tag."""
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    first = jwks_document(site.keys())
    assert jwks_document(site.keys()) == first
    assert first[1].startswith('"')
    assert first[1].endswith('"')
    rotate_due(site.database, site.envelope, site.id, KeyPolicy(("ES256",)))
    assert jwks_document(site.keys())[1] != first[1]


@pytest.mark.parametrize(
    ("state", "shown"), [("next", True), ("active", True), ("retired", True), ("gone", False), ("revoked", False)]
)
def test_which_states_are_published(site, state: str, shown: bool) -> None:
    """OIDC Core §10.1.1: keys that will sign, sign or have signed are in the set; a revoked one or one that is over is not."""
    policy = KeyPolicy(("ES256",), token_life=HOUR)
    create_initial(site.database, site.envelope, site.id, ("ES256",))
    rotate_due(site.database, site.envelope, site.id, policy)
    rotate_now(site.database, site.envelope, site.id, policy)
    rotate_now(site.database, site.envelope, site.id, policy)
    revoke(site.database, site.envelope, site.id, policy, site.rows("retired")[0].kid)
    with clock.shifted(3 * HOUR):
        if state == "gone":
            rotate_due(site.database, site.envelope, site.id, policy)
        rows = site.rows(state)
        assert rows
        assert all((row.kid in {jwk["kid"] for jwk in published(site)}) is shown for row in rows)


def test_the_cache_lifetime_is_covered_by_the_rotation() -> None:
    """RFC 9111 §5.2.2.1, S042: a key is published for longer than a relying party may cache the set."""
    from idp.keys.rotation import PUBLISH_AHEAD

    assert PUBLISH_AHEAD >= 24 * 3600
    assert PUBLISH_AHEAD > JWKS_MAX_AGE > 0
