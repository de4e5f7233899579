"""Auth Manager: tokens withdrawn before their time, the keys behind them, who is calling, and how people sign in."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import PUBLIC, World
from house import PASSWORD, decoded

from idp.access.granting import Granter
from idp.access.groups import Groups
from idp.access.roles import Roles
from idp.clock import now
from idp.identity.accounts import By
from idp.keys.jwks import JWKS_MAX_AGE
from idp.store.control import pending_work
from idp.store.tenant import users

OPERATOR = Granter(By("operator"))


def call(world: World, method: str, path: str, body: Any = None, **more: Any) -> Any:
    return world.call(method, f"/tenants/acme{path}", body, service="authmgr", **more)


def done(answer: Any) -> Any:
    assert answer.status == 200, answer.text
    return answer.json


def is_alive(world: World, token: str) -> bool:
    found: bool = done(call(world, "POST", "/token-validations", {"token": token}))["active"]
    return found


def revoker(world: World, who: str = "apps") -> str:
    """The token of somebody who may withdraw tokens, and not much else."""
    if world.uflow("GET", "/roles/revoker").status != 200:
        Roles(world.database()).create("revoker", "", ["tokens:revoke"], granter=OPERATOR)
    world.bind_user("acme", who, "revoker")
    return world.token("acme", who)


def refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text


# -- tokens -------------------------------------------------------------------------------------------------------------


def test_an_access_token_is_blocked_by_its_text(any_world: World) -> None:
    """Interfaces §5: one access token at once, alone; its grant and its siblings live on."""
    grant_id = any_world.grant("acme", "nobody")
    one, other = (any_world.token("acme", "nobody", grant_id=grant_id) for _ in range(2))
    assert done(call(any_world, "POST", "/token-withdrawals", {"token": one})) == {
        "withdrawn": True,
        "kind": "access_token",
    }
    assert (is_alive(any_world, one), is_alive(any_world, other)) == (False, True)
    (event,) = any_world.events("token.withdrawn")
    assert (event.actor, event.subject) == (any_world.people["acme", "admin"], any_world.people["acme", "nobody"])
    assert event.details["jti"] == decoded(one)[1]["jti"]
    done(call(any_world, "POST", "/token-withdrawals", {"token": one}))
    assert len(any_world.events("token.withdrawn")) == 1, "what is dead is not withdrawn again"
    done(call(any_world, "POST", "/token-withdrawals", {"token": other, "with_grant": True}))
    later = any_world.token("acme", "nobody", grant_id=grant_id)
    assert is_alive(any_world, later) is False


def test_an_access_token_is_blocked_by_its_jti(any_world: World) -> None:
    """Interfaces §5: without its text, for as long as a token may live."""
    token = any_world.token("acme", "nobody")
    jti = decoded(token)[1]["jti"]
    assert done(call(any_world, "POST", "/token-withdrawals", {"jti": jti}))["withdrawn"] is True
    assert is_alive(any_world, token) is False
    both = {"jti": jti, "token": token}
    for body in ({}, both, {"jti": jti, "with_grant": True}, {"jti": "a b"}):
        refused(call(any_world, "POST", "/token-withdrawals", body), 422, "invalid_fields")


def test_a_refresh_token_goes_with_its_grant(world: World) -> None:
    """RFC 7009 §2.1: the tokens of the same grant die with it."""
    acme = world.tenants["acme"]
    rp = world.house.client(acme, "rp")
    tokens = rp.redeem(world.house.browser(acme).sign_in(rp, scope="openid offline_access")).json
    found = done(call(world, "POST", "/token-withdrawals", {"token": tokens["refresh_token"]}))
    assert found == {"withdrawn": True, "kind": "refresh_token"}
    assert rp.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert rp.introspect(tokens["access_token"]) == {"active": False}
    text = repr(world.events("token.withdrawn"))
    assert tokens["refresh_token"] not in text


@pytest.mark.parametrize("token", ["x", "rt_" + "A" * 43, "a.b.c", "\x00", "y" * 50_000])
def test_what_is_no_token(any_world: World, token: str) -> None:
    """RFC 7009 §2.2: 200, and nothing was withdrawn; another tenant's is as unknown."""
    nothing = {"withdrawn": False}
    assert done(call(any_world, "POST", "/token-withdrawals", {"token": token})) == nothing
    foreign = any_world.token("globex")
    assert done(call(any_world, "POST", "/token-withdrawals", {"token": foreign})) == nothing
    assert any_world.clients("GET", slug="globex", token=foreign).status == 200


def test_all_tokens_of_a_user(any_world: World) -> None:
    """Interfaces §5: all of a user, or those of one application; other people keep theirs."""
    any_world.house.client(any_world.tenants["acme"], "other")
    person = any_world.people["acme", "nobody"]
    path = f"/users/{person}/token-withdrawals"
    mine, theirs = any_world.token("acme", "nobody"), any_world.token("acme", "nobody", client_id="other")
    others = any_world.token("acme", "auditor")
    assert done(call(any_world, "POST", path, {"client_id": "other"}))["grants_ended"] == 1
    assert [is_alive(any_world, each) for each in (mine, theirs, others)] == [True, False, True]
    assert done(call(any_world, "POST", path, {}))["grants_ended"] >= 1
    assert [is_alive(any_world, each) for each in (mine, others)] == [False, True]
    assert done(call(any_world, "POST", path, {}))["grants_ended"] == 0
    assert {event.subject for event in any_world.events("token.withdrawn")} == {person}
    refused(call(any_world, "POST", "/users/gone/token-withdrawals", {}), 404, "not_found")


def test_nobody_ends_the_access_of_who_may_more(any_world: World) -> None:
    """Issue 6, docs/access.md: as with disabling an account, the caller holds what the other holds; a client's token alike."""
    caller = revoker(any_world)
    admins = any_world.token("acme", "admin")
    any_world.bind("acme", "console", "tenant-admin")
    own = any_world.client_token("acme", "console")
    for body in ({"token": admins}, {"token": own}):
        refused(call(any_world, "POST", "/token-withdrawals", body, token=caller), 403, "more_than_held")
    for token in (admins, own):  # the id in a token says not whose it is, so it is no way round
        body = {"jti": decoded(token)[1]["jti"]}
        refused(call(any_world, "POST", "/token-withdrawals", body, token=caller), 403, "more_than_held")
    path = f"/users/{any_world.people['acme', 'admin']}/token-withdrawals"
    refused(call(any_world, "POST", path, {}, token=caller), 403, "more_than_held")
    assert is_alive(any_world, admins)
    theirs = any_world.token("acme", "nobody")
    assert done(call(any_world, "POST", "/token-withdrawals", {"token": theirs}, token=caller))["withdrawn"] is True


# -- keys ---------------------------------------------------------------------------------------------------------------


def active(world: World) -> dict[str, str]:
    items = done(call(world, "GET", "/keys"))["items"]
    return {each["alg"]: each["kid"] for each in items if each["state"] == "active"}


def test_keys_are_listed(any_world: World) -> None:
    """Issue 6: public part, state and times; nothing private."""
    found = done(call(any_world, "GET", "/keys", token=any_world.token("acme", "auditor")))["items"]
    assert {each["alg"] for each in found} >= {"ES256", "RS256"}
    for each in found:
        assert {"kid", "use", "alg", "state", "created_at", "public"} <= each.keys()
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & each["public"].keys()
        assert each["public"]["kid"] == each["kid"]


def test_keys_are_rotated_and_revoked(world: World) -> None:
    """Issue 3 Build 3, OIDC Core §10.1.1: put off until relying parties can know the next key; at once in an emergency; each an event."""
    before = active(world)
    first = done(call(world, "POST", "/keys/rotate", {"algorithms": ["ES256"]}))
    assert [each["change"] for each in first["changes"]] == ["published"]
    (waiting,) = [each for each in first["items"] if "begins_at" in each]
    assert active(world) == before
    with world.house.installation.store.control.reading() as conn:
        due = {(row.tenant_id, row.kind): row.next_due for row in pending_work.list_all(conn)}
    assert due[world.tenants["acme"].id, "rotation"] <= now() + JWKS_MAX_AGE + 60
    assert done(call(world, "POST", "/keys/rotate", {"algorithms": ["ES256"]}))["changes"] == []
    at_once = done(call(world, "POST", "/keys/rotate", {"algorithms": ["ES256"], "at_once": True}))
    assert "ES256" in at_once["warning"]
    assert active(world) == {**before, "ES256": waiting["kid"]}
    token = world.token("acme", "nobody")
    assert decoded(token)[0]["kid"] == waiting["kid"]
    revoked = done(call(world, "POST", f"/keys/{waiting['kid']}/revoke"))
    assert [each["change"] for each in revoked["changes"]] == ["revoked", "activated", "published"]
    assert is_alive(world, token) is False
    kinds = [len(world.events(kind)) for kind in ("keys.rotated", "keys.revoked")]
    assert kinds == [2, 1]
    assert {event.actor for event in world.events("keys.rotated")} == {world.people["acme", "admin"]}
    assert done(call(world, "POST", f"/keys/{waiting['kid']}/revoke"))["changes"] == []


def test_keys_that_are_not_there(any_world: World) -> None:
    """Interfaces §5: 404 for another's or no key, 422 for an algorithm that the tenant does not use."""
    foreign = any_world.call("GET", "/tenants/globex/keys", service="authmgr", token=any_world.token("globex")).json
    refused(call(any_world, "POST", f"/keys/{foreign['items'][0]['kid']}/revoke"), 404, "not_found")
    for algorithms in (["EdDSA"], ["none"], ["HS256"], []):
        refused(call(any_world, "POST", "/keys/rotate", {"algorithms": algorithms}), 422, "invalid_fields")


# -- people -------------------------------------------------------------------------------------------------------------


def test_the_callers_own_profile(any_world: World) -> None:
    """Interfaces §5: everybody reads the own one, an administrator of the platform theirs; an application what it is."""
    found = done(call(any_world, "GET", "/profile", token=any_world.token("acme", "nobody")))
    assert found == {
        "type": "user",
        "id": any_world.people["acme", "nobody"],
        "tenant": "acme",
        "client_id": "console",
        "username": "nobody@acme.example",
        "email": "nobody@acme.example",
        "email_verified": found["email_verified"],
        "name": "Ada Lovelace",
        "claims": found["claims"],
    }
    assert found["claims"]["given_name"] == "Ada"
    platform = done(call(any_world, "GET", "/profile", token=any_world.token("system", "nobody")))
    assert (platform["tenant"], platform["id"]) == ("system", any_world.people["system", "nobody"])
    any_world.bind("acme", "console", "auditor")
    program = done(call(any_world, "GET", "/profile", token=any_world.client_token("acme", "console")))
    assert program == {
        "type": "client",
        "id": "console",
        "tenant": "acme",
        "client_id": "console",
        "name": "An application",
    }


def test_groups_and_permissions(any_world: World) -> None:
    """Interfaces §5: of the caller, and with the permissions for it of a user; what the token lends is told apart."""
    groups, person = Groups(any_world.database()), any_world.people["acme", "nobody"]
    for name in ("One", "Two", "Three"):
        made = groups.create(name, granter=OPERATOR)
        groups.add(made.id, [person], granter=OPERATOR)
    any_world.bind_user("acme", "nobody", "auditor")
    own = any_world.token("acme", "nobody", scope="profile:read users:read")
    first = done(call(any_world, "GET", "/profile/groups?limit=2", token=own))
    assert [each["name"] for each in first["items"]] == ["One", "Three"]
    rest = done(call(any_world, "GET", f"/profile/groups?limit=2&after={first['next']}", token=own))
    assert [each["name"] for each in rest["items"]] == ["Two"]
    theirs = done(call(any_world, "GET", f"/users/{person}/groups?sort=-name"))
    assert [each["name"] for each in theirs["items"]] == ["Two", "Three", "One"]
    held = done(call(any_world, "GET", "/profile/permissions", token=own))
    assert held["roles"] == ["auditor"]
    assert "audit:read" in held["permissions"]
    assert held["usable"] == ["profile:read", "users:read"]
    assert done(call(any_world, "GET", f"/users/{person}/permissions")) == {
        "roles": ["auditor"],
        "permissions": held["permissions"],
    }
    any_world.bind("acme", "console", "auditor")
    program = any_world.client_token("acme", "console")
    assert done(call(any_world, "GET", "/profile/groups", token=program))["total"] == 0
    assert done(call(any_world, "GET", "/profile/permissions", token=program))["roles"] == ["auditor"]


def test_how_a_user_signs_in(world: World) -> None:
    """Issue 6: state, lock, last sign-in, sessions with amr, password, factors."""
    acme, person = world.tenants["acme"], world.people["acme", "nobody"]
    path = f"/users/{person}/authentication"
    found = done(call(world, "GET", path))
    assert (found["state"], found["session_count"], found["sessions"]) == ("active", 0, [])
    assert "last_sign_in" not in found
    assert found["password"]["is_set"] is True
    assert found["factors"] == ["password"]
    rp = world.house.client(acme, "rp")
    world.house.browser(acme).sign_in(rp, username="nobody@acme.example")
    found = done(call(world, "GET", path))
    (session,) = found["sessions"]
    assert session["amr"] == ["pwd"]
    assert found["last_sign_in"] == session["signed_in_at"]
    browser = world.house.browser(acme)
    page = browser.follow(browser.authorize(rp, verifier="v" * 43))
    for _ in range(acme.settings.account_attempts):
        page = browser.submit(page, username="nobody@acme.example", password="wrong")
    found = done(call(world, "GET", path))
    assert found["state"] == "locked"
    assert found["locked_until"] > found["last_sign_in"]
    world.database().writing(
        lambda conn: users.change(conn, person, state="disabled", password_hash=None, must_change_password=True)
    )
    found = done(call(world, "GET", path))
    assert (found["state"], found["factors"]) == ("disabled", [])
    assert found["password"]["must_change"] is True
    assert PASSWORD not in repr(found)


def test_the_audience_is_the_service(any_world: World) -> None:
    """RFC 8707 §2: a token for another service is none for this one."""
    refused(call(any_world, "GET", "/profile", token=any_world.token(aud=f"{PUBLIC}/uflow")), 401, "invalid_token")
    assert call(any_world, "GET", "/profile", token=any_world.token(aud=f"{PUBLIC}/authmgr")).status == 200
