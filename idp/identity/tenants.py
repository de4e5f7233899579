"""Tenants as administrators change them, each change with its event: in the tenant's own log, or in `system`'s where that is gone.

A tenant lies in the control database and its log in its own, so the two are not one transaction; only a new tenant's event and its
first administrator's invitation are there before the tenant is. Must not know who may do what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from idp import audit
from idp.identity import accounts, invitations
from idp.jobs.outbox import announced
from idp.keys import rotation
from idp.tenancy.context import entered
from idp.tenancy.tenant import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.identity.accounts import By
    from idp.keys.envelope import Envelope
    from idp.notify.mailer import Mailer
    from idp.store.db import Database, Store
    from idp.tenancy.feed import ChangeFeed
    from idp.tenancy.provisioning import Provisioning, Within
    from idp.tenancy.tenant import Tenant

ADMINISTRATOR = "tenant-admin"


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """Who is invited to administer a new tenant."""

    email: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tenants:
    """The operations on tenants of one installation."""

    provisioning: Provisioning
    store: Store
    feed: ChangeFeed
    envelope: Envelope
    mailer: Mailer

    def create(
        self,
        slug: str,
        name: str,
        domain: str | None = None,
        *,
        by: By,
        administrator: FirstAdministrator | None = None,
        finish: Within | None = None,
    ) -> Tenant:
        """Make a tenant, with an invitation of its first administrator or without; there are both then, or neither.

        ``finish`` works in the transaction by which the tenant begins to exist. Raises :class:`Invalid` or :class:`Conflict`.
        """
        claims = {"name": administrator.name} if administrator is not None and administrator.name else {}
        if administrator is not None:  # before anything is made
            accounts.checked(administrator.email, administrator.email, claims)

        def first(tenant: Tenant, database: Database) -> None:
            self._note(tenant, "tenant.created", by, {"issuer": tenant.issuer})
            if administrator is not None:
                email, roles = administrator.email, (ADMINISTRATOR,)
                invitations.invite(database, self.mailer, tenant, email=email, by=by, claims=claims, roles=roles)

        made = self.provisioning.create(slug, name, domain, first=first, finish=finish)
        if administrator is not None:
            # A worker that came by before the tenant was there has put the mail off.
            with announced(self.store.tenant(made.id, made.database_url)):
                pass
        return made

    def change(self, tenant: Tenant, wanted: Mapping[str, str], *, by: By, require: Within | None = None) -> Tenant:
        """Change a tenant's name or settings, as :meth:`Provisioning.change_settings` does; keys that they ask for are made at once."""
        changed = self.provisioning.change_settings(tenant, wanted, require)
        if set(changed.settings.key_algorithms) - set(tenant.settings.key_algorithms):
            with entered(self.store, changed) as database, self.feed.announced(changed.id, "config"):
                rotation.create_initial(database, self.envelope, changed.id, changed.settings.key_algorithms)
        self._note(changed, "tenant.settings_changed", by, {"changed": dict(wanted)})
        return changed

    def suspend(self, tenant: Tenant, *, by: By, require: Within | None = None) -> Tenant:
        """Stop serving a tenant; raises :class:`Invalid` for `system`."""
        self.provisioning.suspend(tenant, require)
        self._note(tenant, "tenant.suspended", by)
        return self.provisioning.find(tenant.id)

    def resume(self, tenant: Tenant, *, by: By, require: Within | None = None) -> Tenant:
        """Serve a suspended tenant again."""
        self.provisioning.resume(tenant, require)
        self._note(tenant, "tenant.resumed", by)
        return self.provisioning.find(tenant.id)

    def delete(self, tenant: Tenant, *, by: By) -> None:
        """Delete a tenant and its database for good; its own log is gone with it."""
        self.provisioning.delete(tenant)
        self._note(self.provisioning.find(SYSTEM), "tenant.deleted", by, {"slug": tenant.slug, "id": tenant.id})

    def _note(self, tenant: Tenant, kind: str, by: By, details: Mapping[str, object] | None = None) -> None:
        with entered(self.store, tenant) as database:
            database.writing(
                lambda conn: audit.record(
                    conn,
                    kind,
                    outcome="success",
                    actor=by.actor,
                    source=by.source,
                    correlation_id=by.correlation_id,
                    details=details,
                )
            )
