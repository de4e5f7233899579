"""The table of the flow's addresses, for the app to mount under each tenant; handlers are ``handle(server, request)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.flow import accounts_page, assets, brand_preview, landing, own_sign_in, step_pages
from idp.flow.account_choice import ACCOUNT_CHOICE
from idp.flow.consent import CONSENT
from idp.flow.login import LOGIN
from idp.flow.password_change import PASSWORD_CHANGE

if TYPE_CHECKING:
    from idp.flow.services import Step
    from idp.flow.step_pages import Handle

# In the order in which a person is asked.
STEPS: tuple[Step, ...] = (ACCOUNT_CHOICE, LOGIN, PASSWORD_CHANGE, CONSENT)


def pages_of(step: Step) -> tuple[tuple[str, str, Handle], ...]:
    """Return the two rows of a step: its page and its form."""
    return (("GET", step.path, step_pages.show(step)), ("POST", step.path, step_pages.submit(step)))


PAGES: tuple[tuple[str, str, Handle], ...] = (
    ("GET", "/", step_pages.answered(landing.show)),
    ("GET", "/brand.css", landing.colours),
    ("GET", "/continue", step_pages.answered(step_pages.resume)),
    ("GET", own_sign_in.PATH, step_pages.answered(own_sign_in.begin)),
    ("GET", accounts_page.PATH, step_pages.answered(accounts_page.show)),
    ("POST", accounts_page.PATH, step_pages.answered(accounts_page.submit)),
    ("GET", brand_preview.PATH, step_pages.answered(brand_preview.show)),
    ("GET", brand_preview.STYLESHEET, step_pages.answered(brand_preview.colours)),
    *(("GET", f"/brand/{kind}", assets.handler(kind)) for kind in assets.KINDS),
    *(row for step in STEPS for row in pages_of(step)),
)
