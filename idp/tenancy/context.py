"""Entering a tenant: its database and itself become current for the block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from idp.store.db import current_database
from idp.tenancy.tenant import current_tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.store.db import Database, Store
    from idp.tenancy.tenant import Tenant


@contextmanager
def entered(store: Store, tenant: Tenant) -> Iterator[Database]:
    """Make ``tenant`` current and yield its database."""
    database = store.tenant(tenant.id, tenant.database_url)
    database_token = current_database.set(database)
    tenant_token = current_tenant.set(tenant)
    try:
        yield database
    finally:
        current_tenant.reset(tenant_token)
        current_database.reset(database_token)
