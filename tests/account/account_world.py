"""A tenant with ada and eve, a client, browsers that sign in at the account pages, and a look into outbox and audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from house import PASSWORD, Answer, Browser, House, RelyingParty
from sqlalchemy import select

from idp.jobs.drain import Drain
from idp.store.tenant.audit_events import audit_events
from idp.store.tenant.outbox import outbox
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from idp.tenancy.tenant import Tenant

ADA, EVE = "ada@example.com", "eve@example.com"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass
class World:
    """What the tests of the account pages have in common."""

    house: House
    tenant: Tenant
    rp: RelyingParty

    @classmethod
    def made(cls, house: House, **settings: str) -> World:
        """Furnish a house."""
        tenant = house.tenant("acme", **settings)
        house.user(tenant, EVE)
        return cls(house, tenant, house.client(tenant))

    def set(self, **settings: str) -> None:
        """Change the tenant's settings."""
        self.tenant = self.house.installation.provisioning.change_settings(self.tenant, settings)

    def browser(self) -> Browser:
        """A browser without a past."""
        return self.house.browser(self.tenant)

    def signed_in(self, username: str = ADA, password: str = PASSWORD) -> Browser:
        """A browser in which somebody has just signed in at the account pages."""
        browser = self.browser()
        answer = self.log_in(browser, "", username, password)
        assert "<h1>Your account</h1>" in answer.text, answer.text
        return browser

    def log_in(self, browser: Browser, path: str, username: str = ADA, password: str = PASSWORD) -> Answer:
        """Open an account page and sign in where that is asked for; returns the page that comes."""
        answer = self.open(browser, path)
        if 'id="login-submit"' in answer.text:
            answer = browser.follow(browser.submit(answer, username=username, password=password))
        return answer

    def url(self, path: str) -> str:
        return f"{self.tenant.base_path}/account{path}"

    def open(self, browser: Browser, path: str) -> Answer:
        """Open an account page, wherever it leads."""
        return browser.follow(browser.get(self.url(path), {"user-agent": FIREFOX}))

    def send(self, browser: Browser, path: str, **fields: str) -> Answer:
        """Send the form of an account page with these fields; the answer is not followed."""
        page = browser.get(self.url(path))
        token = page.form[1]["csrf"]
        return browser.post(self.url(path), {"csrf": token, **fields}, {"user-agent": FIREFOX})

    def rows(self, query: Any) -> list[Any]:
        with self.house.database(self.tenant).reading() as conn:
            return list(conn.execute(query).all())

    def user(self, username: str = ADA) -> Any:
        return self.rows(select(users).where(users.c.username_key == username))[0]

    def mails(self) -> list[dict[str, Any]]:
        """What waits to be mailed, the oldest first."""
        found = self.rows(select(outbox.c.payload).where(outbox.c.kind == "mail").order_by(outbox.c.id))
        mailer = self.house.installation.services.mailer
        return [mailer.opened(self.tenant, row.payload) for row in found]

    def events(self, kind: str) -> list[Any]:
        """The audit events of a kind, the oldest first."""
        return self.rows(select(audit_events).where(audit_events.c.kind == kind).order_by(audit_events.c.seq))

    def everything(self) -> dict[str, list[str]]:
        """Every row that a form of the account pages could change."""
        from idp.store.db import db

        tables = ("users", "consents", "grants", "outbox", "one_time_links", "audit_events", "role_bindings")
        found = {name: sorted(map(repr, self.rows(select(db.metadatas["tenant"].tables[name])))) for name in tables}
        found["sessions"] = sorted(
            repr(row) for row in self.rows(select(db.metadatas["tenant"].tables["sessions"].c.ended_at))
        )
        return found

    def tokens(self, browser: Browser, **params: str) -> dict[str, Any]:
        """Sign in to the client with a browser; returns the tokens."""
        answer = self.rp.redeem(browser.sign_in(self.rp, scope="openid offline_access", **params))
        assert answer.status == 200, answer.text
        return dict(answer.json)

    def drain(self) -> None:
        """Bring what waits in the spool into the audit trail, as the worker does."""
        installation = self.house.installation
        installation.spool.flush()
        drain = Drain(
            installation.settings.data_dir / "spool",
            installation.store.control,
            lambda _tenant_id: self.house.database(self.tenant),
        )
        drain.run()
        drain.close()

    def link_path(self, mail: dict[str, Any]) -> str:
        """The path and query of the link in a mail."""
        link = str(mail["context"]["link"])
        assert link.startswith(f"{self.tenant.issuer}/"), link
        return self.tenant.base_path + link.removeprefix(self.tenant.issuer)
