"""Where users are signed in and what they have allowed, through User Flow; on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from house import PASSWORD
from user_world import done, mails_to, new_user, refused, session_of

from idp.clock import now
from idp.store.tenant import consents, grants, session_clients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_world import World


@pytest.fixture
def home(town: World) -> Iterator[World]:
    """Grace is there to be looked at."""
    town.people["acme", "grace"] = new_user(town, password=PASSWORD)["id"]
    yield town
    del town.people["acme", "grace"]


def of(world: World, rest: str = "", who: str = "grace") -> str:
    return f"/users/{world.people['acme', who]}{rest}"


def test_sessions_are_listed_and_ended(home: World) -> None:
    """Issue 6, ASVS 5.0 §7.4.5: an administrator sees where somebody is signed in and ends it, with its tokens; ended ones are not shown."""
    world = home
    at = now()
    first = session_of(world, "acme", "grace", last_seen_at=at - 50)
    second = session_of(world, "acme", "grace", last_seen_at=at - 10)
    session_of(world, "acme", "grace", ended_at=at)
    session_of(world, "acme", "grace", idle_expires_at=at - 1)
    session_of(world, "acme", "nobody")
    world.database().writing(lambda conn: session_clients.note(conn, first, "console"))
    grant = world.grant("acme", "grace")
    table = grants.grants
    world.database().writing(
        lambda conn: conn.execute(table.update().where(table.c.id == grant).values(session_id=first))
    )
    listed = done(world.uflow("GET", of(world, "/sessions")))
    assert [each["id"] for each in listed["items"]] == [second, first]
    assert listed["total"] == 2
    shown = listed["items"][1]
    assert (shown["device"], shown["source"], shown["amr"], shown["client_ids"]) == (
        "Firefox on Linux",
        "192.0.2.7",
        ["pwd"],
        ["console"],
    )
    assert "cookie" not in str(listed)
    assert [
        each["id"] for each in done(world.uflow("GET", of(world, "/sessions?sort=last_seen_at&limit=1")))["items"]
    ] == [first]
    token = world.token("acme", "grace", grant_id=grant)
    refused(world.uflow("GET", "/users", token=token), 403, "permission_required")  # it lives, and may nothing
    path = of(world, f"/sessions/{first}")
    assert world.uflow("DELETE", of(world, f"/sessions/{first}", "nobody")).status == 404
    assert world.uflow("DELETE", path).status == 204
    refused(world.uflow("GET", "/users", token=token), 401, "invalid_token")
    assert world.uflow("DELETE", path).status == 404
    (event,) = world.events("session.ended")
    assert (event.actor, event.subject, event.session_id) == (
        world.people["acme", "admin"],
        world.people["acme", "grace"],
        first,
    )
    assert done(world.uflow("GET", of(world, "/sessions")))["total"] == 1
    assert done(world.uflow("GET", of(world, "/sessions", "nobody")))["total"] == 1


def test_all_sessions_end(home: World) -> None:
    """Issue 6 (revoke all of a user): every session and every token, once; the person is told by mail, and only where something ended."""
    world = home
    for _ in range(3):
        session_of(world, "acme", "grace")
    token = world.token("acme", "grace")
    assert world.uflow("DELETE", of(world, "/sessions")).status == 204
    assert done(world.uflow("GET", of(world, "/sessions")))["total"] == 0
    refused(world.uflow("GET", "/users", token=token), 401, "invalid_token")
    assert world.uflow("DELETE", of(world, "/sessions")).status == 204
    assert [each["context"]["what"] for each in mails_to(world, "grace@example.org")] == ["sessions_ended"]
    events = world.events("user.sessions_ended")
    assert [each.details["sessions_ended"] for each in events] == [3, 0]


def test_what_was_allowed_is_listed_and_taken_back(home: World) -> None:
    """OIDC Core §11, RFC 6749 §10.3: consents and living grants, one line a client; taking one back ends its tokens, nobody else's."""
    world = home
    grace = world.people["acme", "grace"]
    world.house.client(world.tenants["acme"], "allowed", client_name="Allowed")
    for who in ("grace", "nobody"):
        user = world.people["acme", who]
        world.database().writing(
            lambda conn, user=user: consents.add(conn, user, "allowed", frozenset({"openid", "profile"}))
        )
    world.grant("acme", "grace", "allowed")
    token, foreign = world.token("acme", "grace"), world.token("acme", "nobody")
    found: dict[str, Any] = {
        each["client_id"]: each for each in done(world.uflow("GET", of(world, "/consents")))["items"]
    }
    assert set(found) == {"allowed", "console"}
    assert found["allowed"]["client_name"] == "Allowed"
    assert found["allowed"]["scopes"] == ["openid", "profile"]
    assert found["allowed"]["granted_at"]
    assert found["allowed"]["last_used_at"]
    assert found["console"]["scopes"] == []
    page = done(world.uflow("GET", of(world, "/consents?limit=1&sort=-client_id")))
    assert ([each["client_id"] for each in page["items"]], page["total"]) == (["console"], 2)
    page = done(world.uflow("GET", of(world, f"/consents?limit=1&sort=-client_id&after={page['next']}")))
    assert [each["client_id"] for each in page["items"]] == ["allowed"]
    for client_id in ("allowed", "console"):
        assert world.uflow("DELETE", of(world, f"/consents/{client_id}")).status == 204
        assert world.uflow("DELETE", of(world, f"/consents/{client_id}")).status == 404
    refused(world.uflow("GET", "/users", token=token), 401, "invalid_token")
    refused(world.uflow("GET", "/users", token=foreign), 403, "permission_required")
    assert done(world.uflow("GET", of(world, "/consents")))["items"] == []
    with world.database().reading() as conn:
        assert consents.scopes_of(conn, world.people["acme", "nobody"], "allowed")
    event = world.events("consent.withdrawn")[0]
    assert (event.actor, event.subject, event.client_id) == (world.people["acme", "admin"], grace, "allowed")
