"""What a service answered: a dictionary as its type says, which remembers its ETag and the request's id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def object_of(raw: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object of an answer or a line, None where it is none."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Answer(dict[str, Any]):
    """The document of an answer. Callers see it as the TypedDict of the operation."""

    __slots__ = ("etag", "request_id", "was_replayed")

    def __init__(
        self, document: Mapping[str, Any], etag: str | None, request_id: str | None, *, was_replayed: bool = False
    ) -> None:
        super().__init__(document)
        self.etag, self.request_id, self.was_replayed = etag, request_id, was_replayed


Etag = str | Mapping[str, Any] | None
"""An ETag, or the thing itself as it was read."""


def etag_of(thing: object) -> str | None:
    """Return the ETag of something that was read or changed, to be sent as `if_match`; None where it has none."""
    return thing.etag if isinstance(thing, Answer) else None


def request_id_of(thing: object) -> str | None:
    """Return the id under which the server knows the request that was answered with this."""
    return thing.request_id if isinstance(thing, Answer) else None


def was_replayed(thing: object) -> bool:
    """Say whether this answers an earlier request with the same Idempotency-Key, so that nothing was made now."""
    return isinstance(thing, Answer) and thing.was_replayed


def matched(value: Etag) -> str | None:
    """Return what goes into If-Match."""
    if value is None or isinstance(value, str):
        return value
    found = etag_of(value)
    if found is None:
        raise ValueError("if_match: this has no ETag; pass what get() or update() returned, or the ETag itself")
    return found
