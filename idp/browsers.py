"""Which browser and which system a User-Agent header names (RFC 9110 §10.1.5), as far as people know them.

A header is what its sender says: it decides nothing, and what is none of the few names here is nobody's business.
"""

from __future__ import annotations

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


def named(user_agent: str) -> tuple[str | None, str | None]:
    """Return (browser, system); None for what is not known, both where no browser speaks."""
    if not user_agent.startswith("Mozilla/"):
        return None, None
    browser = _first(_BROWSERS, user_agent)
    if browser == "Safari" and "Safari/" not in user_agent:
        browser = None
    return browser, _first(_SYSTEMS, user_agent)


def _first(table: tuple[tuple[str, str], ...], given: str) -> str | None:
    return next((name for mark, name in table if mark in given), None)
