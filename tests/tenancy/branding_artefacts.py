"""Artefacts of several accounts in one browser and of a tenant's brand."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING

from idp.flow.assets import address
from idp.store.tenant import assets

if TYPE_CHECKING:
    from artefacts import Side

PASSWORD = "a password for both of us"


def _signed_in_beside(side: Side) -> str:
    """Sign in as ada and then as somebody else; returns what the browser keeps of ada."""
    from artefacts import EVERYTHING, PASSWORDS  # which imports this module

    name = f"{secrets.token_hex(4)}@example.com"
    side.house.user(side.tenant, name, PASSWORD)
    browser = side.browser()
    browser.sign_in(side.rp, password=PASSWORDS[side.tenant.slug], scope=EVERYTHING)
    browser.sign_in(side.rp, username=name, password=PASSWORD, prompt="login", scope=EVERYTHING)
    return browser.cookies[side.cookie("a")]


def account(a: Side, _b: Side) -> str:
    """The cookie of the accounts that are signed in beside the current one."""
    return _signed_in_beside(a)


def _offers(side: Side, value: str) -> bool:
    browser = side.browser()
    browser.cookies = {side.cookie("a"): value}
    return "ada@example.com" in browser.get(f"{side.tenant.base_path}/accounts").text


def account_refused(b: Side, value: str) -> None:
    """Under B's own name it offers nobody."""
    assert not _offers(b, value)


def account_works(a: Side, value: str) -> None:
    """At A it offers ada."""
    assert _offers(a, value)


def remembered(a: Side, _b: Side) -> str:
    """The cookie of an address that a browser remembers."""
    from artefacts import PASSWORDS

    browser = a.browser()
    page = browser.follow(browser.authorize(a.rp, verifier="v" * 43))
    browser.submit(page, username="ada@example.com", password=PASSWORDS["acme"], remember="yes")
    return browser.cookies[a.cookie("r")]


def _fills_in(side: Side, value: str) -> bool:
    browser = side.browser()
    browser.cookies = {side.cookie("r"): value}
    page = browser.follow(browser.authorize(side.rp, verifier="v" * 43))
    return page.form[1].get("username") == "ada@example.com"


def remembered_refused(b: Side, value: str) -> None:
    """B cannot read it."""
    assert not _fills_in(b, value)


def remembered_works(a: Side, value: str) -> None:
    """A can."""
    assert _fills_in(a, value)


def picture(a: Side, _b: Side) -> str:
    """The address of A's logo below the tenant."""
    body = secrets.token_bytes(64)
    digest = sha256(body).hexdigest()
    a.house.database(a.tenant).writing(
        lambda conn: assets.put(conn, "logo", media_type="image/png", digest=digest, body=body)
    )
    return address("logo", digest)


def picture_refused(b: Side, path: str) -> None:
    """B has none."""
    assert b.house.get(b.tenant, path).status == 404


def picture_works(a: Side, path: str) -> None:
    """A has it."""
    assert a.house.get(a.tenant, path).status == 200
