"""A browser and a system in a person's words, as far as a User-Agent header can be believed.

A header is what its sender says. It is shown to the person whose session it is and decides nothing, so the few names that people
know are enough; what is none of them is shown as it came. Must not know sessions or pages.
"""

from __future__ import annotations

from idp.browsers import named
from idp.language import N_, gettext, translated

LONGEST = 60  # characters of a header that is shown as it came
UNKNOWN = N_("An unknown program")


def described(user_agent: str | None) -> str:
    """Return for instance “Firefox on Windows” in the current language; for a program that is no browser what it calls itself."""
    given = (user_agent or "").strip()
    if not given:
        return gettext(UNKNOWN)
    browser, system = named(given)
    if browser is not None and system is not None:
        return translated(N_("%(browser)s on %(system)s", browser=browser, system=system))
    if browser is not None:
        return browser
    if system is not None:
        return translated(N_("A browser on %(system)s", system=system))
    return given if len(given) <= LONGEST else f"{given[: LONGEST - 1]}…"
