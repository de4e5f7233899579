"""What a command proves before it opens an installation: settings, master key, a control database with a schema.

Light on purpose: it imports neither the composition root nor the features. It never makes anything.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from idp.cli import credentials
from idp.cli.commands import Failed
from idp.errors import IdpError, SettingError, StorageUnavailable
from idp.keys.envelope import Envelope
from idp.settings import Settings
from idp.store import migrate
from idp.store.control import control_state, tenants
from idp.store.db import Database
from idp.store.location import locate
from idp.store.tenant import clients, users
from idp.tenancy.tenant import SYSTEM


def read_settings() -> Settings:
    """Return the settings of the environment; raises :class:`~idp.errors.SettingError`."""
    return Settings.from_env(os.environ)


def require_installation(settings: Settings) -> None:
    """Raise unless there is an installation to open: its master key and a control database with a schema."""
    Envelope.open(settings)
    path = Path(settings.control_url.removeprefix("sqlite:///")) if settings.uses_sqlite else None
    if path is not None and not path.exists():
        raise Failed(
            f"There is no control database at {path}; run `idp init`, or check IDP_DATA_DIR and IDP_DATABASE_URL."
        )
    try:
        with closing(Database(settings.control_url)) as control:
            if migrate.version(control) is None:
                raise Failed("The control database is empty; run `idp init`.")
    except StorageUnavailable as error:
        if path is None and error.title == StorageUnavailable.title:
            raise Failed(
                "The control database cannot be reached; check IDP_DATABASE_URL and that the database server runs."
            ) from None
        raise


def require_right_key(settings: Settings) -> None:
    """Bring the control database to this release's schema, and raise unless the master key is the one that sealed its secrets."""
    with closing(Database(settings.control_url)) as control:
        migrate.check(control, "control")
        control.writing(Envelope.open(settings).check)


def is_complete(settings: Settings) -> bool:
    """Say whether `idp init` has nothing left to do; any doubt means no."""
    try:
        envelope = Envelope.open(settings)
        with closing(Database(settings.control_url)) as control:
            if migrate.version(control) != migrate.head("control"):
                return False
            with control.reading() as conn:
                if control_state.get(conn, "master_key_check") is None:
                    return False
                envelope.check(conn)
                rows = {row.slug: row.database_url for row in tenants.list_all(conn) if row.state != "creating"}
        people = {} if settings.is_production else credentials.PEOPLE
        wanted = {SYSTEM, *(person.tenant for person in people.values())}
        return wanted <= rows.keys() and all(_has_people(slug, rows[slug], settings) for slug in wanted)
    except (SettingError, IdpError):
        return False


def _has_people(slug: str, url: str, settings: Settings) -> bool:
    with closing(Database(locate(settings, url))) as database:
        if migrate.version(database) != migrate.head("tenant"):
            return False
        if settings.is_production:
            return True
        names = [person.username for person in credentials.PEOPLE.values() if person.tenant == slug]
        with database.reading() as conn:
            has_client = slug != credentials.TENANT or clients.find(conn, credentials.RP_CLIENT) is not None
            return has_client and all(users.find_by_username(conn, name) is not None for name in names)
