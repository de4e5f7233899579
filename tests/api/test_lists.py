"""Lists: pages, cursors, filters and sorting, in a stable order, on each kind of database."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from api_world import World, client_of

from idp.api.listing import LAST_PAGE
from idp.oauth.clients import ClientRegistry
from idp.store.tenant import clients

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["Ärzte", "alpha", "Beta", "beta", "100% pure", "under_score", "back\\slash", "", "Omega", "ALPHA"]


@pytest.fixture(scope="module")
def shop(each_database: World) -> Iterator[World]:
    """23 clients beside `console`: names, tags, states, profiles and moments of all kinds, several of each alike."""
    world = each_database
    world.house.installation.provisioning.change_settings(
        world.tenants["acme"], {"allowed_client_profiles": "strict,oidc"}
    )
    for number in range(23):
        name = NAMES[number % len(NAMES)]
        more: dict[str, Any] = {"client_name": name} if name else {"client_name": None}
        more["tags"] = [tag for tag, of in (("even", 2), ("third", 3), ("x-1", 5), ("x", 7)) if number % of == 0]
        more["client_profile"] = "oidc" if number % 4 == 0 else "strict"
        assert world.clients("POST", "", client_of(client_id=f"c{number:02}", **more)).status == 201
        if number % 6 == 0:
            assert world.clients("POST", f"/c{number:02}/deactivate").status == 200
        at = {"created_at": 1_700_000_000 + number // 4, "updated_at": 1_700_000_000 - number // 5}
        world.database().writing(lambda conn, number=number, at=at: _dated(conn, f"c{number:02}", at))
    yield world
    world.tidy()


def _dated(conn: Any, client_id: str, at: dict[str, int]) -> None:
    conn.execute(clients.clients.update().where(clients.clients.c.client_id == client_id).values(**at))


def listed(world: World, query: str = "", **more: Any) -> Any:
    answer = world.clients("GET", query, **more)
    assert answer.status == 200, answer.text
    return answer.json


def ids(page: Any) -> list[str]:
    return [each["client_id"] for each in page["items"]]


def everything(world: World) -> dict[str, Any]:
    return {each["client_id"]: each for page in (1, 2) for each in listed(world, f"?limit=100&page={page}")["items"]}


def test_pages(shop: World) -> None:
    """Interfaces §5: items, page, limit, total and total_pages; 10 by default; the pages together are the list, each once."""
    first = listed(shop)
    assert {name: first[name] for name in ("page", "limit", "total", "total_pages")} == {
        "page": 1,
        "limit": 10,
        "total": 24,
        "total_pages": 3,
    }
    assert len(first["items"]) == 10
    pages = [listed(shop, f"?page={page}&limit=7") for page in (1, 2, 3, 4)]
    assert [len(page["items"]) for page in pages] == [7, 7, 7, 3]
    assert [name for page in pages for name in ids(page)] == sorted(everything(shop))
    assert "next" in pages[2]
    assert "next" not in pages[3]
    beyond = listed(shop, f"?page={LAST_PAGE}")
    assert (beyond["items"], beyond["total"]) == ([], 24)


@pytest.mark.parametrize("sort", ["client_id", "name", "created_at", "updated_at"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_order_is_stable_by_pages_and_by_cursor(shop: World, sort: str, sign: str) -> None:
    """Issue 6, item 7: each order of the allow-list is total: pages and cursors give the same list, and descending reverses it."""
    by_page = [name for page in range(1, 9) for name in ids(listed(shop, f"?sort={sign}{sort}&limit=3&page={page}"))]
    assert sorted(by_page) == sorted(everything(shop))
    by_cursor: list[str] = []
    after = ""
    for _ in range(9):
        page = listed(shop, f"?sort={sign}{sort}&limit=3{after}")
        assert page["total"] == 24
        assert ("page" in page) == (after == "")
        by_cursor += ids(page)
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert by_cursor == by_page
    reverse = "" if sign else "-"
    assert ids(listed(shop, f"?sort={reverse}{sort}&limit=100")) == by_page[::-1]
    known = everything(shop)
    if sort != "name":
        keys = [(known[name][sort], name) for name in by_page]
        assert keys == sorted(keys, reverse=sign == "-")


def test_a_cursor_neither_skips_nor_repeats(world: World) -> None:
    """Issue 6, item 7: what comes and goes in between moves no page that is read by cursor."""
    for name in "bdfhj":
        world.clients("POST", "", client_of(client_id=name))
    first = listed(world, "?limit=3")
    assert ids(first) == ["b", "console", "d"]
    world.clients("DELETE", "/b")
    world.clients("DELETE", "/d")
    world.clients("POST", "", client_of(client_id="a"))
    assert ids(listed(world, f"?limit=3&after={first['next']}")) == ["f", "h", "j"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=disabled", lambda each: each["status"] == "disabled"),
        ("active=false", lambda each: each["status"] == "disabled"),
        ("active=true", lambda each: each["status"] == "active"),
        ("status=active&active=true", lambda each: each["status"] == "active"),
        ("client_profile=oidc", lambda each: each["client_profile"] == "oidc"),
        ("tags=even", lambda each: "even" in each["tags"]),
        ("tags=even,third", lambda each: {"even", "third"} <= set(each["tags"])),
        ("tags=x", lambda each: "x" in each["tags"]),
        ("tags=x-1", lambda each: "x-1" in each["tags"]),
        ("tags=nothing", lambda _each: False),
        ("name=ALPHA", lambda each: "alpha" in each.get("client_name", "").lower()),
        ("name=et", lambda each: "et" in each.get("client_name", "").lower()),
        ("name=%25", lambda each: "%" in each.get("client_name", "")),
        ("name=_", lambda each: "_" in each.get("client_name", "")),
        ("name=%5C", lambda each: "\\" in each.get("client_name", "")),
        ("name=rzte", lambda each: "rzte" in each.get("client_name", "")),
        ("name=%C3%84rz", lambda each: "Ärz" in each.get("client_name", "")),
        ("name='%20OR%201=1", lambda _each: False),
        (
            "tags=even&status=active&client_profile=oidc",
            lambda each: "even" in each["tags"] and each["status"] == "active" and each["client_profile"] == "oidc",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_filters(shop: World, query: str, expected: Any) -> None:
    """Interfaces §5: status, active, name, tags and client_profile, alone and together; nothing has a meaning to LIKE."""
    page = listed(shop, f"?limit=100&{query}")
    assert ids(page) == sorted(name for name, each in everything(shop).items() if expected(each))
    assert page["total"] == len(page["items"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=101", "limit"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e1", "limit"),
        ("limit=+5", "limit"),
        ("limit=%205", "limit"),
        ("limit=05", "limit"),
        ("limit=1_0", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999999999", "limit"),
        ("page=0", "page"),
        (f"page={LAST_PAGE + 1}", "page"),
        ("page=1&page=2", "page"),
        ("active=1", "active"),
        ("active=True", "active"),
        ("status=active&active=false", "active"),
        ("status=deleted", "status"),
        ("sort=secret_hash", "sort"),
        ("sort=--name", "sort"),
        ("tags=a,,b", "tags"),
        ("tags=A", "tags"),
        ("name=", "name"),
        ("name=%00", "name"),
        ("client_profile=", "client_profile"),
        ("nonsense=1", "nonsense"),
        ("LIMIT=1", "LIMIT"),
        ("after=x", "after"),
        ("after=", "after"),
    ],
)
def test_parameters_that_cannot_be(shared: World, query: str, expected: str) -> None:
    """Interfaces §5: 422 that names the parameter; an unknown or repeated one is refused, so that none is misspelt unseen."""
    answer = shared.clients("GET", f"?{query}")
    assert (answer.status, answer.json["code"]) == (422, "invalid_fields")
    assert [each["parameter"] for each in answer.json["errors"]] == [expected]


def cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "after",
    [
        cursor(["name", "a", "b"]),
        cursor(["created_at", "not a number", "b"]),
        cursor(["created_at", True, "b"]),
        cursor(["created_at", 10**30, "b"]),
        cursor(["created_at", 1.5, "b"]),
        cursor(["created_at", 1, None]),
        cursor(["created_at", 1, "a\u0000b"]),
        cursor(["created_at", 1]),
        cursor({}),
        cursor("[" * 400),
        "A" * 1000,
        "%F0%28%8C%28",
        "A" * 1001,
    ],
)
def test_a_cursor_of_ones_own_making(shared: World, after: str) -> None:
    """OWASP API8: a cursor is a place in an order; anything else is refused, never an error of ours."""
    answer = shared.clients("GET", f"?sort=created_at&after={after}")
    assert answer.status in (400, 422), answer.text


def test_tokens_are_listed_alike(any_world: World) -> None:
    """Issue 6, item 7: initial access tokens have the same pages, cursors and orders."""
    path = "/tenants/acme/initial-access-tokens"
    made = [
        any_world.call("POST", path, {"name": f"n{number}", "lifetime": 60 + number}).json["id"] for number in range(5)
    ]
    by_page = [
        each["id"] for page in (1, 2, 3) for each in any_world.call("GET", f"{path}?limit=2&page={page}").json["items"]
    ]
    assert sorted(by_page) == sorted(made)
    by_cursor, after = [], ""
    for _ in range(4):
        page = any_world.call("GET", f"{path}?limit=2{after}").json
        by_cursor += [each["id"] for each in page["items"]]
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert by_cursor == by_page
    assert [each["id"] for each in any_world.call("GET", f"{path}?sort=expires_at").json["items"]] == made


def test_a_list_shows_no_secret(each_database: World) -> None:
    """Security rule 9: neither a secret nor its digest is in any list."""
    registry = ClientRegistry(
        each_database.tenants["acme"], each_database.database(), each_database.house.installation.feed
    )
    text = each_database.clients("GET", "?limit=100").text
    for each in registry.list_all():
        assert each.row.secret_hash is None or each.row.secret_hash not in text
    assert "secret_hash" not in text
    assert "registration_token" not in text
