"""What becomes of a mail in an outbox: written in its reader's language and its tenant's look, and handed to a mail server.

The server is the tenant's own, which may not be in the private network, or else the operator's (``IDP_SMTP_URL``). Without any a mail is a
file in development, and waits in production. Must not know how a message is claimed, tried again or given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.errors import IdpError
from idp.notify import files, message, rendering, smtp, wording
from idp.notify.message import CannotAddress, Origin
from idp.notify.rendering import Look, Sender
from idp.notify.smtp import Outcome
from idp.store.tenant import mail_templates
from idp.tenancy.languages import TenantLanguages, best

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from idp.language import Language
    from idp.notify.mailer import Mailer
    from idp.notify.message import Posted
    from idp.notify.rendering import Written
    from idp.outbound import Outbound
    from idp.settings import Settings
    from idp.store.db import Database
    from idp.store.rows import Row
    from idp.tenancy.tenant import Tenant

NO_SERVER = (
    "there is no mail server: set IDP_SMTP_URL, or give the tenant its own with `idp mail smtp {slug} --url-stdin`"
)


@dataclass(frozen=True)
class Delivery:
    """How this process delivers mails; ``own_server`` returns the address of a tenant's own server, ``look`` a tenant's colours."""

    settings: Settings
    mailer: Mailer
    outbound: Outbound
    own_server: Callable[[Database, Tenant], str | None]
    look: Callable[[Tenant], Look]

    def send(self, tenant: Tenant, database: Database, row: Row[Any]) -> Outcome:
        """Deliver a message of the outbox and say what became of it."""
        if now() >= row.expires_at:
            return Outcome("refused", "it was not sent in time, and what it says holds no longer")
        content = self.mailer.opened(tenant, row.payload)
        if not rendering.is_known(content["template"]):
            return Outcome("failed", f"this release has no mail {content['template']}")
        written, language = self.write(tenant, database, content["template"], content["context"], content["language"])
        try:
            mail = message.compose(
                written,
                self.origin(tenant),
                content["to"],
                identity=f"{tenant.id} {row.id} {row.created_at}",
                at=row.created_at,
                language=language.tag,
            )
        except CannotAddress as error:
            return Outcome("refused", str(error))
        return self._post(tenant, database, mail, written, content["template"])

    def write(
        self, tenant: Tenant, database: Database, name: str, context: Mapping[str, Any], tag: str | None
    ) -> tuple[Written, Language]:
        """Return a mail of a tenant in a language, None being the tenant's default, and which language that is."""
        language = self.language(tenant, database, tag)
        with database.reading() as conn:
            rows = {(row.language, row.part): row.body for row in mail_templates.list_of(conn, name)}
        return rendering.write(
            name, context, self.sender(tenant), language, wording.chosen(rows, tag or language.tag)
        ), language

    @staticmethod
    def language(tenant: Tenant, database: Database, tag: str | None) -> Language:
        """Return the language of the tenant's that is nearest to a tag."""
        languages = TenantLanguages(tenant.settings, database)
        return languages.of(best(languages.offered, [tag] if tag else [], None, languages.default))

    def sender(self, tenant: Tenant) -> Sender:
        """Return whose name and colours a tenant's mails have."""
        return Sender(tenant.name, tenant.issuer, self.look(tenant))

    def origin(self, tenant: Tenant) -> Origin:
        """Return whom a tenant's mails are from."""
        host = smtp.own_name(self.settings.public_url)
        address = tenant.settings.mail_from or self.settings.mail_from or f"no-reply@{host}"
        return Origin(address, tenant.settings.mail_from_name or tenant.name, tenant.settings.mail_reply_to)

    def _post(self, tenant: Tenant, database: Database, mail: Posted, written: Written, name: str) -> Outcome:
        own = self.own_server(database, tenant)
        url = own or self.settings.smtp_url
        if not url:
            if self.settings.is_production:
                return Outcome("failed", NO_SERVER.format(slug=tenant.slug))
            path = files.keep(self.settings.data_dir / "outbox", mail, name)
            files.announce(mail, written, tenant.issuer, path)
            return Outcome("delivered", "written to a file", str(path))
        try:
            server = smtp.parse(url)
        except IdpError as error:
            return Outcome("failed", error.title)
        hello = smtp.own_name(self.settings.public_url)
        # What a tenant names is never a way into the network that this program stands in.
        return smtp.send(server, mail, self.outbound, hello=hello, may_be_private=own is None)
