"""The operations on a tenant's domains, on :class:`idp.identity.domains.Domains`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.api import listing, preconditions
from idp.api.errors import InvalidFields, TooOften, pointer
from idp.api.operations import Operation, Reply
from idp.api.user_flow.domain_models import Domain, DomainList, DomainQuery, NewDomain, shown_domain
from idp.errors import Invalid
from idp.identity.domains import Domains
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.identity.domains import Domain as Found
    from idp.store.rows import Connection

TAG = "Domains"
_PATH = "/tenants/{tenant_id}/domains"
_ONE = _PATH + "/{domain}"
# Each look asks name servers that others choose, and may hold a thread for seconds. It guards the platform: no tenant switches it off.
RATE_OF_PROOF = Rule("domain-proof", 10, 60)

PENDING: dict[str, Any] = {
    "domain": "login.acme.example",
    "display_name": "login.acme.example",
    "state": "pending",
    "record": {
        "type": "TXT",
        "name": "_authsec-challenge.login.acme.example",
        "value": "authsec=mQb1J5nq0r7c3cQn1mKZ3v8m0W2yYtq9m3m4v5x6y7z",
    },
    "created_at": "2026-11-29T14:00:00Z",
    "expires_at": "2026-12-29T14:00:00Z",
}
PROVEN: dict[str, Any] = {
    "domain": "login.acme.example",
    "display_name": "login.acme.example",
    "state": "proven",
    "created_at": "2026-11-29T15:00:00Z",
}


def _domains(call: Call) -> Domains:
    around = call.surroundings
    return Domains(around.settings, around.services.store, around.services.feed, call.tenant, call.server.database)


def _one(found: Found) -> Reply:
    return Reply(shown_domain(found), etag=preconditions.etag_of(shown_domain(found)))


def list_domains(call: Call) -> Reply:
    """List domains."""
    query: DomainQuery = call.query
    rows = [
        listing.Few(each.host, each.host, shown_domain(each))
        for each in _domains(call).list_all()
        if query.state in (None, "proven" if each.is_proven else "pending")
    ]
    return Reply(listing.of_few(query, query.sort, rows))


def create_domain(call: Call) -> Reply:
    """Say that a domain is the tenant's."""
    body: NewDomain = call.body

    def made(found: Found) -> Reply:
        reply = _one(found)
        location = f"{call.base}/tenants/{call.path['tenant_id']}/domains/{found.host}"
        return Reply(reply.document, etag=reply.etag, location=location)

    def finish(conn: Connection, found: Found) -> None:
        call.keep(conn, made(found))

    try:
        return made(_domains(call).claim(body.domain, by=call.caller.by, finish=finish))
    except Invalid as error:
        raise InvalidFields(errors={pointer("domain"): error.title}) from None


def get_domain(call: Call) -> Reply:
    """Read a domain."""
    return _one(_domains(call).get(call.path["domain"]))


def verify_domain(call: Call) -> Reply:
    """Look for the record in the DNS."""
    around, domains = call.surroundings, _domains(call)
    domains.get(call.path["domain"])
    verdict = around.limiter.hit(call.tenant.id, RATE_OF_PROOF)
    if not verdict.allowed:
        raise TooOften(headers=verdict.headers, retry_after=verdict.reset_after)
    return _one(domains.prove(call.path["domain"], around.lookup, by=call.caller.by))


def delete_domain(call: Call) -> Reply:
    """Give a domain up."""

    def require(found: Found) -> None:
        preconditions.require_match(call.http, preconditions.etag_of(shown_domain(found)))

    _domains(call).remove(call.path["domain"], by=call.caller.by, require=require)
    return Reply()


OPERATIONS = (
    Operation(
        name="list_domains",
        method="GET",
        path=_PATH,
        permission="domains:read",
        summary="List domains",
        description="Those that are proven, and those that are not yet.",
        tag=TAG,
        handle=list_domains,
        query=DomainQuery,
        answer=DomainList,
        answer_example={"items": [PROVEN], "page": 1, "limit": 10, "total": 1, "total_pages": 1},
    ),
    Operation(
        name="create_domain",
        method="POST",
        path=_PATH,
        permission="domains:write",
        summary="Add a domain",
        description="The answer shows the TXT record that proves it. Until it is proven the domain is nobody's, and others may claim it "
        "too; after 30 days the claim is forgotten. Who adds a domain again that is not proven yet gets the same record.",
        tag=TAG,
        handle=create_domain,
        body=NewDomain,
        answer=Domain,
        status=201,
        errors=("conflict",),
        body_example={"domain": "login.acme.example"},
        answer_example=PENDING,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="get_domain",
        method="GET",
        path=_ONE,
        permission="domains:read",
        summary="Read a domain",
        description="Whether it is proven; otherwise the record to make, and what was found when the DNS was last asked.",
        tag=TAG,
        handle=get_domain,
        answer=Domain,
        answer_example=PENDING,
        has_etag=True,
    ),
    Operation(
        name="verify_domain",
        method="POST",
        path=_ONE + "/verify",
        permission="domains:write",
        summary="Prove a domain",
        description="Asks the DNS for the record. Where it is not there, 409 says what was found instead. The tenant's issuer stays what it "
        "is; the record may be deleted afterwards. At most ten times a minute.",
        tag=TAG,
        handle=verify_domain,
        answer=Domain,
        errors=("conflict", "domain_not_proven"),
        answer_example=PROVEN,
        has_etag=True,
    ),
    Operation(
        name="delete_domain",
        method="DELETE",
        path=_ONE,
        permission="domains:write",
        summary="Delete a domain",
        description="It is nobody's then. The one that the tenant is issued at stays.",
        tag=TAG,
        handle=delete_domain,
        status=204,
        errors=("conflict",),
        takes_if_match=True,
    ),
)
