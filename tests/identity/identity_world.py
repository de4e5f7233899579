"""What tests of identity and flow stand on: real databases of each kind, and a server that holds the real objects."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from databases import needs_postgresql, on_server, without_rows
from ready_made import lay_tables
from sqlalchemy.engine import make_url

from idp.audit import Spool
from idp.flow.routes import STEPS
from idp.flow.services import Services
from idp.identity import accounts
from idp.identity.passwords import Hasher
from idp.identity.profile_schema import DEFAULT
from idp.keys.envelope import Envelope
from idp.notify.mailer import Mailer
from idp.outbound import Outbound
from idp.settings import Settings
from idp.store.db import Database, Store
from idp.tenancy.languages import TenantLanguages
from idp.tenancy.settings import TenantSettings
from idp.tenancy.tenant import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from idp.identity.profile_schema import Schema
    from idp.identity.terms import Terms

KINDS = ["sqlite", pytest.param("postgresql", marks=needs_postgresql)]
PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "a different long enough sentence"
BY = accounts.By("operator")


@dataclass
class Server:
    """The tenant's server, as far as identity and flow see it."""

    tenant: Tenant
    database: Database
    services: Services
    profile: Schema = DEFAULT
    terms: Terms | None = None

    @cached_property
    def languages(self) -> TenantLanguages:
        """The languages that the tenant offers."""
        return TenantLanguages(self.tenant.settings, self.database)

    def with_settings(self, **changes: Any) -> Server:
        """The same server under other settings of the tenant."""
        tenant = replace(self.tenant, settings=replace(self.tenant.settings, **changes))
        return Server(tenant, self.database, self.services, self.profile, self.terms)

    def user(self, username: str = "ada@acme.example", password: str | None = PASSWORD, **more: Any) -> str:
        """Make a user and return the id."""
        more = {"email": username if "@" in username else None, "by": BY} | more
        hasher = self.services.hasher
        return accounts.create_user(self.database, hasher, self.tenant, username=username, password=password, **more)

    def rows(self, sql: str) -> list[Any]:
        """Look into the database."""
        with self.database.reading() as conn:
            return list(conn.exec_driver_sql(sql).all())

    def events(self, kind: str) -> list[Any]:
        """The audit events of a kind, in order."""
        found = self.rows(f"SELECT * FROM audit_events WHERE kind = '{kind}' ORDER BY seq")
        return [Event(**{**row._mapping, "details": _decoded(row.details)}) for row in found]


class Event(SimpleNamespace):
    """An audit event's columns."""


def _decoded(details: Any) -> Any:
    return json.loads(details) if isinstance(details, str) else details


@contextmanager
def sqlite_database(folder: Path) -> Iterator[Database]:
    """A tenant's database in a file, without a row."""
    made = Database(lay_tables(folder / "tenant.db", "tenant"))
    yield made
    made.close()


@contextmanager
def postgresql_database() -> Iterator[Database]:
    """A tenant's database on the test server; made once a run, because that takes a second."""
    made = Database(on_server("identity", "tenant"))
    yield made
    made.close()


def emptied(database: Database) -> Database:
    """The same database with no row in any table."""
    without_rows(str(make_url(database.url).database))
    return database


def new_server(database: Database, folder: Path, **more: Any) -> Server:
    """A server of the tenant ``acme`` on loopback HTTP, with a cheap password hash."""
    values: dict[str, Any] = {"data_dir": folder, "argon2_memory_kib": 7168, "hash_queue": 300} | more
    settings = Settings(**values)
    services = Services(
        settings=settings,
        store=Store(settings),
        hasher=Hasher(settings),
        spool=Spool(folder / "spool", "test"),
        feed=None,  # type: ignore[arg-type]  # there is no control database here, and no change to announce
        outbound=Outbound(settings),
        mailer=Mailer(Envelope([Fernet.generate_key().decode()])),
        csrf_key=secrets.token_bytes(32),
        steps=STEPS,
        protocols={},
    )
    tenant = Tenant(
        "a" * 32, "acme", "Acme Instruments", "active", "http://localhost:8000/t/acme", database.url, TenantSettings()
    )
    return Server(tenant, database, services)


def spooled(server: Server, kind: str) -> list[dict[str, Any]]:
    """The spool's audit lines of a kind."""
    files = sorted(server.services.spool.directory.glob("*.jsonl"))
    lines = [json.loads(line) for path in files for line in path.read_text("ascii").splitlines()]
    return [line for line in lines if line.get("kind") == kind]
