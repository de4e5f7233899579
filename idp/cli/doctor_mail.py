"""What `idp doctor` checks about mail servers, the installation's and the tenants' own: whether they would take a mail now.

Each is greeted, asked for encryption and told who sends, as for a mail; then the connection is closed. Nothing is sent.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from idp.cli.doctor_node import Finding
from idp.errors import Invalid
from idp.keys import sealed_state
from idp.keys.envelope import CannotUnseal
from idp.notify import smtp
from idp.outbound import Outbound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from idp.keys.envelope import Envelope
    from idp.settings import Settings
    from idp.store.db import Database
    from idp.store.rows import Row

AT_ONCE = 16  # servers: one that hangs takes half a minute
MOST_NAMED = 5


class Own(NamedTuple):
    """A tenant's own server; without an address it could not be read."""

    slug: str
    url: str | None


def of_installation(settings: Settings) -> Iterator[Finding]:
    """Check the server of ``IDP_SMTP_URL``, or say what happens without one."""
    if not settings.smtp_url:
        if settings.is_production:
            fix = "set IDP_SMTP_URL, or give each tenant its own with `idp mail smtp TENANT --url-stdin`"
            yield Finding("warning", "there is no mail server: mails wait, and are given up after some hours", fix)
        else:
            fix = "set IDP_SMTP_URL to send them"
            yield Finding("note", f"mails are written to {settings.data_dir / 'outbox'}", fix)
        return
    try:
        server = smtp.parse(settings.smtp_url)
    except Invalid as error:
        yield Finding("error", f"IDP_SMTP_URL cannot be used: {error.title}", "correct it; docs/mail.md has examples")
        return
    trouble = smtp.trouble(server, Outbound(settings), hello=smtp.own_name(settings.public_url), may_be_private=True)
    if trouble is None:
        yield Finding("ok", f"mails go through {server.shown}; idp mail test TENANT ADDRESS sends one")
    else:
        fix = "check IDP_SMTP_URL and that server; mails wait meanwhile, and are given up after some hours"
        yield Finding("error", f"mails do not go through {server.shown}: {trouble}", fix)


def own(database: Database, tenant: Row[Any], envelope: Envelope) -> Own | None:
    """Return the server that a tenant has of its own, or None."""
    try:
        found = sealed_state.get(database, envelope, tenant.id, sealed_state.SMTP_URL)
    except CannotUnseal:
        return Own(tenant.slug, None)
    return Own(tenant.slug, found.decode()) if found is not None else None


def of_tenants(settings: Settings, owned: Sequence[Own]) -> Iterator[Finding]:
    """Check the servers that tenants have of their own, many at a time, each address once."""
    addresses = list(dict.fromkeys(each.url for each in owned if each.url is not None))
    outbound = Outbound(settings)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mail-server") as pool:
        troubles = dict(zip(addresses, pool.map(lambda url: _trouble(settings, url, outbound), addresses), strict=True))
    broken = 0
    for each in owned:
        found = _finding(each, troubles.get(each.url) if each.url is not None else None)
        if found is not None and (broken := broken + 1) <= MOST_NAMED:
            yield found
    if broken > MOST_NAMED:
        fix = "correct those above and ask the doctor again"
        yield Finding("error", f"{broken - MOST_NAMED} more tenants have a mail server that takes no mails", fix)
    if owned and not broken:
        yield Finding("ok", f"the mail servers that {len(owned)} tenants have of their own would take a mail")


def _trouble(settings: Settings, url: str, outbound: Outbound) -> tuple[str, str | None]:
    """Return how a server is shown, and what keeps it from taking mails."""
    server = smtp.parse(url)  # kept only when it could be used
    # As when a mail is sent: what a tenant names is never a way into the network that this program stands in.
    return server.shown, smtp.trouble(server, outbound, hello=smtp.own_name(settings.public_url), may_be_private=False)


def _finding(own: Own, checked: tuple[str, str | None] | None) -> Finding | None:
    if checked is None:
        fix = f"put the former master key back and run `idp keys rewrap`, or give it anew: idp mail smtp {own.slug} --url-stdin"
        return Finding("error", f"the mail server of tenant {own.slug} is sealed under another master key", fix)
    shown, trouble = checked
    if trouble is None:
        return None
    fix = f"correct it with `idp mail smtp {own.slug} --url-stdin`, or send through the installation's: --remove"
    return Finding("error", f"mails of tenant {own.slug} do not go through {shown}: {trouble}", fix)
