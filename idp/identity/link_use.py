"""Using a one-time link: whose it is, whether it may still be used, and using it up in the transaction of what it is for.

A link works as long as the account's state allows it (:mod:`idp.identity.lifecycle`) and the account has the address that the
link was sent to. Must not know what a link is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.errors import IdpError
from idp.identity import lifecycle, links
from idp.language import N_
from idp.store.tenant import one_time_links, users

if TYPE_CHECKING:
    from idp.store.db import Database
    from idp.store.rows import Connection, Row


class Gone(IdpError):
    """The link was used, revoked or never made, or it is too old: nobody is told which."""

    code, status, title = "link_gone", 410, N_("This link does not work any more.")


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that works, and whose it is."""

    link: Row[Any]
    user: Row[Any]


def opened(database: Database, kind: str, token: str) -> Opened:
    """Return a link that works; raises :class:`Gone`. Uses nothing up."""
    link = links.find(database, kind, token)
    if link is None:
        raise Gone
    with database.reading() as conn:
        user = users.find(conn, link.user_id)
    return Opened(link, _judged(link, user))


def use(conn: Connection, link: Row[Any]) -> Row[Any]:
    """Use a link up and return its user, whose row is locked; raises :class:`Gone` for all callers but one."""
    # The user first, as everywhere: two transactions that lock in one order cannot deadlock.
    user = _judged(link, users.find_locked(conn, link.user_id))
    if not one_time_links.consume(conn, link.id):
        raise Gone
    return user


def _judged(link: Row[Any], user: Row[Any] | None) -> Row[Any]:
    if user is None or user.email != link.address or not lifecycle.allows_link(user.state, link.kind):
        raise Gone
    return user
