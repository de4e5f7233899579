"""Debian's Chromium, headless, with the names of the test's two domains led to loopback, each to its server's port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from running import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Playwright
    from site_pair import Site

PROGRAM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--ignore-certificate-errors",
)


def launched(playwright: Playwright, pair: Site) -> Browser:
    """Start Chromium."""
    need("Chromium", "Debian package chromium", is_there=PROGRAM.exists())
    return playwright.chromium.launch(executable_path=PROGRAM, args=_arguments(pair))


def person_with(
    playwright: Playwright, pair: Site, profile: Path, *, blocks_third_party_cookies: bool, **options: Any
) -> BrowserContext:
    """Start Chromium with a profile of its own, as a person has it: a context without one blocks third-party cookies always."""
    preferences = profile / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    mode = {
        "cookie_controls_mode": int(blocks_third_party_cookies),
        "block_third_party_cookies": blocks_third_party_cookies,
    }
    preferences.write_text(json.dumps({"profile": mode}))
    return playwright.chromium.launch_persistent_context(
        profile, executable_path=PROGRAM, args=_arguments(pair), ignore_https_errors=True, **options
    )


def _arguments(pair: Site) -> list[str]:
    rules = ",".join(f"MAP {name}:443 127.0.0.1:{port}" for name, port in pair.ports.items())
    return [*ARGUMENTS, f"--host-resolver-rules={rules}"]
