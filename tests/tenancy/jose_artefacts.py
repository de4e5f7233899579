"""Artefacts of what clients sign: a request object made for one tenant, by a client that has the same id and key at both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from request_objects import ask, signed_object

if TYPE_CHECKING:
    from artefacts import Side


def request_object(a: Side, _b: Side) -> str:
    return signed_object(a.signed, a.key)


def request_object_refused(b: Side, text: str) -> None:
    answer = ask(b.browser(), b.signed, request=text)
    assert (answer.status, answer.params.get("error")) == (303, "invalid_request_object")


def request_object_works(a: Side, text: str) -> None:
    answer = ask(a.browser(), a.signed, request=text)
    assert answer.status == 303
    assert "/login?" in answer.location
