"""What is mailed: the worker's part of answering a request, and the mails that wait in a tenant's outbox, opened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from serving import rows

from idp.identity import recovery, unlocking
from idp.jobs.outbox import outbox_job
from idp.jobs.schedule import JobContext

if TYPE_CHECKING:
    from house import House

    from idp.tenancy.tenant import Tenant


@dataclass(frozen=True)
class Letter:
    """One mail."""

    template: str
    to: str
    context: dict[str, Any]
    language: str | None = None

    @property
    def link(self) -> str:
        return str(self.context["link"])

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.link).query)["token"][0]

    @property
    def path(self) -> str:
        """The link as a browser of the tenant opens it."""
        url = urlsplit(self.link)
        return f"{url.path}?{url.query}"


def answer_requests(house: House, tenant: Tenant) -> None:
    """Do what the worker does with requests for links; mails stay in the box."""
    mailer = house.installation.services.mailer
    job = outbox_job({recovery.KIND: recovery.sender(mailer), unlocking.KIND: unlocking.sender(mailer)})
    job.run(JobContext(house.installation.store, house.database(tenant), tenant, lambda: False))


def letters(house: House, tenant: Tenant, template: str | None = None) -> list[Letter]:
    """Every mail that was written for a tenant, the oldest first, whatever became of it."""
    found = []
    for row in rows(tenant.database_url, "SELECT payload FROM outbox WHERE kind = 'mail' ORDER BY id"):
        payload = json.loads(row["payload"]) if isinstance(row["payload"], str) else row["payload"]
        opened = house.installation.services.mailer.opened(tenant, payload)
        if template in (None, opened["template"]):
            found.append(Letter(opened["template"], opened["to"], opened["context"], opened["language"]))
    return found


def newest(house: House, tenant: Tenant, template: str) -> Letter:
    """The last mail of a kind."""
    found = letters(house, tenant, template)
    assert found, f"no mail {template}: {[each.template for each in letters(house, tenant)]}"
    return found[-1]


def recovery_letter(house: House, tenant: Tenant, username: str = "ada@example.com", **query: str) -> Letter:
    """Ask for a new password as a person does, and return the mail."""
    before = len(letters(house, tenant, "recovery"))
    assert ask(house, tenant, username, **query).status == 303
    answer_requests(house, tenant)
    assert len(letters(house, tenant, "recovery")) == before + 1
    return newest(house, tenant, "recovery")


def ask(house: House, tenant: Tenant, username: str, browser: Any = None, **query: str) -> Any:
    """Send the form of "Forgotten password?"."""
    browser = browser or house.browser(tenant)
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    page = browser.get(f"{tenant.base_path}/recover{'?' + parameters if parameters else ''}")
    return browser.submit(page, username=username)
