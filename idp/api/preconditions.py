"""Entity tags and lost updates (RFC 9110 §8.8.3, §13): a tag is a digest of what is shown, compared inside the transaction.

If-Match is optional and honoured when it is sent. Must not know what is shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from idp.api.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.web.http import Request

_TAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


def etag_of(document: Mapping[str, Any]) -> str:
    """Return the strong tag of what is shown of a thing."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f'"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def require_match(http: Request, etag: str) -> None:
    """Raise :class:`PreconditionFailed` when If-Match was sent and names another state of the thing."""
    wanted = http.headers.get("if-match")
    # §13.1.1: compared strongly, so a weak tag never matches; * is any state.
    if wanted is not None and wanted.strip() != "*" and (False, etag) not in _tags(wanted):
        raise PreconditionFailed


def is_unchanged(http: Request, etag: str) -> bool:
    """Say whether If-None-Match names the present state: then 304 is the answer to a GET (§13.1.2, compared weakly)."""
    wanted = http.headers.get("if-none-match")
    return wanted is not None and (wanted.strip() == "*" or etag in {tag for _, tag in _tags(wanted)})


def _tags(field: str) -> set[tuple[bool, str]]:
    return {(weak == "W/", tag) for weak, tag in _TAG.findall(field)}
