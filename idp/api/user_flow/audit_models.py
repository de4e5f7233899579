"""What the operations on the audit log take and show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api.listing import Page, PageQuery
from idp.api.moments import GivenMoment, Moment, moment, read_parameter
from idp.api.operations import Given, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.store.rows import Row


def _same(what: str) -> Any:
    return Field(min_length=1, max_length=255, pattern=r"^[!-~]+$", description=what)


class AuditFilters(Given):
    """Which events; filters hold together."""

    actor: Annotated[
        str | None,
        _same("Who did it: a user's id, `client:ID`, `operator`, `worker`; of the platform's people `system:ID`."),
    ] = None
    subject: Annotated[str | None, _same("Whom or what it was done to, mostly a user's id.")] = None
    kind: Annotated[
        str | None,
        Field(
            max_length=100,
            pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?$",
            description="What happened, such as `login.failed`; `login.*` are all that begin so.",
        ),
    ] = None
    since: Annotated[GivenMoment | None, Field(description="Only what happened then or later.")] = None
    until: Annotated[GivenMoment | None, Field(description="Only what happened before.")] = None
    outcome: Annotated[Literal["success", "failure"] | None, Field(description="How it ended.")] = None
    client_id: Annotated[str | None, _same("Only by or about this application.")] = None
    source: Annotated[str | None, _same("Only from this address.")] = None
    request_id: Annotated[str | None, _same("Only of this request, by the id that its answer named.")] = None

    def conditions(self) -> dict[str, Any]:
        """Return what the store's search takes; raises for a moment that is none."""
        return {
            "actor": self.actor,
            "subject": self.subject,
            "kind": self.kind,
            "since": read_parameter(self.since, "since"),
            "until": read_parameter(self.until, "until"),
            "outcome": self.outcome,
            "client_id": self.client_id,
            "source": self.source,
            "correlation_id": self.request_id,
        }


class AuditQuery(AuditFilters, PageQuery):
    """The parameters of the list of events."""


class AuditEvent(Shown):
    """Something that happened."""

    id: Annotated[str, Field(description="The event's id.")]
    at: Annotated[Moment, Field(description="When it happened.")]
    kind: Annotated[str, Field(description="What happened, such as `login.failed`.")]
    outcome: Annotated[str, Field(description="`success` or `failure`.")]
    reason: Annotated[
        str | None,
        Field(description="Why it failed, or was done, where that was recorded; of a refused request for a week."),
    ] = None
    actor: Annotated[str | None, Field(description="Who did it; absent where nobody is known.")] = None
    subject: Annotated[str | None, Field(description="Whom or what it was done to.")] = None
    client_id: Annotated[str | None, Field(description="The application.")] = None
    session_id: Annotated[str | None, Field(description="The browser session.")] = None
    grant_id: Annotated[str | None, Field(description="The grant that tokens belong to.")] = None
    source: Annotated[str | None, Field(description="The address that it came from.")] = None
    request_id: Annotated[str | None, Field(description="The request's id, as answers and `idp explain` have it.")] = (
        None
    )
    details: Annotated[dict[str, Any] | None, Field(description="What else is known, by kind of event.")] = None
    chain_number: Annotated[
        int | None, Field(description="Its place in the chain of events; absent until it is sealed, in a minute or so.")
    ] = None
    chain_hash: Annotated[str | None, Field(description="The hash over it and the event before.")] = None


class AuditEventList(Page):
    """One page of events."""

    total: Annotated[int, Field(description="How many there are; not counted further than to 10,000.")]
    total_pages: Annotated[int, Field(description="How many pages that makes.")]
    items: list[AuditEvent]


def shown_event(row: Row[Any], reasons: Mapping[str, str]) -> dict[str, Any]:
    """Return an event as answers show it; ``reasons`` are those of refused requests by their ids."""
    details = _details(row.details_text)
    reason = details.get("reason") if details is not None else None
    if not isinstance(reason, str):
        reason = reasons.get(row.correlation_id) if row.outcome == "failure" else None
    same = ("id", "kind", "outcome", "actor", "subject", "client_id", "session_id", "grant_id", "source", "chain_hash")
    return {name: getattr(row, name) for name in same} | {
        "at": moment(row.at),
        "reason": reason,
        "request_id": row.correlation_id,
        "details": details,
        "chain_number": row.chain_seq,
    }


def _details(text: str | None) -> dict[str, Any] | None:
    """Return what is stored; somebody who tampers may have stored anything, and the rest is shown all the same."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return {"unreadable": text}
    return found if found is None or isinstance(found, dict) else {"unreadable": found}
