"""OpenID AuthZEN Authorization API 1.0 over its endpoints, evaluation: the requests of the working group's certification scenario, and hostile ones."""

from __future__ import annotations

from typing import Any

import pytest
from access_world import OPERATOR
from authzen_point import (
    ACTIONS,
    ADMIN,
    ALICE,
    ARCHIVED,
    BOB,
    EVALUATION,
    EVALUATIONS,
    FIRST,
    READ,
    RESOURCES,
    SECOND,
    SUBJECTS,
    WRITE,
    Point,
)
from house import decoded

from idp.access.bindings import Wanted
from idp.clock import now
from idp.identity.accounts import By
from idp.oauth.clients import ClientRegistry


def test_metadata(point: Point) -> None:
    """AuthZEN §9: the metadata name the decision point and its endpoints, below the issuer and with the well-known part inserted."""
    tenant, house = point.world.tenant, point.world.house
    first = house.get(tenant, "/.well-known/authzen-configuration")
    second = house.send("GET", "/.well-known/authzen-configuration/t/acme", host=tenant.host)
    assert first.json == second.json
    assert first.json == {
        "policy_decision_point": tenant.issuer,
        "access_evaluation_endpoint": f"{tenant.issuer}{EVALUATION}",
        "access_evaluations_endpoint": f"{tenant.issuer}{EVALUATIONS}",
        "search_subject_endpoint": f"{tenant.issuer}{SUBJECTS}",
        "search_resource_endpoint": f"{tenant.issuer}{RESOURCES}",
        "search_action_endpoint": f"{tenant.issuer}{ACTIONS}",
    }
    assert house.send("GET", "/.well-known/authzen-configuration/t/nobody", host=tenant.host).status == 404


DECISIONS: list[tuple[Any, Any, Any, bool]] = [
    (ALICE, READ, FIRST, True),
    (ALICE, WRITE, FIRST, True),
    (BOB, READ, FIRST, True),
    (BOB, WRITE, FIRST, False),
    (ALICE, WRITE, ARCHIVED, False),
    (ADMIN, WRITE, ARCHIVED, True),
    (ALICE, {"name": "delete", "properties": {"soft": True}}, FIRST, True),
    (ALICE, {"name": "delete", "properties": {"soft": False}}, FIRST, False),
    (ALICE, {"name": "delete", "properties": {"soft": 1}}, FIRST, False),
    (ALICE, {"name": "delete"}, FIRST, False),
    (
        ALICE | {"properties": {"department": "Sales", "role": "manager"}},
        READ | {"properties": {"method": "GET"}},
        FIRST | {"properties": {"status": "active", "owner": "bob"}},
        True,
    ),
    ({"type": "user", "id": "nobody"}, READ, FIRST, False),
    ({"type": "spaceship", "id": "alice"}, READ, FIRST, False),
    (ALICE, {"name": "fly"}, FIRST, False),
    (ALICE, READ, {"type": "spaceship", "id": "record-1"}, False),
]


def test_a_decision(point: Point) -> None:
    """AuthZEN §6 (certification: Basic, core and properties): identifiers and properties decide; who and what is not here is denied."""
    for subject, action, resource, expected in DECISIONS:
        about = (subject, action, resource)
        assert point.ask(*about) is expected, about
        assert point.ask(*about, context={"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}) is expected
        assert point.ask(*about, foo="bar", futureField={"nested": True}) is expected


def test_by_the_sub_of_a_token(point: Point) -> None:
    """Issue 6 (AuthZEN): the identifier of a user is the username or the `sub` that our tokens carry; clients are subjects too."""
    assert point.ask({"type": "user", "id": point.world.people["alice"]}, READ, FIRST)
    assert not point.ask({"type": "client", "id": "pep"}, READ, FIRST)
    point.world.bindings.create(Wanted("client", "pep", "reader"), granter=OPERATOR)
    assert point.ask({"type": "client", "id": "pep"}, READ, FIRST)


def test_the_reason(point: Point) -> None:
    """AuthZEN §6.2.1: the answer says why, for administrators, and by which binding; nothing of it depends on the language."""
    found = point.send(EVALUATION, {"subject": ALICE, "action": WRITE, "resource": ARCHIVED}).json
    assert found["decision"] is False
    context = found["context"]
    assert (context["id"], context["condition"], context["role"]) == ("condition", "resource.status", "writer")
    assert "writer" in context["reason_admin"]["en"]
    assert (
        point.send(EVALUATION, {"subject": ALICE, "action": READ, "resource": FIRST}).json["context"]["id"] == "granted"
    )


def test_context_and_stored_properties(point: Point) -> None:
    """AuthZEN §5: conditions are judged by the context that is stated, and by what is known of a user where nothing is stated."""
    world = point.world
    world.give("eve", "reader", conditions={"networks": ["192.0.2.0/24"]})
    eve = {"type": "user", "id": "eve@example.org"}
    assert point.ask(eve, READ, FIRST, context={"ip": "192.0.2.1"})
    assert not point.ask(eve, READ, FIRST)
    assert not point.ask(eve, READ, FIRST, context={"ip": 5})
    world.give(
        "bob",
        "remover",
        conditions={"properties": {"subject.email": {"in": ["bob@x.example"]}, "context.vpn": {"in": [True]}}},
    )
    assert not point.ask(BOB, {"name": "delete"}, FIRST, context={"vpn": True})
    stated = BOB | {"properties": {"email": "bob@x.example"}}
    assert point.ask(stated, {"name": "delete"}, FIRST, context={"vpn": True})
    assert not point.ask(stated, {"name": "delete"}, FIRST, context={"vpn": "true"})
    world.give("helpdesk", "reader", conditions={"properties": {"subject.username": {"in": ["helpdesk@example.org"]}}})
    assert point.ask({"type": "user", "id": "helpdesk@example.org"}, READ, FIRST)


def test_several(point: Point) -> None:
    """AuthZEN §7 (certification: Batch, core and properties): as many answers as requests, in their order, with defaults."""
    first, second = {"resource": FIRST}, {"resource": SECOND}
    assert point.decisions({"subject": ALICE, "action": READ, "evaluations": [first, second]}) == [True, True]
    body = {"subject": BOB, "resource": FIRST, "evaluations": [{"action": READ}, {"action": WRITE}]}
    assert point.decisions(body) == [True, False]
    active = FIRST | {"properties": {"status": "active"}}
    body = {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": active}, {"resource": ARCHIVED}]}
    assert point.decisions(body) == [True, False]
    body = {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": ADMIN}]}
    assert point.decisions(body) == [False, True]
    whole = [
        {"subject": ALICE, "action": READ, "resource": FIRST},
        {"subject": BOB, "action": WRITE, "resource": FIRST},
    ]
    assert point.decisions({"evaluations": whole}) == [True, False]
    # An entity replaces the one at the top, but for the identifier that it lacks.
    partly = {"id": "record-1", "properties": {"status": "active"}}
    top = {"type": "record", "properties": {"status": "archived"}}
    body = {
        "subject": ALICE,
        "action": WRITE,
        "resource": top,
        "evaluations": [{"resource": partly}, {"resource": ARCHIVED}],
    }
    assert point.decisions(body) == [True, False]
    assert point.decisions(
        {"subject": ALICE, "action": WRITE, "resource": ARCHIVED, "evaluations": [{"resource": FIRST}]}
    ) == [True]


def test_one_that_fails_among_several(point: Point) -> None:
    """AuthZEN §7.2: a request of several that is none is denied by itself, with an error; the others are answered."""
    body = {"subject": ALICE, "action": READ, "evaluations": [{"resource": FIRST}, {}, "x", {"resource": {"type": 5}}]}
    answer = point.send(EVALUATIONS, body)
    assert [each["decision"] for each in answer.json["evaluations"]] == [True, False, False, False]
    assert [each["context"]["error"]["status"] for each in answer.json["evaluations"][1:]] == [400, 400, 400]


def test_semantics(point: Point) -> None:
    """AuthZEN §7.1.2: all, until the first denial, until the first permission; another word is refused."""
    body: dict[str, Any] = {
        "subject": ALICE,
        "evaluations": [{"action": each, "resource": FIRST} for each in (READ, {"name": "fly"}, WRITE)],
    }
    for semantic, expected in {
        "execute_all": [True, False, True],
        "deny_on_first_deny": [True, False],
        "permit_on_first_permit": [True],
    }.items():
        assert point.decisions(body | {"options": {"evaluations_semantic": semantic, "another": 1}}) == expected
    for wrong in ("any", None, 5, ["execute_all"]):
        assert point.send(EVALUATIONS, body | {"options": {"evaluations_semantic": wrong}}).status == 400


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
def test_several_that_are_one(point: Point, more: dict[str, Any]) -> None:
    """AuthZEN §7.1: without an array of evaluations, or with an empty one, the answer is that of a single evaluation."""
    answer = point.send(EVALUATIONS, {"subject": ALICE, "action": READ, "resource": FIRST, **more})
    assert (answer.status, answer.json["decision"]) == (200, True)


WRONG: list[tuple[str, Any]] = [
    (EVALUATION, {"action": READ, "resource": FIRST}),
    (EVALUATION, {"subject": ALICE, "resource": FIRST}),
    (EVALUATION, {"subject": ALICE, "action": READ}),
    (EVALUATION, {"subject": {"id": "alice"}, "action": READ, "resource": FIRST}),
    (EVALUATION, {"subject": {"type": "user"}, "action": READ, "resource": FIRST}),
    (EVALUATION, {"subject": ALICE, "action": {}, "resource": FIRST}),
    (EVALUATION, {"subject": ALICE, "action": READ, "resource": {"id": "record-1"}}),
    (EVALUATION, {"subject": ALICE, "action": READ, "resource": {"type": "record"}}),
    (EVALUATION, {"subject": "alice", "action": READ, "resource": FIRST}),
    (EVALUATION, {"subject": ALICE, "action": {"name": 123}, "resource": FIRST}),
    (EVALUATION, {"subject": ALICE, "action": READ, "resource": FIRST, "context": "now"}),
    (EVALUATION, {"subject": ALICE | {"properties": []}, "action": READ, "resource": FIRST}),
    (EVALUATION, []),
    (EVALUATION, b""),
    (EVALUATION, b"{"),
    (EVALUATION, b'{"subject": NaN}'),
    (EVALUATION, b"[" * 100_000),
    (EVALUATION, b"\xff\xfe"),
    (EVALUATIONS, {"evaluations": {}}),
    (EVALUATIONS, {"evaluations": [{}], "options": []}),
    (EVALUATIONS, {"evaluations": [{}] * 501}),
    (SUBJECTS, {"subject": {"type": "user"}, "resource": FIRST}),
    (SUBJECTS, {"subject": {"type": "user"}, "action": READ, "resource": {"type": "record"}}),
    (RESOURCES, {"action": READ, "resource": {"type": "record"}}),
    (RESOURCES, {"subject": {"type": "user"}, "action": READ, "resource": {"type": "record"}}),
    (ACTIONS, {"subject": ALICE}),
    (SUBJECTS, {"subject": {"type": "user"}, "action": READ, "resource": FIRST, "page": 5}),
    (SUBJECTS, {"subject": {"type": "user"}, "action": READ, "resource": FIRST, "page": {"limit": 0}}),
    (SUBJECTS, {"subject": {"type": "user"}, "action": READ, "resource": FIRST, "page": {"limit": True}}),
]


def test_what_is_no_request(point: Point) -> None:
    """AuthZEN §10.1.4 (certification: error handling): 400 and a sentence; never a decision."""
    for path, body in WRONG:
        answer = point.send(path, body)
        assert answer.status == 400, (path, body, answer.text)
        assert answer.json["error_description"]
        assert "decision" not in answer.json


def test_another_content_type(point: Point) -> None:
    """AuthZEN §10.1: JSON is application/json."""
    body = {"subject": ALICE, "action": READ, "resource": FIRST}
    assert point.send(EVALUATION, body, content_type="text/plain").status == 400
    assert point.send(EVALUATION, body, content_type="application/json; charset=utf-8").status == 200


HOSTILE = ("\u0000", "a\ud800", "x" * 10_000, "\u202e", "'; DROP TABLE users; --", "%", "record-1\n")


@pytest.mark.parametrize("place", ["subject", "resource", "action"])
def test_hostile_identifiers(point: Point, place: str) -> None:
    """Security §1 rule 10: what the databases cannot even look for is nobody and nothing, on each of them."""
    entities = {"subject": dict(ALICE), "resource": dict(FIRST), "action": dict(READ)}
    for text in HOSTILE:
        for member in entities[place]:
            changed = {**entities, place: {**entities[place], member: text}}
            # Alice may read every record, whatever it is called.
            is_a_record = (place, member) == ("resource", "id") and text.isprintable() and len(text) < 100
            assert point.ask(**changed) is is_a_record, text
            for path in (SUBJECTS, RESOURCES, ACTIONS):
                assert point.send(path, changed).status == 200


def test_the_request_identifier(point: Point) -> None:
    """AuthZEN §10.1.5: X-Request-ID comes back as it was sent, with an error too; without one nothing fails."""
    body = {"subject": ALICE, "action": READ, "resource": FIRST}
    assert point.send(EVALUATION, body, x_request_id="bfe9eb29-ab87").header("x-request-id") == "bfe9eb29-ab87"
    assert point.send(EVALUATION, {}, x_request_id="an error").header("x-request-id") == "an error"
    assert point.send(EVALUATION, body, token="x", x_request_id="401").header("x-request-id") == "401"
    assert point.send(EVALUATION, body).header("x-request-id") is None


def test_who_may_ask(point: Point) -> None:
    """RFC 6750 §3, Issue 6 (guard): a living token of the tenant, for it, with the scope, of somebody who holds the permission."""
    world, house = point.world, point.world.house
    body = {"subject": ALICE, "action": READ, "resource": FIRST}
    plain = house.send("POST", f"{world.tenant.base_path}{EVALUATION}", body=b"{}", host=world.tenant.host)
    assert (plain.status, plain.header("www-authenticate")) == (401, 'Bearer realm="access"')
    form = {"grant_type": "client_credentials"}
    other = house.client(world.tenant, "other", scope="policy:check")
    unscoped = house.client(world.tenant, "unscoped", scope="data")
    world.bindings.create(Wanted("client", "unscoped", "asker"), granter=OPERATOR)
    elsewhere = point.rp.post("/token", form | {"resource": "http://localhost:8000/uflow"}).json["access_token"]
    at_authmgr = point.rp.post("/token", form | {"resource": "http://localhost:8000/authmgr"}).json["access_token"]
    globex = house.tenant("globex")
    foreign = house.client(globex, "pep", scope="policy:check").post("/token", form).json["access_token"]
    for token, status in {
        "nonsense": 401,
        elsewhere: 401,
        foreign: 401,
        other.post("/token", form).json["access_token"]: 403,
        unscoped.post("/token", form).json["access_token"]: 403,
        at_authmgr: 200,
        point.token: 200,
    }.items():
        answer = point.send(EVALUATION, body, token=token)
        assert answer.status == status, answer.text
        if status != 200:
            code = "invalid_token" if status == 401 else "insufficient_scope"
            assert f'error="{code}"' in (answer.header("www-authenticate") or "")
    world.bindings.change(point.binding, expires_at=now() + 1, granter=OPERATOR)
    world.bindings.delete(point.binding, granter=OPERATOR)
    assert point.send(EVALUATION, body).status == 403, "what was taken back counts at once"


def test_who_asks_is_no_go_between(point: Point) -> None:
    """RFC 8693 §4.1, Decision 15: the services of the product take no token that was exchanged, whoever it is addressed to."""
    world = point.world
    world.house.client(world.tenant, "front", scope="openid policy:check")
    world.give("bob", "asker")
    claims = decoded(point.token)[1] | {"sub": world.people["bob"], "came_from": ["an-earlier-one"]}
    keys = world.house.installation.servers.get(world.tenant).keys
    body = {"subject": ALICE, "action": READ, "resource": FIRST}
    own = keys.sign({name: value for name, value in claims.items() if name != "came_from"}, alg="ES256", typ="at+jwt")
    assert point.send(EVALUATION, body, token=own).status == 200
    assert point.send(EVALUATION, body, token=keys.sign(claims, alg="ES256", typ="at+jwt")).status == 401


def test_a_disabled_application_does_not_ask(point: Point) -> None:
    """RFC 7662 §4: what was issued to an application that is disabled now is worth nothing."""
    world, body = point.world, {"subject": ALICE, "action": READ, "resource": FIRST}
    assert point.send(EVALUATION, body).status == 200
    registry = ClientRegistry(world.tenant, world.database, world.house.installation.feed)
    registry.disable("pep", by=By("operator"))
    assert point.send(EVALUATION, body).status == 401


def test_a_person_may_ask_too(point: Point) -> None:
    """Issue 6 (guard): a user's token by the scope, as far as the user holds the permission."""
    house, tenant = point.world.house, point.world.tenant
    body = {"subject": ALICE, "action": READ, "resource": FIRST}

    def token(name: str) -> str:
        grant = house.browser(tenant).sign_in(point.rp, username=f"{name}@example.org", scope="openid policy:check")
        made: str = point.rp.redeem(grant).json["access_token"]
        return made

    assert point.send(EVALUATION, body, token=token("root")).status == 200
    assert point.send(EVALUATION, body, token=token("eve")).status == 403
