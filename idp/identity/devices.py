"""A browser and a system in a person's words, as far as a User-Agent header can be believed.

A header is what its sender says. It is shown to the person whose session it is and decides nothing, so the few names that people
know are enough; what is none of them is shown as it came. Must not know sessions or pages.
"""

from __future__ import annotations

from idp.language import N_, gettext

LONGEST = 60  # characters of a header that is shown as it came
UNKNOWN = N_("An unknown program")

# In this order: a browser names those that it wants to be taken for beside itself.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def described(user_agent: str | None) -> str:
    """Return for instance “Firefox on Windows” in the current language; for a program that is no browser what it calls itself."""
    given = (user_agent or "").strip()
    if not given:
        return gettext(UNKNOWN)
    browser = _first(_BROWSERS, given) if given.startswith("Mozilla/") else None
    system = _first(_SYSTEMS, given)
    if browser == "Safari" and "Safari/" not in given:
        browser = None
    if browser is not None and system is not None:
        return gettext(N_("%(browser)s on %(system)s")) % {"browser": browser, "system": system}
    if browser is not None:
        return browser
    if system is not None and given.startswith("Mozilla/"):
        return gettext(N_("A browser on %(system)s")) % {"system": system}
    return given if len(given) <= LONGEST else f"{given[: LONGEST - 1]}…"


def _first(table: tuple[tuple[str, str], ...], given: str) -> str | None:
    return next((name for mark, name in table if mark in given), None)
