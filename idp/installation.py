"""The installation as one process sees it: everything that is made once and handed to whoever needs it.

The composition root: here the tables of features, checks, steps and protocols meet the store, the keys and the web kit.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from idp import checks, features, work
from idp.audit import Spool
from idp.clock import now
from idp.flow.services import Services
from idp.identity.domain_lookup import Lookup
from idp.identity.passwords import Hasher
from idp.identity.tenants import Tenants
from idp.jobs import schedule
from idp.keys import rotation
from idp.keys.envelope import Envelope
from idp.notify.mailer import Mailer
from idp.oauth.server import Registry, Servers
from idp.outbound import Outbound
from idp.store import migrate
from idp.store.control import control_state
from idp.store.db import Store
from idp.tenancy.feed import ChangeFeed
from idp.tenancy.provisioning import Provisioning
from idp.tenancy.resolver import Resolver
from idp.web.health import Health
from idp.web.ratelimit import Limiter

if TYPE_CHECKING:
    from idp.settings import Settings
    from idp.store.db import Database
    from idp.store.rows import Connection
    from idp.tenancy.tenant import Tenant

_CSRF_KEY = "csrf_key"
_PROBED = "ready_probe"


class Installation:
    """The objects of one process."""

    def __init__(self, settings: Settings, role: str) -> None:
        """Open the control database, which must exist (`idp init`), under the right master key; ``role`` names the spool."""
        self.settings = settings
        self.envelope = Envelope.open(settings)
        self.store = Store(settings)
        migrate.check(self.store.control, "control")
        self.store.control.writing(self.envelope.check)
        self.feed = ChangeFeed(self.store.control)
        self.resolver = Resolver(self.store, settings, self.feed)
        self.spool = Spool(settings.data_dir / "spool", f"{role}-{os.getpid()}")
        self.limiter = Limiter(settings)
        self.registry = Registry(features.FEATURES, checks.by_endpoint())
        self.services = Services(
            settings=settings,
            store=self.store,
            hasher=Hasher(settings),
            spool=self.spool,
            feed=self.feed,
            outbound=Outbound(settings),
            mailer=Mailer(self.envelope),
            csrf_key=self.store.control.writing(self._csrf_key),
            steps=features.STEPS,
            protocols=features.PROTOCOLS,
        )
        self.servers = Servers(self.services, self.registry, self.envelope, self.limiter, self.feed)
        self.provisioning = Provisioning(self.store, settings, self.feed, [self._seed_keys, self._seed_work])
        self.tenants = Tenants(self.provisioning, self.store, self.feed, self.envelope, self.services.mailer)
        self.lookup = Lookup(settings)
        self.health = Health({"database": self._probe_database})

    def close(self) -> None:
        """Stop the threads and let go of the databases."""
        self.feed.stop()
        self.spool.close()
        self.store.close()

    def _csrf_key(self, conn: Connection) -> bytes:
        """Return the key that form tokens are made with: the same in every process of the installation."""
        sealed = control_state.get(conn, _CSRF_KEY)
        if sealed is None:
            sealed = self.envelope.seal(secrets.token_bytes(32), _CSRF_KEY)
            control_state.put(conn, _CSRF_KEY, sealed)
        return self.envelope.unseal(sealed, _CSRF_KEY)

    def _seed_keys(self, tenant: Tenant, database: Database) -> None:
        rotation.create_initial(database, self.envelope, tenant.id, tenant.settings.key_algorithms)

    def _seed_work(self, tenant: Tenant, _database: Database) -> None:
        self.store.control.writing(lambda conn: schedule.plan(conn, work.kinds(self), tenant.id))

    def rewrap(self) -> bool:
        """Seal the installation's own secrets under the newest master key; says whether that was needed."""

        def work(conn: Connection) -> bool:
            sealed = control_state.get(conn, _CSRF_KEY)
            if sealed is not None and self.envelope.needs_rewrap(sealed):
                control_state.put(conn, _CSRF_KEY, self.envelope.reseal(sealed, _CSRF_KEY))
                return True
            return False

        return self.store.control.writing(work)

    def _probe_database(self) -> None:
        """Raise unless the control database answers at the schema this release serves."""
        found = migrate.version(self.store.control)
        if found not in migrate.versions("control"):
            message = "the control database has another schema"
            raise RuntimeError(message)
        # A full disk or a database that has become read-only answers reads, and would fail every sign-in.
        self.store.control.writing(lambda conn: control_state.put(conn, _PROBED, now()))
