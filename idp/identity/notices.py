"""Notices: the mail that tells a person that something about the account's security has changed (ASVS 5.0 §6.3.7).

Written in the transaction of the change, to the address that was the account's before it. Whoever calls it wraps the
transaction in :func:`idp.jobs.outbox.announced`. Must not know what the mail says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.audit import clean
from idp.clock import now
from idp.identity import lifecycle
from idp.language import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.notify.mailer import Mailer
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

    Tell = Callable[[Connection, Row[Any]], None]  # tells whose row it is what is done to the account

ACCOUNT_PATH = "/account"
_LONGEST_AGENT = 256  # characters


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change came from, as the person is told: the proven address and what the browser calls itself."""

    source: str | None
    user_agent: str | None

    @property
    def agent(self) -> str:
        """What the browser calls itself, as it may be kept; a mail names only browsers that it knows."""
        return clean(self.user_agent, _LONGEST_AGENT) or ""


def tell(
    conn: Connection,
    mailer: Mailer,
    tenant: Tenant,
    what: str,
    to: str | None,
    origin: Origin,
    language: str | None = None,
) -> None:
    """Put a notice into the outbox; an account without an address is told nothing.

    ``what`` is one of :data:`idp.notify.words.NOTICES`;
    ``language`` is that of the account, else the page's is meant.
    """
    if to is None:
        return
    mailer.enqueue(
        conn,
        tenant,
        "notice",
        to,
        language=language or current().tag,
        what=what,
        at=now(),
        source=origin.source,
        user_agent=origin.agent,
        link=f"{tenant.issuer}{ACCOUNT_PATH}",
    )


def tell_owner(conn: Connection, mailer: Mailer, tenant: Tenant, what: str, user: Row[Any]) -> None:
    """Put a notice of what an operator did into the outbox, where the account's state is told anything."""
    if lifecycle.of(user.state).notices:
        _tell_owner(conn, mailer, tenant, what, user)


def by_operator(mailer: Mailer, tenant: Tenant, what: str) -> Tell:
    """Return what tells a person that an operator moves the account from one state to another.

    Everybody is told who has an account, a disabled one too; who is only invited has none.
    """

    def tell_(conn: Connection, user: Row[Any]) -> None:
        if user.state != "invited":
            _tell_owner(conn, mailer, tenant, what, user)

    return tell_


def _tell_owner(conn: Connection, mailer: Mailer, tenant: Tenant, what: str, user: Row[Any]) -> None:
    # There is no page whose language it could have: it is that of the account, else the tenant's.
    language = (user.claims or {}).get("locale") or tenant.settings.default_language
    tell(conn, mailer, tenant, what, user.email, Origin(None, None), language)
