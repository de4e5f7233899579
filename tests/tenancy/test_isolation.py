"""The isolation list (issue 3; security S037, S100): every artefact of tenant A is refused at tenant B, and works at A."""

from __future__ import annotations

import pytest
from artefacts import ARTEFACTS, EVERYTHING, NOT_PRESENTED, PASSWORDS, Artefact, World, error_of, has_code
from house import decoded
from serving import scalar

from idp.features import FEATURES
from idp.store import tables
from idp.store.db import db
from idp.web.ratelimit import Rule


@pytest.mark.parametrize("artefact", ARTEFACTS, ids=lambda artefact: artefact.name)
def test_an_artefact_of_one_tenant_is_nothing_at_another(world: World, artefact: Artefact) -> None:
    """Issue 3, S037, security rule 6: refused or unknown at B, without harm; then the very same one works at A."""
    made = artefact.make(world.a, world.b)
    artefact.refused(world.b, made)
    artefact.works(world.a, made)


# Bound to one browser, interaction or code: another one of the same tenant refuses them as well.
BOUND_CLOSER = {"code verifier", "form token"}


@pytest.mark.parametrize(
    "artefact", [each for each in ARTEFACTS if each.name not in BOUND_CLOSER], ids=lambda artefact: artefact.name
)
def test_the_list_would_notice(world: World, artefact: Artefact) -> None:
    """Negative control of the list: presented at A itself in the same way, nothing is refused, so the row can fail."""
    made = artefact.make(world.a, world.b)
    with pytest.raises(AssertionError):
        artefact.refused(world.a, made)


def test_every_table_has_joined_the_list() -> None:
    """Issue 3: a table of the tenant's database stands in the list, or among those whose rows nobody presents."""
    tables.load()
    known = set(db.metadatas["tenant"].tables)
    listed = {table for artefact in ARTEFACTS for table in artefact.tables}
    assert listed | NOT_PRESENTED.keys() == known
    assert not listed & NOT_PRESENTED.keys()


def test_every_feature_has_joined_the_list() -> None:
    """Issue 3: a feature that takes something from outside is presented something of another tenant."""
    assert {feature for artefact in ARTEFACTS for feature in artefact.features} == {
        feature.name for feature in FEATURES
    }


def test_no_table_names_a_tenant() -> None:
    """Architecture §1: what belongs to a tenant lies in its own database; no column says whose a row is."""
    tables.load()
    columns = {
        f"{table.name}.{column.name}" for table in db.metadatas["tenant"].tables.values() for column in table.columns
    }
    assert not {name for name in columns if "tenant" in name.partition(".")[2]}


# -- S100: the same names on both sides --------------------------------------------------------------------------------------


def test_s100_the_same_e_mail_is_two_people(world: World) -> None:
    """S100: ada@example.com has another subject at each tenant, and another session."""
    subjects = {decoded(side.tokens()["id_token"])[1]["sub"] for side in (world.a, world.b)}
    assert len(subjects) == 2


def test_s100_both_sessions_live_in_one_browser(world: World) -> None:
    """S100: path tenants share an origin: each finds its own cookie, and signing out at one leaves the other."""
    browser = world.a.signed_in()
    other = world.b.browser()
    other.cookies = browser.cookies
    other.sign_in(world.b.rp, password=PASSWORDS["globex"], scope=EVERYTHING)
    assert {world.a.cookie("s"), world.b.cookie("s")} <= browser.cookies.keys()
    other.submit(other.get(f"{world.b.tenant.base_path}/logout"), action="logout")
    assert error_of(other.authorize(world.b.rp, verifier="v" * 43, prompt="none")) == "login_required"
    assert has_code(browser.authorize(world.a.rp, verifier="v" * 43, prompt="none", scope=EVERYTHING))


def test_s100_a_changed_client_is_one_tenant_s(world: World) -> None:
    """S100: disabling `twin` at A leaves B's client of that name; so does revoking its grants."""
    from idp.store.tenant import clients, grants

    house = world.a.house
    twins = [house.client(side.tenant, "twin") for side in (world.a, world.b)]
    tokens = [
        twin.redeem(house.browser(twin.tenant).sign_in(twin, password=PASSWORDS[twin.tenant.slug])).json
        for twin in twins
    ]
    with house.installation.feed.announced(world.a.tenant.id, "client", "twin"):
        house.database(world.a.tenant).writing(lambda conn: clients.change(conn, "twin", state="disabled"))
        house.database(world.a.tenant).writing(lambda conn: grants.revoke_of_client(conn, "twin", "test"))
    assert [twin.post("/token", {"grant_type": "client_credentials"}).status for twin in twins] == [401, 200]
    assert [twin.userinfo(token["access_token"]).status for twin, token in zip(twins, tokens, strict=True)] == [
        401,
        200,
    ]


def test_s100_a_rate_limit_is_one_tenant_s(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """S100: a flood at A under one client_id and address leaves the same client_id and address at B alone."""
    from idp.oauth import request_checks

    monkeypatch.setitem(request_checks.RULES, "token", Rule("token-of-this-test", 3, 60))
    answers = [world.a.rp.post("/token", {"grant_type": "client_credentials"}).status for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]
    assert world.b.rp.post("/token", {"grant_type": "client_credentials"}).status == 200


def test_s100_the_same_kid_at_both_is_two_keys(world: World) -> None:
    """S100: keys of A under B's very kid, as a careless import could make them, verify nothing that B signed."""
    claims = decoded(world.b.rp.post("/token", {"grant_type": "client_credentials"}).json["access_token"])[1]
    token = world.b.keys.sign(claims, alg="ES256", typ="at+jwt")
    ours = world.a.keys
    kid = world.b.keys.active_kid("ES256")
    stolen_name = {kid: {**next(jwk for jwk in ours.public_jwks if jwk["alg"] == "ES256"), "kid": kid}}
    ours._jwks.update(stolen_name)
    from idp.keys.signer import InvalidToken

    with pytest.raises(InvalidToken):
        ours.verify(token, typ="at+jwt", issuer=world.b.tenant.issuer)
    assert world.b.keys.verify(token, typ="at+jwt", issuer=world.b.tenant.issuer)["sub"] == "rp"


def test_s100_deleting_one_leaves_the_other(any_house) -> None:
    """S100: A is deleted: its tokens and pages are gone, B's users, sessions, tokens and keys are all there."""
    from artefacts import make_world

    world = make_world(any_house)
    tokens = [side.tokens() for side in (world.a, world.b)]
    session = world.b.signed_in()
    before = {
        name: scalar(world.b.tenant.database_url, f"SELECT count(*) FROM {name}")
        for name in db.metadatas["tenant"].tables
    }
    any_house.installation.provisioning.delete(world.a.tenant)
    assert world.a.rp.userinfo(tokens[0]["access_token"]).status == 404
    assert any_house.get(world.a.tenant, "/.well-known/openid-configuration").status == 404
    assert {name: scalar(world.b.tenant.database_url, f"SELECT count(*) FROM {name}") for name in before} == before
    assert world.b.rp.userinfo(tokens[1]["access_token"]).status == 200
    assert has_code(session.authorize(world.b.rp, verifier="v" * 43, prompt="none", scope=EVERYTHING))
    # and a tenant of the same name later on is another one
    again = make_world_again(any_house, world)
    assert again.rp.userinfo(tokens[0]["access_token"]).status == 401
    assert again.rp.refresh(tokens[0]["refresh_token"]).status == 400


def make_world_again(house, world: World):
    """A new tenant under the deleted one's slug, with the same client and person."""
    from dataclasses import replace

    tenant = house.installation.provisioning.create("acme", "Acme")
    house.user(tenant, password=PASSWORDS["acme"])
    return replace(world.a, tenant=tenant, rp=house.client(tenant))
