"""The operations on clients, on :class:`idp.oauth.clients.ClientRegistry`.

A change of a client that holds roles is a way to what those roles allow: only who holds as much may make it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.api import listing, preconditions
from idp.api.client_management import examples
from idp.api.client_management.models import (
    Client,
    ClientList,
    ClientPatch,
    ClientQuery,
    ClientReplacement,
    ClientWithSecret,
    NewClient,
    shown_client,
)
from idp.api.errors import InvalidFields, OwnClient
from idp.api.merge_patch import merged
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.reading import validated
from idp.oauth.clients import ClientRegistry, Wanted

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.oauth.clients import Registered, Require
    from idp.store.rows import Connection, Row

TAG = "Clients"
_PATH = "/tenants/{tenant_id}/clients"
_ONE = _PATH + "/{client_id}"
_RESOURCE = "client:{client_id}"
_METADATA = ("invalid_client_metadata", "invalid_redirect_uri")
# What of a client is not metadata, but may be changed beside it.
_BESIDE = ("client_profile", "tags", "first_party")


def _registry(call: Call) -> ClientRegistry:
    services = call.server.services
    return ClientRegistry(call.tenant, call.server.database, services.feed, services.outbound)


def _etag(registered: Registered) -> str:
    # A new secret is a new state, although nobody is shown it.
    return preconditions.etag_of(shown_client(registered) | {"": registered.row.secret_hash})


def _one(registered: Registered) -> Reply:
    return Reply(shown_client(registered), etag=_etag(registered))


def _require(call: Call, *, spares_own: bool = False) -> Require:
    """Return what is judged inside the transaction: If-Match, and whether the caller holds what the client holds."""
    from idp.oauth.clients import Registered

    granter, client_id = call.caller.granter(), call.path["client_id"]
    is_own = call.caller.home.tenant.id == call.tenant.id and call.caller.client_id == client_id

    def require(conn: Connection, row: Row[Any]) -> None:
        preconditions.require_match(call.http, _etag(Registered(row)))
        granter.require_over(conn, "client", client_id)
        if spares_own and is_own:
            raise OwnClient

    return require


# -- the operations ---------------------------------------------------------------------------------------------------


def list_clients(call: Call) -> Reply:
    """List clients by pages or cursor, with filters."""
    query: ClientQuery = call.query
    state = query.status
    if query.active is not None:
        state = "active" if query.active else "disabled"
        if query.status not in (None, state):
            raise InvalidFields(errors={"?active": "contradicts status"})
    found, total = _registry(call).search(
        **listing.window(query, query.sort),
        state=state,
        name=query.name,
        profile=query.client_profile,
        tags=tuple(dict.fromkeys(query.tags.split(","))) if query.tags is not None else (),
    )
    items = [shown_client(each) for each in found]
    return Reply(listing.document(query, query.sort, [each.row for each in found], total, items, "client_id"))


def create_client(call: Call) -> Reply:
    """Register a client; its secret is in this answer alone."""
    body: NewClient = call.body
    given = body.model_dump(exclude_none=True)
    tags = given.pop("tags", ())
    kept: list[Reply] = []

    def finish(conn: Connection, registered: Registered) -> None:
        document = shown_client(registered) | {"client_secret": registered.secret}
        location = f"{call.base}/tenants/{call.path['tenant_id']}/clients/{registered.row.client_id}"
        kept[:] = [Reply(document, etag=_etag(registered), location=location)]
        call.keep(conn, kept[0])

    _registry(call).create(given, by=call.caller.by, tags=tags, finish=finish)
    return kept[0]


def get_client(call: Call) -> Reply:
    """Read a client."""
    return _one(_registry(call).get(call.path["client_id"]))


def replace_client(call: Call) -> Reply:
    """Replace what may be changed of a client."""
    wanted = _wanted(call, call.body)
    return _edited(call, lambda _row: wanted)


def patch_client(call: Call) -> Reply:
    """Merge a patch into what may be changed of a client, as it is when the change is made."""
    patch = call.body.model_dump(exclude_unset=True)

    def change(row: Row[Any]) -> Wanted:
        present = row.metadata | {
            "client_profile": row.client_profile,
            "tags": row.tags.split(),
            "first_party": row.first_party,
        }
        return _wanted(call, validated(ClientReplacement, merged(present, patch)))

    return _edited(call, change)


def _edited(call: Call, change: Any) -> Reply:
    return _one(_registry(call).edit(call.path["client_id"], change, by=call.caller.by, require=_require(call)))


def _wanted(call: Call, body: ClientReplacement) -> Wanted:
    metadata = body.model_dump(exclude_none=True)
    beside = {name: metadata.pop(name, None) for name in _BESIDE}
    profile = beside["client_profile"] or call.tenant.settings.default_client_profile
    return Wanted(metadata, profile, beside["tags"] or (), bool(beside["first_party"]))


def activate_client(call: Call) -> Reply:
    """Serve a disabled client again."""
    registry, client_id = _registry(call), call.path["client_id"]
    registry.enable(client_id, by=call.caller.by, require=_require(call))
    return _one(registry.get(client_id))


def deactivate_client(call: Call) -> Reply:
    """Refuse a client everywhere, and end its grants."""
    registry, client_id = _registry(call), call.path["client_id"]
    registry.disable(client_id, by=call.caller.by, require=_require(call, spares_own=True))
    return _one(registry.get(client_id))


def rotate_client_secret(call: Call) -> Reply:
    """Give a client a new secret; the former one is worthless at once."""
    made = _registry(call).rotate_secret(call.path["client_id"], by=call.caller.by, require=_require(call))
    return Reply(shown_client(made) | {"client_secret": made.secret}, etag=_etag(made))


def delete_client(call: Call) -> Reply:
    """Delete a client."""
    _registry(call).delete(call.path["client_id"], by=call.caller.by, require=_require(call, spares_own=True))
    return Reply()


OPERATIONS = (
    Operation(
        name="list_clients",
        method="GET",
        path=_PATH,
        permission="clients:read",
        summary="List clients",
        description="The clients of the tenant, those that registered themselves included. Filters hold together: a client is listed "
        "that all of them let through.",
        tag=TAG,
        handle=list_clients,
        query=ClientQuery,
        answer=ClientList,
        answer_example=examples.LIST,
    ),
    Operation(
        name="create_client",
        method="POST",
        path=_PATH,
        permission="clients:write",
        summary="Register a client",
        description="Registers a client from its metadata. A client that authenticates with a secret gets one of 256 random bits; it "
        "is in this answer alone, for only its digest is kept.",
        tag=TAG,
        handle=create_client,
        body=NewClient,
        answer=ClientWithSecret,
        status=201,
        errors=(*_METADATA, "conflict"),
        body_example=examples.NEW,
        answer_example=examples.CREATED,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_client",
        method="GET",
        path=_ONE,
        permission="clients:read",
        summary="Read a client",
        description="The client with the defaults of what was left out. Its secret is not shown.",
        tag=TAG,
        handle=get_client,
        answer=Client,
        answer_example=examples.CLIENT,
        has_etag=True,
        resource=_RESOURCE,
    ),
    Operation(
        name="replace_client",
        method="PUT",
        path=_ONE,
        permission="clients:write",
        summary="Replace a client",
        description="Replaces everything that may be changed: what is left out is removed, or becomes its default. Id, status and "
        "secret stay. A client that comes to authenticate with a secret gets none that anybody knows: rotate it afterwards. One that "
        "no longer does loses its secret. A client that moves to another sector of pairwise subjects loses its grants.",
        tag=TAG,
        handle=replace_client,
        body=ClientReplacement,
        answer=Client,
        errors=(*_METADATA, "more_than_held"),
        body_example=examples.REPLACEMENT,
        answer_example=examples.CLIENT,
        has_etag=True,
        takes_if_match=True,
        resource=_RESOURCE,
    ),
    Operation(
        name="patch_client",
        method="PATCH",
        path=_ONE,
        permission="clients:write",
        summary="Change a client",
        description="A JSON merge patch (RFC 7396) on everything that may be changed: what is left out stays, null removes a member or "
        "brings its default back, lists are replaced. It is applied to the client as it is at that moment; two patches of different "
        "members at once both hold.",
        tag=TAG,
        handle=patch_client,
        body=ClientPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Client,
        errors=(*_METADATA, "more_than_held"),
        body_example=examples.PATCH,
        answer_example=examples.CLIENT,
        has_etag=True,
        takes_if_match=True,
        resource=_RESOURCE,
    ),
    Operation(
        name="activate_client",
        method="POST",
        path=_ONE + "/activate",
        permission="clients:write",
        summary="Activate a client",
        description="Serves a disabled client again. The grants that its deactivation ended stay ended.",
        tag=TAG,
        handle=activate_client,
        answer=Client,
        errors=("more_than_held",),
        answer_example=examples.CLIENT,
        has_etag=True,
        takes_if_match=True,
        resource=_RESOURCE,
    ),
    Operation(
        name="deactivate_client",
        method="POST",
        path=_ONE + "/deactivate",
        permission="clients:write",
        summary="Deactivate a client",
        description="Refuses the client everywhere from now on and ends all its grants, so that its tokens are worthless at once. Other "
        "workers know within a second.",
        tag=TAG,
        handle=deactivate_client,
        answer=Client,
        errors=("own_client", "more_than_held"),
        answer_example=examples.DISABLED,
        has_etag=True,
        takes_if_match=True,
        resource=_RESOURCE,
    ),
    Operation(
        name="rotate_client_secret",
        method="POST",
        path=_ONE + "/rotate-secret",
        permission="clients:write",
        summary="Rotate a client's secret",
        description="Makes a new secret, which is in this answer alone. The former one is worthless at once; what the client was "
        "granted stays.",
        tag=TAG,
        handle=rotate_client_secret,
        answer=ClientWithSecret,
        errors=("client_without_secret", "more_than_held"),
        answer_example=examples.CREATED,
        has_etag=True,
        takes_if_match=True,
        resource=_RESOURCE,
    ),
    Operation(
        name="delete_client",
        method="DELETE",
        path=_ONE,
        permission="clients:write",
        summary="Delete a client",
        description="Deletes the client with the consents given to it and the roles it holds, and ends its grants. The built-in client "
        "`authsec-sdk` would only come back: `conflict`; deactivate it instead.",
        tag=TAG,
        handle=delete_client,
        status=204,
        errors=("own_client", "more_than_held", "conflict"),
        takes_if_match=True,
        resource=_RESOURCE,
    ),
)
