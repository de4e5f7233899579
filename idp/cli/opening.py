"""Opening the installation for a command: the settings, the composition root, a tenant by its slug. Never makes anything."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from idp.cli.commands import Failed
from idp.errors import StorageUnavailable
from idp.identity.accounts import By
from idp.installation import Installation
from idp.keys.envelope import Envelope
from idp.settings import Settings
from idp.store import migrate
from idp.store.db import Database
from idp.tenancy.context import entered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.tenancy.tenant import Tenant

OPERATOR = By("operator")


@dataclass(frozen=True, slots=True)
class Place:
    """A tenant that a command works on, entered."""

    installation: Installation
    tenant: Tenant
    database: Database


def read_settings() -> Settings:
    """Return the settings of the environment; raises :class:`~idp.errors.SettingError`."""
    return Settings.from_env(os.environ)


def control_file(settings: Settings) -> Path | None:
    """Return the file of the control database, None on PostgreSQL."""
    return Path(settings.control_url.removeprefix("sqlite:///")) if settings.uses_sqlite else None


def require_installation(settings: Settings) -> None:
    """Raise unless there is an installation to open: its master key and a control database with a schema."""
    Envelope.open(settings)
    path = control_file(settings)
    if path is not None and not path.exists():
        raise Failed(
            f"There is no control database at {path}; run `idp init`, or check IDP_DATA_DIR and IDP_DATABASE_URL."
        )
    control = Database(settings.control_url)
    try:
        if migrate.version(control) is None:
            raise Failed("The control database is empty; run `idp init`.")
    except StorageUnavailable as error:
        if path is None and error.title == StorageUnavailable.title:
            raise Failed(
                "The control database cannot be reached; check IDP_DATABASE_URL and that the database server runs."
            ) from None
        raise
    finally:
        control.close()


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
