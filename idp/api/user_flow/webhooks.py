"""The operations on webhooks, on :mod:`idp.webhooks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access.granting import MoreThanHeld
from idp.api import listing, preconditions
from idp.api.errors import InvalidFields, pointer
from idp.api.moments import read_moment
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import webhook_examples as examples
from idp.api.user_flow.webhook_models import (
    STATES,
    DeliveryQuery,
    NewWebhook,
    Webhook,
    WebhookDelivery,
    WebhookDeliveryList,
    WebhookDeliveryWithAttempts,
    WebhookEventTypes,
    WebhookList,
    WebhookPatch,
    WebhookQuery,
    WebhookReplay,
    WebhookReplayed,
    WebhookSecretRotation,
    WebhookWithSecret,
    shown_delivery,
    shown_event_type,
    shown_webhook,
    shown_with_attempts,
)
from idp.webhooks import event_types
from idp.webhooks.ledger import Ledger
from idp.webhooks.registry import Change, Webhooks

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Webhooks"
_PATH = "/tenants/{tenant_id}/webhooks"
_ONE = _PATH + "/{webhook_id}"
_DELIVERIES = _ONE + "/deliveries"
_DELIVERY = _DELIVERIES + "/{delivery_id}"


def _webhooks(call: Call) -> Webhooks:
    around = call.surroundings
    return Webhooks(call.tenant, call.server.database, around.settings, around.services.outbound, around.envelope)


def _ledger(call: Call) -> Ledger:
    return Ledger(call.tenant.id, call.server.database)


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_webhook(row))


def _require(call: Call) -> Any:
    return lambda _conn, row: preconditions.require_match(call.http, _etag(row))


def _location(call: Call, rest: str) -> str:
    return f"{call.base}/tenants/{call.path['tenant_id']}/webhooks/{rest}"


def list_event_types(_call: Call) -> Reply:
    """List event types."""
    return Reply({"items": [shown_event_type(each) for each in event_types.EVENT_TYPES]})


def list_webhooks(call: Call) -> Reply:
    """List webhooks."""
    query: WebhookQuery = call.query
    rows, total = _webhooks(call).search(**listing.window(query, query.sort))
    return Reply(listing.document(query, query.sort, rows, total, [shown_webhook(row) for row in rows], "id"))


def create_webhook(call: Call) -> Reply:
    """Make a webhook."""
    body: NewWebhook = call.body

    def finish(conn: Connection, row: Row[Any], secret: str) -> None:
        call.keep(conn, _made(call, row, secret))

    granter = call.caller.granter()
    row, secret = _webhooks(call).create(body.url, body.event_types, body.description, granter=granter, finish=finish)
    return _made(call, row, secret)


def _made(call: Call, row: Row[Any], secret: str) -> Reply:
    return Reply(shown_webhook(row) | {"secret": secret}, etag=_etag(row), location=_location(call, row.id))


def get_webhook(call: Call) -> Reply:
    """Read a webhook."""
    row = _webhooks(call).get(call.path["webhook_id"])
    return Reply(shown_webhook(row), etag=_etag(row))


def patch_webhook(call: Call) -> Reply:
    """Change a webhook."""
    patch = call.body.model_dump(exclude_unset=True)
    kept = {
        pointer(name): "cannot be removed" for name in ("url", "event_types", "enabled") if patch.get(name, "") is None
    }
    if kept:
        raise InvalidFields(errors=kept)
    if "description" in patch:
        patch["description"] = patch["description"] or ""
    row = _webhooks(call).change(
        call.path["webhook_id"], Change(**patch), granter=call.caller.granter(), require=_require(call)
    )
    return Reply(shown_webhook(row), etag=_etag(row))


def delete_webhook(call: Call) -> Reply:
    """Delete a webhook."""
    _webhooks(call).delete(call.path["webhook_id"], granter=call.caller.granter(), require=_require(call))
    return Reply()


def rotate_webhook_secret(call: Call) -> Reply:
    """Give a webhook another secret."""
    body: WebhookSecretRotation = call.body
    row, secret = _webhooks(call).rotate_secret(
        call.path["webhook_id"], body.overlap, granter=call.caller.granter(), require=_require(call)
    )
    return Reply(shown_webhook(row) | {"secret": secret}, etag=_etag(row))


def test_webhook(call: Call) -> Reply:
    """Send a test."""
    webhook_id = call.path["webhook_id"]

    def finish(conn: Connection, row: Row[Any]) -> None:
        call.keep(conn, made(row))

    def made(row: Row[Any]) -> Reply:
        return Reply(shown_delivery(row), location=_location(call, f"{webhook_id}/deliveries/{row.id}"))

    return made(_ledger(call).test(webhook_id, granter=call.caller.granter(), finish=finish))


def list_deliveries(call: Call) -> Reply:
    """List deliveries."""
    query: DeliveryQuery = call.query
    states = {shown: state for state, shown in STATES.items()}
    rows, total = _ledger(call).search(
        call.path["webhook_id"],
        state=states[query.status] if query.status is not None else None,
        event_type=query.event_type,
        since=read_moment(query.since, "?since") if query.since is not None else None,
        **listing.window(query, query.sort),
    )
    return Reply(listing.document(query, query.sort, rows, total, [shown_delivery(row) for row in rows], "id"))


def get_delivery(call: Call) -> Reply:
    """Read a delivery."""
    row, ledger = _ledger(call).get(call.path["webhook_id"], call.path["delivery_id"])
    may_read = _may_read(call, row.event_type)
    return Reply(shown_with_attempts(row, ledger, may_read=may_read))


def _may_read(call: Call, name: str) -> bool:
    """Say whether the caller may read what a message of an event type tells: webhooks are no way around permissions."""
    try:
        call.caller.granter().require(event_types.permissions_for([name]))
    except MoreThanHeld:
        return False
    return True


def replay_delivery(call: Call) -> Reply:
    """Send a delivery again."""
    row = _ledger(call).replay(call.path["webhook_id"], call.path["delivery_id"], granter=call.caller.granter())
    return Reply(shown_delivery(row))


def replay_failed(call: Call) -> Reply:
    """Send everything again that was given up."""
    body: WebhookReplay = call.body
    since = read_moment(body.since, "since")
    done, has_more = _ledger(call).replay_failed(call.path["webhook_id"], since, granter=call.caller.granter())
    return Reply({"replayed": done, "has_more": has_more})


OPERATIONS = (
    Operation(
        name="list_webhook_event_types",
        method="GET",
        path="/tenants/{tenant_id}/webhook-event-types",
        permission="webhooks:read",
        summary="List event types",
        description="What webhooks can be told, each with the schema and an example of its message.",
        tag=TAG,
        handle=list_event_types,
        answer=WebhookEventTypes,
        answer_example=examples.EVENT_TYPES,
    ),
    Operation(
        name="list_webhooks",
        method="GET",
        path=_PATH,
        permission="webhooks:read",
        summary="List webhooks",
        description="The webhooks of the tenant, without secrets.",
        tag=TAG,
        handle=list_webhooks,
        query=WebhookQuery,
        answer=WebhookList,
        answer_example=examples.WEBHOOKS,
    ),
    Operation(
        name="create_webhook",
        method="POST",
        path=_PATH,
        permission="webhooks:write",
        summary="Make a webhook",
        description="It is told of what happens from now on. The secret is in this answer alone. The caller must hold the permission of "
        "every event type that it is about.",
        tag=TAG,
        handle=create_webhook,
        body=NewWebhook,
        answer=WebhookWithSecret,
        status=201,
        errors=("conflict", "more_than_held"),
        body_example=examples.NEW_WEBHOOK,
        answer_example=examples.WITH_SECRET,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_webhook",
        method="GET",
        path=_ONE,
        permission="webhooks:read",
        summary="Read a webhook",
        description="The webhook, without its secret.",
        tag=TAG,
        handle=get_webhook,
        answer=Webhook,
        answer_example=examples.WEBHOOK,
        has_etag=True,
    ),
    Operation(
        name="patch_webhook",
        method="PATCH",
        path=_ONE,
        permission="webhooks:write",
        summary="Change a webhook",
        description="Whoever changes where it goes or what it is told, or enables it, must hold the permission of every event type that "
        "it is about then. What waits goes to the new address.",
        tag=TAG,
        handle=patch_webhook,
        body=WebhookPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Webhook,
        errors=("more_than_held",),
        body_example=examples.PATCH,
        answer_example=examples.WEBHOOK,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_webhook",
        method="DELETE",
        path=_ONE,
        permission="webhooks:write",
        summary="Delete a webhook",
        description="What waits for it is given up; its deliveries are purged.",
        tag=TAG,
        handle=delete_webhook,
        status=204,
        takes_if_match=True,
    ),
    Operation(
        name="rotate_webhook_secret",
        method="POST",
        path=_ONE + "/rotate-secret",
        permission="webhooks:write",
        summary="Rotate a webhook's secret",
        description="Makes a new secret, which is in this answer alone. Messages are signed by the former one too while the overlap lasts.",
        tag=TAG,
        handle=rotate_webhook_secret,
        body=WebhookSecretRotation,
        answer=WebhookWithSecret,
        errors=("more_than_held",),
        body_example=examples.ROTATION,
        answer_example=examples.WITH_SECRET,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="test_webhook",
        method="POST",
        path=_ONE + "/test",
        permission="webhooks:write",
        summary="Send a test",
        description="Sends a message of the type `webhook.test`, signed and retried as all are. Its delivery says how it went.",
        tag=TAG,
        handle=test_webhook,
        answer=WebhookDelivery,
        status=202,
        errors=("conflict",),
        answer_example=examples.DELIVERY,
        is_repeatable=True,
    ),
    Operation(
        name="replay_failed_deliveries",
        method="POST",
        path=_ONE + "/replay",
        permission="webhooks:write",
        summary="Send again what was given up",
        description="All deliveries that were made since a moment and given up, at most 1,000 by one call, with the ids that they had. The "
        "caller must hold the permission of the event types that they are of.",
        tag=TAG,
        handle=replay_failed,
        body=WebhookReplay,
        answer=WebhookReplayed,
        errors=("conflict", "more_than_held"),
        body_example=examples.REPLAY,
        answer_example=examples.REPLAYED,
    ),
    Operation(
        name="list_webhook_deliveries",
        method="GET",
        path=_DELIVERIES,
        permission="webhooks:read",
        summary="List deliveries",
        description="What the webhook was told or is to be told, the newest first, as long as the tenant's setting keeps it.",
        tag=TAG,
        handle=list_deliveries,
        query=DeliveryQuery,
        answer=WebhookDeliveryList,
        answer_example=examples.DELIVERIES,
    ),
    Operation(
        name="get_webhook_delivery",
        method="GET",
        path=_DELIVERY,
        permission="webhooks:read",
        summary="Read a delivery",
        description="A delivery with what is sent and how each attempt went. What it tells is shown to callers who may read it.",
        tag=TAG,
        handle=get_delivery,
        answer=WebhookDeliveryWithAttempts,
        answer_example=examples.WITH_ATTEMPTS,
    ),
    Operation(
        name="replay_webhook_delivery",
        method="POST",
        path=_DELIVERY + "/replay",
        permission="webhooks:write",
        summary="Send a delivery again",
        description="With the id that it had, so that a receiver knows it again; one that waits is tried now. The caller must hold the "
        "permission of its event type.",
        tag=TAG,
        handle=replay_delivery,
        answer=WebhookDelivery,
        status=202,
        errors=("conflict", "more_than_held"),
        answer_example=examples.DELIVERY,
    ),
)
