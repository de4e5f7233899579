"""The accounts of one browser beside the current one: live sessions whose secrets lie in a second cookie, the last used first.

The current session stays in the session cookie. Whatever else the cookie holds (junk, secrets of another tenant, dead sessions,
one twice) counts for nothing and is dropped when the cookie is next written. Must not know steps, pages or protocols.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.store.tenant import sessions
from idp.web import cookies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from idp.flow.services import FlowServer
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant
    from idp.web.http import Request

MOST = 10  # accounts of a browser: the upper bound of the setting; of more secrets than that nobody looks at
_SEPARATOR = "."
_SECRET = re.compile(r"s_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Held:
    """A live session (columns of ``sessions.find_live``) with the secret that the browser keeps of it."""

    secret: str
    session: Row[Any]


def held(server: FlowServer, request: Request) -> list[Held]:
    """Return the live sessions beside the current one; a browser without the cookie costs no statement."""
    if not _secrets_of(server.tenant, request):
        return []
    with server.database.reading() as conn:
        return held_in(conn, server.tenant, request)


def held_in(conn: Connection, tenant: Tenant, request: Request) -> list[Held]:
    """Return the same within a transaction."""
    by_hash = {opaque.digest(secret): secret for secret in _secrets_of(tenant, request)}
    if not by_hash:
        return []
    return [Held(by_hash[row.cookie_hash], row) for row in sessions.list_live(conn, list(by_hash))]


def cookie(tenant: Tenant, request: Request, kept: Iterable[Held]) -> list[tuple[str, str]]:
    """Return the Set-Cookie fields after which the browser holds these sessions and no others; none where it does already."""
    name, wanted = _name(cookies.ACCOUNTS, tenant), _SEPARATOR.join(each.secret for each in kept)
    if wanted == request.cookies.get(name, ""):
        return []
    if not wanted:
        return [cookies.expire_cookie(name, secure=tenant.is_secure)]
    return [cookies.set_cookie(name, wanted, secure=tenant.is_secure)]


def _secrets_of(tenant: Tenant, request: Request) -> list[str]:
    current = request.cookies.get(_name(cookies.SESSION, tenant))
    given = request.cookies.get(_name(cookies.ACCOUNTS, tenant), "").split(_SEPARATOR, 2 * MOST)
    found = dict.fromkeys(each for each in given if _SECRET.fullmatch(each) and each != current)
    return list(found)[: MOST - 1]


def _name(kind: str, tenant: Tenant) -> str:
    return cookies.cookie_name(kind, tenant.slug, secure=tenant.is_secure)
