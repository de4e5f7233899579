"""`idp text`: a tenant's own texts on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command import Idp

GERMAN = ("--language", "de")


def test_set_listed_and_reset(idp: Idp) -> None:
    """Issue 5, part 6: set, shown among all and alone, found by its words, and taken back."""
    assert idp("text", "list", "acme", *GERMAN, "--json").json == []
    made = idp("text", "set", "acme", "About %(application)s", "Wer ist %(application)s?", *GERMAN, "--json").json
    assert made["text"] == "Wer ist %(application)s?"
    (listed,) = idp("text", "list", "acme", *GERMAN, "--json").json
    assert listed == {"sentence": "About %(application)s", "form": 0, "text": made["text"], "is_own": True}
    every = idp("text", "list", "acme", *GERMAN, "--all", "--json").json
    assert len(every) > 100
    assert [each for each in every if each["is_own"]] == [listed]
    (found,) = idp("text", "list", "acme", *GERMAN, "--all", "--find", "angemeldet BLEIBEN", "--json").json
    assert found["sentence"] == "Stay signed in"
    assert "Wer ist" in idp("text", "list", "acme", *GERMAN).out
    assert idp("text", "reset", "acme", "About %(application)s", *GERMAN, "--json").json["reset"] == 1
    assert "no text" in idp("text", "reset", "acme", *GERMAN, "--all").out
    assert "no texts" in idp("text", "list", "acme", *GERMAN).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "acme", "Sign in", "Los"),
        ("set", "acme", "Sign in", "", *GERMAN),
        ("set", "acme", "Sign in", "Los %(x)s", *GERMAN),
        ("set", "acme", "No such sentence", "Los", *GERMAN),
        ("set", "acme", "Sign in", "Los", "--language", "xx"),
        ("set", "acme", "Sign in", "Los", *GERMAN, "--form", "1"),
        ("set", "acme", "Sign in", "Los", *GERMAN, "--form", "-1"),
        ("set", "nobody", "Sign in", "Los", *GERMAN),
        ("reset", "acme", *GERMAN),
        ("reset", "acme", "Sign in", "--all", *GERMAN),
        ("reset", "acme", "--all", "--language", "xx"),
        ("list", "acme", "--language", "xx"),
    ],
)
def test_wrong_use(idp: Idp, arguments: tuple[str, ...]) -> None:
    """Interfaces §2: exit status 1 or 2 and one sentence."""
    done = idp("text", *arguments)
    assert done.status in (1, 2)
