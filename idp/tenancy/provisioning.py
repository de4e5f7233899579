"""Making, changing, suspending and deleting tenants.

A tenant is seen by others only when it is whole: its row says ``creating`` until its database stands and every seeder
(handed in by the app: keys, for instance) has run. A failed creation leaves nothing behind; what a killed process leaves (a
tenant that is being made or deleted for ever, with all its places known) :meth:`Provisioning.delete` removes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.errors import Conflict, Invalid, NotFound, StorageUnavailable
from idp.store import placement
from idp.store.control import audit_checkpoints, domains, pending_work, tenants
from idp.tenancy import settings as tenant_settings
from idp.tenancy.context import entered
from idp.tenancy.issuer import check_domain, check_slug, issuer_of
from idp.tenancy.settings import TenantSettings
from idp.tenancy.tenant import SYSTEM, Tenant, from_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idp.settings import Settings
    from idp.store.db import Database, Store
    from idp.store.rows import Connection
    from idp.tenancy.feed import ChangeFeed

    Seeder = Callable[[Tenant, Database], None]


class Provisioning:
    """The operations on tenants of one installation."""

    def __init__(self, store: Store, settings: Settings, feed: ChangeFeed, seeders: Sequence[Seeder]) -> None:
        """Take what every operation needs; ``seeders`` fill a new tenant's database."""
        self._store, self._settings, self._feed, self._seeders = store, settings, feed, seeders

    def create(
        self, slug: str, name: str, domain: str | None = None, changes: Mapping[str, str] | None = None
    ) -> Tenant:
        """Make a tenant and return it; raises :class:`Invalid` or :class:`Conflict`."""
        check_slug(slug)
        name = _check_name(name)
        host = check_domain(domain) if domain else None
        stored = tenant_settings.parse(changes or {}, {})
        tenant_id = opaque.new_id()
        issuer = issuer_of(self._settings, slug, host)
        self._reserve(tenant_id, slug, name, issuer, host, stored)
        try:
            placement.create(self._settings, tenant_id)
            tenant = self._get(tenant_id)
            with entered(self._store, tenant) as database:
                for seed in self._seeders:
                    seed(tenant, database)
            with self._feed.announced(tenant_id, "tenant"):
                self._store.control.writing(lambda conn: tenants.change(conn, tenant_id, state="active"))
        except BaseException:
            with contextlib.suppress(StorageUnavailable):  # what made it fail is what is told
                self._remove(tenant_id, placement.url_of(self._settings, tenant_id)[1])
            raise
        return self._get(tenant_id)

    def change_settings(self, tenant: Tenant, changes: Mapping[str, str]) -> Tenant:
        """Change settings by name (an empty text restores the default); ``name`` changes the tenant's name."""
        changes = dict(changes)
        new_name = _check_name(changes.pop("name")) if "name" in changes else None

        def work(conn: Connection) -> None:
            row = tenants.find(conn, tenant.id)
            if row is None:
                raise NotFound
            values: dict[str, Any] = {"settings": tenant_settings.parse(changes, row.settings)}
            if new_name is not None:
                values["name"] = new_name
            tenants.change(conn, tenant.id, **values)
            before, after = map(TenantSettings.from_json, (row.settings, values["settings"]))
            if before.key_algorithms != after.key_algorithms:
                pending_work.mark(conn, tenant.id, "rotation")  # its keys are made, or retired, soon

        with self._feed.announced(tenant.id, "tenant"):
            self._store.control.writing(work)
        return self._get(tenant.id)

    def issuer_for(self, tenant: Tenant, domain: str | None) -> str:
        """Return the issuer the tenant would have on ``domain``, or without one."""
        return issuer_of(self._settings, tenant.slug, check_domain(domain) if domain else None)

    def set_issuer(self, tenant: Tenant, domain: str | None) -> Tenant:
        """Move a tenant's issuer to a domain, or back to the default; what was issued under the former one is refused then.

        The tenant keeps its former domains. Raises :class:`Invalid` or :class:`Conflict`.
        """
        host = check_domain(domain) if domain else None
        issuer = issuer_of(self._settings, tenant.slug, host)

        def work(conn: Connection) -> None:
            owner = domains.find(conn, host) if host else None
            holder = tenants.find_by_issuer(conn, issuer)
            if (owner is not None and owner.tenant_id != tenant.id) or (holder is not None and holder.id != tenant.id):
                raise Conflict("This domain belongs to another tenant.")
            if host and owner is None:
                domains.create(conn, host, tenant.id)
            if not tenants.change(conn, tenant.id, issuer=issuer):
                raise NotFound

        with self._feed.announced(tenant.id, "tenant"):
            self._store.control.writing(work)
        return self._get(tenant.id)

    def suspend(self, tenant: Tenant) -> None:
        """Stop serving a tenant: every protocol endpoint and page of it answers 404 within a second, everywhere."""
        if tenant.slug == SYSTEM:
            raise Invalid("The built-in tenant system cannot be suspended.")
        self._set_state(tenant, "suspended")

    def resume(self, tenant: Tenant) -> None:
        """Serve a suspended tenant again."""
        self._set_state(tenant, "active")

    def delete(self, tenant: Tenant) -> None:
        """Delete a tenant and its database for good."""
        if tenant.slug == SYSTEM:
            raise Invalid("The built-in tenant system cannot be deleted.")
        self._set_state(tenant, "deleting")
        self._remove(tenant.id, tenant.database_url)

    def find(self, slug_or_id: str) -> Tenant:
        """Return a tenant by slug or id, suspended ones too; raises :class:`NotFound`."""
        with self._store.control.reading() as conn:
            row = tenants.find_by_slug(conn, slug_or_id) or tenants.find(conn, slug_or_id)
        if row is None:
            message = f"There is no tenant {slug_or_id}; `idp tenant list` shows those there are."
            raise NotFound(message)
        return from_row(row, self._feed.seq, self._settings)

    def list_all(self) -> list[Tenant]:
        """Return every tenant, by slug."""
        with self._store.control.reading() as conn:
            return [from_row(row, self._feed.seq, self._settings) for row in tenants.list_all(conn)]

    def _reserve(
        self, tenant_id: str, slug: str, name: str, issuer: str, host: str | None, stored: dict[str, Any]
    ) -> None:
        place, url = placement.url_of(self._settings, tenant_id)

        def work(conn: Connection) -> None:
            if tenants.find_by_slug(conn, slug) is not None:
                message = f"There is a tenant {slug} already."
                raise Conflict(message)
            if tenants.find_by_issuer(conn, issuer) is not None or (host and domains.find(conn, host) is not None):
                raise Conflict("This domain belongs to another tenant.")
            tenants.create(
                conn,
                id=tenant_id,
                slug=slug,
                name=name,
                state="creating",
                issuer=issuer,
                placement=place,
                database_url=url,
                settings=stored,
            )
            if host:
                domains.create(conn, host, tenant_id)

        self._store.control.writing(work)

    def _set_state(self, tenant: Tenant, state: str) -> None:
        with self._feed.announced(tenant.id, "tenant"):
            if not self._store.control.writing(lambda conn: tenants.change(conn, tenant.id, state=state)):
                raise NotFound

    def _remove(self, tenant_id: str, database_url: str) -> None:
        self._store.forget(tenant_id)
        placement.drop(self._settings, database_url)

        def work(conn: Connection) -> None:
            domains.delete_of(conn, tenant_id)
            pending_work.delete_of(conn, tenant_id)
            audit_checkpoints.delete_of(conn, tenant_id)
            tenants.delete(conn, tenant_id)

        with self._feed.announced(tenant_id, "tenant"):
            self._store.control.writing(work)

    def _get(self, tenant_id: str) -> Tenant:
        with self._store.control.reading() as conn:
            row = tenants.find(conn, tenant_id)
        if row is None:
            raise NotFound
        return from_row(row, self._feed.seq, self._settings)


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 100 or not name.isprintable():
        raise Invalid("A tenant's name is 1 to 100 printable characters.")
    return name
