"""Lists: pages with a total, cursors for long ones, sorting by an allow-list, always in a stable order."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from idp.api.errors import InvalidFields
from idp.api.operations import Given, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_LIMIT, MOST = 10, 100
LAST_PAGE = 10_000  # behind it lists are read by cursor
_LONGEST_CURSOR = 1000


class PageQuery(Given):
    """The parameters that every list takes."""

    page: Annotated[
        int, Field(ge=1, le=LAST_PAGE, description="Which page, from 1. Long lists are better read by `after`.")
    ] = 1
    limit: Annotated[int, Field(ge=1, le=MOST, description="How many items a page has.")] = DEFAULT_LIMIT
    after: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=_LONGEST_CURSOR,
            description="The `next` of the answer before: the list goes on behind its last item, whatever was added or deleted "
            "meanwhile. With the same filters and `sort`; `page` has no meaning beside it.",
        ),
    ] = None


class Page(Shown):
    """One page of a list."""

    page: Annotated[int | None, Field(description="Which page this is; absent when it was read by `after`.")] = None
    limit: Annotated[int, Field(description="How many items a page has.")]
    total: Annotated[int, Field(description="How many items there are in all.")]
    total_pages: Annotated[int, Field(description="How many pages there are in all.")]
    next: Annotated[
        str | None, Field(description="What to send as `after` for the items behind these; absent on the last page.")
    ] = None


def window(query: PageQuery, sort: str) -> dict[str, Any]:
    """Return what a store's search takes: sort, direction, one item more than the page has, and where it begins."""
    key = sort.removeprefix("-")
    found: dict[str, Any] = {"sort": key, "is_descending": sort != key, "limit": query.limit + 1}
    if query.after is None:
        return found | {"offset": (query.page - 1) * query.limit}
    return found | {"after": opened(query.after, sort)}


def document(
    query: PageQuery, sort: str, rows: Sequence[Any], total: int, items: Sequence[Mapping[str, Any]], identity: str
) -> dict[str, Any]:
    """Return the page; `rows` and `items` have one more than it shows where there are further ones."""
    has_more = len(rows) > query.limit
    last = rows[query.limit - 1] if has_more else None
    return {
        "items": list(items[: query.limit]),
        "page": query.page if query.after is None else None,
        "limit": query.limit,
        "total": total,
        "total_pages": -(-total // query.limit),
        "next": cursor(sort, last.sort_key, getattr(last, identity)) if last is not None else None,
    }


class Few(NamedTuple):
    """One item of a list that is short enough to be held."""

    sort_key: str
    id: str
    item: Mapping[str, Any]


def of_few(query: PageQuery, sort: str, rows: Sequence[Few]) -> dict[str, Any]:
    """Return a page of a list that is held whole, in the order of keys and ids."""
    wanted = window(query, sort)
    found = sorted(rows, key=lambda row: (row.sort_key, row.id), reverse=wanted["is_descending"])
    if "after" in wanted:
        place = tuple(wanted["after"])
        found = [row for row in found if ((row[:2] < place) if wanted["is_descending"] else (row[:2] > place))]
    shown = found[wanted.get("offset", 0) :][: wanted["limit"]]
    return document(query, sort, shown, len(rows), [row.item for row in shown], "id")


def cursor(sort: str, key: Any, identity: str) -> str:
    """Return what leads to the items behind one with this sort key and id."""
    text = json.dumps([sort, key, identity], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def opened(text: str, sort: str) -> tuple[Any, str]:
    """Return sort key and id of a cursor; one that was not made for this order is refused."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        made_for, key, identity = json.loads(raw.decode())
    except (ValueError, TypeError, RecursionError, binascii.Error):
        made_for, key, identity = None, None, None
    is_time = sort.removeprefix("-").endswith("_at")
    is_whole = isinstance(key, int) and not isinstance(key, bool) and abs(key) < 2**62 if is_time else _is_text(key)
    if made_for != sort or not is_whole or not _is_text(identity):
        raise InvalidFields(errors={"?after": "must be the `next` of an answer with the same `sort`"})
    return key, identity


def _is_text(value: object) -> bool:
    # PostgreSQL stores neither NUL nor halves of surrogate pairs.
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
