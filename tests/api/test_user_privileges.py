"""Nobody gains by the operations on users: escalation, take-over, the last administrator, the own account; on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from serving import together
from user_world import done, mails, new_user, refused, row_of, session_of

from idp.identity import kept_accounts
from idp.identity.accounts import By
from idp.store.tenant import consents, users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_world import World
    from house import Answer

# What could lend somebody else's account, take it away or hinder it: method, path below the user, body.
ACTS: list[tuple[str, str, Any]] = [
    ("PATCH", "", {"email": "mine@example.org"}),
    ("PATCH", "", {"claims": {"name": "Somebody"}}),
    ("POST", "/password-reset", None),
    ("POST", "/deactivate", None),
    ("POST", "/activate", None),
    ("POST", "/unlock", None),
    ("DELETE", "", None),
    ("DELETE", "/sessions/{session}", None),
    ("DELETE", "/sessions", None),
    ("DELETE", "/consents/console", None),
    ("DELETE", "?hard=true", None),
]


@pytest.fixture
def town_with_helper(town: World) -> Iterator[World]:
    """`nobody` administers users; grace and the others are there to be gained."""
    town.bind_user("acme", "nobody", "user-admin")
    yield town
    for name in [each for each in town.people if each[1] in ("grace", "second")]:
        del town.people[name]


def person(world: World, name: str = "grace", **more: Any) -> str:
    """A person who can be called for; returns the id."""
    made = new_user(world, f"{name}@example.org", **more)
    user_id: str = made["id"]
    world.people["acme", name] = user_id
    return user_id


def powerful(world: World, way: str) -> str:
    """Somebody who may do more than a `user-admin`; returns the id."""
    if way == "role":
        return person(world, roles=["client-admin"])
    user_id = person(world)
    if way == "group":
        group = done(world.uflow("POST", "/groups", {"name": "Admins"}), 201)
        done(world.uflow("POST", f"/groups/{group['id']}/members", {"user_ids": [user_id]}))
        wanted = {"holder_type": "group", "holder_id": group["id"], "role": "tenant-admin"}
    else:
        wanted = {"holder_type": "user", "holder_id": user_id, "role": "tenant-admin"}
        wanted |= {"conditions": {"mfa": True}} if way == "condition" else {"resource": "document:1"}  # type: ignore[dict-item]
    done(world.uflow("POST", "/role-bindings", wanted), 201)
    return user_id


@pytest.mark.parametrize("way", ["role", "group", "condition", "resource"])
def test_no_account_of_somebody_more_powerful(town_with_helper: World, way: str) -> None:
    """Issue 6 (take-over by address, password reset, state): who holds less changes nothing of it, however the power is held."""
    world = town_with_helper
    user_id = powerful(world, way)
    session = session_of(world, "acme", "grace")
    world.database().writing(lambda conn: consents.add(conn, user_id, "console", frozenset({"openid"})))
    tokens = [
        world.token("acme", "nobody"),
        world.token("acme", "admin", scope="users:write users:delete sessions:write consents:write"),
    ]
    before = world.dump()
    for token in tokens:
        for method, rest, body in ACTS:
            path = f"/users/{user_id}{rest.format(session=session)}"
            refused(world.uflow(method, path, body, token=token), 403, "more_than_held")
    assert world.dump() == before
    kept_accounts.delete(world.database(), user_id, by=By("operator"))
    refused(world.uflow("POST", f"/users/{user_id}/restore", token=tokens[0]), 403, "more_than_held")
    assert world.uflow("POST", f"/users/{user_id}/restore").status == 200
    all_done(world, user_id, world.token())


def all_done(world: World, user_id: str, token: str) -> None:
    """Control: who holds as much does each of the acts."""
    world.database().writing(lambda conn: consents.add(conn, user_id, "console", frozenset({"openid"})))
    for method, rest, body in ACTS:
        session = session_of(world, "acme", "grace")
        answer = world.uflow(method, f"/users/{user_id}{rest.format(session=session)}", body, token=token)
        assert answer.status in (200, 204), (method, rest, answer.text)
        if (method, rest) == ("DELETE", ""):
            assert world.uflow("POST", f"/users/{user_id}/restore", token=token).status == 200


def test_control_who_may_no_more_is_administered(town_with_helper: World) -> None:
    """docs/access.md: a `user-admin` administers people who may do no more than that."""
    world = town_with_helper
    all_done(world, person(world, roles=["user-admin"]), world.token("acme", "nobody"))


@pytest.mark.parametrize("role", ["tenant-admin", "platform-admin", "client-admin", "auditor", "super"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/users", {"email": "grace@example.org", "password": "seventeen wet otters"}),
        ("/users", {"email": "grace@example.org", "invite": True}),
        ("/invitations", {"email": "grace@example.org"}),
    ],
    ids=["create", "create and invite", "invite"],
)
def test_no_role_that_is_not_held(town_with_helper: World, role: str, path: str, body: dict[str, Any]) -> None:
    """Issue 6 (role escalation): nobody is made, or invited, with a role that grants more than the caller holds."""
    world = town_with_helper
    done(world.uflow("POST", "/roles", {"name": "super", "permissions": ["keys:write"]}), 201)
    before, token = world.dump(), world.token("acme", "nobody")
    refused(world.uflow("POST", path, body | {"roles": ["user", role]}, token=token), 403, "more_than_held")
    narrowed = world.token("acme", "admin", scope="users:write invitations:write")
    refused(world.uflow("POST", path, body | {"roles": ["user", role]}, token=narrowed), 403, "more_than_held")
    assert world.dump() == before
    done(world.uflow("POST", path, body | {"roles": ["user", "user-admin"]}, token=token), 201)


def test_who_may_not_invite_does_not_by_the_way(town_with_helper: World) -> None:
    """Issue 6: making a user with an invitation needs the permission to invite, too."""
    world = town_with_helper
    token = world.token("acme", "nobody", scope="users:write")
    body = {"email": "grace@example.org", "invite": True}
    before = world.dump()
    refused(world.uflow("POST", "/users", body, token=token), 403, "more_than_held")
    assert world.dump() == before
    done(world.uflow("POST", "/users", {"email": "grace@example.org"}, token=token), 201)


def test_no_take_over_by_an_invitation(town_with_helper: World) -> None:
    """Issue 6 (take-over by invitation): an address that has an account gets no link, and who is invited to more is left alone."""
    world = town_with_helper
    token = world.token("acme", "nobody")
    for email in ("admin@acme.example", "ADMIN@ACME.example"):
        refused(world.uflow("POST", "/invitations", {"email": email}, token=token), 409, "conflict")
        refused(world.uflow("POST", "/users", {"email": email, "invite": True}, token=token), 409, "conflict")
    assert mails(world) == []
    invited = done(world.uflow("POST", "/invitations", {"email": "boss@example.org", "roles": ["tenant-admin"]}), 201)
    path, one = f"/invitations/{invited['user_id']}", f"/users/{invited['user_id']}"
    before = world.dump()
    for method, where, body in [
        ("POST", f"{path}/resend", None),
        ("DELETE", path, None),
        ("DELETE", f"{one}?hard=true", None),
        ("PATCH", one, {"email": "mine@example.org"}),
        ("POST", f"{one}/password-reset", None),
    ]:
        refused(world.uflow(method, where, body, token=token), 403, "more_than_held")
    assert world.dump() == before


def test_no_condition_is_met_by_changing_claims(town_with_helper: World) -> None:
    """docs/access.md (conditions): who holds a role if a claim says so does not say so."""
    world = town_with_helper
    world.bind_user("acme", "nobody", "tenant-admin", conditions={"properties": {"subject.nickname": {"in": ["boss"]}}})
    user_id = world.people["acme", "nobody"]
    token = world.token("acme", "nobody")
    patch = {"claims": {"nickname": "boss"}}
    refused(world.uflow("PATCH", f"/users/{user_id}", patch, token=token), 403, "more_than_held")
    assert "nickname" not in row_of(world, user_id).claims


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("POST", "/deactivate", None),
        ("DELETE", "", None),
        ("DELETE", "?hard=true", None),
        ("PATCH", "", {"email": "elsewhere@example.org"}),
    ],
)
def test_nobody_locks_themselves_out(town: World, method: str, rest: str, body: Any) -> None:
    """Issue 6 (self-lock-out): not while there are other administrators either; the own address is proven at the account page."""
    done(town.uflow("POST", "/users", {"email": "second@example.org", "roles": ["tenant-admin"]}), 201)
    path = f"/users/{town.people['acme', 'admin']}{rest}"
    before = town.dump()
    refused(town.uflow(method, path, body), 409, "own_account")
    assert town.dump() == before
    # The profile is one's own to change here.
    assert town.uflow("PATCH", f"/users/{town.people['acme', 'admin']}", {"claims": {"locale": "en"}}).status == 200


@pytest.mark.parametrize(("method", "rest"), [("POST", "/deactivate"), ("DELETE", ""), ("DELETE", "?hard=true")])
def test_the_last_administrator_stays(town: World, method: str, rest: str) -> None:
    """Issue 6 (last-admin deletion): not even the platform's administrators leave a tenant without one; with a second it is done."""
    world = town
    platform, admin = world.token("system"), world.people["acme", "admin"]
    before = world.dump()
    refused(world.uflow(method, f"/users/{admin}{rest}", token=platform), 409, "last_administrator")
    assert world.dump() == before
    # Who is only invited, or holds the role until a moment, is not yet one.
    done(world.uflow("POST", "/invitations", {"email": "third@example.org", "roles": ["tenant-admin"]}), 201)
    refused(world.uflow(method, f"/users/{admin}{rest}", token=platform), 409, "last_administrator")
    second = new_user(world, "second@example.org", roles=["tenant-admin"])
    assert world.uflow(method, f"/users/{second['id']}{rest}", token=platform).status in (200, 204)
    refused(world.uflow(method, f"/users/{admin}{rest}", token=platform), 409, "last_administrator")


@pytest.mark.parametrize(("method", "rest"), [("POST", "/deactivate"), ("DELETE", ""), ("DELETE", "?hard=true")])
@pytest.mark.parametrize("who", ["one another", "the platform's"])
def test_two_administrators_at_once(town_with_helper: World, method: str, rest: str, who: str) -> None:
    """Issue 6 (last-admin deletion, two at once): of two who remove one another, or are removed together, one stays."""
    world = town_with_helper
    first = person(world, "grace", roles=["tenant-admin"])
    second = person(world, "second", roles=["tenant-admin"])
    admin = world.people["acme", "admin"]
    world.database().writing(lambda conn: users.change(conn, admin, state="disabled"))
    try:
        names = ["grace", "second"]
        tokens = [world.token("system")] * 2 if who != "one another" else [world.token("acme", name) for name in names]

        def act(number: int) -> Answer:
            return world.uflow(method, f"/users/{[second, first][number]}{rest}", token=tokens[number])

        answers = together(2, act)
        done_ = [answer for answer in answers if answer.status in (200, 204)]
        assert len(done_) == 1, [answer.text for answer in answers]
        (other,) = [answer for answer in answers if answer.status not in (200, 204)]
        # Whose account has just gone holds no token any more.
        assert (other.status, other.json["code"]) in [
            (409, "last_administrator"),
            (401, "invalid_token"),
            (403, "permission_required"),
            (403, "more_than_held"),
        ]
        left = [
            row for row in (row_of(world, first), row_of(world, second)) if row is not None and row.state == "active"
        ]
        assert len(left) == 1
    finally:
        world.database().writing(lambda conn: users.change(conn, admin, state="active"))


def test_another_tenant_s_people_are_nobody(town: World) -> None:
    """S098: neither as a path nor as a filter does another tenant's id find anything; a token of one tenant is none at the other."""
    world = town
    foreign = world.people["globex", "nobody"]
    before = world.dump("globex")
    for method, rest, body in ACTS:
        path = f"/users/{foreign}{rest.format(session='x')}"
        refused(world.uflow(method, path, body), 404, "not_found")
        refused(world.uflow(method, path, body, "globex"), 401, "invalid_token")
    group = done(world.uflow("POST", "/groups", {"name": "Here"}, "globex", token=world.token("globex")), 201)
    assert done(world.uflow("GET", f"/users?group_id={group['id']}"))["total"] == 0
    assert done(world.uflow("GET", "/users?email=nobody@globex.example"))["total"] == 0
    assert world.uflow("DELETE", f"/groups/{group['id']}", None, "globex", token=world.token("globex")).status == 204
    after = world.dump("globex")
    for name in ("users", "role_bindings", "consents", "one_time_links", "outbox"):
        assert after[name] == before[name]
