"""A tenant with webhooks, a real receiver on loopback with manners of its own for each path, and the worker's part."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook as Verifier

from idp import clock, work
from idp.access.granting import Granter
from idp.identity import accounts
from idp.identity.accounts import By
from idp.jobs.outbox import outbox_job
from idp.jobs.schedule import JobContext
from idp.outbound import Outbound
from idp.store.tenant import audit_events, outbox, webhooks
from idp.webhooks import delivering
from idp.webhooks.ledger import Ledger
from idp.webhooks.registry import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from house import House

    from idp.tenancy.tenant import Tenant

OPERATOR = Granter(By("operator"))


@dataclass
class Told:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str) -> Any:
        """What another's library makes of it; raises for a wrong signature."""
        return Verifier(secret).verify(self.body, self.headers)


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: who sent may have hung up."""


class Receiver:
    """Receives at http://localhost:PORT/NAME; ``answers`` has statuses one after another for a path, or a function of the handler."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.answers: dict[str, list[int] | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.release = threading.Event()  # those that hang
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.told.append(Told(self.path, headers, body))
                answer = receiver.answers.get(self.path, [204])
                if callable(answer):
                    answer(self)
                    return
                status = answer.pop(0) if len(answer) > 1 else answer[0]
                receiver.answer(self, status, f"answered {status}".encode() if status != 204 else b"")

            def do_GET(self) -> None:
                receiver.told.append(Told(f"GET {self.path}", {}, b""))
                self.send_error(404)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @staticmethod
    def answer(http: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
        http.send_response(status)
        for name, value in headers.items():
            http.send_header(name, value)
        http.send_header("content-length", str(len(body)))
        http.end_headers()
        http.wfile.write(body)

    def uri(self, name: str = "hook") -> str:
        return f"http://localhost:{self.port}/{name}"

    def of(self, name: str = "hook") -> list[Told]:
        return [told for told in self.told if told.path == f"/{name}"]

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Hook:
    """A webhook as a test knows it."""

    id: str
    secret: str


@dataclass
class World:
    """A house whose receiver can be reached."""

    house: House
    acme: Tenant
    receiver: Receiver
    people: list[str] = field(default_factory=list)

    @property
    def database(self) -> Any:
        return self.house.database(self.acme)

    @property
    def registry(self) -> Webhooks:
        made = self.house.installation
        return Webhooks(self.acme, self.database, made.settings, made.services.outbound, made.envelope)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.acme.id, self.database)

    def hook(self, *patterns: str, name: str = "hook") -> Hook:
        row, secret = self.registry.create(self.receiver.uri(name), patterns or ("*",), granter=OPERATOR)
        return Hook(row.id, secret)

    def row(self, hook: Hook) -> Any:
        with self.database.reading() as conn:
            return webhooks.find(conn, hook.id)

    def person(self) -> str:
        """Somebody new; an event user.created."""
        self.people.append(f"p{len(self.people)}@acme.example")
        return self.house.user(self.acme, self.people[-1])

    def happen(self, number: int = 1) -> list[str]:
        """So many events user.disabled; returns whom they are about."""
        made = []
        for _ in range(number):
            user_id = self.person()
            accounts.disable_user(self.database, user_id, by=By("operator"))
            made.append(user_id)
        return made

    # -- the worker's part ----------------------------------------------------------------------------------------

    def run(self, *kinds: str, later: int = 0, tenant: Tenant | None = None, seconds: float | None = None) -> None:
        """Run kinds of job for the tenant, once each; ``seconds`` bounds an attempt."""
        installation = self.house.installation
        jobs = {job.kind: job for job in work.kinds(installation) if job.scope == "tenant"}
        if seconds is not None:
            quick = Outbound(installation.settings, seconds=seconds)
            sender = delivering.sender(quick, installation.envelope, installation.services.mailer)
            jobs["outbox"] = outbox_job({outbox.WEBHOOK: sender})
        context = JobContext(installation.store, self.database, tenant or self.acme, lambda: False)
        with clock.shifted(later):
            for kind in kinds or ("chain", "outbox"):
                jobs[kind].run(context)

    # -- what is there --------------------------------------------------------------------------------------------

    def deliveries(self, hook: Hook) -> list[Any]:
        """Those of a webhook, the first made first."""
        rows, _ = self.ledger.search(hook.id, is_descending=False, limit=1000)
        return sorted(rows, key=lambda row: row.message_id)

    def attempts(self, hook: Hook, delivery: Any) -> list[Any]:
        return list(self.ledger.get(hook.id, delivery.id)[1])

    def events(self, kind: str) -> list[Any]:
        with self.database.reading() as conn:
            table = audit_events.audit_events
            return list(conn.execute(table.select().where(table.c.kind == kind).order_by(table.c.seq)).all())
