"""The claims roles, groups and permissions, and the scopes that stand for permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from access_world import OPERATOR
from exchanging import exchange, exchanger
from house import decoded

from idp.access.bindings import Wanted
from idp.access.claims import covers, stands_for
from idp.access.permissions import PERMISSIONS
from idp.errors import Conflict, Invalid, NotFound
from idp.identity.accounts import By
from idp.store.tenant import permissions

if TYPE_CHECKING:
    from access_world import World
    from house import RelyingParty

SCOPES = "openid email roles groups permissions docs"
ABOUT_ACCESS = ("roles", "groups", "permissions")


@pytest.fixture
def rp(world: World) -> RelyingParty:
    """An application that may ask for all of it; ada, who signs in, is an editor by a group."""
    world.role("editor", "document:read", "document:write")
    group = world.groups.create("Staff", granter=OPERATOR)
    world.people["ada"] = world.house.user_id(world.tenant)
    world.groups.add(group.id, [world.people["ada"]], granter=OPERATOR)
    world.bindings.create(Wanted("group", group.id, "editor"), granter=OPERATOR)
    world.give("ada", "auditor", conditions={"networks": ["192.0.2.0/24"]})
    world.give("ada", "tenant-admin", resource="document:1")
    world.roles.create_scope("docs", "Documents", ["document:read"], granter=OPERATOR)
    return world.house.client(world.tenant, scope=SCOPES)


def tokens_of(world: World, rp: RelyingParty, scope: str) -> dict[str, Any]:
    answer = rp.redeem(world.house.browser(world.tenant).sign_in(rp, scope=scope))
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_where_the_scope_asks_for_them(world: World, rp: RelyingParty) -> None:
    """Issue 6 (claims): in the access token, the ID token and at userinfo; what holds in the whole tenant and surely."""
    tokens = tokens_of(world, rp, "openid roles groups permissions")
    expected = {
        "roles": ["editor"],
        "groups": ["Staff"],
        "permissions": ["document:read", "document:write", "profile:read"],
    }
    for found in (
        decoded(tokens["access_token"])[1],
        decoded(tokens["id_token"])[1],
        rp.userinfo(tokens["access_token"]).json,
    ):
        assert {name: found[name] for name in ABOUT_ACCESS} == expected


def test_only_there(world: World, rp: RelyingParty) -> None:
    """Issue 6 (claims): each by its scope, and none without one."""
    tokens = tokens_of(world, rp, "openid email groups")
    for found in (decoded(tokens["access_token"])[1], decoded(tokens["id_token"])[1]):
        assert [name for name in ABOUT_ACCESS if name in found] == ["groups"]
    tokens = tokens_of(world, rp, "openid email")
    found = (
        decoded(tokens["access_token"])[1] | decoded(tokens["id_token"])[1] | rp.userinfo(tokens["access_token"]).json
    )
    assert not found.keys() & set(ABOUT_ACCESS)


def test_a_scope_that_stands_for_permissions_narrows(world: World, rp: RelyingParty) -> None:
    """Issue 6 (scopes map to permissions): a token carries what its scopes stand for, of what the person holds."""
    claims = decoded(tokens_of(world, rp, "openid permissions docs")["access_token"])[1]
    assert claims["permissions"] == ["document:read"]
    world.roles.change_scope("docs", stands_for=["document:write", "users:read"], granter=OPERATOR)
    claims = decoded(tokens_of(world, rp, "openid permissions docs")["access_token"])[1]
    assert claims["permissions"] == ["document:write"], "a scope gives nobody what they do not hold"


def test_leaving_a_scope_out_gives_no_more(world: World, rp: RelyingParty) -> None:
    """RFC 6749 §6, RFC 8693 §2.1: a token narrowed by leaving out what narrows it allows nothing more: refreshed, exchanged, at userinfo."""
    tokens = tokens_of(world, rp, "openid permissions docs")
    side: Any = world
    gateway = exchanger(side, "gateway", "tokens:exchange", scope="permissions docs")
    once = exchange(gateway, tokens["access_token"], scope="permissions").json["access_token"]
    twice = exchange(gateway, once).json["access_token"]
    kept = exchange(gateway, tokens["access_token"]).json["access_token"]
    refreshed = rp.refresh(tokens["refresh_token"], scope="openid permissions").json["access_token"]
    assert [decoded(each)[1]["permissions"] for each in (once, twice, refreshed)] == [[], [], []]
    assert rp.userinfo(refreshed).json["permissions"] == []
    assert decoded(kept)[1]["permissions"] == ["document:read"]


def test_a_refresh_says_how_it_is_now(world: World, rp: RelyingParty) -> None:
    """Issue 6 (claims): a role that was taken away is not in the next token."""
    tokens = tokens_of(world, rp, "openid roles")
    world.roles.delete("editor", granter=OPERATOR, with_bindings=True)
    assert decoded(rp.refresh(tokens["refresh_token"]).json["access_token"])[1]["roles"] == []


def test_a_client_that_did_not_register_the_scope(world: World, rp: RelyingParty) -> None:
    """Issue 6 (claims, "where client and scope ask for them"): without the registration it is a scope like any unknown one.

    OpenID Connect Core §3.1.2.1: scope values that are not understood are ignored; discovery does not have these.
    """
    other = world.house.client(world.tenant, "other", scope="openid email")
    claims = decoded(tokens_of(world, other, "openid roles groups permissions")["access_token"])[1]
    assert claims["scope"] == "openid"
    assert not claims.keys() & set(ABOUT_ACCESS)
    assert "roles" in decoded(tokens_of(world, rp, "openid roles")["access_token"])[1]


def test_a_client_for_itself_gets_none_of_a_person(world: World, rp: RelyingParty) -> None:
    """RFC 6749 §4.4: client credentials never carry scopes that are about a person."""
    answer = rp.post("/token", {"grant_type": "client_credentials", "scope": "roles"})
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")
    assert rp.post("/token", {"grant_type": "client_credentials"}).json["scope"] == "docs"


def test_what_scopes_stand_for(world: World) -> None:
    """Issue 6 (scopes map to permissions): a permission's name stands for itself, `authsec` for all of the product's."""
    world.role("editor", "document:read")
    world.roles.create_scope("docs", "", ["document:read"], granter=OPERATOR)
    with world.database.reading() as conn:
        assert stands_for(conn, ["openid", "email"]) is None
        assert stands_for(conn, ["openid", "users:read"]) == {"users:read"}
        assert stands_for(conn, ["authsec", "docs"]) == PERMISSIONS.keys() | {"document:read"}
        assert covers(conn, ["authsec"], "users:write")
        assert not covers(conn, ["authsec"], "document:read")
        assert covers(conn, ["docs"], "document:read")
        assert not covers(conn, ["docs", "openid", "users:read"], "users:write")


@pytest.mark.parametrize("name", ["openid", "authsec", "users:read", "roles", "permissions"])
def test_names_that_mean_something_already(world: World, name: str) -> None:
    """Issue 6 (scopes): nobody gives a scope of the specifications or of the product another meaning."""
    with pytest.raises(Conflict):
        world.roles.create_scope(name, "", [], granter=OPERATOR)


@pytest.mark.parametrize("name", ["users:read", "document", "Document:Read", "a:b:c", "*:*", "document:", ""])
def test_what_is_no_permission_of_ones_own(world: World, name: str) -> None:
    """Issue 6 (permissions): `resource:action`, and none of the product's."""
    with pytest.raises((Conflict, Invalid)):
        world.roles.create_permission(name, "", by=By("operator"))
    assert world.roles.search_permissions(limit=100)[0] == []


def test_a_permission_that_goes_takes_itself_along(world: World) -> None:
    """Issue 6 (permissions): deleted, it is in no role and in no scope any more."""
    world.role("editor", "document:read", "document:write")
    world.roles.create_scope("docs", "", ["document:read", "document:write"], granter=OPERATOR)
    world.roles.delete_permission("document:write", by=By("operator"))
    assert world.roles.get("editor").permissions == ("document:read",)
    assert world.roles.search_scopes(limit=9)[0][0].permissions == ["document:read"]
    with pytest.raises(NotFound):
        world.roles.delete_permission("document:write", by=By("operator"))


def test_the_consent_page_says_what_they_are(world: World, rp: RelyingParty) -> None:
    """OIDC Core §3.1.2.4: what is asked for is said in words, the power over the service too."""
    powerful = world.house.client(world.tenant, "powerful", scope="openid roles groups permissions authsec users:read")
    browser = world.house.browser(world.tenant)
    browser.sign_in(rp)
    page = browser.follow(
        browser.authorize(powerful, scope="openid roles groups permissions authsec users:read", verifier="v" * 43)
    )
    for sentence in (
        "See your roles here",
        "See which groups you are in",
        "See what you may do",
        "Administer this service with everything that you may do here",
        "Use the permission",
    ):
        assert sentence in page.text


def test_it_goes_from_every_scope_however_many_there_are(world: World) -> None:
    """Issue 6 (permissions): no scope keeps a deleted permission, to stand for another one of the same name later."""
    world.role("editor", "document:read")

    def work(conn: Any) -> None:
        for number in range(1100):
            permissions.create_scope(conn, f"s{number}", "", ["document:read"])

    world.database.writing(work)
    world.roles.delete_permission("document:read", by=By("operator"))
    with world.database.reading() as conn:
        assert stands_for(conn, [f"s{number}" for number in range(1100)]) == frozenset()
