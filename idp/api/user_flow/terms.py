"""The operations on a tenant's terms, on :mod:`idp.identity.terms`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from idp.api import listing, preconditions
from idp.api.errors import InvalidFields, PreconditionFailed, nothing_here, pointer
from idp.api.listing import Page, PageQuery
from idp.api.moments import Moment, moment
from idp.api.operations import Given, Operation, Reply, Shown
from idp.errors import Invalid
from idp.identity import terms as people
from idp.store.tenant import terms as store

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Terms"
_PATH = "/tenants/{tenant_id}/terms"
_IN_FORCE = _PATH + "/in-force"
_URLS = "Where it can be read, by language (BCP 47); the one under the empty name is for all other languages."


class NewTerms(Given):
    """A version to be put into force."""

    version: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Its name, such as 2026-03.")
    ]
    urls: Annotated[
        dict[str, Annotated[str, Field(max_length=people.LONGEST_URL)]],
        Field(min_length=1, max_length=50, description=_URLS),
    ]


class Terms(Shown):
    """A version of the terms."""

    version: Annotated[str, Field(description="Its name.")]
    urls: Annotated[dict[str, str], Field(description=_URLS)]
    is_in_force: Annotated[bool, Field(description="Whether people are asked to accept it.")]
    begins_at: Annotated[Moment, Field(description="Since when it is, or was, in force.")]
    ends_at: Annotated[Moment | None, Field(description="When another took its place, or none.")] = None


class TermsList(Page):
    """One page of versions."""

    items: list[Terms]


class TermsQuery(PageQuery):
    """The parameters of the list of versions."""

    sort: Annotated[Literal["version", "-version"], Field(description="The order, `-` for descending.")] = "-version"


NEW: dict[str, Any] = {
    "version": "2026-03",
    "urls": {"": "https://acme.example/terms", "de": "https://acme.example/agb"},
}
TERMS: dict[str, Any] = {**NEW, "is_in_force": True, "begins_at": "2026-11-29T14:00:00Z"}


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {
        "version": row.version,
        "urls": dict(row.urls),
        "is_in_force": row.ends_at is None,
        "begins_at": moment(row.begins_at),
        "ends_at": moment(row.ends_at) if row.ends_at is not None else None,
    }


def _one(row: Row[Any]) -> Reply:
    return Reply(_shown(row), etag=preconditions.etag_of(_shown(row)))


def _changed(call: Call, work: Callable[[Connection], Any]) -> Any:
    """Change the terms, as they are; other workers learn of it."""

    def judged(conn: Connection) -> Any:
        row = store.in_force(conn)
        if row is not None:
            preconditions.require_match(call.http, preconditions.etag_of(_shown(row)))
        elif call.http.headers.get("if-match") is not None:
            raise PreconditionFailed
        return work(conn)

    with call.surroundings.services.feed.announced(call.tenant.id, "config"):
        return call.server.database.writing(judged)


def list_terms(call: Call) -> Reply:
    """List the versions."""
    query: TermsQuery = call.query
    with call.server.database.reading() as conn:
        rows = store.list_all(conn)
    few = [listing.Few(row.version, row.version, _shown(row)) for row in rows]
    return Reply(listing.of_few(query, query.sort, few))


def get_terms(call: Call) -> Reply:
    """Read the version in force."""
    with call.server.database.reading() as conn:
        row = store.in_force(conn)
    if row is None:
        raise nothing_here()
    return _one(row)


def put_terms(call: Call) -> Reply:
    """Put a version into force."""
    body: NewTerms = call.body
    try:
        _changed(call, lambda conn: people.put_in_force(conn, body.version, body.urls, call.caller.by))
    except Invalid as error:
        raise InvalidFields(errors={pointer("urls"): error.title}) from None
    return get_terms(call)


def delete_terms(call: Call) -> Reply:
    """Put no terms into force."""
    if not _changed(call, lambda conn: people.end(conn, call.caller.by)):
        raise nothing_here()
    return Reply()


OPERATIONS = (
    Operation(
        name="list_terms",
        method="GET",
        path=_PATH,
        permission="tenants:read",
        summary="List the versions of the terms",
        description="The one in force, and those before.",
        tag=TAG,
        handle=list_terms,
        query=TermsQuery,
        answer=TermsList,
        answer_example={"items": [TERMS], "page": 1, "limit": 10, "total": 1, "total_pages": 1},
    ),
    Operation(
        name="get_terms",
        method="GET",
        path=_IN_FORCE,
        permission="tenants:read",
        summary="Read the terms in force",
        description="404 where there are none.",
        tag=TAG,
        handle=get_terms,
        answer=Terms,
        answer_example=TERMS,
        has_etag=True,
    ),
    Operation(
        name="put_terms",
        method="PUT",
        path=_IN_FORCE,
        permission="tenants:write",
        summary="Put terms into force",
        description="Everybody who has not accepted this version is asked at the next sign-in. The version that is in force already is given "
        "other addresses, and nobody is asked again.",
        tag=TAG,
        handle=put_terms,
        body=NewTerms,
        answer=Terms,
        body_example=NEW,
        answer_example=TERMS,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_terms",
        method="DELETE",
        path=_IN_FORCE,
        permission="tenants:write",
        summary="Put no terms into force",
        description="Nobody is asked any more; who accepted what stays on record.",
        tag=TAG,
        handle=delete_terms,
        status=204,
        takes_if_match=True,
    ),
)
