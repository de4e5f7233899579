"""Auth Manager: what a token is worth, and what somebody may do."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from api_world import PUBLIC, World
from exchanging import exchange, exchanger
from house import decoded
from statements import counting

from idp.access import authzen
from idp.access.conditions import Context
from idp.access.granting import Granter
from idp.access.roles import Roles
from idp.clock import now, shifted
from idp.identity.accounts import By
from idp.store.tenant import grants, users

OPERATOR = Granter(By("operator"))


def validated(world: World, token: Any, slug: str = "acme", caller: str | None = None, **asked: Any) -> Any:
    """What the service says of a token."""
    path, body = f"/tenants/{slug}/token-validations", {"token": token, **asked}
    answer = world.call("POST", path, body, service="authmgr", token=caller or world.token("system"))
    assert answer.status == 200, answer.text
    return answer.json


def checked(world: World, **check: Any) -> Any:
    answer = world.call("POST", "/tenants/acme/policy-checks", check, service="authmgr")
    assert answer.status == 200, answer.text
    return answer.json


def bound(world: World, who: str, permissions: list[str], **more: Any) -> None:
    """A role of the tenant's own with permissions of its own, held by a person."""
    for name in permissions:
        Roles(world.database()).create_permission(name, "", by=By("operator"))
    Roles(world.database()).create("editor", "", permissions, granter=OPERATOR)
    world.bind_user("acme", who, "editor", **more)


# -- tokens -------------------------------------------------------------------------------------------------------------


def test_a_living_token(any_world: World) -> None:
    """Interfaces §5, RFC 7662 §2.2: active, its claims and its user; the tenant's own caller and the platform's."""
    token = any_world.token("acme", "nobody")
    for caller in (any_world.token(), any_world.token("system")):
        found = validated(any_world, token, caller=caller)
        assert (found["active"], found["allowed"]) == (True, True)
        assert found["claims"] == decoded(token)[1]
        assert found["user"] == {"id": any_world.people["acme", "nobody"], "username": "nobody@acme.example"}
        assert not {"reason", "scopes", "audience", "permission"} & found.keys()


def test_a_token_of_an_application(any_world: World) -> None:
    """RFC 6749 §4.4: an application for itself stands for no user."""
    found = validated(any_world, any_world.client_token("acme", "console"))
    assert found["active"] is True
    assert "user" not in found


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("expired", "expired"),
        ("token", "revoked"),
        ("grant", "grant_ended"),
        ("user", "user_not_active"),
        ("client", "client_not_active"),
        ("tenant", "tenant_not_active"),
    ],
)
def test_why_a_token_is_not_active(world: World, how: str, reason: str) -> None:
    """Interfaces §5, S045: the same living checks as at introspection, and which of them it was."""
    world.house.client(world.tenants["acme"], "app")
    grant_id = world.grant("acme", "nobody", "app")
    token = world.token("acme", "nobody", client_id="app", grant_id=grant_id)
    assert validated(world, token)["active"] is True
    if how == "token":
        world.call("POST", "/tenants/acme/token-withdrawals", {"token": token}, service="authmgr")
    elif how == "grant":
        world.database().writing(lambda conn: grants.revoke(conn, grant_id, "test"))
    elif how == "user":
        person = world.people["acme", "nobody"]
        world.database().writing(lambda conn: users.change(conn, person, state="disabled"))
    elif how == "client":
        world.clients("POST", "/app/deactivate")
        world.database().writing(lambda conn: conn.execute(grants.grants.update().values(revoked_at=None)))
    elif how == "tenant":
        world.house.installation.provisioning.suspend(world.tenants["acme"])
    if how == "expired":
        token = world.token("acme", "nobody", exp=now() - 1)
    found = validated(world, token)
    assert found["explanation"]
    del found["explanation"]
    assert found == {"active": False, "allowed": False, "reason": reason}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "\x00",
        "é" * 100,
        "eyJhbGciOiJub25lIn0.e30.",
        "rt_" + "A" * 43,
        "x" * 60_000,
        "\ud800",
        "' OR 1=1 --",
    ],
)
def test_hostile_garbage_is_not_active(any_world: World, token: str) -> None:
    """Issue 6: whatever is sent as a token is answered 200 in the same words."""
    found = validated(any_world, token)
    explanation = "This is no access token of this tenant."
    assert found == {"active": False, "allowed": False, "reason": "unknown", "explanation": explanation}


def test_foreign_and_other_tokens_are_not_active(any_world: World) -> None:
    """Security §1 rule 6: another tenant's token, an ID token, a forged one: as garbage, with everything that was asked."""
    claims = decoded(any_world.token())[1]
    head, body, tail = any_world.token().split(".")
    asked = {"scopes": ["authsec"], "audience": f"{PUBLIC}/uflow", "permission": {"name": "users:read"}}
    for token in (
        any_world.token("globex"),
        any_world.token("system"),
        any_world.signed("acme", claims, typ="JWT"),
        any_world.signed("acme", {**claims, "aud": "https://elsewhere.example"}),
        f"{head}.{body}.{tail[:-4]}AAAA",
        any_world.signed("globex", claims),
    ):
        found = validated(any_world, token, **asked)
        assert (found["active"], found["reason"]) == (False, "unknown")
        assert found.keys() == {"active", "allowed", "reason", "explanation"}


def test_what_a_token_is_to_allow(any_world: World) -> None:
    """Interfaces §5: scope, resource, both; each for itself, and all of them together."""
    token = any_world.token("acme", "nobody", scope="docs:read docs:write", aud=[any_world.tenants["acme"].issuer])
    found = validated(any_world, token, scopes=["docs:read", "docs:write"], audience=any_world.tenants["acme"].issuer)
    assert found["allowed"] is True
    assert found["scopes"] == [{"scope": "docs:read", "held": True}, {"scope": "docs:write", "held": True}]
    assert found["audience"] == {"audience": any_world.tenants["acme"].issuer, "held": True}
    found = validated(any_world, token, scopes=["docs:read", "docs"], audience=f"{PUBLIC}/uflow")
    assert (found["active"], found["allowed"]) == (True, False)
    assert [each["held"] for each in found["scopes"]] == [True, False]
    assert found["audience"]["held"] is False


def test_which_binding_allows_it(any_world: World) -> None:
    """Issue 6: a permission with its resource, and the binding that decided."""
    bound(any_world, "nobody", ["document:write"], resource="document:4711")
    token = any_world.token("acme", "nobody", scope="openid")
    found = validated(any_world, token, permission={"name": "document:write", "resource": "document:4711"})
    decision = found["permission"]
    assert found["allowed"] is True
    assert (decision["permission"], decision["reason"], decision["role"]) == ("document:write", "granted", "editor")
    assert decision["resource"] == "document:4711"
    assert any_world.uflow("GET", f"/role-bindings/{decision['binding_id']}").status == 200
    for wanted in ({"name": "document:write", "resource": "document:1"}, {"name": "document:write"}, {"name": "x:y"}):
        found = validated(any_world, token, permission=wanted)
        assert (found["active"], found["allowed"], found["permission"]["reason"]) == (True, False, "not_bound")


def test_conditions_are_of_the_tokens_holder(any_world: World) -> None:
    """Issue 6: how the person was authenticated is the token's `amr`; the address is what the gateway says."""
    conditions = {"mfa": True, "networks": ["192.0.2.0/24"]}
    bound(any_world, "nobody", ["document:write"], conditions=conditions)
    wanted = {"name": "document:write"}
    plain = any_world.token("acme", "nobody", scope="openid")
    strong = any_world.token("acme", "nobody", scope="openid", amr=["pwd", "mfa"])
    reasons = [
        validated(any_world, token, permission=wanted, **source)["permission"].get("condition")
        for token in (plain, strong)
        for source in ({}, {"source": "192.0.2.7"}, {"source": "nonsense"})
    ]
    assert reasons == ["mfa", "mfa", "mfa", "networks", None, "networks"]


def test_the_tokens_scopes_narrow_the_permission(any_world: World) -> None:
    """docs/access.md: who holds a permission may use it with a token whose scopes stand for it."""
    wanted = {"name": "users:read"}
    full, narrow = any_world.token(), any_world.token(scope="users:read")
    other, none = any_world.token(scope="clients:read"), any_world.token(scope="openid")
    reasons = [validated(any_world, token, permission=wanted)["permission"]["reason"] for token in (full, narrow)]
    assert reasons == ["granted", "granted"]
    for token in (other, none):
        decision = validated(any_world, token, permission=wanted)["permission"]
        assert (decision["allowed"], decision["reason"]) == (False, "not_in_scope")
        assert decision["role"] == "tenant-admin", "which would allow it"
    bound(any_world, "nobody", ["document:read", "document:write"])
    Roles(any_world.database()).create_scope("documents", "", ["document:read"], granter=OPERATOR)
    scoped = any_world.token("acme", "nobody", scope="documents")
    assert validated(any_world, scoped, permission={"name": "document:read"})["allowed"] is True
    assert validated(any_world, scoped, permission={"name": "document:write"})["allowed"] is False


def test_leaving_a_scope_out_gives_no_more(any_world: World) -> None:
    """RFC 6749 §6, RFC 8693 §2.1: where what was allowed stands for permissions, a token with none of those scopes has no permission."""
    bound(any_world, "nobody", ["document:read", "document:write"])
    Roles(any_world.database()).create_scope("documents", "", ["document:read"], granter=OPERATOR)
    grant_id = any_world.grant("acme", "nobody", scope="openid profile documents")
    for scope, allowed in (("documents", True), ("profile", False)):
        token = any_world.token("acme", "nobody", scope=scope, grant_id=grant_id)
        assert validated(any_world, token, permission={"name": "document:read"})["allowed"] is allowed, scope
    plain = any_world.token("acme", "nobody", scope="profile")
    assert validated(any_world, plain, permission={"name": "document:read"})["allowed"] is True


def test_an_exchanged_token(any_world: World) -> None:
    """RFC 8693 §4.1: it is told who acts, and for whom it is; it ends with what it came from."""
    acme = any_world.tenants["acme"]
    name = f"gateway-{secrets.token_hex(4)}"
    side: Any = type("Side", (), {"house": any_world.house, "tenant": acme})
    gateway = exchanger(side, name, "tokens:exchange", scope="docs:read", token_exchange_audiences=["reports"])
    token = any_world.token("acme", "nobody", scope="docs:read", aud=acme.issuer)
    got = exchange(gateway, token, audience="reports").json["access_token"]
    found = validated(any_world, got, audience="reports")
    assert found["allowed"] is True, found
    assert found["claims"]["act"] == {"sub": name, "client_id": name}
    assert found["user"]["id"] == any_world.people["acme", "nobody"]
    path = "/tenants/acme/token-withdrawals"
    assert any_world.call("POST", path, {"token": token}, service="authmgr").json["withdrawn"] is True
    assert validated(any_world, got)["reason"] == "revoked"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/token"),
        ({"token": 7}, "#/token"),
        ({"token": "x", "scopes": ["a b"]}, "#/scopes/0"),
        ({"token": "x", "permission": {"name": "x"}}, "#/permission/name"),
        ({"token": "x", "permission": {"name": "x:y", "resource": "4711"}}, "#/permission/resource"),
        ({"token": "x", "extra": True}, "#/extra"),
    ],
)
def test_a_question_that_cannot_be_read(shared: World, body: Any, pointer: str) -> None:
    """Interfaces §5: 422 names the member; only the token itself may be anything."""
    answer = shared.call("POST", "/tenants/acme/token-validations", body, service="authmgr")
    assert answer.status == 422
    assert pointer in [each.get("pointer") for each in answer.json["errors"]], answer.text


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ({}, 4),
        ({"scopes": ["authsec"], "audience": f"{PUBLIC}/uflow"}, 4),
        ({"permission": {"name": "users:read"}}, 7),
    ],
)
def test_its_budget(any_world: World, asked: Any, most: int) -> None:
    """Architecture §5: a gateway asks for every request it passes on: few reads, the caller's own included, and no write."""
    token, caller = any_world.token("acme", "admin"), any_world.token()
    validated(any_world, token, caller=caller, **asked)
    with counting(any_world.house) as counted:
        assert validated(any_world, token, caller=caller, **asked)["allowed"] is True
    reads, writes, transactions = counted.cost
    assert reads <= most, counted.statements
    assert (writes, transactions) == (0, 0), counted.statements


# -- decisions ----------------------------------------------------------------------------------------------------------


def test_a_policy_check(any_world: World) -> None:
    """Issue 6: allowed, why, and through which binding; for users by id and username, and for applications."""
    bound(any_world, "nobody", ["document:write"], resource="document:4711")
    any_world.bind("acme", "console", "auditor")
    for name in (any_world.people["acme", "nobody"], "nobody@acme.example", "NOBODY@acme.example"):
        subject = {"type": "user", "id": name}
        found = checked(any_world, subject=subject, permission="document:write", resource="document:4711")
        assert (found["allowed"], found["reason"], found["role"]) == (True, "granted", "editor")
        assert found["binding_id"]
        assert found["explanation"]
        assert checked(any_world, subject=subject, permission="document:write")["reason"] == "not_bound"
    assert checked(any_world, subject={"type": "client", "id": "console"}, permission="users:read")["allowed"] is True
    for subject in ({"type": "user", "id": "gone"}, {"type": "client", "id": "gone"}, {"type": "user", "id": "\x00"}):
        assert checked(any_world, subject=subject, permission="users:read")["reason"] == "subject_unknown"


def test_a_check_with_circumstances(any_world: World) -> None:
    """docs/access.md: address, authentication and properties are those that are given; the time is the server's."""
    hours = {"from": "00:00", "to": "23:59", "zone": "UTC"}
    conditions = {"mfa": True, "networks": ["192.0.2.0/24"], "properties": {"resource.status": {"in": ["draft"]}}}
    bound(any_world, "nobody", ["document:write"], conditions={**conditions, "hours": hours})
    check = {"subject": {"type": "user", "id": "nobody@acme.example"}, "permission": "document:write"}
    good = {"source": "192.0.2.7", "amr": ["mfa"], "properties": {"resource": {"status": "draft"}}}
    noon = (now() // 86400 + 1) * 86400 + 43200 - now()
    with shifted(noon):
        assert checked(any_world, **check, context=good)["allowed"] is True
        for name, condition in (("source", "networks"), ("amr", "mfa"), ("properties", "resource.status")):
            context = {each: value for each, value in good.items() if each != name}
            assert checked(any_world, **check, context=context)["condition"] == condition
    with shifted(noon + 43200 - 30):
        assert checked(any_world, **check, context=good)["condition"] == "hours"


def test_several_at_once(any_world: World) -> None:
    """Issue 6: in the order of the questions, each for itself; at most a hundred."""
    bound(any_world, "nobody", ["document:write"])
    yes = {"subject": {"type": "user", "id": "nobody@acme.example"}, "permission": "document:write"}
    no = {**yes, "permission": "document:read"}
    path = "/tenants/acme/policy-checks/batch"
    answer = any_world.call("POST", path, {"checks": [yes, no, yes]}, service="authmgr")
    assert [each["allowed"] for each in answer.json["decisions"]] == [True, False, True]
    assert any_world.call("POST", path, {"checks": [yes] * 101}, service="authmgr").status == 422
    assert any_world.call("POST", path, {"checks": []}, service="authmgr").status == 422


def test_it_is_the_decision_of_authzen(any_world: World) -> None:
    """Issue 6 item 2: the same decision, for the same reason, through the same binding."""
    bound(any_world, "nobody", ["document:write"], resource="document:4711", conditions={"mfa": True})
    for number in ("4711", "1"):
        for amr in ([], ["mfa"]):
            mine = checked(
                any_world,
                subject={"type": "user", "id": "nobody@acme.example"},
                permission="document:write",
                resource=f"document:{number}",
                context={"amr": amr},
            )
            body = {
                "subject": {"type": "user", "id": "nobody@acme.example"},
                "action": {"name": "write"},
                "resource": {"type": "document", "id": number},
                "context": {"amr": amr},
            }
            with any_world.database().reading() as conn:
                theirs = authzen.evaluation(conn, body, Context(now()))
            assert mine["allowed"] == theirs["decision"]
            assert mine["reason"] == theirs["context"]["id"]
            assert mine.get("binding_id") == theirs["context"].get("binding_id")


def test_the_document_has_them() -> None:
    """Interfaces §5: prefix and version are those of the documented product."""
    from idp.api.auth_manager import AUTH_MANAGER

    assert (AUTH_MANAGER.name, AUTH_MANAGER.version) == ("authmgr", "1.1")
