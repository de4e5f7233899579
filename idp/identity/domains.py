"""A tenant's domains: said to be its own, proven by a record that only the owner can make in the DNS, and given up.

A claim gives nothing and keeps nobody from anything: any number of tenants may claim a name, and the one that proves it has it. A
proven name lies under a key of the control database, so that it is one tenant's whatever happens at once. Must not know protocols.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit
from idp.clock import now
from idp.errors import Conflict, NotFound
from idp.language import N_
from idp.store.control import domain_claims, domains, tenants
from idp.tenancy import domain_names
from idp.tenancy.provisioning import HALF

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.identity.accounts import By
    from idp.identity.domain_lookup import Lookup
    from idp.settings import Settings
    from idp.store.db import Database, Store
    from idp.store.rows import Connection, Row
    from idp.tenancy.feed import ChangeFeed
    from idp.tenancy.tenant import Tenant

MOST = 50  # of one tenant, claims among them
CLAIM_LIFETIME = 30 * 86400  # seconds


class NotProven(Conflict):
    """The DNS does not have the challenge; the sentence says what it has."""

    code = "domain_not_proven"


class Taken(Conflict):
    """The domain is proven for another tenant."""

    title = N_("This domain belongs to another tenant.")


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of a tenant's, proven or claimed."""

    host: str
    created_at: int
    claim: Row[Any] | None  # None: it is proven

    @property
    def is_proven(self) -> bool:
        """Whether it is the tenant's."""
        return self.claim is None


class Domains:
    """The operations on one tenant's domains."""

    def __init__(self, settings: Settings, store: Store, feed: ChangeFeed, tenant: Tenant, database: Database) -> None:
        """Take the tenant, and the database that its log is in."""
        self._settings, self._control, self._feed = settings, store.control, feed
        self._tenant, self._database = tenant, database

    def list_all(self) -> list[Domain]:
        """Return every domain, proven and claimed, by name."""
        with self._control.reading() as conn:
            proven = {
                row.host: Domain(row.host, row.created_at, None) for row in domains.list_of(conn, self._tenant.id)
            }
            claims = domain_claims.list_of(conn, self._tenant.id)
        claimed = {row.host: Domain(row.host, row.created_at, row) for row in claims}
        return [each for _, each in sorted((claimed | proven).items())]

    def get(self, host: str) -> Domain:
        """Return a domain; raises :class:`NotFound`."""
        with self._control.reading() as conn:
            return self._found(conn, host)

    def claim(self, text: str, *, by: By, finish: Callable[[Connection, Domain], None] | None = None) -> Domain:
        """Say that a domain is the tenant's, and get the challenge that proves it; whoever says it again gets the same.

        ``finish`` works in the transaction of the event. Raises :class:`Invalid` or :class:`Conflict`.
        """
        host = domain_names.checked(self._settings, text)

        def work(conn: Connection) -> Domain:
            self._alive(conn)
            owner = domains.find(conn, host)
            if owner is not None and owner.tenant_id == self._tenant.id:
                raise Conflict("This domain is proven already.")
            if domain_claims.find(conn, self._tenant.id, host) is None:
                if domain_claims.count_of(conn, self._tenant.id) + domains.count_of(conn, self._tenant.id) >= MOST:
                    raise Conflict(f"A tenant has at most {MOST} domains; delete one first.")
                challenge = f"authsec={secrets.token_urlsafe(32)}"
                domain_claims.create(conn, self._tenant.id, host, challenge, now() + CLAIM_LIFETIME)
            return self._found(conn, host)

        found = self._control.writing(work)
        self._note("domain.claimed", host, by, lambda conn: finish(conn, found) if finish is not None else None)
        return found

    def prove(self, host: str, lookup: Lookup, *, by: By) -> Domain:
        """Look for the challenge in the DNS; the domain is the tenant's then. Raises :class:`NotProven` or :class:`Taken`."""
        found = self.get(host)
        if found.claim is None:
            return found
        trouble = lookup.trouble_with(domain_names.challenge_name(host), found.claim.challenge)
        if trouble is not None:
            self._control.writing(lambda conn: domain_claims.note(conn, self._tenant.id, host, trouble))
            raise NotProven(trouble)

        def work(conn: Connection) -> None:
            self._alive(conn)
            # Then the claim: who proves the same domain at the same time is waited for here.
            was_claimed = domain_claims.delete(conn, self._tenant.id, host)
            owner = domains.find(conn, host)
            if owner is not None and owner.tenant_id != self._tenant.id:
                raise Taken
            if owner is None and not was_claimed:
                raise NotFound
            if owner is None:
                domains.create(conn, host, self._tenant.id)

        with self._feed.announced(self._tenant.id, "tenant"):
            try:
                self._control.writing(work)
            except Conflict as error:
                if self._is_mine(host):  # two looks at once have both found it
                    return self.get(host)
                raise Taken from error
        self._note("domain.proven", host, by)
        return self.get(host)

    def remove(self, host: str, *, by: By, require: Callable[[Domain], None]) -> None:
        """Give a domain up; raises :class:`NotFound`, or :class:`Conflict` for the one that the tenant is issued at."""

        def work(conn: Connection) -> None:
            row = self._alive(conn)  # its issuer is not moved to the domain meanwhile
            require(self._found(conn, host))
            if row.issuer.partition("://")[2] == host:
                raise Conflict(
                    "The tenant is issued at this domain. Its operators move the issuer first: idp tenant set-issuer"
                )
            domain_claims.delete(conn, self._tenant.id, host)
            domains.delete(conn, host, self._tenant.id)

        with self._feed.announced(self._tenant.id, "tenant"):
            self._control.writing(work)
        self._note("domain.removed", host, by)

    def _alive(self, conn: Connection) -> Row[Any]:
        """Return the tenant's row, locked: a tenant that is being deleted gets no domain, which would be nobody's for ever."""
        row = tenants.find_locked(conn, self._tenant.id)
        if row is None or row.state in HALF:
            raise NotFound
        return row

    def _found(self, conn: Connection, host: str) -> Domain:
        row = domains.find(conn, host)
        if row is not None and row.tenant_id == self._tenant.id:
            return Domain(host, row.created_at, None)
        claim = domain_claims.find(conn, self._tenant.id, host)
        if claim is None:
            raise NotFound
        return Domain(host, claim.created_at, claim)

    def _is_mine(self, host: str) -> bool:
        with self._control.reading() as conn:
            row = domains.find(conn, host)
        return row is not None and row.tenant_id == self._tenant.id

    def _note(self, kind: str, host: str, by: By, more: Callable[[Connection], None] = lambda _conn: None) -> None:
        def work(conn: Connection) -> None:
            audit.record(
                conn,
                kind,
                outcome="success",
                actor=by.actor,
                source=by.source,
                correlation_id=by.correlation_id,
                details={"domain": host},
            )
            more(conn)

        self._database.writing(work)
