"""One's own data as a file: all that is stored about the account, nothing that opens it (GDPR Articles 15, 20)."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

from account_world import ADA, EVE
from house import PASSWORD
from sqlalchemy import select

from idp import opaque
from idp.account import export
from idp.clock import now, shifted
from idp.identity import accounts, profile, terms
from idp.identity.accounts import By
from idp.identity.profile_schema import parse
from idp.store.db import db
from idp.store.tenant import audit_events, role_bindings, users

if TYPE_CHECKING:
    import pytest
    from account_world import World

# Where the rows of a table that names a user are in the file, or why they are not there.
PLACES = {
    "audit_events": "history",
    "consents": "consents",
    "grants": "grants",
    "group_members": "groups",
    "one_time_links": "links",
    "password_history": "former_passwords",
    "role_bindings": "role_bindings",
    "sessions": "sessions",
    "terms_acceptances": "terms",
}


def exported(world: World, browser: Any) -> dict[str, Any]:
    """The file, as a program reads it."""
    answer = browser.submit(world.open(browser, "/data"))
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


def with_history(world: World, count: int, **more: Any) -> None:
    """Events of ada's in a long past."""
    user, at = world.user().id, now() - count
    rows = [
        {
            "id": opaque.new_id(),
            "at": at + number // 2,
            "kind": "login.succeeded",
            "outcome": "success",
            "actor": user,
            "client_id": None,
            "subject": user,
            "session_id": None,
            "grant_id": None,
            "source": f"198.51.100.{number}",
            "correlation_id": None,
            "details": {"amr": ["pwd"]},
            **more,
        }
        for number in range(count)
    ]
    database = world.house.database(world.tenant)
    for first in range(0, count, 5000):
        some = rows[first : first + 5000]
        database.writing(lambda conn, some=some: audit_events.add(conn, some))  # type: ignore[misc]


def test_everything_is_in_it(any_world: World) -> None:
    """GDPR Article 15: account, claims, consents, sessions, grants and history, as JSON to keep; an event records it."""
    browser = any_world.signed_in()
    any_world.tokens(browser)
    answer = browser.submit(any_world.open(browser, "/data"))
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-disposition") == 'attachment; filename="account.json"'
    assert answer.header("cache-control") == "no-store"
    found = answer.json
    assert found["account"]["username"] == ADA
    assert found["claims"]["name"] == "Ada Lovelace"
    assert [each["client_id"] for each in found["consents"]] == ["rp"]
    assert [each["source"] for each in found["sessions"]] == ["127.0.0.1"]
    assert [each["client_id"] for each in found["grants"]] == ["rp"]
    assert {"user.created", "login.succeeded"} <= {each["kind"] for each in found["history"]}
    assert found["was_cut"] == []
    (event,) = any_world.events("user.data_exported")
    assert event.actor == any_world.user().id


def test_nothing_in_it_opens_anything(world: World) -> None:
    """Security rule on secrets: no hash, cookie, token or digest of one, and nothing of other people."""
    browser = world.signed_in()
    tokens = world.tokens(browser)
    world.signed_in(EVE)
    text = browser.submit(world.open(browser, "/data")).text
    assert "argon2" not in text
    for secret in (*browser.cookies.values(), tokens["access_token"], tokens["refresh_token"], EVE):
        assert secret not in text
    assert "hash" not in text


def test_a_list_that_is_cut_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5, account pages: the file is bounded, and says where it was."""
    monkeypatch.setattr(export, "MOST", 1)
    browser = world.signed_in()
    world.tokens(browser)
    world.tokens(browser)
    assert exported(world, browser)["was_cut"] == ["consents", "sessions", "grants"]
    monkeypatch.setattr(export, "MOST", 100)
    monkeypatch.setattr(export, "MOST_BYTES", 100)
    monkeypatch.setattr(export, "A_READ", 2)
    found = exported(world, browser)
    assert found["was_cut"] == ["history"]
    assert 0 < len(found["history"]) < len(world.rows(select(audit_events.audit_events)))


def test_not_without_end(any_world: World) -> None:
    """OWASP ASVS 2.4.1: ten files an hour; then a page that says when to come again."""
    browser = any_world.signed_in()
    page = any_world.open(browser, "/data")
    answers = [browser.submit(page).status for _ in range(11)]
    assert answers == [200] * 10 + [429]
    with shifted(3601):
        again = any_world.log_in(browser, "/data")
        assert browser.submit(again).status == 200


def test_all_that_is_kept_about_a_person(any_world: World) -> None:
    """GDPR Article 15: roles, terms, own attributes, ended sessions with their applications, links and former passwords are in it too."""
    any_world.set(password_history="3")
    house, tenant, user = any_world.house, any_world.tenant, any_world.user()
    database = house.database(tenant)
    schema = parse(
        {"attributes": [{"name": "team", "label": "Team"}, {"name": "badge", "label": "B", "editable": "admin"}]}
    )
    claims = {**user.claims, "team": "red", "badge": "4711", "left_the_schema": 1}

    def work(conn: Any) -> None:
        profile.save(conn, schema)
        users.change(conn, user.id, claims=claims)
        terms.accept(conn, user.id, "2026-03", source="192.0.2.9", correlation_id="C" * 16)
        role_bindings.create(conn, user.id, "editor")

    database.writing(work)
    first = any_world.signed_in()
    any_world.tokens(first)
    first.submit(first.get(f"{tenant.base_path}/logout"), action="logout")
    accounts.set_password(
        database, house.installation.services.hasher, tenant, user, "another long enough one", by=By("operator")
    )
    browser = any_world.signed_in(password="another long enough one")
    browser.submit(any_world.open(browser, "/email"), email="ada@new.example")
    found = exported(any_world, browser)
    assert found["claims"] == claims
    assert found["account"]["roles"] == ["editor"]
    assert [(each["version"], each["source"]) for each in found["terms"]] == [("2026-03", "192.0.2.9")]
    assert [each["ended_at"] is None for each in found["sessions"]].count(True) == 1
    assert ["rp"] in [each["applications"] for each in found["sessions"]]
    assert [(each["kind"], each["address"]) for each in found["links"]] == [("email_change", "ada@new.example")]
    assert len(found["former_passwords"]) == 1
    kinds = {each["kind"]: each for each in found["history"]}
    assert kinds["terms.accepted"]["details"] == {"version": "2026-03"}
    assert kinds["user.password_changed"]["by"] == "administrator"
    assert kinds["login.succeeded"]["by"] == "person"
    assert "digest" not in str(found)
    assert PASSWORD not in str(found)


def test_every_table_that_names_a_user_is_in_it() -> None:
    """GDPR Article 15: a table of tomorrow that holds something about a person has its place in the file."""
    tables = db.metadatas["tenant"].tables.values()
    assert {
        table.name for table in tables if {"user_id", "subject", "holder_id"} & set(table.c.keys())
    } == PLACES.keys()


def test_a_long_history_is_whole(any_world: World) -> None:
    """GDPR Article 15: of 40,000 events each is in the file once, in order; making it takes little more memory than the file itself."""
    with_history(any_world, 40_000)
    browser = any_world.signed_in()
    page = any_world.open(browser, "/data")
    tracemalloc.start()
    try:
        answer = browser.submit(page)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    found = answer.json
    assert found["was_cut"] == []
    numbers = [
        int(each["source"].rpartition(".")[2]) for each in found["history"] if "198.51" in each.get("source", "")
    ]
    assert numbers == list(range(39_999, -1, -1))
    size = len(answer.text)
    assert size > 4_000_000
    assert peak < 4 * size, "twice for the bytes and their joining, and what the test's own client copies"


def test_what_a_database_holds_is_json(world: World) -> None:
    """Issue 5, account pages (no 500): half a character, or an event whose details are none, makes no file impossible."""
    with_history(world, 1, details=["nothing", 1])
    with_history(world, 1, details={"reason": "\ud800", "more": {"a": [1, None]}})
    found = exported(world, world.signed_in())
    assert {"reason": "\ud800", "more": {"a": [1, None]}} in [each.get("details") for each in found["history"]]
