"""Roles, permissions, scopes, groups and role bindings by User Flow: what they do, on each kind of database."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from api_world import PUBLIC, World

from idp.access.permissions import BUILT_IN

if TYPE_CHECKING:
    from house import Answer


def done(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, answer.text
    return answer.json if answer.text else None


def refused(answer: Answer, status: int, code: str) -> Any:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    return answer.json


def may(world: World, who: str, permission: str, resource: str = "") -> bool:
    """What the decision says now."""
    from idp.access import policy
    from idp.access.conditions import Context
    from idp.access.policy import Subject
    from idp.clock import now

    subject = Subject("user", world.people["acme", who])
    with world.database().reading() as conn:
        return policy.permitted(conn, subject, permission, context=Context(now()), resource=resource).allowed


def test_from_a_permission_to_a_decision(any_world: World) -> None:
    """Issue 6 (RBAC by API): permission, role, group, member and binding are made, and what they allow is allowed."""
    world = any_world
    made = world.uflow("POST", "/permissions", {"name": "document:write", "description": "Write"})
    assert done(made, 201)["name"] == "document:write"
    assert made.header("location") == f"{PUBLIC}/uflow/tenants/acme/permissions/document:write"
    role = done(world.uflow("POST", "/roles", {"name": "editor", "permissions": ["document:write"]}), 201)
    assert (role["is_built_in"], role["permissions"]) == (False, ["document:write"])
    group = done(world.uflow("POST", "/groups", {"name": "Editorial office"}), 201)
    person = world.people["acme", "nobody"]
    members = f"/groups/{group['id']}/members"
    assert done(world.uflow("POST", members, {"user_ids": [person]})) == {"added": 1}
    assert done(world.uflow("POST", members, {"user_ids": [person]})) == {"added": 0}
    wanted = {"holder_type": "group", "holder_id": group["id"], "role": "editor", "resource": "document:1"}
    binding = done(world.uflow("POST", "/role-bindings", wanted), 201)
    assert {name: binding[name] for name in wanted} == wanted
    assert binding["created_by"] == world.people["acme", "admin"]
    assert may(world, "nobody", "document:write", "document:1")
    assert not may(world, "nobody", "document:write", "document:2")
    listed = done(world.uflow("GET", members))
    assert [(each["user_id"], each["username"], each["status"]) for each in listed["items"]] == [
        (person, "nobody@acme.example", "active")
    ]
    assert done(world.uflow("GET", f"/role-bindings?holder_id={group['id']}&role=editor"))["total"] == 1
    assert world.uflow("DELETE", f"{members}/{person}").status == 204
    assert not may(world, "nobody", "document:write", "document:1")
    assert world.uflow("DELETE", f"{members}/{person}").status == 404
    assert refused(world.uflow("DELETE", "/roles/editor"), 409, "conflict")
    assert world.uflow("DELETE", "/roles/editor?with_bindings=true").status == 204
    assert done(world.uflow("GET", "/role-bindings?role=editor"))["total"] == 0
    for path in (f"/groups/{group['id']}", "/permissions/document:write"):
        assert world.uflow("DELETE", path).status == 204
        assert world.uflow("GET", path).status == 404


def test_the_built_in_roles_are_listed_and_stay(any_world: World) -> None:
    """Issue 6 (built-in roles): they are among the roles, and neither changed nor deleted."""
    found = done(any_world.uflow("GET", "/roles?is_built_in=true&limit=100"))["items"]
    assert {each["name"]: set(each["permissions"]) for each in found} == {
        name: set(held) for name, held in BUILT_IN.items()
    }
    refused(any_world.uflow("PATCH", "/roles/tenant-admin", {"permissions": []}), 409, "conflict")
    refused(any_world.uflow("DELETE", "/roles/auditor?with_bindings=true"), 409, "conflict")
    refused(any_world.uflow("POST", "/roles", {"name": "auditor"}), 409, "conflict")


def test_no_more_than_is_held(any_world: World) -> None:
    """Issue 6 (role escalation): by no operation does an auditor of roles, or a token that is narrowed, give what it does not hold."""
    world = any_world
    done(
        world.uflow(
            "POST", "/roles", {"name": "binder", "permissions": ["role-bindings:write", "roles:write", "groups:write"]}
        ),
        201,
    )
    person = world.people["acme", "nobody"]
    own = {"holder_type": "user", "holder_id": person}
    binding = done(world.uflow("POST", "/role-bindings", own | {"role": "binder"}), 201)
    group = done(world.uflow("POST", "/groups", {"name": "Admins"}), 201)
    in_group = {"holder_type": "group", "holder_id": group["id"], "role": "tenant-admin"}
    done(world.uflow("POST", "/role-bindings", in_group), 201)
    narrowed = world.token("acme", "admin", scope="role-bindings:write roles:write groups:write")
    for token in (world.token("acme", "nobody"), narrowed):
        for method, path, body in (
            ("POST", "/role-bindings", own | {"role": "tenant-admin"}),
            ("POST", "/role-bindings", own | {"role": "client-admin", "resource": "client:x"}),
            ("POST", "/roles", {"name": "super", "permissions": ["clients:write"]}),
            ("PATCH", "/roles/binder", {"permissions": ["role-bindings:write", "clients:write"]}),
            ("POST", f"/groups/{group['id']}/members", {"user_ids": [person]}),
            ("DELETE", f"/groups/{group['id']}", None),
        ):
            answer = refused(world.uflow(method, path, body, token=token), 403, "more_than_held")
            assert answer["errors"][0]["pointer"] == "#/permissions"
    assert not may(world, "nobody", "clients:write")
    # What is held may be given on.
    other = {"holder_type": "user", "holder_id": world.people["acme", "apps"], "role": "binder"}
    done(world.uflow("POST", "/role-bindings", other, token=world.token("acme", "nobody")), 201)
    assert world.uflow("DELETE", f"/role-bindings/{binding['id']}").status == 204


def test_the_last_administrator_stays(any_world: World) -> None:
    """Issue 6 (last-admin deletion, self-lock-out): the binding of the last administrator is neither deleted nor bounded."""
    world = any_world
    admin = world.people["acme", "admin"]
    (row,) = done(world.uflow("GET", f"/role-bindings?holder_id={admin}"))["items"]
    path = f"/role-bindings/{row['id']}"
    refused(world.uflow("DELETE", path), 409, "last_administrator")
    refused(world.uflow("PATCH", path, {"expires_at": "2099-01-01T00:00:00Z"}), 409, "last_administrator")
    refused(world.uflow("PATCH", path, {"conditions": {"mfa": True}}), 409, "last_administrator")
    assert done(world.uflow("GET", path)) == row


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/role-bindings", {"expires_at": "2001-01-01T00:00:00Z"}, "#/expires_at"),
        ("/role-bindings", {"expires_at": "2099-01-01"}, "#/expires_at"),
        ("/role-bindings", {"expires_at": "9999999-01-01T00:00:00Z"}, "#/expires_at"),
        ("/role-bindings", {"role": "nobody"}, "#/role"),
        ("/role-bindings", {"holder_id": "nobody"}, "#/holder_id"),
        ("/role-bindings", {"holder_id": "a\u0000b"}, "#/holder_id"),
        ("/role-bindings", {"role": "a\u0000b"}, "#/role"),
        ("/role-bindings", {"holder_type": "tenant"}, "#/holder_type"),
        ("/role-bindings", {"resource": "everything"}, "#/resource"),
        ("/role-bindings", {"conditions": {"hours": {}}}, "#/conditions/hours"),
        ("/role-bindings", {"conditions": {"eval": "1"}}, "#/conditions/eval"),
        ("/role-bindings", {"created_by": "somebody"}, "#/created_by"),
        ("/roles", {"permissions": ["nothing:here"]}, "#/permissions"),
        ("/roles", {"permissions": ["*:*"]}, "#/permissions/0"),
        ("/roles", {"is_built_in": True}, "#/is_built_in"),
        ("/roles", {"description": "x" * 501}, "#/description"),
        ("/groups", {"name": " "}, "#/name"),
        ("/groups", {"name": "a\u0000"}, "#/name"),
        ("/groups", {"id": "chosen"}, "#/id"),
        ("/permissions", {"name": "nothing"}, "#/name"),
        ("/scopes", {"name": "Open Id"}, "#/name"),
    ],
)
def test_values_that_cannot_be_accepted(any_world: World, path: str, body: dict[str, Any], where: str) -> None:
    """Issue 6 (mass assignment; errors): 422 that points at the member, and nothing is made."""
    world = any_world
    good: dict[str, dict[str, Any]] = {
        "/role-bindings": {"holder_type": "user", "holder_id": world.people["acme", "nobody"], "role": "auditor"},
        "/roles": {"name": "editor"},
        "/groups": {"name": "Staff"},
        "/permissions": {"name": "document:write"},
        "/scopes": {"name": "documents"},
    }
    before = world.dump()
    answer = world.uflow("POST", path, good[path] | body)
    assert where in [each["pointer"] for each in refused(answer, 422, "invalid_fields")["errors"]]
    assert world.dump() == before
    done(world.uflow("POST", path, good[path]), 201)


def test_who_is_not_there_is_put_into_no_group(any_world: World) -> None:
    """Issue 6 (groups): all are put in, or none; what no id can be is nobody's."""
    world = any_world
    group = done(world.uflow("POST", "/groups", {"name": "Staff"}), 201)
    path = f"/groups/{group['id']}/members"
    for wrong in ("nobody", "a\u0000b", world.people["globex", "nobody"]):
        body = {"user_ids": [world.people["acme", "nobody"], wrong]}
        refused(world.uflow("POST", path, body), 422, "invalid_fields")
    assert done(world.uflow("GET", path))["total"] == 0


def test_lost_updates(any_world: World) -> None:
    """RFC 9110 §13.1.1: who changes what has changed since is told, for each kind of thing; who does not ask is not."""
    world = any_world
    done(world.uflow("POST", "/permissions", {"name": "document:write"}), 201)
    binding = {"holder_type": "user", "holder_id": world.people["acme", "nobody"], "role": "auditor"}
    for path, body, patch in (
        ("/roles", {"name": "editor"}, {"description": "x"}),
        ("/scopes", {"name": "documents"}, {"permissions": ["document:write"]}),
        ("/groups", {"name": "Staff"}, {"name": "Everybody"}),
        ("/role-bindings", binding, {"conditions": {"mfa": True}}),
    ):
        made = world.uflow("POST", path, body)
        one = (made.header("location") or "").partition("/tenants/acme")[2]
        old = made.header("etag") or ""
        changed = world.uflow("PATCH", one, patch, headers={"if-match": old})
        assert changed.status == 200, changed.text
        assert changed.header("etag") != old
        refused(world.uflow("PATCH", one, patch, headers={"if-match": old}), 412, "precondition_failed")
        refused(world.uflow("DELETE", one, headers={"if-match": old}), 412, "precondition_failed")
        assert world.uflow("DELETE", one, headers={"if-match": changed.header("etag") or ""}).status == 204


def test_a_patch_takes_away_what_is_null(any_world: World) -> None:
    """RFC 7396 §2: null removes an end and conditions; what is left out stays; a group keeps a name."""
    world = any_world
    wanted = {"holder_type": "user", "holder_id": world.people["acme", "nobody"], "role": "auditor"}
    wanted |= {"expires_at": "2099-12-31T23:00:00+01:00", "conditions": {"mfa": True}}
    made = done(world.uflow("POST", "/role-bindings", wanted), 201)
    assert made["expires_at"] == "2099-12-31T22:00:00Z"
    path = f"/role-bindings/{made['id']}"
    without_end = done(world.uflow("PATCH", path, {"expires_at": None}))
    assert "expires_at" not in without_end
    assert without_end["conditions"] == {"mfa": True}
    assert "conditions" not in done(world.uflow("PATCH", path, {"conditions": None}))
    group = done(world.uflow("POST", "/groups", {"name": "Staff", "description": "All"}), 201)
    refused(world.uflow("PATCH", f"/groups/{group['id']}", {"name": None}), 422, "invalid_fields")
    assert done(world.uflow("PATCH", f"/groups/{group['id']}", {"description": None}))["description"] == ""


def test_one_create_of_many_at_once(any_world: World) -> None:
    """Issue 6 (idempotency key): of equal requests at once one makes the group, and all are told of that one."""
    answers: list[Answer] = []
    barrier, token = threading.Barrier(6), any_world.token()

    def create() -> None:
        barrier.wait(10)
        headers = {"idempotency-key": "the-same"}
        answers.append(any_world.uflow("POST", "/groups", {"name": "Once"}, token=token, headers=headers))

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
def test_lists_by_pages_and_by_cursor(any_world: World, sort: str) -> None:
    """Issue 6 (lists): each once, in a stable order, by pages and by cursor, whatever the size."""
    for number in range(7):
        done(any_world.uflow("POST", "/groups", {"name": f"Group {number * 3 % 7}"}), 201)

    def whole(first: str, onward: Any) -> list[str]:
        found: list[str] = []
        path = first
        for _ in range(20):
            page = done(any_world.uflow("GET", path))
            found += [each["name"] for each in page["items"]]
            assert page["total"] == 7
            path = onward(page)
            if not path:
                return found
        raise AssertionError("the pages do not end")

    cursor = whole(
        f"/groups?limit=2&sort={sort}",
        lambda page: f"/groups?limit=2&sort={sort}&after={page['next']}" if "next" in page else "",
    )
    pages = whole(
        f"/groups?limit=3&sort={sort}&page=1",
        lambda page: (
            f"/groups?limit=3&sort={sort}&page={page['page'] + 1}" if page["page"] < page["total_pages"] else ""
        ),
    )
    assert cursor == pages
    assert sorted(cursor) == [f"Group {number}" for number in range(7)]
    if sort.endswith("name"):
        assert cursor == sorted(cursor, reverse=sort.startswith("-"))


def test_what_was_done_is_in_the_trail(any_world: World) -> None:
    """ASVS 5.0 §16.2: who gave which role to whom, by which request."""
    world = any_world
    wanted = {"holder_type": "user", "holder_id": world.people["acme", "nobody"], "role": "auditor"}
    answer = world.uflow("POST", "/role-bindings", wanted, token=world.token("system"))
    done(answer, 201)
    (event,) = world.events("role_binding.created")
    assert event.actor == f"system:{world.people['system', 'admin']}"
    assert (event.subject, event.details["role"]) == (world.people["acme", "nobody"], "auditor")
    assert event.correlation_id == answer.json["id"] or len(event.correlation_id) == 16
