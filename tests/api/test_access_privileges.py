"""Nobody gains by what stands for power: scopes that lend more, names of groups that applications trust; on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from test_access import done, refused

if TYPE_CHECKING:
    from api_world import World


def definer(world: World) -> str:
    """A token of somebody who defines roles and scopes, and may read users."""
    permissions = ["roles:read", "roles:write", "users:read"]
    done(world.uflow("POST", "/roles", {"name": "definer", "permissions": permissions}), 201)
    world.bind_user("acme", "nobody", "definer")
    return world.token("acme", "nobody")


def test_a_scope_lends_no_more_than_its_maker_holds(any_world: World) -> None:
    """Interfaces §5 (nobody gains by it): tokens that others have given an application for a scope are not made to do more."""
    world = any_world
    done(world.uflow("POST", "/permissions", {"name": "document:read"}), 201)
    token = definer(world)
    body = {"name": "documents", "permissions": ["document:read", "users:read"]}
    done(world.uflow("POST", "/scopes", body, token=token), 201)
    more = {"permissions": ["document:read", "users:read", "role-bindings:write"]}
    problem = refused(world.uflow("PATCH", "/scopes/documents", more, token=token), 403, "more_than_held")
    assert "role-bindings:write" in str(problem["errors"])
    refused(world.uflow("POST", "/scopes", {"name": "others", **more}, token=token), 403, "more_than_held")
    assert done(world.uflow("GET", "/scopes/documents"))["permissions"] == ["document:read", "users:read"]
    # Who holds it may; what stands there already is no matter of theirs, and less is never too much.
    done(world.uflow("PATCH", "/scopes/documents", more))
    done(world.uflow("PATCH", "/scopes/documents", {"description": "Documents"}, token=token))
    assert done(world.uflow("PATCH", "/scopes/documents", {"permissions": ["users:read"]}, token=token))


def test_a_powerful_group_keeps_its_name(any_world: World) -> None:
    """Interfaces §5 (nobody gains by it): who may not put people into a group does not take its name, which tokens carry, for another."""
    world = any_world
    group = done(world.uflow("POST", "/groups", {"name": "Admins"}), 201)
    binding = {"holder_type": "group", "holder_id": group["id"], "role": "client-admin"}
    done(world.uflow("POST", "/role-bindings", binding), 201)
    world.bind_user("acme", "nobody", "user-admin")
    token, path = world.token("acme", "nobody"), f"/groups/{group['id']}"
    refused(world.uflow("PATCH", path, {"name": "Guests"}, token=token), 403, "more_than_held")
    assert done(world.uflow("GET", path))["name"] == "Admins"
    own = done(world.uflow("POST", "/groups", {"name": "Readers"}, token=token), 201)
    assert done(world.uflow("PATCH", f"/groups/{own['id']}", {"name": "Guests"}, token=token))["name"] == "Guests"
    assert done(world.uflow("PATCH", path, {"description": "Of applications"}))


def test_a_name_that_no_text_can_hold_is_pointed_at(any_world: World) -> None:
    """RFC 8259 §8.2, RFC 6901 §6: half of a surrogate pair in a name within a document is a wrong value like others, not a defect."""
    world = any_world
    person = world.people["acme", "nobody"]
    wanted = {"holder_type": "user", "holder_id": person, "role": "auditor"}
    for conditions in ({"\ud800": 1}, {"properties": {"subject.\ud800": {"in": [1]}}}, {"hours": {"\udfff": "08:00"}}):
        refused(world.uflow("POST", "/role-bindings", wanted | {"conditions": conditions}), 422, "invalid_fields")
    made = done(world.uflow("POST", "/role-bindings", wanted), 201)
    change = {"conditions": {"\ud800": 1}}
    problem = refused(world.uflow("PATCH", f"/role-bindings/{made['id']}", change), 422, "invalid_fields")
    assert problem["errors"][0]["pointer"] == "#/conditions/%3F"
