"""oidc-client-ts in Chromium: an application of one page, on a site of its own, registered at the served product as a public client."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from clients import modules
from matrix import showed
from registered import trusting
from running import need
from website import Website

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from chromium import PROGRAM, person_with
from walking import log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page
    from world import World

    from idp.tenancy.tenant import Tenant

pytestmark = pytest.mark.slow
NAME = "oidc-client-ts"
HOST = "spa.rp-example.org"
RP = f"https://{HOST}"
HERE = Path(__file__).parent / "spa"
SECONDS = 20_000


class Application(Website):
    """The site that serves the page; ``ports`` says where Chromium finds it."""

    def __init__(self, tls: World, tenant: Tenant, folder: Path) -> None:
        """Register the application and publish its page with the library's own bundle."""
        super().__init__(tls.running.authority, folder, HOST)
        self.ports = {HOST: self.port}
        self.tenant = tenant
        listed = json.dumps([f"{RP}/callback", f"{RP}/silent"]).encode()
        self.pages["/sector"] = ("application/json", listed)
        with httpx.Client(verify=trusting(tls.running.authority.file), trust_env=False) as line:
            answer = line.post(f"{tenant.issuer}/register", json=self._metadata())
        assert answer.status_code == 201, answer.text
        self.document = answer.json()
        bundle = modules() / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js"
        script, page = "text/javascript", ("text/html", (HERE / "index.html").read_bytes())
        self.pages |= dict.fromkeys(("/", "/callback", "/silent", "/bye"), page)
        self.pages["/oidc-client-ts.js"] = (script, bundle.read_bytes())
        self.pages["/app.js"] = (script, (HERE / "app.js").read_bytes())
        self.pages["/settings.json"] = ("application/json", json.dumps(self._settings()).encode())

    def _metadata(self) -> dict[str, Any]:
        return {
            "client_name": "An application of one page",
            "redirect_uris": [f"{RP}/callback", f"{RP}/silent"],
            "post_logout_redirect_uris": [f"{RP}/bye"],
            "token_endpoint_auth_method": "none",
            "scope": "openid profile email",
            "subject_type": "pairwise",
            "sector_identifier_uri": f"{self.url}/sector",
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "authority": self.tenant.issuer,
            "client_id": self.document["client_id"],
            "redirect_uri": f"{RP}/callback",
            "silent_redirect_uri": f"{RP}/silent",
            "post_logout_redirect_uri": f"{RP}/bye",
            "scope": "openid profile email",
            "loadUserInfo": True,
            "monitorSession": True,
            "checkSessionIntervalInSeconds": 1,
            "automaticSilentRenew": False,
        }


@pytest.fixture(scope="module")
def application(tls: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application, at a tenant where anybody may register."""
    tenant = tls.running.tenant("spa", allowed_client_profiles="strict,oidc", registration="open")
    made = Application(tls, tenant, tmp_path_factory.mktemp("spa"))
    yield made
    made.close()


@pytest.fixture
def person(application: Application, tmp_path: Path) -> Iterator[BrowserContext]:
    """Somebody's Chromium, which sends third-party cookies."""
    need("Chromium", "Debian package chromium", is_there=PROGRAM.exists())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        made = person_with(driver, application, tmp_path / "profile", blocks_third_party_cookies=False)
        made.set_default_timeout(SECONDS)
        yield made
        made.close()


def sign_in(person: BrowserContext, **more: Any) -> Page:
    """Open the application, have it send the person to sign in, and come back."""
    page = person.new_page()
    page.goto(RP)
    ready(page)
    page.evaluate("given => void manager.signinRedirect(given)", more)
    log_in(page)
    page.wait_for_selector("#consent-approve, #is", state="attached")
    if page.locator("#consent-approve").count():  # asked once, remembered afterwards
        page.click("#consent-approve")
    page.wait_for_url(f"{RP}/callback*")
    ready(page)
    return page


def ready(page: Page) -> None:
    """Wait until the page has done what it was opened for."""
    page.wait_for_function("document.getElementById('is')?.textContent")
    assert page.inner_text("#is") == "ready"


def test_sign_in(person: BrowserContext, application: Application, tls: World) -> None:
    """OIDC Core §3.1, §5.3, §8.1, Fetch §3.2: code with PKCE and userinfo, all by script from another origin."""
    page = sign_in(person)
    user = page.evaluate("answer")
    assert user["profile"]["aud"] == application.document["client_id"]
    assert (user["profile"]["email"], user["profile"]["name"]) == ("ada@example.com", "Ada Lovelace")
    assert user["profile"]["iss"] == application.tenant.issuer
    assert user["profile"]["sub"] != tls.running.house.user_id(application.tenant)
    showed(NAME, "registered_code")
    showed(NAME, "pairwise")


def test_claims(person: BrowserContext) -> None:
    """OIDC Core §5.5: a claim asked for by name comes in the ID token."""
    wanted = {"id_token": {"email": {"essential": True}}}
    page = sign_in(person, scope="openid", extraQueryParams={"claims": json.dumps(wanted)})
    token = page.evaluate("JSON.parse(atob(answer.id_token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')))")
    assert token["email"] == "ada@example.com"
    assert "name" not in token
    showed(NAME, "claims")


def test_silent_and_monitored(person: BrowserContext, application: Application) -> None:
    """OIDC Core §3.1.2.1, Session Management §3: a frame renews without a page; signing out elsewhere raises userSignedOut."""
    page = sign_in(person)
    first = page.evaluate("answer")
    assert first["session_state"]
    again = page.evaluate("() => manager.signinSilent()")
    assert again["profile"]["sub"] == first["profile"]["sub"]
    assert again["id_token"] != first["id_token"]
    showed(NAME, "silent")
    page.wait_for_timeout(2500)  # three questions of the frame that watches
    assert page.evaluate("happened") == []
    elsewhere = person.new_page()
    elsewhere.goto(f"{application.tenant.issuer}/logout")
    elsewhere.click("#logout-confirm")
    page.wait_for_function("happened.includes('UserSignedOut')")
    refused = page.evaluate("() => manager.signinSilent().then(() => 'signed in', error => error.error)")
    assert refused == "login_required"
    showed(NAME, "session")


def test_sign_out(person: BrowserContext) -> None:
    """OpenID Connect RP-Initiated Logout §2: the application sends the person to sign out, who comes back with the state."""
    page = sign_in(person)
    page.evaluate("() => void manager.signoutRedirect()")
    page.wait_for_url(f"{RP}/bye*")
    ready(page)
    refused = page.evaluate("() => manager.signinSilent().then(() => 'signed in', error => error.error)")
    assert refused == "login_required"
    showed(NAME, "registered_logout")
