"""OpenID AuthZEN Authorization API 1.0, the three searches: the certification scenario's requests, and pages."""

from __future__ import annotations

from authzen_point import (
    ACTIONS,
    ADMIN,
    ALICE,
    ARCHIVED,
    FIRST,
    READ,
    RESOURCES,
    SECOND,
    SUBJECTS,
    WRITE,
    Point,
)


def test_who_may(point: Point) -> None:
    """AuthZEN §8.1 (certification: Search): the subjects of a type, users by their username, with the `sub` beside it."""
    found = point.search(SUBJECTS, subject={"type": "user"}, action=READ, resource=FIRST)
    assert [(each["type"], each["id"]) for each in found] == [("user", "alice"), ("user", "bob")]
    assert found[0]["properties"] == {"sub": point.world.people["alice"]}
    found = point.search(SUBJECTS, subject={"type": "user"}, action=WRITE, resource=ARCHIVED)
    assert [each["id"] for each in found] == ["bob"]
    found = point.search(SUBJECTS, subject={"type": "user", "id": "ignored"}, action=READ, resource=FIRST, context={})
    assert len(found) == 2
    found = point.search(
        SUBJECTS, subject={"type": "client"}, action={"name": "check"}, resource={"type": "policy", "id": "x"}
    )
    assert found == [{"type": "client", "id": "pep"}]
    assert point.search(SUBJECTS, subject={"type": "spaceship"}, action=READ, resource=FIRST) == []
    assert point.search(SUBJECTS, subject={"type": "user"}, action={"name": "No Name"}, resource=FIRST) == []


def test_with_what(point: Point) -> None:
    """AuthZEN §8.2: the resources of a type, of those that a role is bound for; who may do it everywhere gets all of these."""
    found = point.search(RESOURCES, subject=ADMIN, action=WRITE, resource={"type": "record"})
    assert found == [SECOND]
    point.world.give("eve", "reader", resource="record:record-1")
    found = point.search(RESOURCES, subject=ALICE, action=READ, resource={"type": "record"})
    assert found == [FIRST, SECOND]
    eve = {"type": "user", "id": "eve@example.org"}
    assert point.search(RESOURCES, subject=eve, action=READ, resource={"type": "record"}) == [FIRST]
    assert point.search(RESOURCES, subject=eve, action=READ, resource={"type": "spaceship"}) == []
    assert point.search(RESOURCES, subject={"type": "user", "id": "no"}, action=READ, resource={"type": "record"}) == []


def test_what(point: Point) -> None:
    """AuthZEN §8.3: the actions that a subject may do with a resource, by name."""
    found = [each["name"] for each in point.search(ACTIONS, subject=ALICE, resource=FIRST)]
    assert found == ["read", "write"]
    assert {"name": "write"} in point.search(ACTIONS, subject=ADMIN, resource=ARCHIVED, context={"a": 1})
    assert point.search(ACTIONS, subject={"type": "user", "id": "nonexistent-user"}, resource=FIRST) == []
    assert point.search(ACTIONS, subject=ALICE, resource={"type": "spaceship", "id": "1"}) == []


def test_pages(point: Point) -> None:
    """AuthZEN §8 (pages): of any size, each result once; a token goes on with its own search only."""
    world = point.world
    for number in range(7):
        world.people[f"p{number}"] = world.house.user(world.tenant, f"p{number}@example.org")
        world.give(f"p{number}", "reader", resource=f"record:r{number}")
    search = {"subject": {"type": "user"}, "action": READ, "resource": {"type": "record", "id": "r3"}}
    assert [each["id"] for each in point.search(SUBJECTS, **search, page={"limit": 1})] == [
        "alice",
        "bob",
        "p3@example.org",
    ]
    ids = [
        each["id"]
        for each in point.search(RESOURCES, subject=ALICE, action=READ, resource={"type": "record"}, page={"limit": 3})
    ]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) == 8
    names = point.search(ACTIONS, subject=ALICE, resource=FIRST, page={"limit": 1})
    assert [each["name"] for each in names] == ["read", "write"]
    token = point.send(SUBJECTS, {**search, "page": {"limit": 1}}).json["page"]["next_token"]
    for body in (
        {**search, "action": WRITE, "page": {"token": token}},
        {**search, "page": {"token": token[:-2]}} if len(token) < 24 else {**search, "page": {"token": "x" + token}},
        {**search, "page": {"token": "é"}},
        {**search, "page": {"token": 5}},
    ):
        assert point.send(SUBJECTS, body).status == 400
