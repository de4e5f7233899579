"""The tenant's keys, on :class:`idp.jobs.key_changes.Keys`, as `idp keys` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.api.auth_manager import examples
from idp.api.auth_manager.key_models import KeyChanges, KeyList, KeyRotation, shown_changes, shown_keys
from idp.api.errors import InvalidFields, pointer
from idp.api.operations import Operation, Reply
from idp.jobs.key_changes import Keys

if TYPE_CHECKING:
    from idp.api.operations import Call

TAG = "Keys"
_PATH = "/tenants/{tenant_id}/keys"


def _keys(call: Call) -> Keys:
    around, services = call.surroundings, call.surroundings.services
    return Keys(call.tenant, call.server.database, services.store.control, around.envelope, services.feed)


def _who(call: Call) -> dict[str, Any]:
    by = call.caller.by
    return {"actor": by.actor, "source": by.source, "correlation_id": by.correlation_id}


def list_keys(call: Call) -> Reply:
    """List the keys."""
    return Reply({"items": shown_keys(_keys(call).list_all())})


def rotate_keys(call: Call) -> Reply:
    """Replace the keys that sign."""
    body: KeyRotation = call.body
    known = call.tenant.settings.key_algorithms
    unused = [alg for alg in body.algorithms or () if alg not in known]
    if unused:
        raise InvalidFields(
            errors={pointer("algorithms"): f"must be of those that the tenant uses: {', '.join(known)}"}
        )
    keys = _keys(call)
    done = keys.rotate(tuple(body.algorithms or ()), at_once=body.at_once, who=_who(call))
    return Reply(shown_changes(done, keys.list_all()))


def revoke_key(call: Call) -> Reply:
    """Withdraw a key."""
    keys = _keys(call)
    done = keys.revoke(call.path["kid"], who=_who(call))
    return Reply(shown_changes(done, keys.list_all()))


OPERATIONS = (
    Operation(
        name="list_keys",
        method="GET",
        path=_PATH,
        permission="keys:read",
        summary="List keys",
        description="Every key that the tenant has or had, with its public part, its state and its times.",
        tag=TAG,
        handle=list_keys,
        answer=KeyList,
        answer_example=examples.KEYS,
    ),
    Operation(
        name="rotate_keys",
        method="POST",
        path=_PATH + "/rotate",
        permission="keys:write",
        summary="Rotate keys",
        description="Replaces the keys that sign by those that come next. A next key that has been published long enough signs at once; "
        "else it signs when every copy of the key set can have it, six minutes after it was published, and its `begins_at` says when. "
        "What the former keys signed stays valid. Asked for again meanwhile, nothing changes.",
        tag=TAG,
        handle=rotate_keys,
        body=KeyRotation,
        answer=KeyChanges,
        body_example=examples.KEY_ROTATION,
        answer_example=examples.KEY_CHANGES,
    ),
    Operation(
        name="revoke_key",
        method="POST",
        path=_PATH + "/{kid}/revoke",
        permission="keys:write",
        summary="Revoke a key",
        description="For a key that is in wrong hands: it leaves the key set, what it signed is refused from now on (this request's own token "
        "perhaps), and another takes its place at once. A key that is revoked or gone already is left as it is.",
        tag=TAG,
        handle=revoke_key,
        answer=KeyChanges,
        answer_example=examples.KEY_CHANGES,
    ),
)
