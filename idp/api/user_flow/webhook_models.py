"""What the operations on webhooks take and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api.listing import Page, PageQuery
from idp.api.moments import GivenMoment, Moment, moment
from idp.api.operations import Given, Shown
from idp.webhooks.registry import LONGEST_DESCRIPTION, LONGEST_OVERLAP, LONGEST_URL, MOST_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.store.rows import Row
    from idp.webhooks.event_types import EventType

_URL = "Where events are POSTed to: https. What is in its query is shown to whoever may see webhooks."
_TYPES = "What it is told: names of event types, `family.*`, or `*` for everything."
_WHAT_FOR = "What it is for; people read it."
_ORDER = "The order, `-` for descending."
Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, description=_URL)]
Pattern = Annotated[str, Field(max_length=100, pattern=r"^(\*|[a-z_]{1,40}\.(\*|[a-z_]{1,50}))$")]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=MOST_TYPES, description=_TYPES)]
Description = Annotated[str, Field(max_length=LONGEST_DESCRIPTION, description=_WHAT_FOR)]
# How the states of messages are called here.
STATES = {"waiting": "pending", "delivered": "delivered", "dead": "failed", "discarded": "discarded"}


class NewWebhook(Given):
    """A webhook to be."""

    url: Url
    event_types: Patterns
    description: Description = ""


class WebhookPatch(Given):
    """A JSON merge patch (RFC 7396): what is left out stays; only a description can be removed."""

    url: Annotated[Url | None, Field(description=_URL)] = None
    event_types: Annotated[Patterns | None, Field(description=_TYPES)] = None
    description: Annotated[Description | None, Field(description=_WHAT_FOR)] = None
    enabled: Annotated[
        bool | None,
        Field(
            description="Whether it is told. Disabling gives up what waits; enabling begins with what happens from then on, and what "
            "was given up can be replayed."
        ),
    ] = None


class Webhook(Shown):
    """A webhook."""

    id: Annotated[str, Field(description="Its id.")]
    url: Annotated[str, Field(description="Where events are POSTed to.")]
    event_types: Annotated[list[str], Field(description="What it is told.")]
    description: Annotated[str, Field(description="What it is for.")]
    enabled: Annotated[bool, Field(description="Whether it is told.")]
    disabled_reason: Annotated[
        str | None,
        Field(
            description="Why it is disabled: `by_administrator`, `gone` (it answered 410) or `failing` (it has failed for days)."
        ),
    ] = None
    failing_since: Annotated[
        Moment | None, Field(description="Since when every attempt has failed; absent when the last one did not.")
    ] = None
    created_by: Annotated[str, Field(description="Who made it.")]
    created_at: Annotated[Moment, Field(description="When it was made.")]
    updated_at: Annotated[Moment, Field(description="When it was last changed.")]


class WebhookWithSecret(Webhook):
    """A webhook with its secret, which is shown this once."""

    secret: Annotated[str, Field(description="What its messages are signed with: `whsec_` and base64.")]


class WebhookList(Page):
    """One page of webhooks."""

    items: list[Webhook]


class WebhookQuery(PageQuery):
    """The parameters of the list of webhooks."""

    sort: Annotated[Literal["created_at", "-created_at", "url", "-url"], Field(description=_ORDER)] = "created_at"


class WebhookSecretRotation(Given):
    """How a secret is replaced."""

    overlap: Annotated[
        int,
        Field(
            ge=0,
            le=LONGEST_OVERLAP,
            description="Seconds for which messages are signed by the former secret too; 0 where it has become known.",
        ),
    ] = 86400


def shown_webhook(row: Row[Any]) -> dict[str, Any]:
    """Return a webhook as answers show it."""
    found = {name: getattr(row, name) for name in ("id", "url", "description", "disabled_reason", "created_by")}
    return {
        **found,
        "event_types": list(row.event_types),
        "enabled": row.state == "enabled",
        "failing_since": moment(row.failing_since) if row.failing_since is not None else None,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


# -- deliveries -------------------------------------------------------------------------------------------------------

State = Literal["pending", "delivered", "failed", "discarded"]


class WebhookDelivery(Shown):
    """One message to a webhook."""

    id: Annotated[str, Field(description="Its id, the `webhook-id` that the receiver sees at every attempt.")]
    event_type: Annotated[str, Field(description="What it tells.")]
    event_id: Annotated[str, Field(description="The event's id in the audit trail; of a test its own.")]
    sequence: Annotated[int | None, Field(description="The event's number in the audit chain; absent for a test.")] = (
        None
    )
    status: Annotated[
        str,
        Field(
            description="`pending`, `delivered`, `failed` (given up after the last attempt) or `discarded` (given up when the webhook "
            "was disabled)."
        ),
    ]
    attempts: Annotated[int, Field(description="How often it was tried.")]
    last_status: Annotated[int | None, Field(description="The HTTP status of the last answer.")] = None
    last_error: Annotated[str | None, Field(description="What was wrong with the last attempt.")] = None
    next_attempt_at: Annotated[Moment | None, Field(description="When it is tried next, while it is pending.")] = None
    created_at: Annotated[Moment, Field(description="When it was made.")]
    finished_at: Annotated[Moment | None, Field(description="When it was delivered or given up.")] = None


class WebhookDeliveryList(Page):
    """One page of deliveries."""

    items: list[WebhookDelivery]


class DeliveryQuery(PageQuery):
    """The parameters of the list of deliveries."""

    status: Annotated[State | None, Field(description="Only those of a status.")] = None
    event_type: Annotated[
        str | None, Field(max_length=100, pattern=r"^[a-z_]+\.[a-z_]+$", description="Only those of an event type.")
    ] = None
    since: Annotated[GivenMoment | None, Field(description="Only those made since then (RFC 3339).")] = None
    sort: Annotated[Literal["created_at", "-created_at"], Field(description=_ORDER)] = "-created_at"


class WebhookAttempt(Shown):
    """One attempt to deliver."""

    number: Annotated[int, Field(description="Which attempt it was, from 1.")]
    begun_at: Annotated[Moment, Field(description="When it began.")]
    outcome: Annotated[
        str | None, Field(description="What became of it, in words; absent while it is under way, or its worker died.")
    ] = None
    status: Annotated[int | None, Field(description="The HTTP status of the answer.")] = None
    milliseconds: Annotated[int | None, Field(description="How long it took.")] = None
    url: Annotated[str | None, Field(description="Where it went.")] = None
    excerpt: Annotated[
        str | None,
        Field(description="How the answer begins. Only for callers who may read what the message tells."),
    ] = None


class WebhookDeliveryWithAttempts(WebhookDelivery):
    """One message to a webhook, with what was sent and how each attempt went."""

    body: Annotated[
        str | None,
        Field(
            description="What is sent, byte for byte as it is signed. Only for callers who may read what it tells, for instance "
            "`users:read` for `user.*`."
        ),
    ] = None
    ledger: Annotated[list[WebhookAttempt], Field(description="The attempts, the first one first.")]


class WebhookReplay(Given):
    """What is to be sent again."""

    since: Annotated[GivenMoment, Field(description="All that were made since then and given up (RFC 3339).")]


class WebhookReplayed(Shown):
    """What came of it."""

    replayed: Annotated[int, Field(description="How many will be sent again, the oldest first.")]
    has_more: Annotated[bool, Field(description="Whether there are further ones: call it again.")]


def shown_delivery(row: Row[Any]) -> dict[str, Any]:
    """Return a delivery as answers show it."""
    waits = row.state == "waiting"
    return {
        "id": row.id,
        "event_type": row.event_type,
        "event_id": row.event_id,
        "sequence": row.sequence,
        "status": STATES[row.state],
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error,
        "next_attempt_at": moment(row.next_attempt_at) if waits else None,
        "created_at": moment(row.created_at),
        "finished_at": moment(row.finished_at) if row.finished_at is not None else None,
    }


def shown_with_attempts(row: Row[Any], ledger: Sequence[Row[Any]], *, may_read: bool) -> dict[str, Any]:
    """Return a delivery with its attempts; what it tells only for who may read it."""
    attempts = [
        {
            "number": each.number,
            "begun_at": moment(each.begun_at),
            "outcome": each.outcome,
            "status": each.status,
            "milliseconds": each.milliseconds,
            "url": each.address,
            "excerpt": each.excerpt if may_read else None,
        }
        for each in ledger
    ]
    return {**shown_delivery(row), "body": row.body if may_read else None, "ledger": attempts}


# -- event types ------------------------------------------------------------------------------------------------------


class WebhookEventType(Shown):
    """One event type."""

    name: Annotated[str, Field(description="Its name, the `type` of messages.")]
    description: Annotated[str, Field(description="What happened.")]
    permission: Annotated[str, Field(description="What who makes a webhook must hold for it; empty: nothing further.")]
    message_schema: Annotated[
        dict[str, Any], Field(description="The JSON Schema of a message; further members may come.")
    ]
    example: Annotated[dict[str, Any], Field(description="A message as it may be.")]


class WebhookEventTypes(Shown):
    """All event types."""

    items: list[WebhookEventType]


def shown_event_type(found: EventType) -> dict[str, Any]:
    """Return an event type as answers show it."""
    return {
        "name": found.name,
        "description": found.about,
        "permission": found.permission,
        "message_schema": found.schema,
        "example": found.example,
    }
