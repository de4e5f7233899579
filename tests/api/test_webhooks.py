"""Webhooks by User Flow: made, changed, tested, looked at and replayed; nobody is told more than they may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from api_world import PUBLIC, World

from idp.jobs.outbox import outbox_job
from idp.jobs.schedule import JobContext
from idp.outbound import Outbound
from idp.store.tenant import outbox, webhooks
from idp.webhooks import delivering, fan_out
from idp.webhooks.event_types import EVENT_TYPES

if TYPE_CHECKING:
    from house import Answer

URL = "https://hooks.example/x"


def done(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, answer.text
    return answer.json if answer.text else None


def refused(answer: Answer, status: int, code: str) -> Any:
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    return answer.json


def made(world: World, *patterns: str, **more: Any) -> Any:
    body = {"url": URL, "event_types": list(patterns or ("user.*",)), **more}
    return done(world.uflow("POST", "/webhooks", body), 201)


def deliver(world: World) -> None:
    """The worker's part; where the receiver is, nobody is."""
    installation = world.house.installation
    acme = world.tenants["acme"]
    context = JobContext(installation.store, world.database(), acme, lambda: False)
    from idp import work

    next(job for job in work.kinds(installation) if job.kind == "chain").run(context)
    quick = Outbound(installation.settings, seconds=0.5)
    sender = delivering.sender(quick, installation.envelope, installation.services.mailer)
    outbox_job({outbox.WEBHOOK: sender}).run(context)


def writer_of(world: World, *permissions: str) -> str:
    """A token of somebody who may manage webhooks, and what is named beside."""
    body = {"name": "hooks", "permissions": ["webhooks:read", "webhooks:write", *permissions]}
    done(world.uflow("POST", "/roles", body), 201)
    world.bind_user("acme", "nobody", "hooks")
    return world.token("acme", "nobody")


def test_from_a_webhook_to_a_delivery(any_world: World) -> None:
    """Issue 6 (webhooks): made, read, listed, changed, tested, looked at, replayed, deleted, each with its event in the trail."""
    world = any_world
    answer = world.uflow("POST", "/webhooks", {"url": URL, "event_types": ["user.*"], "description": "CRM"})
    hook = done(answer, 201)
    assert answer.header("location") == f"{PUBLIC}/uflow/tenants/acme/webhooks/{hook['id']}"
    assert hook["secret"].startswith("whsec_")
    assert (hook["enabled"], hook["created_by"]) == (True, world.people["acme", "admin"])
    read = world.uflow("GET", f"/webhooks/{hook['id']}")
    assert "secret" not in done(read)
    assert hook["secret"] not in read.text
    assert read.header("etag") == answer.header("etag")
    assert hook["secret"] not in world.uflow("GET", "/webhooks").text
    patched = done(
        world.uflow("PATCH", f"/webhooks/{hook['id']}", {"event_types": ["user.created"], "description": None})
    )
    assert (patched["event_types"], patched["description"]) == (["user.created"], "")
    test = world.uflow("POST", f"/webhooks/{hook['id']}/test")
    assert done(test, 202)["status"] == "pending"
    assert test.header("location") == f"{PUBLIC}/uflow/tenants/acme/webhooks/{hook['id']}/deliveries/{test.json['id']}"
    deliver(world)
    shown = done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries/{test.json['id']}"))
    assert (shown["status"], shown["attempts"], shown["event_type"]) == ("pending", 1, "webhook.test")
    assert shown["last_error"] == shown["ledger"][0]["outcome"]
    assert '"webhook.test"' in shown["body"]
    listed = done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries?status=pending&since=2020-01-01T00:00:00Z"))
    assert [each["id"] for each in listed["items"]] == [test.json["id"]]
    assert done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries?status=failed"))["total"] == 0
    assert done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries?event_type=user.created"))["total"] == 0
    off = done(world.uflow("PATCH", f"/webhooks/{hook['id']}", {"enabled": False}))
    assert (off["enabled"], off["disabled_reason"]) == (False, "by_administrator")
    refused(world.uflow("POST", f"/webhooks/{hook['id']}/test"), 409, "conflict")
    refused(world.uflow("POST", f"/webhooks/{hook['id']}/replay", {"since": "2020-01-01T00:00:00Z"}), 409, "conflict")
    on = done(world.uflow("PATCH", f"/webhooks/{hook['id']}", {"enabled": True}))
    assert on["enabled"]
    assert "disabled_reason" not in on
    again = done(world.uflow("POST", f"/webhooks/{hook['id']}/replay", {"since": "2020-01-01T00:00:00Z"}))
    assert again == {"replayed": 1, "has_more": False}
    path = f"/webhooks/{hook['id']}/deliveries/{test.json['id']}/replay"
    assert done(world.uflow("POST", path), 202)["status"] == "pending"
    assert world.uflow("DELETE", f"/webhooks/{hook['id']}").status == 204
    assert world.uflow("GET", f"/webhooks/{hook['id']}").status == 404
    kinds = ("created", "updated", "tested", "replayed", "deleted")
    assert {kind: len(world.events(f"webhook.{kind}")) for kind in kinds} == {
        "created": 1,
        "updated": 3,
        "tested": 1,
        "replayed": 2,
        "deleted": 1,
    }
    assert hook["secret"] not in repr(world.dump())


def test_events_of_the_service_are_told(any_world: World) -> None:
    """Decision 14: what is done by API is told, with who did it; another tenant's events are not."""
    world = any_world
    hook = made(world, "group.created")
    done(world.uflow("POST", "/groups", {"name": "Editors"}), 201)
    done(world.uflow("POST", "/groups", {"name": "Strangers"}, slug="globex", token=world.token("globex")), 201)
    deliver(world)
    (item,) = done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries"))["items"]
    body = done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries/{item['id']}"))["body"]
    assert world.people["acme", "admin"] in body
    assert '"name":"Editors"' in body


def test_who_makes_a_webhook_may_read_what_it_tells(any_world: World) -> None:
    """Issue 6 (webhooks): each event type asks for the permission to read what it is about, at creation and at every change."""
    world = any_world
    token = writer_of(world, "clients:read", "groups:read")
    for patterns in (["*"], ["user.*"], ["client.*", "security.login_failed"], ["role.*"], ["session.started"]):
        body = {"url": URL, "event_types": patterns}
        problem = refused(world.uflow("POST", "/webhooks", body, token=token), 403, "more_than_held")
        assert ":read" in str(problem["errors"])
    own = done(world.uflow("POST", "/webhooks", {"url": URL, "event_types": ["client.*", "group.*"]}, token=token), 201)
    path = f"/webhooks/{own['id']}"
    refused(world.uflow("PATCH", path, {"event_types": ["user.*"]}, token=token), 403, "more_than_held")
    assert done(world.uflow("PATCH", path, {"url": URL + "2", "event_types": ["client.*"]}, token=token))
    theirs = made(world, "user.*")
    path = f"/webhooks/{theirs['id']}"
    # Neither where it goes, nor its secret; switching it off lets nothing out, and on again it does.
    refused(world.uflow("PATCH", path, {"url": "https://evil.example/"}, token=token), 403, "more_than_held")
    refused(world.uflow("POST", f"{path}/rotate-secret", {}, token=token), 403, "more_than_held")
    assert done(world.uflow("PATCH", path, {"description": "Mine", "enabled": False}, token=token))
    refused(world.uflow("PATCH", path, {"enabled": True}, token=token), 403, "more_than_held")
    assert done(world.uflow("GET", path))["url"] == URL


def test_a_tokens_scopes_bound_it_too(any_world: World) -> None:
    """Interfaces §5: a token lends no more than its scopes stand for, in what a webhook tells as well."""
    world = any_world
    token = world.token(scope="webhooks:write webhooks:read clients:read")
    refused(
        world.uflow("POST", "/webhooks", {"url": URL, "event_types": ["user.*"]}, token=token), 403, "more_than_held"
    )
    assert world.uflow("POST", "/webhooks", {"url": URL, "event_types": ["client.*"]}, token=token).status == 201


def test_the_ledger_is_no_way_around_permissions(any_world: World) -> None:
    """Issue 6 (webhooks): body and answer of a delivery are shown to callers who may read what it tells; others see how it went."""
    world = any_world
    hook = made(world, "group.created", "client.created")
    done(world.uflow("POST", "/groups", {"name": "Editors"}), 201)
    deliver(world)
    (item,) = done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries"))["items"]
    path = f"/webhooks/{hook['id']}/deliveries/{item['id']}"
    short = done(world.uflow("GET", path, token=writer_of(world)))
    assert "body" not in short
    assert (short["event_type"], short["attempts"]) == ("group.created", 1)
    assert "body" in done(world.uflow("GET", path, token=world.token("acme", "auditor")))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"url": "http://hooks.example/x"}, "/url"),
        ({"url": "https://127.0.0.1/x"}, "/url"),
        ({"url": "https://10.0.0.1/x"}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": 1}, "/url"),
        ({"event_types": []}, "/event_types"),
        ({"event_types": ["user.nothing"]}, "/event_types"),
        ({"event_types": ["nothing.*"]}, "/event_types"),
        ({"event_types": ["webhook.test"]}, "/event_types"),
        ({"event_types": ["user"]}, "/event_types/0"),
        ({"event_types": "*"}, "/event_types"),
        ({"event_types": ["user.*"] * 101}, "/event_types"),
        ({"description": "a\nb"}, "/description"),
        ({"description": "a" * 501}, "/description"),
        ({"secret": "whsec_mine"}, "/secret"),
        ({"enabled": False}, "/enabled"),
    ],
)
def test_what_is_no_webhook(shared: World, change: dict[str, Any], where: str) -> None:
    """Interfaces §5: 422 with a pointer to the member; nothing is made."""
    answer = shared.uflow("POST", "/webhooks", {"url": URL, "event_types": ["*"], **change})
    assert where in str(refused(answer, 422, "invalid_fields")["errors"])
    assert shared.uflow("GET", "/webhooks").json["total"] == 0


def test_changes_are_judged_as_they_are(any_world: World) -> None:
    """RFC 9110 §13.1.1, RFC 7396: If-Match is honoured; what must be there cannot be removed."""
    world = any_world
    hook = made(world)
    path = f"/webhooks/{hook['id']}"
    etag = str(world.uflow("GET", path).header("etag"))
    assert world.uflow("PATCH", path, {"description": "One"}, headers={"if-match": etag}).status == 200
    refused(world.uflow("PATCH", path, {"description": "Two"}, headers={"if-match": etag}), 412, "precondition_failed")
    refused(world.uflow("POST", f"{path}/rotate-secret", {}, headers={"if-match": etag}), 412, "precondition_failed")
    refused(world.uflow("DELETE", path, headers={"if-match": etag}), 412, "precondition_failed")
    for name in ("url", "event_types", "enabled"):
        problem = refused(world.uflow("PATCH", path, {name: None}), 422, "invalid_fields")
        assert f"/{name}" in str(problem["errors"])
    assert done(world.uflow("GET", path))["description"] == "One"


def test_a_secret_is_shown_once_also_to_who_asks_again(any_world: World) -> None:
    """Interfaces §5 (Idempotency-Key): the lost answer of a creation is repeated, secret and all; nothing is made twice."""
    world = any_world
    token, headers = world.token(), {"idempotency-key": "k"}
    body = {"url": URL, "event_types": ["*"]}
    first = done(world.uflow("POST", "/webhooks", body, token=token, headers=headers), 201)
    again = world.uflow("POST", "/webhooks", body, token=token, headers=headers)
    assert (again.status, again.json, again.header("idempotency-replayed")) == (201, first, "true")
    assert done(world.uflow("GET", "/webhooks"))["total"] == 1
    rotated = done(world.uflow("POST", f"/webhooks/{first['id']}/rotate-secret", {"overlap": 60}))
    assert rotated["secret"] not in (None, first["secret"])
    for overlap in (-1, 7 * 86400 + 1, "1", 1.5):
        answer = world.uflow("POST", f"/webhooks/{first['id']}/rotate-secret", {"overlap": overlap})
        refused(answer, 422, "invalid_fields")


def test_there_are_not_too_many(any_world: World) -> None:
    """S111: what one event becomes is bounded: fifty webhooks of a tenant."""
    from idp.webhooks.registry import MOST_WEBHOOKS

    world = any_world
    first = made(world)
    with world.database().reading() as conn:
        row = webhooks.find(conn, first["id"])
    assert row is not None
    values = {name: getattr(row, name) for name in ("url", "description", "event_types", "state", "sealed_secrets")}
    values |= {"seen": row.seen, "after_row": row.after_row, "created_by": "x"}
    for number in range(MOST_WEBHOOKS - 1):
        world.database().writing(lambda conn, number=number: webhooks.create(conn, id=f"w{number}", **values))
    refused(world.uflow("POST", "/webhooks", {"url": URL, "event_types": ["*"]}), 409, "conflict")


def test_the_event_types_are_listed_with_schemas(shared: World) -> None:
    """Issue 6 (webhooks): each type with what it asks for, its schema and an example."""
    items = done(shared.uflow("GET", "/webhook-event-types"))["items"]
    assert [each["name"] for each in items] == [each.name for each in EVENT_TYPES]
    for each in items:
        assert each["message_schema"]["properties"]["type"] == {"const": each["name"]}
        assert each["example"]["type"] == each["name"]
        assert each["permission"].endswith(":read")


def test_a_list_of_many_is_read_by_pages(any_world: World) -> None:
    """Interfaces §5: pages and cursors, the newest first; nothing twice, nothing left out."""
    world = any_world
    hook = made(world)
    path = f"/webhooks/{hook['id']}/deliveries"
    ids = [done(world.uflow("POST", f"/webhooks/{hook['id']}/test"), 202)["id"] for _ in range(7)]
    seen: list[str] = []
    query = "?limit=3"
    for _ in range(5):
        page = done(world.uflow("GET", path + query))
        seen += [each["id"] for each in page["items"]]
        if "next" not in page:
            break
        query = f"?limit=3&after={page['next']}"
    assert sorted(seen) == sorted(ids)
    assert page["total"] == 7


def test_nobody_waits_for_ever_where_nothing_is_told(shared: World) -> None:
    """Pending work: a tenant without webhooks is not looked at for their sake."""
    context = JobContext(
        shared.house.installation.store, shared.database("globex"), shared.tenants["globex"], lambda: False
    )
    assert fan_out.follow(context) == fan_out.NEVER
