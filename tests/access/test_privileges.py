"""Nobody grants more than they hold, and a tenant keeps an administrator."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from access_world import OPERATOR

from idp.access import granting
from idp.access.bindings import Wanted
from idp.access.granting import MoreThanHeld
from idp.access.permissions import BUILT_IN
from idp.clock import now
from idp.errors import Conflict, Invalid, NotFound
from idp.identity import accounts, kept_accounts
from idp.identity.accounts import By
from idp.identity.administrators import LastAdministrator

if TYPE_CHECKING:
    from collections.abc import Callable

    from access_world import World

NEARBY = granting.Granter(By("somebody at the service"), BUILT_IN["tenant-admin"])
ALL = granting.Granter(By("everything but roles"), BUILT_IN["tenant-admin"] - {"roles:write"})


def snapshot(world: World) -> Any:
    return [
        world.roles.search(limit=100)[0],
        world.bindings.search(limit=100, filters={}),
        world.groups.search(limit=100),
        [world.groups.members(row.id, limit=100) for row in world.groups.search(limit=100)[0]],
    ]


def test_who_administers_users_makes_no_administrator(world: World) -> None:
    """Issue 6 (role escalation): by no way does somebody give a role, to others or to themselves, that grants more than they hold."""
    admins = world.groups.create("Admins", granter=OPERATOR)
    world.bindings.create(Wanted("group", admins.id, "tenant-admin"), granter=OPERATOR)
    world.role("mine", "document:read")
    world.give("helpdesk", "mine")
    binding = world.give("bob", "tenant-admin", expires_at=now() + 1000)
    helpdesk = world.granter("helpdesk")
    before = snapshot(world)
    attempts: list[Callable[[], object]] = [
        lambda: world.give("helpdesk", "tenant-admin", by=helpdesk),
        lambda: world.give("eve", "client-admin", by=helpdesk),
        lambda: world.give("eve", "client-admin", resource="document:1", by=helpdesk),
        lambda: world.bindings.create(Wanted("group", admins.id, "auditor"), granter=helpdesk),
        lambda: world.groups.add(admins.id, [world.people["helpdesk"]], granter=helpdesk),
        lambda: world.bindings.change(binding, expires_at=None, granter=helpdesk),
        lambda: world.roles.create("super", "", ["clients:write"], granter=helpdesk),
        lambda: world.roles.change("mine", granted=["document:read", "clients:write"], granter=helpdesk),
    ]
    for number, attempt in enumerate(attempts):
        with pytest.raises(MoreThanHeld) as refused:
            attempt()
        assert refused.value.status == 403, number
        assert "you do not hold" in refused.value.errors["permissions"]
    assert snapshot(world) == before


def test_nor_takes_from_who_holds_more(world: World) -> None:
    """Issue 6 (role escalation): nobody takes a role away, or throws out of a group, that grants more than they hold."""
    admins = world.groups.create("Admins", granter=OPERATOR)
    world.bindings.create(Wanted("group", admins.id, "tenant-admin"), granter=OPERATOR)
    world.groups.add(admins.id, [world.people["bob"]], granter=OPERATOR)
    (binding,) = world.bindings.search(limit=10, filters={"holder_type": "user", "holder_id": world.people["root"]})[0]
    helpdesk = world.granter("helpdesk")
    before = snapshot(world)
    attempts: list[Callable[[], object]] = [
        lambda: world.bindings.delete(binding.id, granter=helpdesk),
        lambda: world.groups.remove(admins.id, world.people["bob"], granter=helpdesk),
        lambda: world.groups.delete(admins.id, granter=helpdesk),
    ]
    for attempt in attempts:
        with pytest.raises(MoreThanHeld):
            attempt()
    assert snapshot(world) == before


def test_permissions_of_applications_are_given_by_who_defines_them(world: World) -> None:
    """Issue 6 (RBAC): a tenant's own permissions are no power over the tenant; who may define them may give them."""
    world.role("editor", "document:write")
    world.give("eve", "editor", by=world.granter("root"))
    assert world.decide("eve", "document:write").allowed
    with pytest.raises(MoreThanHeld):
        world.give("bob", "editor", by=ALL)
    world.give("bob", "editor", by=granting.Granter(By("x"), frozenset({"document:write", "role-bindings:write"})))


@pytest.mark.parametrize("way", ["binding", "disable", "delete", "keep", "expire", "condition"])
def test_the_last_administrator_stays(world: World, way: str) -> None:
    """Issue 6 (last-admin deletion, self-lock-out): by no way is a tenant left without an administrator; with a second one it goes."""
    root = world.people["root"]
    (binding,) = world.bindings.search(limit=10, filters={"holder_type": "user", "holder_id": root})[0]
    world.give("eve", "tenant-admin", expires_at=now() + 1000)  # no administrator for good
    world.give("helpdesk", "tenant-admin", conditions={"mfa": True})
    ways: dict[str, Callable[[], object]] = {
        "binding": lambda: world.bindings.delete(binding.id, granter=world.granter("root")),
        "disable": lambda: accounts.disable_user(world.database, root, by=By(root)),
        "delete": lambda: accounts.delete_user(world.database, root, by=By(root)),
        "keep": lambda: kept_accounts.delete(world.database, root, by=By(root)),
        "expire": lambda: world.bindings.change(binding.id, expires_at=now() + 60, granter=NEARBY),
        "condition": lambda: world.bindings.change(binding.id, given={"mfa": True}, granter=NEARBY),
    }
    with pytest.raises(LastAdministrator) as refused:
        ways[way]()
    assert (refused.value.status, refused.value.code) == (409, "last_administrator")
    assert world.decide("root", "users:write").allowed
    world.give("bob", "tenant-admin")
    ways[way]()
    assert world.decide("bob", "users:write").allowed
    assert not world.decide("root", "users:write", at=now() + 100).allowed


@pytest.mark.parametrize("way", ["remove", "delete", "binding"])
def test_the_last_administrator_by_a_group(world: World, way: str) -> None:
    """Issue 6 (last-admin deletion): who administers by a group is an administrator too."""
    admins = world.groups.create("Admins", granter=OPERATOR)
    held = world.bindings.create(Wanted("group", admins.id, "tenant-admin"), granter=OPERATOR)
    world.groups.add(admins.id, [world.people["bob"]], granter=OPERATOR)
    (binding,) = world.bindings.search(limit=10, filters={"holder_type": "user", "holder_id": world.people["root"]})[0]
    world.bindings.delete(binding.id, granter=OPERATOR)
    ways: dict[str, Callable[[], object]] = {
        "remove": lambda: world.groups.remove(admins.id, world.people["bob"], granter=NEARBY),
        "delete": lambda: world.groups.delete(admins.id, granter=NEARBY),
        "binding": lambda: world.bindings.delete(held.id, granter=NEARBY),
    }
    with pytest.raises(LastAdministrator):
        ways[way]()
    assert world.decide("bob", "users:write").allowed


def test_two_administrators_who_remove_each_other(world: World) -> None:
    """Issue 6 (last-admin deletion): at the same moment, in threads of their own: one of them stays, each time."""
    for number in range(12):
        name = f"second-{number}"
        world.people[name] = world.house.user(world.tenant, f"{name}@example.org")
        world.give(name, "tenant-admin")
        found = world.bindings.search(limit=50, filters={"role": "tenant-admin"})[0]
        assert len(found) == 2
        barrier, failed = threading.Barrier(2), []

        def remove(binding_id: str, barrier: threading.Barrier = barrier, failed: list[Exception] = failed) -> None:
            barrier.wait(10)
            try:
                world.bindings.delete(binding_id, granter=NEARBY)
            except LastAdministrator as error:
                failed.append(error)

        threads = [threading.Thread(target=remove, args=(row.id,)) for row in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert (len(failed), world.bindings.search(limit=50, filters={"role": "tenant-admin"})[1]) == (1, 1)


def test_a_tenant_without_an_administrator_is_not_stuck(world: World) -> None:
    """Issue 6 (last-admin deletion): where the command line has made none, nothing is kept from anybody."""
    other = world.house.tenant("bare")
    database = world.house.database(other)
    accounts.disable_user(database, world.house.user_id(other), by=By("somebody"))


def test_an_operator_is_not_kept_from_anything(world: World) -> None:
    """Issue 6 (last-admin deletion): who has a shell makes the next administrator there, so nobody is locked out."""
    accounts.delete_user(world.database, world.people["root"], by=OPERATOR.by)
    world.give("bob", "tenant-admin")
    assert world.decide("bob", "users:write").allowed


def test_the_built_in_roles_stay_as_they_are(world: World) -> None:
    """Issue 6 (built-in roles): nobody, the operator neither, edits them into a lock-out."""
    for name in BUILT_IN:
        with pytest.raises(Conflict):
            world.roles.change(name, granted=[], granter=OPERATOR)
        with pytest.raises(Conflict):
            world.roles.delete(name, granter=OPERATOR, with_bindings=True)
        with pytest.raises(Conflict):
            world.roles.create(name, "", [], granter=OPERATOR)
        assert set(world.roles.get(name).permissions) == BUILT_IN[name]


def test_a_role_in_use(world: World) -> None:
    """Issue 6 (RBAC): a role that somebody holds is deleted only on purpose; then nobody holds it."""
    world.role("editor", "document:write")
    world.give("bob", "editor")
    with pytest.raises(Conflict):
        world.roles.delete("editor", granter=OPERATOR)
    assert world.decide("bob", "document:write").allowed
    world.roles.delete("editor", granter=OPERATOR, with_bindings=True)
    with pytest.raises(NotFound):
        world.roles.get("editor")
    world.role("editor", "document:write")
    assert not world.decide("bob", "document:write").allowed


@pytest.mark.parametrize(
    ("wanted", "member"),
    [
        ({"role": "nobody"}, "role"),
        ({"holder_id": "b" * 32}, "holder_id"),
        ({"holder_type": "tenant"}, "holder_type"),
        ({"holder_type": "group"}, "holder_id"),
        ({"resource": "document"}, "resource"),
        ({"resource": "document:with space"}, "resource"),
        ({"resource": "document:" + "x" * 300}, "resource"),
        ({"resource": "*:*"}, "resource"),
        ({"expires_at": 1}, "expires_at"),
        ({"expires_at": 10**15}, "expires_at"),
        ({"conditions": {"mfa": "yes"}}, "conditions.mfa"),
    ],
)
def test_what_is_no_binding(world: World, wanted: dict[str, Any], member: str) -> None:
    """Security §1 rule 10: bad input is refused by the member's name, and nothing is stored."""
    given = {"holder_type": "user", "holder_id": world.people["bob"], "role": "auditor"} | wanted
    before = snapshot(world)
    with pytest.raises(Invalid) as refused:
        world.bindings.create(Wanted(**given), granter=OPERATOR)
    assert list(refused.value.errors) == [member]
    assert snapshot(world) == before


def test_given_once(world: World) -> None:
    """Issue 6 (RBAC): the same role for the same resource is given once, whoever is faster."""
    barrier, results = threading.Barrier(8), []

    def give() -> None:
        barrier.wait(10)
        try:
            results.append(world.give("bob", "auditor"))
        except Conflict:
            results.append(None)

    threads = [threading.Thread(target=give) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(result is None for result in results) == [False] + [True] * 7
    assert world.bindings.search(limit=10, filters={"holder_type": "user", "holder_id": world.people["bob"]})[1] == 1


def test_every_change_is_recorded(world: World) -> None:
    """ASVS 5.0 §16.2: who changed access, whose, and how, is in the audit trail."""
    root = world.granter("root")
    world.role("editor", "document:write")
    world.roles.create_permission("document:read", "", by=root.by)
    world.roles.change("editor", granted=["document:read"], granter=root)
    group = world.groups.create("Staff", granter=root)
    world.groups.add(group.id, [world.people["bob"]], granter=root)
    binding = world.give("bob", "editor", by=root, resource="document:1")
    world.bindings.delete(binding, granter=root)
    (changed,) = world.events("role.updated")
    assert (changed["added"], changed["removed"]) == (["document:read"], ["document:write"])
    (joined,) = world.events("group.user_added")
    (given,), (taken,) = world.events("role_binding.created"), world.events("role_binding.deleted")
    for event in (joined, given, taken):
        assert (event["actor"], event["subject"]) == (world.people["root"], world.people["bob"])
    assert (given["role"], given["resource"]) == ("editor", "document:1")


@pytest.mark.parametrize("name", ["", "Ops!\u0000", "x" * 101, "\u200b", "  "])
def test_what_is_no_group_name(world: World, name: str) -> None:
    """Security §1 rule 10: a name that nobody could read is refused."""
    with pytest.raises(Invalid):
        world.groups.create(name, granter=OPERATOR)


def test_one_group_of_a_name(world: World) -> None:
    """Issue 6 (groups): spellings that people take for one name are one group."""
    first = world.groups.create("Help  Desk", granter=OPERATOR)
    assert first.name == "Help Desk"
    for name in ("help desk", "HELP DESK", "Ｈelp Desk"):
        with pytest.raises(Conflict):
            world.groups.create(name, granter=OPERATOR)
    world.groups.change(first.id, name="HELP DESK", granter=OPERATOR)
    assert world.groups.get(first.id).name == "HELP DESK"
