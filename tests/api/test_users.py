"""Users by User Flow: made, read, changed, and moved from state to state, on each kind of database."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from api_world import PUBLIC, World
from house import PASSWORD
from serving import together
from user_world import done, mails_to, new_user, pointers, refused, row_of, session_of

from idp.clock import now
from idp.identity import lockout, profile
from idp.identity.profile_schema import parse
from idp.store.db import db
from idp.store.tenant import attempts, grants, one_time_links, sessions, tenant_state

GOOD = "seventeen wet otters"


def count_failures(world: World, username: str, number: int) -> None:
    settings = world.tenants["acme"].settings
    for _ in range(number):
        key = lockout.account(username)
        world.database().writing(lambda conn, key=key: attempts.count_one(conn, key, settings.attempts_window))


def test_a_user_is_made_read_and_changed(town: World) -> None:
    """Issue 6 (users by API): what was made is what is read; a patch changes what it names, and null takes away (RFC 7396)."""
    claims = {"name": "Grace Hopper", "nickname": "Amazing", "address": {"locality": "Arlington", "country": "US"}}
    answer = town.uflow("POST", "/users", {"email": "Grace@Example.org", "claims": claims, "roles": ["auditor"]})
    made = done(answer, 201)
    assert answer.header("location") == f"{PUBLIC}/uflow/tenants/acme/users/{made['id']}"
    assert {name: made[name] for name in ("username", "email", "email_verified", "status", "claims", "roles")} == {
        "username": "Grace@Example.org",
        "email": "Grace@example.org",
        "email_verified": False,
        "status": "active",
        "claims": claims,
        "roles": ["auditor"],
    }
    assert (made["has_password"], made["must_change_password"], made["groups"]) == (False, False, [])
    path = f"/users/{made['id']}"
    read = town.uflow("GET", path)
    assert (done(read), read.header("etag")) == (made, answer.header("etag"))
    assert town.uflow("GET", path, headers={"if-none-match": read.header("etag") or ""}).status == 304
    patch = {"claims": {"nickname": None, "address": {"locality": "New York"}, "locale": "en-US"}}
    changed = town.uflow("PATCH", path, patch, headers={"if-match": read.header("etag") or ""})
    address = {"locality": "New York", "country": "US"}
    assert done(changed)["claims"] == {"name": "Grace Hopper", "address": address, "locale": "en-US"}
    refused(
        town.uflow("PATCH", path, patch, headers={"if-match": read.header("etag") or ""}), 412, "precondition_failed"
    )
    assert done(town.uflow("PATCH", path, {})) == done(changed)
    (event,) = town.events("user.profile_changed")
    assert event.details == {"claims": ["address", "locale", "nickname"]}
    assert (event.actor, event.subject) == (town.people["acme", "admin"], made["id"])
    assert [each.details["roles"] for each in town.events("user.created")][-1] == ["auditor"]


def test_a_password_is_kept_to_itself(town: World) -> None:
    """Issue 6 (users by API), S045: a password that is given signs in, stands in no answer, and nowhere in a form that could be guessed at."""
    body = {"email": "grace@example.org", "password": GOOD, "must_change_password": True}
    answer = town.uflow("POST", "/users", body, headers={"idempotency-key": "once"})
    made = done(answer, 201)
    assert (made["has_password"], made["must_change_password"]) == (True, True)
    stored = row_of(town, made["id"]).password_hash
    again = town.uflow("POST", "/users", body, headers={"idempotency-key": "once"})
    assert (done(again, 201), again.header("idempotency-replayed")) == (made, "true")
    shown = "\n".join(
        each.text for each in (answer, again, town.uflow("GET", f"/users/{made['id']}"), town.uflow("GET", "/users"))
    )
    for secret in (GOOD, stored, "password_hash", "argon2"):
        assert secret not in shown
    # A bare digest of a body that is known but for the password would be an oracle.
    path = "/uflow/tenants/acme/users"
    raw = json.dumps(["create_user", path, "", json.dumps(body).encode().hex()])
    with town.database().reading() as conn:
        kept = conn.execute(db.metadatas["tenant"].tables["idempotency_keys"].select()).all()
    assert len(kept) == 1
    assert GOOD not in str(kept)
    assert hashlib.sha256(raw.encode()).hexdigest() != kept[0].digest
    other = town.uflow(
        "POST", "/users", body | {"password": "seventeen dry otters"}, headers={"idempotency-key": "once"}
    )
    refused(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"password": "password"}, "#/password"),
        ({"password": "grace@example.org"}, "#/password"),
        ({"password": "\x00" * 20}, "#/password"),
        ({"email": "nobody"}, "#/email"),
        ({"email": "a\x00b@example.org"}, "#/email"),
        ({"username": "a\u200bb"}, "#/username"),
        ({"claims": {"favourite_colour": "red"}}, "#/claims/favourite_colour"),
        ({"claims": {"sub": "admin"}}, "#/claims/sub"),
        ({"claims": {"email": "other@example.org"}}, "#/claims/email"),
        ({"claims": {"email_verified": True}}, "#/claims/email_verified"),
        ({"claims": {"phone_number": "+1 555", "phone_number_verified": True}}, "#/claims/phone_number_verified"),
        ({"claims": {"name": "a\x00b"}}, "#/claims/name"),
        ({"claims": {"name": ""}}, "#/claims/name"),
        ({"claims": {"address": "here"}}, "#/claims/address"),
        ({"claims": {"name\x00": "x"}}, "#/claims/%3F"),
        ({"roles": ["nothing"]}, "#/roles"),
        ({"roles": ["a\x00b"]}, "#/roles"),
        ({"roles": "auditor"}, "#/roles"),
        ({"invite": True, "password": GOOD}, "#/password"),
        ({"invite": True, "username": "grace"}, "#/username"),
        # Mass assignment: what is not in the document is refused, never obeyed.
        ({"id": "0" * 32}, "#/id"),
        ({"state": "active"}, "#/state"),
        ({"status": "active"}, "#/status"),
        ({"tenant": "system"}, "#/tenant"),
        ({"tenant_id": "system"}, "#/tenant_id"),
        ({"is_admin": True}, "#/is_admin"),
        ({"is_administrator": True}, "#/is_administrator"),
        ({"email_verified": True}, "#/email_verified"),
        ({"password_hash": "$argon2id$v=19$m=7168,t=1,p=1$x"}, "#/password_hash"),
        ({"groups": ["Admins"]}, "#/groups"),
        ({"permissions": ["users:write"]}, "#/permissions"),
        ({"created_at": "2001-01-01T00:00:00Z"}, "#/created_at"),
        ({"username_key": "admin@acme.example"}, "#/username_key"),
    ],
)
def test_values_that_cannot_be_accepted(town: World, body: dict[str, Any], where: str) -> None:
    """Issue 6 (mass assignment, errors): 422 that points at the member, whether it makes or changes a user, and nothing is done."""
    made = new_user(town, "other@example.org")
    before = town.dump()
    assert where in pointers(town.uflow("POST", "/users", {"email": "grace@example.org", **body}))
    # A role that somebody has is not known by that name in a patch either.
    answer = town.uflow("PATCH", f"/users/{made['id']}", body)
    changed = {"#/username", "#/password", "#/roles"}
    assert where in pointers(answer) if where not in changed else answer.status == 422
    assert town.dump() == before


def test_the_profile_is_what_the_tenant_has_made_it(town: World) -> None:
    """Issue 6 (update profile and metadata): attributes of the tenant's own are stored by its schema, and judged by it."""
    number = {"name": "staff_number", "type": "number", "label": "Staff number", "minimum": 1}
    document = {"attributes": [{"name": "name", "label": "Name"}, number]}
    town.database().writing(lambda conn: profile.save(conn, parse(document)))
    try:
        made = new_user(town, claims={"staff_number": 7})
        assert made["claims"] == {"staff_number": 7}
        path = f"/users/{made['id']}"
        assert pointers(town.uflow("PATCH", path, {"claims": {"staff_number": 0}})) == ["#/claims/staff_number"]
        assert done(town.uflow("PATCH", path, {"claims": {"staff_number": None}}))["claims"] == {}
    finally:
        town.database().writing(lambda conn: tenant_state.remove(conn, "profile_schema"))


def test_another_address(town: World) -> None:
    """ASVS 5.0 §6.3.7: it is not verified, is the name to sign in with, and the former address is told; its links are dead."""
    world = town
    made = new_user(world)
    path = f"/users/{made['id']}"
    assert world.uflow("POST", f"{path}/password-reset").status == 204
    changed = done(world.uflow("PATCH", path, {"email": "hopper@example.org"}))
    assert (changed["email"], changed["username"], changed["email_verified"]) == ("hopper@example.org",) * 2 + (False,)
    with world.database().reading() as conn:
        assert all(each.revoked_at for each in one_time_links.list_of_user(conn, made["id"], 10))
    assert [each["context"].get("what") for each in mails_to(world, "grace@example.org")][-1] == "email_changed"
    assert mails_to(world, "hopper@example.org") == []
    refused(world.uflow("PATCH", path, {"email": "NOBODY@acme.example"}), 409, "conflict")
    assert pointers(world.uflow("PATCH", path, {"email": None})) == ["#/email"]
    named = done(world.uflow("POST", "/users", {"username": "ada", "email": "ada.l@example.org"}), 201)
    assert done(world.uflow("PATCH", f"/users/{named['id']}", {"email": "l@example.org"}))["username"] == "ada"
    # An invitation is for who has the address that it went to.
    invited = done(world.uflow("POST", "/users", {"email": "kat@example.org", "invite": True}), 201)
    assert invited["status"] == "invited"
    refused(world.uflow("PATCH", f"/users/{invited['id']}", {"email": "other@example.org"}), 409, "conflict")
    assert world.uflow("DELETE", path).status == 204
    refused(world.uflow("PATCH", path, {"claims": {"name": "x"}}), 409, "conflict")


def test_from_state_to_state(town: World) -> None:
    """Issue 6 (activate, deactivate, soft and hard delete), S045: sessions and tokens end at once, the person is told, and can come back."""
    world = town
    made = new_user(world, password=GOOD, roles=["auditor"])
    world.people["acme", "grace"] = made["id"]
    path = f"/users/{made['id']}"
    try:
        token, session = world.token("acme", "grace"), session_of(world, "acme", "grace")
        assert world.uflow("GET", "/users", token=token).status == 200
        assert done(world.uflow("POST", f"{path}/deactivate"))["status"] == "disabled"
        refused(world.uflow("GET", "/users", token=token), 401, "invalid_token")
        assert done(world.uflow("GET", f"{path}/sessions"))["total"] == 0
        assert world.uflow("DELETE", f"{path}/sessions/{session}").status == 404
        assert done(world.uflow("POST", f"{path}/activate"))["status"] == "active"
        refused(world.uflow("GET", "/users", token=token), 401, "invalid_token")  # what was ended stays ended
        count_failures(world, "grace@example.org", world.tenants["acme"].settings.account_attempts)
        assert done(world.uflow("GET", path))["status"] == "locked"
        assert done(world.uflow("POST", f"{path}/unlock"))["status"] == "active"
        assert world.uflow("DELETE", path).status == 204
        deleted = done(world.uflow("GET", path))
        assert deleted["status"] == "deleted"
        assert deleted["deleted_at"]
        refused(world.uflow("DELETE", path), 409, "conflict")
        detail = refused(world.uflow("POST", f"{path}/activate"), 409, "conflict")["detail"]
        assert "idp user" not in detail
        refused(world.uflow("POST", "/users", {"email": "grace@example.org"}), 409, "conflict")
        assert done(world.uflow("POST", f"{path}/restore"))["status"] == "active"
        refused(world.uflow("POST", f"{path}/restore"), 409, "conflict")
        told = [each["context"]["what"] for each in mails_to(world, "grace@example.org")]
        states = ["disabled", "enabled", "unlocked", "removed", "restored"]
        assert told == [f"account_{each}" for each in states]
        trail = ["user.disabled", "user.enabled", "user.unlocked", "user.deleted", "user.restored"]
        for kind in trail:
            (event,) = [each for each in world.events(kind) if each.subject == made["id"]]
            assert event.actor == world.people["acme", "admin"]
    finally:
        del world.people["acme", "grace"]


def test_gone_for_good(town: World) -> None:
    """Issue 6 (hard delete): nothing of the user is left but the trail and ended grants; the name is free."""
    world = town
    made = new_user(world, password=GOOD, roles=["auditor"], claims={"name": "Grace"})
    user_id = world.people["acme", "grace"] = made["id"]
    group = done(world.uflow("POST", "/groups", {"name": "Staff"}), 201)
    done(world.uflow("POST", f"/groups/{group['id']}/members", {"user_ids": [user_id]}))
    wanted = {"holder_type": "user", "holder_id": user_id, "role": "user", "resource": "document:1"}
    done(world.uflow("POST", "/role-bindings", wanted), 201)
    world.grant("acme", "grace")
    session_of(world, "acme", "grace")
    del world.people["acme", "grace"]
    assert world.uflow("POST", f"/users/{user_id}/password-reset").status == 204
    assert world.uflow("DELETE", f"/users/{user_id}?hard=true").status == 204
    assert world.uflow("GET", f"/users/{user_id}").status == 404
    assert world.uflow("DELETE", f"/users/{user_id}?hard=true").status == 404
    left = {name for name, rows in world.dump().items() if user_id in str(rows)}
    assert left <= {"audit_events", "sessions", "outbox"}
    with world.database().reading() as conn:
        (session,) = sessions.list_of_user(conn, user_id, 10)
    assert (session.source, session.user_agent) == (None, None)
    with world.database().reading() as conn:
        assert all(row.revoked_at for row in grants.list_of_user(conn, user_id, 10))
    assert new_user(world)["id"] != user_id


def test_an_administrator_has_the_password_changed(town: World) -> None:
    """Issue 6 (admin-triggered password reset), ASVS 5.0 §6.4.6: the person gets the link and chooses; nobody else learns the password."""
    world = town
    made = new_user(world, password=GOOD)
    path = f"/users/{made['id']}/password-reset"
    answer = world.uflow("POST", path)
    assert (answer.status, answer.text) == (204, "")
    (mail,) = mails_to(world, "grace@example.org")
    assert mail["template"] == "recovery"
    link = mail["context"]["link"]
    assert done(world.uflow("GET", f"/users/{made['id']}"))["must_change_password"] is True
    browser = world.house.browser(world.tenants["acme"])
    page = browser.get(link)
    changed = browser.submit(page, new_password="nineteen wet otters", confirm_password="nineteen wet otters")
    assert changed.status in (200, 303), changed.text
    user = done(world.uflow("GET", f"/users/{made['id']}"))
    assert (user["must_change_password"], user["email_verified"]) == (False, True)
    (event,) = world.events("user.password_reset")
    assert (event.actor, event.subject) == (world.people["acme", "admin"], made["id"])
    # Nobody fills a letter box: these mails count with those that were asked for.
    for _ in range(world.tenants["acme"].settings.recovery_mails - 1):
        assert world.uflow("POST", path).status == 204
    over = world.uflow("POST", path)
    refused(over, 429, "too_many_requests")
    assert int(over.header("retry-after") or 0) > 0
    nameless = done(world.uflow("POST", "/users", {"username": "robot"}), 201)
    refused(world.uflow("POST", f"/users/{nameless['id']}/password-reset"), 409, "conflict")
    assert world.uflow("POST", f"/users/{nameless['id']}/deactivate").status == 200
    refused(world.uflow("POST", f"/users/{nameless['id']}/password-reset"), 409, "conflict")


def test_one_user_of_many_at_once(town: World) -> None:
    """Issue 6 (conflict): of creations of one name at once, in any spelling, one is done; the others are told that it is taken."""
    token, names = town.token(), ["grace@example.org", "GRACE@example.org", "grace@EXAMPLE.org"]
    answers = together(6, lambda number: town.uflow("POST", "/users", {"email": names[number % 3]}, token=token))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]
    assert done(town.uflow("GET", "/users?email=grace@example.org"))["total"] == 1


def test_control_the_made_user_signs_in(town: World) -> None:
    """Negative control: the password that was given is the one that the sign-in takes; another is not."""
    world = town
    world.uflow("POST", "/users", {"email": "grace@example.org", "password": GOOD})
    rp = world.house.client(world.tenants["acme"], f"rp{now()}")
    assert world.house.browser(world.tenants["acme"]).sign_in(rp, username="grace@example.org", password=GOOD).code
    with pytest.raises(AssertionError):
        world.house.browser(world.tenants["acme"]).sign_in(rp, username="grace@example.org", password=PASSWORD)
