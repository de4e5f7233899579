"""mod_auth_openidc, registered by itself at the served product: a person names the provider, the module does the rest."""

from __future__ import annotations

import html
import json
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

import apache
import apache_registered
import pytest
from matrix import showed
from running import need

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from chromium import PROGRAM, person_with
from walking import log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apache_registered import RegisteredApache
    from person import Person, Stop
    from world import World

pytestmark = pytest.mark.slow
NAME = "mod_auth_openidc"
OPEN = {"allowed_client_profiles": "strict,oidc", "registration_client_profile": "oidc", "registration": "open"}
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
_ONWARD = re.compile(r'id="continue" href="([^"]+)"')
_FRAME = re.compile(r'<iframe[^>]*\bsrc="([^"]+)"')


@pytest.fixture(scope="module")
def httpd(tls: World) -> Iterator[RegisteredApache]:
    """Apache in front of an application; nothing is registered yet."""
    tenant = tls.running.tenant("apache-open", **OPEN)
    closed = tls.running.tenant("apache-closed", **{**OPEN, "registration": "token"})
    made = tls.running.idp("registration-token", "create", closed.slug, "--name", "Apache", "--uses", "1", "--json")
    token = re.search(r"iat_[\w-]+", made)
    assert token is not None
    with apache_registered.started(tls.running, tenant, (closed, token[0])) as made_:
        yield made_


@pytest.fixture
def person(tls: World) -> Person:
    return tls.person()


def reach(httpd: RegisteredApache, person: Person, kind: str, path: str = "/page") -> Stop:
    """Open a page of the application, name the provider where the module asks for it, and go on as far as it leads."""
    at = httpd.at[kind]
    stop = person.open(at + path)
    if "Provider Discovery" in stop.text:
        hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(stop.text)}
        named = urlencode({**hidden, "iss": httpd.tenants[kind].issuer})
        stop = person.open(f"{at}/callback?{named}")
    if "#" in stop.url:  # the module's script posts the fragment to itself
        url, _, fragment = stop.url.partition("#")
        stop = person.open(url, form={"response_mode": "fragment", **dict(parse_qsl(fragment))})
    return stop


def sign_in(httpd: RegisteredApache, person: Person, kind: str) -> dict[str, Any]:
    """Reach the application; returns the headers it was sent."""
    stop = reach(httpd, person, kind)
    assert (stop.url, stop.status) == (f"{httpd.at[kind]}/page", 200), (stop, httpd.errors)
    return dict(json.loads(stop.text))


def is_signed_in(httpd: RegisteredApache, person: Person, kind: str) -> bool:
    """Whether the application is reached with no more ado."""
    stop = person.open(f"{httpd.at[kind]}/page")
    return "oidc_claim_sub" in stop.text


def sign_out_at_the_provider(httpd: RegisteredApache, person: Person, kind: str) -> Stop:
    """End the session where nobody but the provider sees it."""
    stop = person.open(f"{httpd.tenants[kind].issuer}/logout")
    assert "logout-confirm" in person.seen
    return stop


def show(feature: str) -> None:
    showed(NAME, feature, client_version=apache.version())


def test_registration(httpd: RegisteredApache, person: Person, tls: World) -> None:
    """OIDC Registration §3, RFC 7591 §3.2: it registers when the first person comes, and once; then a sign-in with PKCE."""
    headers = sign_in(httpd, person, "code")
    registered = httpd.client("code")
    assert registered["backchannel_logout_uri"] == f"{httpd.at['code']}/callback?logout=backchannel"
    assert headers["oidc_claim_aud"] == registered["client_id"]
    assert (headers["oidc_claim_email"], headers["oidc_claim_name"]) == ("ada@example.com", "Ada Lovelace")
    sign_in(httpd, tls.person(), "code")
    assert httpd.client("code") == registered
    show("registration")
    show("registered_code")


@pytest.mark.parametrize(
    ("kind", "feature"),
    [("token", "initial_access_token"), ("jwt", "registered_private_key_jwt"), ("userinfo", "signed_userinfo")],
)
def test_other_ways(httpd: RegisteredApache, person: Person, kind: str, feature: str) -> None:
    """RFC 7591 §3.1, OIDC Core §9, §5.3.2: with an initial access token, with private_key_jwt, with userinfo as a signed JWT."""
    assert sign_in(httpd, person, kind)["oidc_claim_aud"] == httpd.client(kind)["client_id"]
    show(feature)


def test_without_its_token(httpd: RegisteredApache, person: Person) -> None:
    """RFC 7591 §3.1: at a tenant that wants a token the module does not get in without one."""
    at = httpd.at["code"]
    stop = person.open(f"{at}/page")
    hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(stop.text)}
    named = urlencode({**hidden, "iss": httpd.tenants["token"].issuer})
    assert "oidc_claim_sub" not in person.open(f"{at}/callback?{named}").text


@pytest.mark.parametrize("kind", ["hybrid", "implicit"])
def test_fragment(httpd: RegisteredApache, person: Person, kind: str) -> None:
    """OIDC Core §3.2.2.5, §3.3.2.5: the answer in the fragment, c_hash and nonce checked by the module."""
    headers = sign_in(httpd, person, kind)
    assert headers["oidc_claim_email"] == "ada@example.com"
    assert ("oidc_access_token" in headers) == (kind == "hybrid")
    show(kind)


def test_claims(httpd: RegisteredApache, person: Person) -> None:
    """OIDC Core §5.5: a claim asked for by name comes in the ID token."""
    headers = sign_in(httpd, person, "claims")
    assert headers["oidc_claim_given_name"] == "Ada"
    assert "oidc_claim_name" not in headers
    show("claims")


def test_request_object(httpd: RegisteredApache, person: Person) -> None:
    """OIDC Core §6.1: the request goes in an object signed with a key that the server fetches from the module."""
    stop = person.open(f"{httpd.at['request']}/page")
    hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(stop.text)}
    named = f"{httpd.at['request']}/callback?{urlencode({**hidden, 'iss': httpd.tenants['request'].issuer})}"
    sent = person.open(named, stop_at=f"{httpd.tenants['request'].issuer}/authorize").url
    assert "request=ey" in sent
    assert sign_in(httpd, person, "request")["oidc_claim_sub"]
    show("request")


def test_pairwise(httpd: RegisteredApache, person: Person) -> None:
    """OIDC Core §8.1: the module's own host is its sector; others know Ada by another name."""
    assert sign_in(httpd, person, "pairwise")["oidc_claim_sub"] != sign_in(httpd, person, "code")["oidc_claim_sub"]
    show("pairwise")


def test_silent(httpd: RegisteredApache, person: Person) -> None:
    """OIDC Core §3.1.2.1: a path for which the module asks prompt=none; nobody sees a page."""
    assert "error=login_required" in reach(httpd, person, "code", "/silent").url
    assert person.seen == []
    sign_in(httpd, person, "code")
    person.open(f"{httpd.at['code']}/callback?logout=get")  # the module forgets, the provider does not
    assert not is_signed_in(httpd, person, "code")
    person.seen.clear()
    assert "oidc_claim_sub" in reach(httpd, person, "code", "/silent").text
    assert person.seen == []
    show("silent")


def test_sign_out(httpd: RegisteredApache, person: Person) -> None:
    """OpenID Connect RP-Initiated Logout §2: the module ends its session, sends the person to the provider, who comes back."""
    sign_in(httpd, person, "code")
    person.seen.clear()
    bye = f"{httpd.at['code']}/bye"
    stop = person.open(f"{httpd.at['code']}/callback?logout={quote(bye, safe='')}")
    (onward,) = _ONWARD.findall(stop.text)  # where the page goes when the frames of front-channel logout have loaded
    assert person.open(html.unescape(onward)).url.partition("?")[0] == bye
    assert person.seen == []
    assert "error=login_required" in reach(httpd, person, "code", "/silent").url
    show("registered_logout")


def test_back_channel_logout(httpd: RegisteredApache, person: Person, tls: World) -> None:
    """Back-Channel Logout §2.5, §2.7: signing out at the provider ends the session at the module, another person's goes on."""
    other = tls.person()
    sign_in(httpd, person, "code")
    sign_in(httpd, other, "code")
    sign_out_at_the_provider(httpd, person, "code")
    until = time.monotonic() + 15
    while is_signed_in(httpd, person, "code"):
        assert time.monotonic() < until, httpd.errors
        time.sleep(0.1)
    assert is_signed_in(httpd, other, "code")
    show("backchannel")


def test_front_channel_logout(httpd: RegisteredApache, person: Person) -> None:
    """Front-Channel Logout §2, §3: the signed-out page frames the module's address with iss and sid, which ends the session."""
    sign_in(httpd, person, "front")
    assert "backchannel_logout_uri" not in httpd.client("front")
    page = sign_out_at_the_provider(httpd, person, "front")
    assert is_signed_in(httpd, person, "front")
    (frame,) = [html.unescape(src) for src in _FRAME.findall(page.text)]
    assert frame.startswith(f"{httpd.at['front']}/callback?logout=get&iss=")
    person.open(frame)
    assert not is_signed_in(httpd, person, "front")
    show("frontchannel")


def test_session_monitoring(httpd: RegisteredApache, tmp_path: Path) -> None:
    """Session Management §3: the module's two frames notice that the session at the provider has changed, and end its own."""
    need("Chromium", "Debian package chromium", is_there=PROGRAM.exists())
    from playwright.sync_api import sync_playwright

    at, issuer = httpd.at["session"], httpd.tenants["session"].issuer
    with sync_playwright() as driver:
        nowhere = SimpleNamespace(ports={})
        chromium = person_with(driver, nowhere, tmp_path / "profile", blocks_third_party_cookies=False)
        page = chromium.new_page()
        page.goto(f"{at}/watching")
        page.fill("input[name=iss]", issuer)
        page.click("input[type=submit]")
        log_in(page)
        page.click("#consent-approve")
        page.wait_for_url(f"{at}/watching")
        page.wait_for_timeout(1800)  # three questions
        assert page.inner_text("h1") == "Watching"
        elsewhere = chromium.new_page()
        elsewhere.goto(f"{issuer}/logout")
        elsewhere.click("#logout-confirm")
        page.wait_for_selector("input[name=iss]", timeout=10_000)
        chromium.close()
    show("session")
