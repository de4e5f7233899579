"""Entering a tenant: its database and itself become current for the block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.store.db import current_database
from idp.tenancy.tenant import current_tenant

if TYPE_CHECKING:
    from idp.store.db import Database, Store
    from idp.tenancy.tenant import Tenant


class entered:  # noqa: N801 - used like a function
    """Make ``tenant`` current for the block, and its database, which the block gets.

    ``at_hand`` is the database as it was found before; it is used if the store still keeps it.
    """

    __slots__ = ("_database", "_database_token", "_tenant", "_tenant_token")

    def __init__(self, store: Store, tenant: Tenant, at_hand: Database | None = None) -> None:
        self._tenant = tenant
        if at_hand is not None and at_hand.use():
            self._database = at_hand
        else:
            self._database = store.tenant(tenant.id, tenant.database_url)

    def __enter__(self) -> Database:
        self._database_token = current_database.set(self._database)
        self._tenant_token = current_tenant.set(self._tenant)
        return self._database

    def __exit__(self, *_: object) -> None:
        current_tenant.reset(self._tenant_token)
        current_database.reset(self._database_token)
