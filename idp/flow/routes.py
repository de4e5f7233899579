"""The table of the flow's addresses, for the app to mount under each tenant; handlers are ``handle(server, request)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.flow import (
    accounts_page,
    assets,
    brand_preview,
    forgotten_password,
    landing,
    languages,
    link_pages,
    own_sign_in,
    step_pages,
)
from idp.flow.account_choice import ACCOUNT_CHOICE
from idp.flow.consent import CONSENT
from idp.flow.login import LOGIN
from idp.flow.password_change import PASSWORD_CHANGE
from idp.flow.signup import SIGN_UP, SIGN_UP_CODE, page_of
from idp.flow.terms import TERMS

if TYPE_CHECKING:
    from idp.flow.services import Step
    from idp.flow.step_pages import Handle

# In the order in which a person is asked.
STEPS: tuple[Step, ...] = (ACCOUNT_CHOICE, SIGN_UP_CODE, SIGN_UP, LOGIN, PASSWORD_CHANGE, TERMS, CONSENT)


def pages_of(step: Step) -> tuple[tuple[str, str, Handle], ...]:
    """Return the two rows of a step: its page and its form."""
    shown = page_of(step) if step in (SIGN_UP, SIGN_UP_CODE) else step_pages.show(step)
    return (("GET", step.path, shown), ("POST", step.path, step_pages.submit(step)))


PAGES: tuple[tuple[str, str, Handle], ...] = (
    ("GET", "/", step_pages.answered(landing.show)),
    ("GET", "/brand.css", landing.colours),
    ("GET", languages.PATH, step_pages.answered(languages.handle)),
    ("GET", "/continue", step_pages.answered(step_pages.resume)),
    ("GET", own_sign_in.PATH, step_pages.answered(own_sign_in.begin)),
    ("GET", accounts_page.PATH, step_pages.answered(accounts_page.show)),
    ("POST", accounts_page.PATH, step_pages.answered(accounts_page.submit)),
    ("GET", brand_preview.PATH, step_pages.answered(brand_preview.show)),
    ("GET", brand_preview.STYLESHEET, step_pages.answered(brand_preview.colours)),
    ("GET", brand_preview.MAIL, step_pages.answered(brand_preview.mail)),
    *(("GET", f"/brand/{kind}", assets.handler(kind)) for kind in assets.KINDS),
    *(row for step in STEPS for row in pages_of(step)),
    ("GET", forgotten_password.PATH, step_pages.answered(forgotten_password.show)),
    ("POST", forgotten_password.PATH, step_pages.answered(forgotten_password.submit)),
    ("GET", forgotten_password.SENT, step_pages.answered(forgotten_password.sent)),
    *((method, path, step_pages.answered(handle)) for method, path, handle in link_pages.rows()),
)
