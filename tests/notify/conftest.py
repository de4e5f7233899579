"""A certification authority, and a house whose mails go to a server on loopback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from certificates import Authority
from databases import environment
from house import House
from mail_server import MailServer, free_port

from idp import work
from idp.jobs.outbox import announced, outbox_job
from idp.jobs.worker import Worker
from idp.keys import sealed_state
from idp.store.tenant import outbox
from idp.tenancy.context import entered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from idp.tenancy.tenant import Tenant


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A root that the house trusts."""
    return Authority(tmp_path_factory.mktemp("ca"))


@dataclass
class Post:
    """A house and what its outboxes hold."""

    house: House
    port: int  # of the installation's mail server

    def server(self, **more: Any) -> MailServer:
        """The installation's mail server, not started yet."""
        return MailServer(port=self.port, **more)

    def put(self, tenant: Tenant, to: str, template: str = "test", **more: Any) -> None:
        """A mail, in a transaction as the product does it."""
        database = self.house.database(tenant)
        mailer = self.house.installation.services.mailer
        with entered(self.house.installation.store, tenant), announced(database):
            database.writing(lambda conn: mailer.enqueue(conn, tenant, template, to, **more))

    def worker(self, **more: Any) -> Worker:
        """A worker that delivers and does nothing else."""
        made = self.house.installation
        return Worker(made.store, [outbox_job(work.senders(made) | more)], tenants_by_id=made.resolver.by_id, tick=0.05)

    def run(self) -> None:
        """Deliver what is due."""
        self.worker().run_due()

    def messages(self, tenant: Tenant) -> list[Any]:
        """All messages, the first put first."""
        with self.house.database(tenant).reading() as conn:
            return list(outbox.list_some(conn, outbox.STATES))[::-1]

    def ledger(self, tenant: Tenant, message: Any) -> list[Any]:
        """A message's attempts."""
        with self.house.database(tenant).reading() as conn:
            return list(outbox.attempts_of(conn, message.id))

    def use_own_server(self, tenant: Tenant, url: str) -> None:
        """Give a tenant a mail server of its own."""
        envelope = self.house.installation.envelope
        self.house.database(tenant).writing(
            lambda conn: sealed_state.put(conn, envelope, tenant.id, sealed_state.SMTP_URL, url.encode())
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def any_post(request: pytest.FixtureRequest, tmp_path: Any, authority: Authority) -> Iterator[Post]:
    """The post on each kind of database."""
    with environment(request.param) as environ:
        yield from _post(tmp_path, authority, **environ)


@pytest.fixture
def post(tmp_path: Any, authority: Authority) -> Iterator[Post]:
    """The post on SQLite."""
    yield from _post(tmp_path, authority)


@pytest.fixture
def post_of() -> Callable[[House], Post]:
    """The post of a house that a test made for itself."""
    return lambda house: Post(house, 0)


def _post(folder: Any, authority: Authority, **environ: str) -> Iterator[Post]:
    port = free_port()
    mail = {
        "IDP_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "IDP_MAIL_FROM": "no-reply@platform.example",
        "IDP_CA_BUNDLE": str(authority.file),
        "IDP_ALLOWED_PRIVATE_HOSTS": "127.0.0.3",
    }
    made = House(folder / "var", **mail, **environ)
    yield Post(made, port)
    made.close()
