"""The list of users: every filter, order, page and cursor says the same on each kind of database, and reads no more than it shows."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from statements import counting
from user_world import done, pointers, tidy_users

from idp import opaque
from idp.clock import now
from idp.identity import lockout
from idp.store.tenant import attempts, grants, groups, role_bindings, users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_world import World

NAMES = [
    "Ärzte",
    "alpha",
    "Beta",
    "beta",
    "100% pure",
    "under_score",
    "back\\slash",
    None,
    "Omega",
    "ＡＬＰＨＡ",
    "'; --",
]
STATES = ["active", "active", "active", "disabled", "invited", "deleted"]
NUMBER = 60


@pytest.fixture(scope="module")
def crowd(each_database: World) -> Iterator[World]:
    """Users of all kinds, several of each alike; with roles, groups, grants and failed sign-ins."""
    world, at = each_database, now()
    rows: list[dict[str, Any]] = []
    for number in range(NUMBER):
        name = NAMES[number % len(NAMES)]
        username = f"Person{number:02}@{'Acme' if number % 2 else 'Globex'}.example"
        rows.append(
            {
                "id": f"{number:032x}",
                "username": username,
                "username_key": username.casefold(),
                "email": username if number % 7 else None,
                "email_verified": True,
                "claims": {"name": name} if name else {"given_name": "Grace", "family_name": f"Hopper {number}"},
                "password_hash": None,
                "must_change_password": False,
                "state": STATES[number % len(STATES)],
                "password_changed_at": None,
                "deleted_at": at if STATES[number % len(STATES)] == "deleted" else None,
                "state_before": None,
            }
        )
    group_id = opaque.new_id()

    def furnish(conn: Any) -> None:
        users.create_many(conn, rows)
        for number, row in enumerate(rows):
            conn.execute(
                users.users.update().where(users.users.c.id == row["id"]).values(created_at=1_700_000_000 + number // 4)
            )
        groups.create(conn, id=group_id, name="Crowd", name_key="crowd", description="")
        groups.add(conn, group_id, [row["id"] for row in rows[::5]])
        role_bindings.create_many(conn, [(row["id"], "reader") for row in rows[::3]], "test")
        role_bindings.create_many(conn, [(rows[0]["id"], "tenant-admin")], "test")
        bound = {
            "id": opaque.new_id(),
            "role": "tenant-admin",
            "holder_type": "group",
            "holder_id": group_id,
            "resource": "",
        }
        role_bindings.insert_one(conn, **bound, expires_at=None, conditions=None, created_at=at, created_by="test")
        past = {
            "id": opaque.new_id(),
            "role": "reader",
            "holder_type": "user",
            "holder_id": rows[1]["id"],
            "resource": "",
        }
        role_bindings.insert_one(conn, **past, expires_at=at - 1, conditions=None, created_at=at, created_by="test")
        for row in rows[::4]:
            grant(conn, row["id"], "app")
        grant(conn, rows[0]["id"], "app")  # twice is once
        grant(conn, rows[1]["id"], "app", revoked_at=at)
        grant(conn, rows[2]["id"], "app", expires_at=at - 1)
        for row in rows[:2]:
            for _ in range(world.tenants["acme"].settings.account_attempts):
                attempts.count_one(conn, lockout.account(row["username_key"]), 3600)

    world.database().writing(furnish)
    world.there["crowd"] = {"group": group_id}
    yield world
    tidy_users(world)
    world.tidy()


def grant(conn: Any, user_id: str, client_id: str, **changes: Any) -> None:
    at = now()
    values: dict[str, Any] = {
        "id": opaque.new_id(),
        "client_id": client_id,
        "user_id": user_id,
        "session_id": None,
        "scope": "openid",
        "auth_time": at,
        "amr": ["pwd"],
        "acr": "1",
        "claims_request": None,
        "resources": None,
        "is_offline": False,
        "created_at": at,
        "expires_at": at + 3600,
        "revoked_at": None,
        "revoked_reason": None,
    }
    grants.create(conn, **values | changes)


def listed(world: World, query: str = "") -> Any:
    return done(world.uflow("GET", f"/users?{query}"))


def everything(world: World, query: str = "") -> list[Any]:
    """All pages of a list, read by number, and how many there are said to be."""
    found: list[Any] = []
    for page in range(1, 99):
        answer = listed(world, f"{query}&limit=13&page={page}")
        found += answer["items"]
        if page >= answer["total_pages"]:
            assert len(found) == answer["total"]
            return found
    raise AssertionError("the pages do not end")


def folded(text: str | None) -> str:
    return unicodedata.normalize("NFKC", text or "").casefold()


def name_of(user: Any) -> str:
    claims = user["claims"]
    return folded(claims.get("name") or " ".join(filter(None, (claims.get("given_name"), claims.get("family_name")))))


@pytest.mark.parametrize("sort", ["email", "name", "created_at"])
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("more", ["", "&status=active", "&search=acme", "&role=reader"])
def test_every_order_is_stable_by_pages_and_by_cursor(crowd: World, sort: str, sign: str, more: str) -> None:
    """Issue 6, item 7: each once; the other way round is the reverse; a cursor goes on where the page ended."""
    by_page = [each["id"] for each in everything(crowd, f"sort={sign}{sort}{more}")]
    assert len(by_page) == len(set(by_page)) > 0
    by_cursor: list[str] = []
    after = ""
    for _ in range(NUMBER):
        page = listed(crowd, f"sort={sign}{sort}{more}&limit=4{after}")
        by_cursor += [each["id"] for each in page["items"]]
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert by_cursor == by_page
    reverse = "" if sign else "-"
    assert [each["id"] for each in everything(crowd, f"sort={reverse}{sort}{more}")] == by_page[::-1]


FILTERS: dict[str, Any] = {
    "email=person03@acme.example": lambda each: folded(each.get("email")) == "person03@acme.example",
    "email=PERSON03@ACME.EXAMPLE": lambda each: folded(each.get("email")) == "person03@acme.example",
    "email=person03": lambda _: False,
    "email=%20&name=nothing": lambda _: False,
    "name=alpha": lambda each: "alpha" in name_of(each),
    "name=BETA": lambda each: "beta" in name_of(each),
    "name=%25": lambda each: "%" in name_of(each),
    "name=_": lambda each: "_" in name_of(each),
    "name=%5C": lambda each: "\\" in name_of(each),
    "name=%27": lambda each: "'" in name_of(each),
    f"name={quote('ä')}": lambda each: "ä" in name_of(each),
    "name=grace hopper 7": lambda each: "grace hopper 7" in name_of(each),
    "search=acme": lambda each: any(
        "acme" in folded(text) for text in (each["username"], each.get("email"), name_of(each))
    ),
    "search=person1": lambda each: "person1" in folded(each["username"]),
    "search=omega": lambda each: "omega" in name_of(each),
    "search=nothing at all": lambda _: False,
    "status=active": lambda each: each["status"] == "active",
    "status=locked": lambda each: each["status"] == "locked",
    "status=disabled": lambda each: each["status"] == "disabled",
    "status=invited": lambda each: each["status"] == "invited",
    "status=deleted": lambda each: each["status"] == "deleted",
    "role=reader": lambda each: "reader" in each["roles"],
    "role=tenant-admin": lambda each: "tenant-admin" in each["roles"] or each["groups"],
    "role=nothing": lambda _: False,
    "is_administrator=true": lambda each: "tenant-admin" in each["roles"] or each["groups"],
    "is_administrator=false": lambda each: "tenant-admin" not in each["roles"] and not each["groups"],
    "client_id=nothing": lambda _: False,
    "created_from=2023-11-14T22:13:25Z&created_before=2023-11-14T22:13:27Z": lambda each: (
        "2023-11-14T22:13:25Z" <= each["created_at"] < "2023-11-14T22:13:27Z"
    ),
    "created_before=2023-11-14T22:13:20Z": lambda _: False,
    "search=globex&status=active&role=reader": lambda each: (
        "globex" in folded(each["username"]) and each["status"] == "active" and "reader" in each["roles"]
    ),
}


@pytest.mark.parametrize("query", FILTERS)
def test_filters(crowd: World, query: str) -> None:
    """Issue 6 (lists with filters): what is let through is what the filter says, judged by what is shown of everybody."""
    expected = [each["id"] for each in everything(crowd) if FILTERS[query](each)]
    assert [each["id"] for each in everything(crowd, query)] == expected
    if "nothing" not in query and query.partition("=")[2] != "person03" and "22:13:20" not in query:
        assert expected, "the filter finds nobody: the test says nothing"


def test_filters_by_what_is_not_shown(crowd: World) -> None:
    """Issue 6 (lists with filters): who has a living grant to a client, and who is in a group, few of them and many."""
    everybody = [f"{number:032x}" for number in range(NUMBER)]
    assert sorted(each["id"] for each in everything(crowd, "client_id=app")) == everybody[::4]
    group_id = crowd.there["crowd"]["group"]
    assert sorted(each["id"] for each in everything(crowd, f"group_id={group_id}")) == everybody[::5]
    assert [each["id"] for each in everything(crowd, "status=locked")] == [each for each in everybody[:2] if each]


@pytest.mark.parametrize("few", [0, 1, 10])
def test_few_and_many_are_the_same(crowd: World, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Of few that a filter finds each is named, many are looked up for each row: the list is the same either way."""
    from idp.store.tenant import user_search

    queries = [
        "role=reader",
        "client_id=app",
        "is_administrator=true",
        "is_administrator=false",
        "status=active",
        "status=locked",
    ]
    queries.append(f"group_id={crowd.there['crowd']['group']}")
    before = [everything(crowd, query) for query in queries]
    monkeypatch.setattr(user_search, "_FEW", few)
    assert [everything(crowd, query) for query in queries] == before


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("status=gone", "status"),
        ("sort=password_hash", "sort"),
        ("sort=state", "sort"),
        ("password_hash=x", "password_hash"),
        ("search=", "search"),
        ("search=%00", "search"),
        ("name=a%0Ab", "name"),
        ("client_id=%00", "client_id"),
        ("role=%07", "role"),
        ("group_id=a b", "group_id"),
        ("created_from=yesterday", "created_from"),
        ("created_before=2026-01-01", "created_before"),
        ("is_administrator=yes", "is_administrator"),
        ("limit=101", "limit"),
        ("after=nonsense", "after"),
    ],
)
def test_parameters_that_cannot_be_accepted(crowd: World, query: str, where: str) -> None:
    """Issue 6 (filters and sort from an allow-list): 422 that names the parameter."""
    assert where in pointers(crowd.uflow("GET", f"/users?{query}"))


def test_what_follows_from_a_user_follows_each_change(crowd: World) -> None:
    """A name, an address and a username are found as they are now, whichever of the ways they were written."""
    world = crowd
    made = done(world.uflow("POST", "/users", {"email": "Moved@Example.org", "claims": {"name": "Before"}}), 201)
    path = f"/users/{made['id']}"
    try:
        assert listed(world, "name=before")["total"] == 1
        assert listed(world, "email=moved@example.org")["total"] == 1
        world.uflow("PATCH", path, {"email": "there@example.org", "claims": {"name": "Áfter"}})
        assert listed(world, "name=before")["total"] == listed(world, "email=moved@example.org")["total"] == 0
        assert listed(world, f"search={quote('áfter')}")["total"] == 1
        assert listed(world, "search=there@")["total"] == 1
        key = lockout.account("there@example.org")
        most = world.tenants["acme"].settings.account_attempts
        world.database().writing(lambda conn: [attempts.count_one(conn, key, 3600) for _ in range(most)])
        assert made["id"] in [each["id"] for each in everything(world, "status=locked")]
    finally:
        assert world.uflow("DELETE", f"{path}?hard=true").status == 204


def test_a_list_takes_as_many_statements_however_long_it_is(crowd: World) -> None:
    """Issue 6 (10,000 users: list pages in 20 ms): the statements do not grow with the page; nothing is read user by user."""
    token, numbers = crowd.token(), {}
    for limit in (1, 1, 60):
        with counting(crowd.house) as counted:
            page = done(crowd.uflow("GET", f"/users?limit={limit}&role=reader&status=active&sort=name", token=token))
        numbers[len(page["items"])] = len(counted.statements)
    assert len(numbers) == 2
    assert len(set(numbers.values())) == 1, numbers


def test_pages_are_found_by_indexes(shared: World) -> None:
    """Issue 6 (10,000 users: list pages in 20 ms on SQLite): no order sorts, no list is counted from the rows, grants are read from an index."""
    where = {
        "SELECT id FROM users ORDER BY email_key, id LIMIT 11": "ix_users_by_email",
        "SELECT id FROM users ORDER BY name_key DESC, id DESC LIMIT 11": "ix_users_by_name",
        "SELECT id FROM users ORDER BY created_at, id LIMIT 11 OFFSET 9000": "ix_users_by_creation",
        "SELECT count(*) FROM users WHERE instr(name_key, 'a') > 0 OR instr(email_key, 'a') > 0": "COVERING INDEX",
        "SELECT count(*) FROM users WHERE state = 'active'": "COVERING INDEX",
        "SELECT id FROM users WHERE attempts_key IN ('a', 'b')": "ix_users_attempts_key",
        "SELECT user_id FROM grants WHERE client_id = 'a' AND revoked_at IS NULL AND expires_at > 1": "COVERING INDEX ix_grants_client",
    }
    with shared.database().reading() as conn:
        for query, wanted in where.items():
            plan = "; ".join(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
            assert wanted in plan, (query, plan)
            assert "TEMP B-TREE" not in plan, (query, plan)
