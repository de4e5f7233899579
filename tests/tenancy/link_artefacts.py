"""Artefacts of mails: the links in them, each for its own kind of thing."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from letters import answer_requests, newest, recovery_letter

from idp.identity import invitations, unlocking
from idp.identity.accounts import By
from idp.identity.lockout import account
from idp.store.tenant import attempts

if TYPE_CHECKING:
    from artefacts import Side

NEW = "a different long enough sentence"


def tokens(a: Side, b: Side) -> dict[str, str]:
    """A link of each kind at A, for people whom B knows by the same addresses."""
    house, names = a.house, [f"{secrets.token_hex(4)}@example.com" for _ in range(3)]
    for side in (a, b):
        for name in names[:2] if side is a else names:
            house.user(side.tenant, name)
    database = house.database(a.tenant)
    for _ in range(a.tenant.settings.account_attempts):
        database.writing(lambda conn: attempts.count_one(conn, account(names[1]), 900))
    unlocking.offer(database, house.user_id(a.tenant, names[1]), "192.0.2.1", "C" * 16)
    answer_requests(house, a.tenant)
    mailer = house.installation.services.mailer
    invitations.invite(database, mailer, a.tenant, email=names[2], by=By("operator"))
    return {
        "/recovery": recovery_letter(house, a.tenant, names[0]).token,
        "/unlock": newest(house, a.tenant, "unlock").token,
        "/invitation": newest(house, a.tenant, "invitation").token,
    }


def tokens_refused(b: Side, made: dict[str, str]) -> None:
    """B knows none of them, by their page or by a form of its own."""
    for path, token in made.items():
        browser = b.browser()
        assert browser.get(f"{b.tenant.base_path}{path}?token={token}").status == 410, path
        page = browser.get(f"{b.tenant.base_path}/recover")
        form = {**page.form[1], "token": token, "new_password": NEW, "confirm_password": NEW}
        assert browser.post(f"{b.tenant.base_path}{path}", form).status in (403, 410), path


def tokens_work(a: Side, made: dict[str, str]) -> None:
    """Each does what it is for."""
    for path, token in made.items():
        browser = a.browser()
        page = browser.get(f"{a.tenant.base_path}{path}?token={token}")
        assert browser.submit(page, new_password=NEW, confirm_password=NEW).status == 303, path
