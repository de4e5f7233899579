"""Finding the tenant of a request: by path, by a host below the tenant domain, or by a domain of its own.

A tenant answers at its issuer only; at its other addresses protocol endpoints do not exist. The tenant never comes from a
body, a token or an unverified header (security rule 6).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from idp.store.control import domains, tenants
from idp.tenancy.tenant import Tenant, from_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.settings import Settings
    from idp.store.db import Store
    from idp.store.rows import Connection, Row
    from idp.tenancy.feed import ChangeFeed

CACHE_SIZE = 20_000


class Resolver:
    """Looks tenants up and remembers them until the change feed says otherwise."""

    def __init__(self, store: Store, settings: Settings, feed: ChangeFeed) -> None:
        """Subscribe to the feed."""
        self._store, self._settings, self._feed = store, settings, feed
        self._public_host = settings.public_host
        self._cache: dict[tuple[str, str], Tenant] = {}
        self._generation = 0
        self._guard = threading.Lock()
        self._suffix = f".{settings.tenant_domain}" if settings.tenant_domain else ""
        feed.subscribe(self._changed)

    def resolve(self, host: str, path: str) -> tuple[Tenant, str] | None:
        """Return the tenant whose issuer the address lies under and the rest of the path; None when there is none.

        ``host`` is the Host header in lower case, ``path`` begins with a slash. The tenant may be suspended.
        """
        if host == self._public_host:
            if not path.startswith("/t/"):
                return None
            slug, slash, rest = path[3:].partition("/")
            tenant = self.by_slug(slug)
            if tenant is None or tenant.base_path != f"/t/{slug}" or tenant.host != host:
                return None
            return tenant, slash + rest
        tenant = self.by_host(host)
        return None if tenant is None or tenant.host != host or tenant.base_path else (tenant, path)

    def cached(self, host: str, path: str) -> tuple[Tenant, str] | None:
        """Do what :meth:`resolve` does for a tenant that is remembered; never asks the database."""
        if host == self._public_host:
            if not path.startswith("/t/"):
                return None
            slug, slash, rest = path[3:].partition("/")
            tenant = self._cache.get(("slug", slug))
            return (
                (tenant, slash + rest)
                if tenant is not None and tenant.base_path == f"/t/{slug}" and tenant.host == host
                else None
            )
        tenant = self._cache.get(("host", host))
        return None if tenant is None or tenant.host != host or tenant.base_path else (tenant, path)

    def by_slug(self, slug: str) -> Tenant | None:
        """Return the tenant with that slug."""
        return self._look_up(("slug", slug), lambda conn: tenants.find_by_slug(conn, slug))

    def by_id(self, tenant_id: str) -> Tenant | None:
        """Return the tenant with that id."""
        return self._look_up(("id", tenant_id), lambda conn: tenants.find(conn, tenant_id))

    def by_host(self, host: str) -> Tenant | None:
        """Return the tenant that a host name belongs to."""

        def find(conn: Connection) -> Row[tuple[object, ...]] | None:
            owner = domains.find(conn, host)
            if owner is not None:
                return tenants.find(conn, owner.tenant_id)
            if self._suffix and host.endswith(self._suffix):
                return tenants.find_by_slug(conn, host.removesuffix(self._suffix))
            return None

        return self._look_up(("host", host), find)

    def _look_up(
        self, key: tuple[str, str], find: Callable[[Connection], Row[tuple[object, ...]] | None]
    ) -> Tenant | None:
        cached = self._cache.get(key)
        if cached is not None:
            return cached
        generation, revision = self._generation, self._feed.seq
        with self._store.control.reading() as conn:
            row = find(conn)
        if row is None or row.state in ("creating", "deleting"):
            return None
        tenant = from_row(row, revision, self._settings)
        with self._guard:
            if generation == self._generation:  # else a change came in between: answer, but do not remember
                if len(self._cache) >= CACHE_SIZE:
                    self._cache.clear()
                self._cache[key] = tenant
        return tenant

    def _changed(self, tenant_id: str, kind: str, _subject: str) -> None:
        if kind == "client":
            return
        with self._guard:
            self._generation += 1
            for key in [key for key, tenant in self._cache.items() if tenant.id == tenant_id]:
                del self._cache[key]
