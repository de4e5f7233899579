"""Artefacts of people: a sign-up under way with its code, terms and who accepted them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from postbox import code_of, mails

from idp.identity import terms
from idp.identity.accounts import By

if TYPE_CHECKING:
    from artefacts import Side
    from house import Answer, Browser

NEW = "five unrelated words here"


def _open(side: Side) -> None:
    side.house.installation.provisioning.change_settings(side.tenant, {"signup": "on"})


def _to_code(side: Side, address: str) -> tuple[Browser, Answer]:
    _open(side)
    browser = side.browser()
    form = browser.follow(browser.get(f"{side.tenant.base_path}/signup"))
    form_fields = {"email": address, "profile_name": "Eve", "password": NEW, "confirm_password": NEW}
    return browser, browser.follow(browser.submit(form, **form_fields))


def sign_up(a: Side, _b: Side) -> tuple[str, str, str, str]:
    """A sign-up at A: the browser's cookie, the code page's address, its form token, and the code."""
    address = f"{secrets.token_hex(4)}@new.example"
    browser, page = _to_code(a, address)
    services, database = a.house.installation.services, a.house.database(a.tenant)
    action, fields = page.form
    return (
        browser.cookies[a.cookie("b")],
        action,
        fields["csrf"],
        code_of(mails(services, a.tenant, database, address)[-1]),
    )


def _submitted(side: Side, made: tuple[str, str, str, str]) -> bool:
    cookie, action, csrf, code = made
    browser = side.browser()
    browser.cookies = {side.cookie("b"): cookie}
    query = action.partition("?")[2]
    browser.post(f"{side.tenant.base_path}/signup/code?{query}", {"csrf": csrf, "code": code})
    return side.cookie("s") in browser.cookies


def sign_up_refused(b: Side, made: tuple[str, str, str, str]) -> None:
    """Neither the interaction nor the code is anything at B, in the same browser."""
    _open(b)
    assert not _submitted(b, made)


def sign_up_works(a: Side, made: tuple[str, str, str, str]) -> None:
    """At A they make the account."""
    assert _submitted(a, made)


def acceptance(a: Side, b: Side) -> str:
    """Terms of one name at both tenants, accepted at A."""
    version = f"v-{secrets.token_hex(4)}"
    for side in (a, b):
        _in_force(side, version)
    browser = a.browser()
    from artefacts import PASSWORDS  # which imports this module

    page = browser.follow(browser.authorize(a.rp, verifier="v" * 43))
    page = browser.follow(browser.submit(page, username="ada@example.com", password=PASSWORDS["acme"]))
    browser.submit(page, action="accept", terms=version)
    for side in (a, b):  # what else is presented in this world meets no terms
        _in_force(side, None)
    return version


def _in_force(side: Side, version: str | None) -> None:
    with side.house.installation.feed.announced(side.tenant.id, "config"):
        side.house.database(side.tenant).writing(
            lambda conn: (
                terms.put_in_force(conn, version, {"": "https://x.example/"}, By("operator"))
                if version
                else terms.end(conn, By("operator"))
            )
        )


def _has_accepted(side: Side, version: str) -> bool:
    with side.house.database(side.tenant).reading() as conn:
        return terms.has_accepted(conn, side.house.user_id(side.tenant), version)


def acceptance_unknown(b: Side, version: str) -> None:
    """Ada of B has accepted nothing."""
    assert not _has_accepted(b, version)


def acceptance_known(a: Side, version: str) -> None:
    """Ada of A has."""
    assert _has_accepted(a, version)
