"""Opening the installation for a command: the settings, the composition root, a tenant by its slug. Never makes anything."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from idp import audit
from idp.cli.commands import Failed
from idp.cli.preflight import read_settings, require_installation
from idp.identity.accounts import By
from idp.installation import Installation
from idp.store import migrate
from idp.tenancy.context import entered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.settings import Settings
    from idp.store.db import Database
    from idp.tenancy.tenant import Tenant

OPERATOR = By("operator")


@dataclass(frozen=True, slots=True)
class Place:
    """A tenant that a command works on, entered."""

    installation: Installation
    tenant: Tenant
    database: Database


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[Installation]:
    """Open the installation for the block."""
    settings = settings or read_settings()
    require_installation(settings)
    installation = Installation(settings, "cli")
    try:
        yield installation
    finally:
        installation.close()


def record(installation: Installation, tenant: Tenant, kind: str, **details: object) -> None:
    """Record in a tenant's audit log what the operator did to the tenant itself (its row lies in the control database)."""
    with entered(installation.store, tenant) as database:
        database.writing(
            lambda conn: audit.record(conn, kind, outcome="success", actor=OPERATOR.actor, details=details or None)
        )


@contextmanager
def opened_tenant(slug: str) -> Iterator[Place]:
    """Open the installation and enter a tenant, by slug or id; a suspended one too."""
    with opened() as installation:
        tenant = installation.provisioning.find(slug)
        if tenant.state in ("creating", "deleting"):
            raise Failed(
                f"The tenant {slug} is being made or deleted; wait a moment, or delete it: idp tenant delete {slug}"
            )
        with entered(installation.store, tenant) as database:
            migrate.check(database, "tenant")
            yield Place(installation, tenant, database)
