"""The decision: who may do what, by which binding, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from idp.access import policy
from idp.access.bindings import Wanted
from idp.access.conditions import Context
from idp.access.permissions import BUILT_IN, PERMISSIONS
from idp.access.policy import Subject
from idp.clock import now
from idp.identity import accounts
from idp.identity.accounts import By
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    from access_world import World

OPERATOR = By("operator")


def test_the_built_in_roles(world: World) -> None:
    """Issue 6 (RBAC): the built-in roles hold what the product's table says, in every tenant from its first moment."""
    found = {role.name: role for role in world.roles.search(limit=50)[0]}
    assert found.keys() >= BUILT_IN.keys()
    for name, held in BUILT_IN.items():
        assert (set(found[name].permissions), found[name].is_built_in) == (set(held), True)
        assert found[name].description
    assert BUILT_IN["tenant-admin"] == PERMISSIONS.keys() - {"tenants:create", "tenants:suspend", "tenants:delete"}
    assert not {name for name in BUILT_IN["auditor"] if not name.endswith(":read")}
    for who, expected in {"root": True, "helpdesk": False, "bob": False}.items():
        assert world.decide(who, "clients:write").allowed is expected
    assert world.decide("helpdesk", "users:write").allowed


def test_a_decision_names_its_binding(world: World) -> None:
    """Issue 6 (policy check): the answer has the deciding binding and the reason, allowed or not."""
    world.role("editor", "document:read", "document:write")
    binding = world.give("bob", "editor", resource="document:4711")
    decision = world.decide("bob", "document:write", "document:4711")
    assert decision.document() == {
        "allowed": True,
        "reason": "granted",
        "explanation": "The role editor is held by a binding for document:4711.",
        "role": "editor",
        "binding_id": binding,
        "resource": "document:4711",
    }
    for resource in ("document:4712", "", "document:471", "document:47110"):
        refused = world.decide("bob", "document:write", resource)
        assert (refused.allowed, refused.reason) == (False, "not_bound")
        assert "document:write" in refused.explanation
    assert not world.decide("bob", "document:delete", "document:4711").allowed
    assert not world.decide("eve", "document:write", "document:4711").allowed


def test_the_whole_tenant_and_what_contains_a_resource(world: World) -> None:
    """Issue 6 (RBAC): a binding for the tenant holds for every resource, one for a resource for what lies within it."""
    world.role("editor", "document:write")
    world.give("bob", "editor", resource="folder:1")
    assert world.decide("bob", "document:write", "document:9", within="folder:1").allowed
    assert not world.decide("bob", "document:write", "document:9", within="folder:2").allowed
    world.give("eve", "editor")
    assert world.decide("eve", "document:write", "document:9", within="folder:2").binding_id is not None
    assert world.decide("eve", "document:write").allowed


def test_groups_carry_roles(world: World) -> None:
    """Issue 6 (RBAC): who is in a group holds the group's roles, until out of it or the group is gone."""
    world.role("editor", "document:write")
    from access_world import OPERATOR as SHELL

    group = world.groups.create("Editors", granter=SHELL)
    world.bindings.create(Wanted("group", group.id, "editor"), granter=SHELL)
    assert not world.decide("bob", "document:write").allowed
    assert world.groups.add(group.id, [world.people["bob"], world.people["eve"]], granter=SHELL) == 2
    decision = world.decide("bob", "document:write")
    assert (decision.allowed, decision.explanation) == (True, "The role editor is held by a group.")
    world.groups.remove(group.id, world.people["bob"], granter=SHELL)
    assert not world.decide("bob", "document:write").allowed
    assert world.decide("eve", "document:write").allowed
    world.groups.delete(group.id, granter=SHELL)
    assert not world.decide("eve", "document:write").allowed
    assert world.bindings.search(limit=10, filters={"holder_type": "group", "holder_id": group.id}) == ([], 0)


def test_applications_hold_roles(world: World) -> None:
    """Issue 6 (RBAC): a client is a holder like a user; disabled or deleted it holds nothing."""
    from access_world import OPERATOR as SHELL

    rp = world.house.client(world.tenant)
    world.bindings.create(Wanted("client", rp.client_id, "auditor"), granter=SHELL)
    subject = Subject("client", rp.client_id)
    assert world.decide(subject, "users:read").allowed
    assert not world.decide(Subject("user", rp.client_id), "users:read").allowed
    assert not world.decide(subject, "users:write").allowed
    registry = ClientRegistry(world.tenant, world.database, world.house.installation.feed)
    registry.disable(rp.client_id, by=OPERATOR)
    assert world.decide(subject, "users:read").reason == "subject_not_active"
    registry.delete(rp.client_id, by=OPERATOR)
    assert world.decide(subject, "users:read").reason == "subject_unknown"
    assert world.bindings.search(limit=10, filters={"holder_type": "client", "holder_id": rp.client_id}) == ([], 0)


def test_an_ended_binding(world: World) -> None:
    """Issue 6 (RBAC, expiry): from its last second on a binding grants nothing, and the decision says that it has ended."""
    world.role("editor", "document:write")
    world.give("bob", "editor", expires_at=now() + 100)
    assert world.decide("bob", "document:write", at=now() + 98).allowed
    ended = world.decide("bob", "document:write", at=now() + 101)
    assert (ended.allowed, ended.reason, ended.role) == (False, "expired", "editor")


@pytest.mark.parametrize("state", ["disabled", "deleted", "gone"])
def test_a_user_who_is_not_active_may_nothing(world: World, state: str) -> None:
    """Issue 6 (guard): whatever is bound, a disabled or deleted user is refused at once."""
    world.give("bob", "tenant-admin")
    assert world.decide("bob", "users:read").allowed
    if state == "disabled":
        accounts.disable_user(world.database, world.people["bob"], by=OPERATOR)
    elif state == "deleted":
        from idp.identity import kept_accounts

        kept_accounts.delete(world.database, world.people["bob"], by=OPERATOR)
    else:
        accounts.delete_user(world.database, world.people["bob"], by=OPERATOR)
    expected = "subject_unknown" if state == "gone" else "subject_not_active"
    assert world.decide("bob", "users:read").reason == expected
    assert world.decide("bob", "profile:read").reason == expected
    with world.database.reading() as conn:
        assert policy.held(conn, world.user("bob"), context=Context(now())) == frozenset()


def test_what_is_held_together(world: World) -> None:
    """Issue 6 (claims): all that somebody holds in the tenant now, by groups and everybody's too, nothing that is for one resource."""
    world.role("editor", "document:read", "document:write")
    world.role("lender", "book:lend")
    world.give("bob", "editor")
    world.give("bob", "lender", resource="book:1")
    world.give("bob", "auditor", conditions={"mfa": True})
    with world.database.reading() as conn:
        plain = policy.held(conn, world.user("bob"), context=Context(now()))
        assert plain == {"document:read", "document:write", "profile:read"}
        assert policy.held(conn, world.user("bob"), context=Context(now()), within="book:1") == plain | {"book:lend"}
        strong = policy.held(conn, world.user("bob"), context=Context(now(), amr=["pwd", "otp", "mfa"]))
        assert strong == plain | BUILT_IN["auditor"]
        assert policy.roles_of(conn, world.user("bob"), context=Context(now())) == ["editor"]


def test_a_role_that_is_named_and_not_there_grants_nothing(world: World) -> None:
    """Issue 6 (RBAC): a role that came with a user is there, grants nothing, and may be given permissions afterwards."""
    from access_world import OPERATOR as SHELL

    world.people["new"] = world.house.user(world.tenant, "new@example.org", roles=["painter"])
    assert world.roles.get("painter").permissions == ()
    world.roles.create_permission("wall:paint", "", by=OPERATOR)
    assert not world.decide("new", "wall:paint").allowed
    world.roles.change("painter", granted=["wall:paint"], granter=SHELL)
    assert world.decide("new", "wall:paint").allowed
    world.roles.delete_permission("wall:paint", by=OPERATOR)
    assert not world.decide("new", "wall:paint").allowed
