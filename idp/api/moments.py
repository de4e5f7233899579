"""Moments as the services write and read them: RFC 3339, in UTC when they are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from idp.api.errors import InvalidFields, pointer

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
GivenMoment = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]


def moment(at: int) -> str:
    """Return a moment as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: str, *where: str) -> int:
    """Return a moment that a caller has written, in whole seconds; raises :class:`InvalidFields` at a member."""
    return _read(text, pointer(*where))


def read_parameter(text: str | None, name: str) -> int | None:
    """Return the moment of a query's parameter, None where there is none; raises :class:`InvalidFields`."""
    return None if text is None else _read(text, f"?{name}")


def _read(text: str, where: str) -> int:
    try:
        found = datetime.fromisoformat(text)
        at = int(found.timestamp()) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise InvalidFields(errors={where: "must be a moment such as 2026-12-31T23:00:00Z"})
    return at
