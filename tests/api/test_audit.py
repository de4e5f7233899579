"""The audit log by program: found by who, whom, what, when and outcome, with the reason; taken away as lines of JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from idp import opaque
from idp.store.tenant import audit_events, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_world import World
    from house import Answer

START = 1_700_000_000
REFUSAL = {
    "error_code": "invalid_grant",
    "check": "code",
    "spec": "RFC 6749 §5.2",
    "reason": "the code was used before",
    "fix": "begin again",
    "received": None,
    "registered": [],
    "method": "POST",
    "path": "/token",
    "client_id": "web",
    "source": None,
}


def event(number: int, **changes: Any) -> dict[str, Any]:
    """An event as a row; several of each kind of everything."""
    return {
        "id": opaque.new_id(),
        "at": START + number * 60,
        "kind": ["login.succeeded", "login.failed", "client.created", "token.issued"][number % 4],
        "outcome": "failure" if number % 4 == 1 else "success",
        "actor": ["ada", "client:web", None, "operator"][number % 4],
        "client_id": "web" if number % 2 else None,
        "subject": "ada" if number % 3 else "bob",
        "session_id": None,
        "grant_id": None,
        "source": f"192.0.2.{number % 5}",
        "correlation_id": f"REQUEST{number}",
        "details": {"reason": "wrong_password"} if number % 8 == 1 else None,
        **changes,
    }


@pytest.fixture(scope="module")
def log(each_database: World) -> Iterator[World]:
    """A log of forty events and whatever making the tenants has left before."""
    world = each_database
    world.tidy()
    table = audit_events.audit_events
    world.database().writing(lambda conn: conn.execute(table.delete()))
    world.database().writing(lambda conn: audit_events.add(conn, [event(number) for number in range(40)]))
    refused = REFUSAL | {"at": START, "correlation_id": "REQUEST5"}
    world.database().writing(lambda conn: refusals.add(conn, [refused]))
    yield world
    world.tidy()


def listed(world: World, query: str = "", **more: Any) -> Any:
    answer = world.uflow("GET", f"/audit-events{query}", **more)
    assert answer.status == 200, answer.text
    return answer.json


def numbers(items: Any) -> list[int]:
    return [int(each["request_id"].removeprefix("REQUEST")) for each in items if each["kind"] != "audit.exported"]


def rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def test_newest_first_by_pages_and_by_cursor(log: World) -> None:
    """Issue 6 (audit), item 7: the newest record first; pages and cursor give the same list, each event once."""
    first = listed(log, "?until=2024-01-01T00:00:00Z")
    assert numbers(first["items"]) == list(range(39, 29, -1))
    assert (first["total"], first["total_pages"], first["page"]) == (40, 4, 1)
    assert numbers(listed(log, "?page=4&until=2024-01-01T00:00:00Z")["items"]) == list(range(9, -1, -1))
    seen, after = [], ""
    for _ in range(14):
        page = listed(log, f"?limit=3&until=2024-01-01T00:00:00Z{after}")
        seen += numbers(page["items"])
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert seen == list(range(39, -1, -1))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("actor=ada", lambda n: n % 4 == 0),
        ("actor=client:web", lambda n: n % 4 == 1),
        ("subject=bob", lambda n: n % 3 == 0),
        ("kind=login.failed", lambda n: n % 4 == 1),
        ("kind=login.*", lambda n: n % 4 < 2),
        ("kind=log.*", lambda _n: False),
        ("outcome=failure", lambda n: n % 4 == 1),
        ("client_id=web", lambda n: n % 2 == 1),
        ("source=192.0.2.3", lambda n: n % 5 == 3),
        ("request_id=REQUEST17", lambda n: n == 17),
        (f"since={rfc3339(START + 600)}", lambda n: n >= 10),
        (f"until={rfc3339(START + 600)}", lambda n: n < 10),
        (f"since={rfc3339(START + 60)}&until={rfc3339(START + 120)}", lambda n: n == 1),
        ("subject=ada&kind=login.*&outcome=success&client_id=web", lambda _n: False),
        ("subject=ada&kind=login.*&outcome=failure", lambda n: n % 4 == 1 and n % 3),
    ],
)
def test_filters(log: World, query: str, expected: Any) -> None:
    """Issue 6 (audit): who, whom, what (a kind or those that begin so), when, outcome, application, address, request; all hold together."""
    wanted = [number for number in range(39, -1, -1) if expected(number)]
    found = listed(
        log, f"?limit=100&until=2024-01-01T00:00:00Z&{query}" if "until" not in query else f"?limit=100&{query}"
    )
    assert numbers(found["items"]) == wanted
    assert found["total"] == len(wanted)
    exported = export(log, query if "until" in query else f"until=2024-01-01T00:00:00Z&{query}")
    assert numbers(lines(exported)) == wanted[::-1]


def test_the_reason(log: World) -> None:
    """Issue 6 (audit: with the reason): what the event says itself, else what the refused request's record says."""
    by_number = {int(each["request_id"][7:]): each for each in listed(log, "?limit=100&outcome=failure")["items"]}
    assert by_number[1]["reason"] == "wrong_password"
    assert by_number[5]["reason"] == "the code was used before"
    assert "reason" not in by_number[13]


def test_an_event_that_was_tampered_with_is_shown(world: World) -> None:
    """S119: details that are no object, or no JSON, do not keep the log from being read."""
    world.database().writing(lambda conn: audit_events.add(conn, event(0, kind="odd.event")))
    for text in ("not json", "[1]", '"x"'):
        world.database().writing(
            lambda conn, text=text: conn.exec_driver_sql(
                "UPDATE audit_events SET details = ? WHERE kind = 'odd.event'", (text,)
            )
        )
        (found,) = listed(world, "?kind=odd.event")["items"]
        assert found["details"]["unreadable"] in ("not json", [1], "x")
        assert len(lines(export(world, "kind=odd.event"))) == 1


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday", "since=2026-01-01", "since=2026-01-01T00:00:00", "until=9999-12-31T23:59:59-23:59x", "kind=LOGIN.*",
        "kind=*", "kind=login*", "outcome=denied", "actor=a%00b", "after=xyz", "sort=at", "limit=101", "actor=",
    ],
)  # fmt: skip
def test_what_cannot_be_asked(log: World, query: str) -> None:
    """Interfaces §5: 422 that names the parameter, on each kind of database."""
    answer = log.uflow("GET", f"/audit-events?{query}")
    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["parameter"] == query.partition("=")[0]


def test_another_tenants_log_is_out_of_reach(world: World) -> None:
    """Issue 6 (cross-tenant): a tenant's administrator reads its own log; the platform's people read it as what it is."""
    assert world.uflow("GET", "/audit-events", slug="globex").status == 401
    assert world.uflow("GET", "/audit-events/export", slug="globex").status == 401
    assert world.uflow("GET", "/audit-events", token=world.token("acme", "apps")).status == 403
    world.uflow("POST", "/roles", {"name": "only-acme"})
    kinds = [
        each["details"] for each in listed(world, "?kind=role.*", slug="globex", token=world.token("globex"))["items"]
    ]
    assert not any("only-acme" in json.dumps(each) for each in kinds)


# -- export -------------------------------------------------------------------------------------------------------------------


def export(world: World, query: str = "", **more: Any) -> Answer:
    answer = world.uflow("GET", f"/audit-events/export{'?' if query else ''}{query}", **more)
    assert answer.status == 200, answer.text
    assert answer.header("content-type") == "application/x-ndjson"
    return answer


def lines(answer: Answer) -> list[Any]:
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.header("x-total-count") == str(len(found))
    return found


def test_an_export_is_the_list_the_other_way_round(log: World) -> None:
    """Issue 6 (export as JSON lines): one event a line, the same members as the list's, the oldest first."""
    exported = lines(export(log, "until=2024-01-01T00:00:00Z"))
    assert exported == listed(log, "?limit=100&until=2024-01-01T00:00:00Z")["items"][::-1]


def test_an_export_is_recorded(world: World) -> None:
    """Issue 6 (audit): who takes the log away stands in it, with what was asked for."""
    count = len(lines(export(world, "kind=user.*", token=world.token("system", "auditor"))))
    (found,) = world.events("audit.exported")
    assert found.actor == f"system:{world.people['system', 'auditor']}"
    assert found.details == {"events": count, "filters": {"kind": "user.*"}}


def test_a_long_export_is_made_part_by_part(any_world: World) -> None:
    """Issue 6 (bounded memory): the parts are made as they are taken, and what is recorded meanwhile is not in it."""
    from house import Headers, Request

    world = any_world
    rows = [event(number, kind="many.events", details={"text": "x" * 400}) for number in range(3000)]
    world.database().writing(lambda conn: audit_events.add(conn, rows))
    token = world.token()
    request = Request(
        "GET", "http", "localhost:8000", "/uflow/tenants/acme/audit-events/export", "kind=many.events",
        Headers.of([("host", "localhost:8000"), ("authorization", f"Bearer {token}")]), b"", "127.0.0.1", "C",
    )  # fmt: skip
    response = world.house.router.respond(request)
    assert response.stream is not None
    assert response.body == b""
    parts = [next(response.stream)]
    world.database().writing(lambda conn: audit_events.add(conn, event(1, kind="many.events")))
    table = audit_events.audit_events
    # What has not been sent is not held: it is read when it is asked for.
    world.database().writing(
        lambda conn: conn.execute(table.update().where(table.c.correlation_id == "REQUEST2999").values(source="late"))
    )
    parts += response.stream
    assert max(map(len, parts)) < 128 * 1024
    found = [json.loads(line) for line in b"".join(parts).splitlines()]
    assert numbers(found) == list(range(3000))
    assert found[-1]["source"] == "late"
    assert response.header("x-total-count") == "3000"
