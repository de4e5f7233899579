"""Making, changing, suspending and deleting tenants.

A tenant is seen by others only when it is whole: its row says ``creating`` until its database stands and every seeder
(handed in by the app: keys, for instance) has run. A failed creation leaves nothing behind; what a killed process leaves (a
tenant that is being made or deleted for ever, with all its places known) :meth:`Provisioning.delete` removes, and so does whoever
makes a tenant of the same name ten minutes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.clock import now
from idp.errors import Conflict, Invalid, NotFound, StorageUnavailable, Unavailable
from idp.store import placement
from idp.store.control import audit_checkpoints, domain_claims, domains, pending_work, tenants
from idp.tenancy import settings as tenant_settings
from idp.tenancy.context import entered
from idp.tenancy.issuer import check_domain, check_slug, issuer_of
from idp.tenancy.settings import TenantSettings
from idp.tenancy.tenant import SYSTEM, Tenant, from_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idp.settings import Settings
    from idp.store.db import Database, Store
    from idp.store.rows import Connection, Row
    from idp.tenancy.feed import ChangeFeed

    Seeder = Callable[[Tenant, Database], None]
    Within = Callable[[Connection, Row[Any]], None]  # works in the change's transaction, on the tenant's row

HALF = ("creating", "deleting")
ABANDONED = 600  # seconds after which a tenant that is still being made or deleted is nobody's work any more


class BuiltIn(Conflict):
    """The built-in tenant stays, and stays served."""

    code = "built_in_tenant"


class BeingMade(Conflict):
    """Somebody is making, or deleting, a tenant of this slug: in a moment it is known what came of it."""

    code, status = Unavailable.code, Unavailable.status

    def __init__(self) -> None:
        """Say when to come again."""
        super().__init__(
            "A tenant with this slug is being made or deleted just now; try again in a moment.", retry_after=2
        )


class Provisioning:
    """The operations on tenants of one installation."""

    def __init__(self, store: Store, settings: Settings, feed: ChangeFeed, seeders: Sequence[Seeder]) -> None:
        """Take what every operation needs; ``seeders`` fill a new tenant's database."""
        self._store, self._settings, self._feed, self._seeders = store, settings, feed, seeders

    def create(
        self,
        slug: str,
        name: str,
        domain: str | None = None,
        changes: Mapping[str, str] | None = None,
        *,
        first: Seeder | None = None,
        finish: Within | None = None,
    ) -> Tenant:
        """Make a tenant and return it; raises :class:`Invalid` or :class:`Conflict`.

        ``first`` fills its database behind the other seeders; ``finish`` works in the transaction by which the tenant begins to exist.
        """
        check_slug(slug)
        name = _check_name(name)
        host = check_domain(domain) if domain else None
        stored = tenant_settings.parse(changes or {}, {})
        tenant_id = opaque.new_id()
        issuer = issuer_of(self._settings, slug, host)
        self._clear_away(slug, issuer, host)
        self._reserve(tenant_id, slug, name, issuer, host, stored)

        def begin(conn: Connection) -> None:
            if not tenants.move(conn, tenant_id, ("creating",), "active"):
                raise Unavailable
            if finish is not None:
                finish(conn, tenants.find(conn, tenant_id))  # type: ignore[arg-type]

        try:
            placement.create(self._settings, tenant_id)
            tenant = self._get(tenant_id)
            with entered(self._store, tenant) as database:
                for seed in (*self._seeders, *([first] if first is not None else [])):
                    seed(tenant, database)
            with self._feed.announced(tenant_id, "tenant"):
                self._store.control.writing(begin)
        except BaseException:
            self._undo(tenant_id)
            raise
        return self._get(tenant_id)

    def change_settings(self, tenant: Tenant, changes: Mapping[str, str], require: Within | None = None) -> Tenant:
        """Change settings by name (an empty text restores the default); ``name`` changes the tenant's name.

        ``require`` judges the tenant as it is when it is changed.
        """
        changes = dict(changes)
        new_name = _check_name(changes.pop("name")) if "name" in changes else None

        def work(conn: Connection) -> None:
            # Locked: the settings are one document, of which two who change it at once would each write all.
            row = _alive(conn, tenant, require)
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
            _alive(conn, tenant)  # before its domains: one that it is to be issued at is not given up meanwhile
            owner = domains.find(conn, host) if host else None
            holder = tenants.find_by_issuer(conn, issuer)
            if (owner is not None and owner.tenant_id != tenant.id) or (holder is not None and holder.id != tenant.id):
                raise Conflict("This domain belongs to another tenant.")
            if host and owner is None:
                domains.create(conn, host, tenant.id)
            tenants.change(conn, tenant.id, issuer=issuer)

        with self._feed.announced(tenant.id, "tenant"):
            self._store.control.writing(work)
        return self._get(tenant.id)

    def suspend(self, tenant: Tenant, require: Within | None = None) -> None:
        """Stop serving a tenant: every protocol endpoint and page of it answers 404 within a second, everywhere."""
        if tenant.slug == SYSTEM:
            raise BuiltIn("The built-in tenant system cannot be suspended.")
        self._set_state(tenant, "suspended", require)

    def resume(self, tenant: Tenant, require: Within | None = None) -> None:
        """Serve a suspended tenant again."""
        self._set_state(tenant, "active", require)

    def delete(self, tenant: Tenant) -> None:
        """Delete a tenant and its database for good."""
        if tenant.slug == SYSTEM:
            raise BuiltIn("The built-in tenant system cannot be deleted.")
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
            _refuse_taken(conn, slug, issuer, host)
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

        try:
            self._store.control.writing(work)
        except Conflict:
            # Of two at once the keys of PostgreSQL have refused this one: say in whose way it was.
            with self._store.control.reading() as conn:
                _refuse_taken(conn, slug, issuer, host)
            raise

    def _clear_away(self, slug: str, issuer: str, host: str | None) -> None:
        """Remove what a killed process has left half made, or half deleted, under the names of a new tenant."""
        with self._store.control.reading() as conn:
            owner = domains.find(conn, host) if host else None
            found = [
                tenants.find_by_slug(conn, slug),
                tenants.find_by_issuer(conn, issuer),
                tenants.find(conn, owner.tenant_id) if owner is not None else None,
            ]
        abandoned = {
            row.id: row.database_url for row in found if row is not None and row.state in HALF and _is_abandoned(row)
        }
        for tenant_id, database_url in abandoned.items():
            if self._store.control.writing(lambda conn, gone=tenant_id: tenants.move(conn, gone, HALF, "deleting")):  # type: ignore[misc]
                self._remove(tenant_id, database_url)

    def _undo(self, tenant_id: str) -> None:
        """Remove a tenant whose creation has failed, unless it came to exist all the same: its commit may have been answered by no one."""
        try:
            if self._store.control.writing(lambda conn: tenants.move(conn, tenant_id, HALF, "deleting")):
                self._remove(tenant_id, placement.url_of(self._settings, tenant_id)[1])
        except StorageUnavailable:  # what made it fail is what is told
            return

    def _set_state(self, tenant: Tenant, state: str, require: Within | None = None) -> None:
        def work(conn: Connection) -> None:
            _alive(conn, tenant, require, even_half=state == "deleting")
            tenants.change(conn, tenant.id, state=state)

        with self._feed.announced(tenant.id, "tenant"):
            self._store.control.writing(work)

    def _remove(self, tenant_id: str, database_url: str) -> None:
        self._store.forget(tenant_id)
        placement.drop(self._settings, database_url)

        def work(conn: Connection) -> None:
            domains.delete_of(conn, tenant_id)
            domain_claims.delete_of(conn, tenant_id)
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


def _alive(conn: Connection, tenant: Tenant, require: Within | None = None, *, even_half: bool = False) -> Row[Any]:
    """Return the tenant's row, locked and judged by ``require``; raises :class:`NotFound` for one that is half made or half deleted."""
    row = tenants.find_locked(conn, tenant.id)
    if row is None or (row.state in HALF and not even_half):
        raise NotFound
    if require is not None:
        require(conn, row)
    return row


def _is_abandoned(row: Row[Any]) -> bool:
    return bool(row.updated_at < now() - ABANDONED)


def _refuse_taken(conn: Connection, slug: str, issuer: str, host: str | None) -> None:
    """Raise what is to be told when a new tenant's slug, issuer or host is another's."""
    same = tenants.find_by_slug(conn, slug)
    if same is not None and same.state in HALF:
        raise BeingMade
    if same is not None:
        message = f"There is a tenant {slug} already."
        raise Conflict(message)
    if tenants.find_by_issuer(conn, issuer) is not None or (host and domains.find(conn, host) is not None):
        raise Conflict("This domain belongs to another tenant.")


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 100 or not name.isprintable():
        raise Invalid("A tenant's name is 1 to 100 printable characters.")
    return name
