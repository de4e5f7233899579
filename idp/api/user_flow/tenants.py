"""The operations on tenants, on :class:`idp.identity.tenants.Tenants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access import permissions
from idp.api import listing, preconditions
from idp.api.errors import InvalidFields, nothing_here, pointer
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow import tenant_examples as examples
from idp.api.user_flow.tenant_models import (
    NewTenant,
    Tenant,
    TenantDeletion,
    TenantList,
    TenantPatch,
    TenantQuery,
    shown_tenant,
)
from idp.errors import Invalid
from idp.identity.tenants import ADMINISTRATOR, FirstAdministrator
from idp.store.control import tenants
from idp.tenancy import domain_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Tenants"
_PATH = "/tenants"
_ONE = _PATH + "/{tenant_id}"


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_tenant(row))


def _require(call: Call) -> Callable[[Connection, Row[Any]], None]:
    return lambda _conn, row: preconditions.require_match(call.http, _etag(row))


def _one(call: Call) -> Reply:
    """Return the tenant in the path as it is now."""
    with call.surroundings.services.store.control.reading() as conn:
        row = tenants.find(conn, call.tenant.id)
    if row is None:
        raise nothing_here()
    return Reply(shown_tenant(row), etag=_etag(row))


def list_tenants(call: Call) -> Reply:
    """List tenants."""
    query: TenantQuery = call.query
    window = listing.window(query, query.sort)
    with call.surroundings.services.store.control.reading() as conn:
        rows, total = tenants.search(conn, name=query.name, slug=query.slug, state=query.state, **window)
    return Reply(listing.document(query, query.sort, rows, total, [shown_tenant(row) for row in rows], "id"))


def create_tenant(call: Call) -> Reply:
    """Make a tenant and invite its first administrator."""
    body: NewTenant = call.body
    # The invitation gives a role: nobody gives what they do not hold.
    call.caller.granter().require(permissions.BUILT_IN[ADMINISTRATOR])
    kept: list[Reply] = []
    domain = None
    if body.domain is not None:
        try:
            domain = domain_names.checked(call.surroundings.settings, body.domain)
        except Invalid as error:
            raise InvalidFields(errors={pointer("domain"): error.title}) from None

    def finish(conn: Connection, row: Row[Any]) -> None:
        kept[:] = [Reply(shown_tenant(row), etag=_etag(row), location=f"{call.base}/tenants/{row.slug}")]
        call.keep(conn, kept[0])

    try:
        made = call.surroundings.tenants.create(
            body.slug,
            body.name,
            domain,
            by=call.caller.by_in(""),
            administrator=FirstAdministrator(body.administrator.email, body.administrator.name),
            finish=finish,
        )
    except Invalid as error:
        raise InvalidFields(error.title, errors=_placed(error)) from None
    call.surroundings.services.spool.touch(made.id)
    return kept[0]


def _placed(error: Invalid) -> dict[str, str]:
    """Return what is wrong, where it stands in the body."""
    if error.errors:
        return {
            pointer("administrator", "email" if name == "username" else name): what
            for name, what in error.errors.items()
        }
    return {pointer("slug" if error.title.startswith("A slug") else "name"): error.title}


def get_tenant(call: Call) -> Reply:
    """Read a tenant."""
    return _one(call)


def patch_tenant(call: Call) -> Reply:
    """Change a tenant's name."""
    patch = call.body.model_dump(exclude_unset=True)
    if "name" in patch and patch["name"] is None:
        raise InvalidFields(errors={pointer("name"): "cannot be removed"})
    if not patch:
        found = _one(call)
        preconditions.require_match(call.http, str(found.etag))
        return found
    try:
        call.surroundings.tenants.change(call.tenant, patch, by=call.caller.by, require=_require(call))
    except Invalid as error:
        raise InvalidFields(errors={pointer("name"): error.title}) from None
    return _one(call)


def suspend_tenant(call: Call) -> Reply:
    """Stop serving a tenant."""
    call.surroundings.tenants.suspend(call.tenant, by=call.caller.by, require=_require(call))
    return _one(call)


def resume_tenant(call: Call) -> Reply:
    """Serve a suspended tenant again."""
    call.surroundings.tenants.resume(call.tenant, by=call.caller.by, require=_require(call))
    return _one(call)


def delete_tenant(call: Call) -> Reply:
    """Delete a tenant."""
    body: TenantDeletion = call.body
    if body.slug != call.tenant.slug:
        raise InvalidFields(errors={pointer("slug"): "is not the slug of the tenant in the address"})
    system = call.caller.home.tenant
    call.surroundings.tenants.delete(call.tenant, by=call.caller.by_in(system.id))
    return Reply()


OPERATIONS = (
    Operation(
        name="list_tenants",
        method="GET",
        path=_PATH,
        permission="tenants:read",
        summary="List tenants",
        description="Every tenant of the platform. For tokens of `system`.",
        tag=TAG,
        handle=list_tenants,
        query=TenantQuery,
        answer=TenantList,
        answer_example=examples.TENANTS,
    ),
    Operation(
        name="create_tenant",
        method="POST",
        path=_PATH,
        permission="tenants:create",
        summary="Make a tenant",
        description="With its database, its keys and its first administrator, who is invited by mail: there are all of them when this is "
        "answered, and none when it is refused. For tokens of `system`; the caller must hold what the role tenant-admin grants.",
        tag=TAG,
        handle=create_tenant,
        body=NewTenant,
        answer=Tenant,
        status=201,
        errors=("conflict", "more_than_held"),
        body_example=examples.NEW_TENANT,
        answer_example=examples.TENANT,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_tenant",
        method="GET",
        path=_ONE,
        permission="tenants:read",
        summary="Read a tenant",
        description="The tenant, without its settings.",
        tag=TAG,
        handle=get_tenant,
        answer=Tenant,
        answer_example=examples.TENANT,
        has_etag=True,
    ),
    Operation(
        name="patch_tenant",
        method="PATCH",
        path=_ONE,
        permission="tenants:write",
        summary="Change a tenant",
        description="Changes its name. Slug and issuer stay: everything that was issued names them.",
        tag=TAG,
        handle=patch_tenant,
        body=TenantPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Tenant,
        body_example=examples.TENANT_PATCH,
        answer_example=examples.TENANT,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_tenant",
        method="DELETE",
        path=_ONE,
        permission="tenants:delete",
        summary="Delete a tenant",
        description="Its users, applications, keys and audit log go with it, for good. The body repeats the slug, so that nobody deletes "
        "another tenant by a mistaken id. For tokens of `system`, which itself cannot be deleted.",
        tag=TAG,
        handle=delete_tenant,
        body=TenantDeletion,
        status=204,
        errors=("built_in_tenant",),
        body_example=examples.TENANT_DELETION,
    ),
    Operation(
        name="suspend_tenant",
        method="POST",
        path=_ONE + "/suspend",
        permission="tenants:suspend",
        summary="Suspend a tenant",
        description="Nothing of it is served any more, within a second, and none of its tokens is accepted; nothing is lost. For tokens of "
        "`system`, which itself cannot be suspended.",
        tag=TAG,
        handle=suspend_tenant,
        answer=Tenant,
        errors=("built_in_tenant",),
        answer_example=examples.TENANT,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="resume_tenant",
        method="POST",
        path=_ONE + "/resume",
        permission="tenants:suspend",
        summary="Serve a suspended tenant again",
        description="Its tokens that have not expired meanwhile are good again.",
        tag=TAG,
        handle=resume_tenant,
        answer=Tenant,
        answer_example=examples.TENANT,
        has_etag=True,
        takes_if_match=True,
    ),
)
