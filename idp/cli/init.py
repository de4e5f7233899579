"""`idp init`: from nothing to an installation that can be served. Idempotent: it makes what is missing and changes nothing.

The data folder (0700), the master key, the control database, the tenant `system`; outside production also the tenant `demo`
with people and a client to try things with (:mod:`idp.cli.demo_data`). Two at once on one machine take turns.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from idp.cli import credentials
from idp.cli.commands import Failed, Output, json_option
from idp.cli.preflight import is_complete, read_settings
from idp.errors import Conflict, NotFound, StorageUnavailable
from idp.keys.envelope import MASTER_KEY_FILE, create_master_key
from idp.store import placement
from idp.store.control import control_state, tenants
from idp.tenancy.tenant import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.installation import Installation
    from idp.settings import Settings
    from idp.tenancy.tenant import Tenant


@click.command()
@json_option
def init(out: Output) -> None:
    """Make what is missing: data folder, master key, databases, the tenant `system`, and `demo` outside production."""
    settings = read_settings()
    made: list[str] = []
    with _alone(settings, made):
        if not is_complete(settings):
            _make_secrets_and_control(settings, made)
            _furnish(settings, made)
    document = {"data_dir": str(settings.data_dir.resolve()), "public_url": settings.public_url, "made": made}
    out.result(document, f"Made: {', '.join(made)}." if made else "Everything is there already.")
    if settings.is_production and made:
        out.note(
            "Make the first platform administrator: idp user create system you@example.com --role platform-admin --password-stdin"
        )


@contextmanager
def _alone(settings: Settings, made: list[str]) -> Iterator[None]:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:  # perhaps made a moment ago by another, who says so
        if not folder.is_dir():
            raise
    else:
        made.append(f"the data folder {folder}")
    descriptor = os.open(folder / "init.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_secrets_and_control(settings: Settings, made: list[str]) -> None:
    try:
        control = placement.create_control(settings)
    except StorageUnavailable as error:
        if settings.uses_sqlite or error.title != StorageUnavailable.title:
            raise
        raise Failed(
            "The control database cannot be reached; check IDP_DATABASE_URL, and that the database exists on the server."
        ) from None
    try:
        with control.reading() as conn:
            is_sealed = control_state.get(conn, "master_key_check") is not None
            is_new = not is_sealed and not tenants.list_all(conn)
    finally:
        control.close()
    key_file = settings.data_dir / MASTER_KEY_FILE
    if is_sealed and not settings.master_key and not key_file.exists():
        # A new key would open nothing: say so before there is a file that looks right.
        raise Failed(
            f"The databases are sealed under a master key that is missing: put its copy back at {key_file}, or set IDP_MASTER_KEY."
        )
    if create_master_key(settings):
        made.append(f"the master key {key_file} (keep a copy of it elsewhere)")
    if is_new:
        made.append("the control database")


def _furnish(settings: Settings, made: list[str]) -> None:
    from idp.cli import demo_data
    from idp.cli.opening import opened

    with opened(settings) as installation:
        _tenant(installation, SYSTEM, "Platform administration", made)
        if not settings.is_production:
            _tenant(installation, credentials.TENANT, "Demo", made)
            made += demo_data.fill(installation)


def _tenant(installation: Installation, slug: str, name: str, made: list[str]) -> Tenant:
    try:
        found = installation.provisioning.find(slug)
    except NotFound:
        pass
    else:
        if found.state != "creating":
            return found
        # Left half made by a process that was killed; nobody else makes it, for `init` runs alone on this machine.
        if installation.settings.uses_sqlite:
            installation.provisioning.delete(found)
    try:
        tenant = installation.provisioning.create(slug, name)
    except Conflict:  # another machine that shares the control database was quicker
        return installation.provisioning.find(slug)
    made.append(f"the tenant {slug}")
    return tenant
