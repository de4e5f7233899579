"""Takes the screenshots of the README anew: `python docs/screenshots/make.py [PORT]`.

Serves a fresh installation on PORT (8000) and the demo application on the next one, signs in with Chromium, and writes
login.png, consent.png, demo-tokens.png and signed-out.png beside this file, 1280 pixels wide, light.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "demo"))
from demo_world import ARGUMENTS, CHROMIUM, EMAIL, PASSWORD, demo_application, identity_provider  # noqa: E402


def main() -> None:
    """Sign in once, with the camera."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    with (
        tempfile.TemporaryDirectory() as folder,
        identity_provider(Path(folder), port) as idp,
        demo_application(idp, port + 1, client_id="demo-rp") as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(demo.url)
        page.click("#sign-in")
        page.fill("#username", EMAIL)
        page.screenshot(path=HERE / "login.png")
        page.fill("#password", PASSWORD)
        page.click("#login-submit")
        page.set_viewport_size({"width": 1280, "height": 860})
        page.screenshot(path=HERE / "consent.png")
        page.click("#consent-approve")
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.screenshot(path=HERE / "demo-tokens.png")
        page.set_viewport_size({"width": 1280, "height": 480})
        page.goto(f"{idp.issuer}/logout")
        page.click("#logout-confirm")
        page.wait_for_selector(".outcome-good")
        page.screenshot(path=HERE / "signed-out.png")
        browser.close()


if __name__ == "__main__":
    main()
