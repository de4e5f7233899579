"""Artefacts of the account pages: the link that changes an e-mail address, bound to the session that asked for it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import select

from idp.store.tenant.outbox import outbox

if TYPE_CHECKING:
    from artefacts import Side
    from house import Browser

CONFIRM = "/account/email/confirm"


def link(a: Side, _b: Side) -> tuple[Browser, str]:
    """A browser of A that asked for another address, and the token of the mail."""
    browser = a.signed_in()
    page = browser.get(f"{a.tenant.base_path}/account/email")
    browser.submit(page, email=f"{secrets.token_hex(4)}@new.example")
    with a.house.database(a.tenant).reading() as conn:
        row = conn.execute(select(outbox).where(outbox.c.kind == "mail").order_by(outbox.c.id.desc())).first()
    mail = a.house.installation.services.mailer.opened(a.tenant, row.payload)
    return browser, mail["context"]["link"].partition("token=")[2]


def link_refused(b: Side, made: tuple[Browser, str]) -> None:
    """B knows no such link, whoever is signed in there."""
    browser = b.signed_in()
    address = f"{b.tenant.base_path}{CONFIRM}"
    assert browser.get(f"{address}?token={made[1]}").status == 410
    form = browser.get(f"{b.tenant.base_path}/account/profile").form[1]
    assert browser.post(address, {"csrf": form["csrf"], "token": made[1]}).status == 403
    assert b.count("SELECT count(*) FROM users WHERE email = ?", "ada@example.com") == 1


def link_works(a: Side, made: tuple[Browser, str]) -> None:
    """At A, in the browser that asked, it leads to the page that changes the address."""
    page = made[0].get(f"{a.tenant.base_path}{CONFIRM}?token={made[1]}")
    assert page.status == 200
    assert 'id="email-confirm"' in page.text
