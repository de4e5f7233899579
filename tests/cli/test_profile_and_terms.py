"""`idp profile` and `idp terms`: what people are asked for, and what they accept (issue 5; interfaces §2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command import Idp

SCHEMA = {"attributes": [{"name": "team", "label": "Team", "scope": "staff", "signup": True}]}


def test_a_schema_is_shown_and_replaced(idp: Idp) -> None:
    """Issue 5: the default is shown, a document replaces it, and what is shown can be set again."""
    shown = idp("profile", "show", "acme", "--json").json
    names = "name given_name family_name nickname birthdate phone_number locale zoneinfo address"
    assert [each["name"] for each in shown["attributes"]] == names.split()
    assert [each["name"] for each in shown["attributes"] if each["signup"]] == ["name"]
    done = idp("profile", "set", "acme", "--json", given=json.dumps(SCHEMA))
    assert done.status == 0
    shown = idp("profile", "show", "acme", "--json").json
    assert shown["attributes"][0]["name"] == "team"
    assert idp("profile", "set", "acme", "--json", given=json.dumps(shown)).json == shown
    assert "staff" in idp("profile", "show", "acme").out
    made = idp("user", "create", "acme", "eve@new.example", "--claims", '{"team": "red"}', "--json").json
    assert made["claims"] == {"team": "red"}


@pytest.mark.parametrize(
    "given", ["", "[]", "{", '{"attributes": 1}', '{"attributes": [{"name": "roles", "label": "x"}]}']
)
def test_a_wrong_schema_changes_nothing(idp: Idp, given: str) -> None:
    """Issue 5: one sentence, exit status 1, and the schema is what it was."""
    before = idp("profile", "show", "acme", "--json").json
    done = idp("profile", "set", "acme", given=given)
    assert done.status == 1
    assert done.sentence
    assert idp("profile", "show", "acme", "--json").json == before


def test_terms(idp: Idp) -> None:
    """Issue 5: a version comes into force, by language; another replaces it; none is in force after the end."""
    assert idp("terms", "list", "acme", "--json").json == []
    arguments = ("--url", "https://a.example/t?x=1", "--url", "de=https://a.example/de")
    made = idp("terms", "set", "acme", "--version", "1", *arguments, "--json").json
    assert made["urls"] == {"": "https://a.example/t?x=1", "de": "https://a.example/de"}
    idp("terms", "set", "acme", "--version", "2", "--url", "https://a.example/2")
    listed = {each["version"]: each["in_force"] for each in idp("terms", "list", "acme", "--json").json}
    assert listed == {"1": False, "2": True}
    assert "in force" in idp("terms", "list", "acme").out
    assert idp("terms", "end", "acme").status == 0
    assert idp("terms", "end", "acme").status == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "acme", "--version", "1"),
        ("set", "acme", "--version", "a b", "--url", "https://a.example/"),
        ("set", "acme", "--version", "1", "--url", "http://a.example/"),
        ("set", "acme", "--version", "1", "--url", "https://a.example/", "--url", "https://b.example/"),
        ("set", "acme", "--version", "1", "--url", "x!=https://a.example/"),
        ("list", "nobody"),
    ],
)
def test_wrong_use(idp: Idp, arguments: tuple[str, ...]) -> None:
    """Interfaces §2: exit status 1 or 2 and one sentence."""
    done = idp("terms", *arguments)
    assert done.status in (1, 2)
    assert done.sentence
