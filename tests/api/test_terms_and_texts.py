"""Terms and texts by program, on the functions that `idp terms` and `idp text` have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from api_world import World
    from house import Answer

TERMS = {"version": "2026-03", "urls": {"": "https://acme.example/terms", "de": "https://acme.example/agb"}}


def terms(world: World, method: str, rest: str = "", body: Any = None, **more: Any) -> Answer:
    more.setdefault("media_type", "application/json")
    return world.uflow(method, f"/terms{rest}", body, **more)


def word(world: World, text: str | None, sentence: str = "Sign in", language: str = "en", **more: Any) -> Answer:
    return world.uflow("PUT", "/texts", {"language": language, "sentence": sentence, "text": text, **more})


def texts(world: World, query: str = "language=en", **more: Any) -> Any:
    answer = world.uflow("GET", f"/texts?{query}", **more)
    assert answer.status == 200, answer.text
    return answer.json


def test_terms_are_put_into_force(any_world: World) -> None:
    """Issue 6 (terms of the tenant): one version is in force; a new one takes its place; the end of all is one, too."""
    world = any_world
    assert terms(world, "GET", "/in-force").status == 404
    assert terms(world, "DELETE", "/in-force").status == 404
    first = terms(world, "PUT", "/in-force", TERMS)
    assert (first.status, first.json["version"], first.json["urls"]) == (200, "2026-03", TERMS["urls"])
    assert terms(world, "GET", "/in-force").json == first.json
    second = terms(
        world, "PUT", "/in-force", {**TERMS, "version": "2026-04"}, headers={"if-match": str(first.header("etag"))}
    )
    assert second.status == 200
    late = terms(
        world, "PUT", "/in-force", {**TERMS, "version": "2026-05"}, headers={"if-match": str(first.header("etag"))}
    )
    assert late.status == 412
    listed = terms(world, "GET").json["items"]
    assert [(each["version"], each["is_in_force"]) for each in listed] == [("2026-04", True), ("2026-03", False)]
    assert terms(world, "DELETE", "/in-force").status == 204
    assert terms(world, "PUT", "/in-force", TERMS, headers={"if-match": str(second.header("etag"))}).status == 412
    assert [event.actor for event in world.events("terms.put_in_force")] == [world.people["acme", "admin"]] * 2
    assert len(world.events("terms.ended")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"version": "a b"},
        {"urls": {}},
        {"urls": {"": "http://acme.example"}},
        {"urls": {"": "javascript:alert(1)"}},
        {"urls": {"not a tag": "https://acme.example"}},
        {"urls": {"": "https://acme.example/\u0000"}},
        {"urls": ["https://acme.example"]},
    ],
)
def test_what_is_no_terms(shared: World, change: Any) -> None:
    """Interfaces §5 (422 field errors): and nothing is in force."""
    assert terms(shared, "PUT", "/in-force", TERMS | change).status == 422
    assert terms(shared, "GET", "/in-force").status == 404


def test_people_are_asked_for_the_terms_at_once(world: World) -> None:
    """Issue 6: what was put into force here holds for the next sign-in."""
    acme = world.tenants["acme"]
    rp = world.house.client(acme, "web")
    assert terms(world, "PUT", "/in-force", TERMS).status == 200
    browser = world.house.browser(acme)
    page = browser.follow(browser.authorize(rp, verifier="v" * 43))
    page = browser.follow(browser.submit(page, username="ada@example.com", password="correct horse battery staple"))
    assert "https://acme.example/terms" in page.text


def test_a_sentence_reads_otherwise_at_the_tenant(any_world: World) -> None:
    """Issue 6 (texts): on its pages at once, in that language and nowhere else; then as usual again."""
    world = any_world
    assert word(world, "Log on, friend").status == 204
    (own,) = texts(world)["items"]
    assert own == {"sentence": "Sign in", "form": 0, "text": "Log on, friend", "is_own": True}
    assert texts(world, "language=de")["items"] == []
    acme = world.tenants["acme"]
    browser = world.house.browser(acme)
    page = browser.follow(browser.authorize(world.house.client(acme, "web"), verifier="v" * 43))
    assert "Log on, friend" in page.text
    found = texts(world, "language=en&is_own=false&find=log+on,")
    assert [each["text"] for each in found["items"]] == ["Log on, friend"]
    assert word(world, None).status == 204
    assert texts(world)["items"] == []
    assert [event.kind for event in [*world.events("text.set"), *world.events("text.reset")]] == [
        "text.set",
        "text.reset",
    ]


def test_every_sentence_page_by_page(shared: World) -> None:
    """Issue 6, item 7: the whole list by cursor, each sentence once."""
    first = texts(shared, "language=de&is_own=false&limit=100")
    seen = [(each["sentence"], each["form"]) for each in first["items"]]
    after = first["next"]
    while after:
        page = texts(shared, f"language=de&is_own=false&limit=100&after={after}")
        seen += [(each["sentence"], each["form"]) for each in page["items"]]
        after = page.get("next")
    assert len(seen) == len(set(seen)) == first["total"] > 300


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"language": "xx"}, "#/language"),
        ({"sentence": "No such sentence"}, "#/sentence"),
        ({"sentence": "a\u0000b"}, "#/sentence"),
        ({"text": "two\nlines"}, "#/text"),
        ({"text": " "}, "#/text"),
        ({"text": "%(secret)s"}, "#/text"),
        ({"form": 3}, "#/form"),
        ({"form": 9}, "#/form"),
    ],
)
def test_what_is_no_text(shared: World, body: Any, pointer: str) -> None:
    """Interfaces §5 (422 field errors): text, never markup, with the placeholders of its sentence."""
    answer = shared.uflow("PUT", "/texts", {"language": "en", "sentence": "Sign in", "text": "Log on", **body})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), answer.text
