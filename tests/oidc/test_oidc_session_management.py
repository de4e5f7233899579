"""Session management (OpenID Connect Session Management 1.0): session_state, the cookie behind it, and the page that is framed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from browser_state import status
from cast import discovery, without
from house import House

from idp import clock
from idp.identity import accounts
from idp.identity.accounts import By

if TYPE_CHECKING:
    from pathlib import Path

    from cast import Cast
    from house import Answer, Browser

    from idp.tenancy.tenant import Tenant

ORIGIN = "https://rp.example"
VERIFIER = "v" * 43


def silent(cast: Cast, browser: Browser, **params: str) -> Answer:
    """An authorization request that shows no page."""
    return browser.authorize(cast.basic, verifier=VERIFIER, **{"prompt": "none", **params})


def watched(browser: Browser, session_state: str, *, origin: str = ORIGIN, client_id: str = "basic") -> str:
    """What the frame in this browser says to a page of an origin."""
    return status(session_state, client_id, origin, browser.cookies.get("o-acme", ""))


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Session Management §3.3: check_session_iframe."""
    assert discovery(cast.house, cast.acme)["check_session_iframe"] == f"{cast.acme.issuer}/check-session"


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect Session Management §3.3: without its row neither the page nor its address nor session_state."""
    client = house.client(acme)
    without(monkeypatch, house, "session_management")
    assert "check_session_iframe" not in discovery(house, acme)
    assert house.get(acme, "/check-session").status == 404
    assert "session_state" not in house.browser(acme).sign_in(client).answer.params


def test_session_state_in_every_openid_answer(any_cast: Cast) -> None:
    """OpenID Connect Session Management §2: in each authentication response, without a space, unlike each time, over the origin."""
    cast = any_cast
    browser = cast.browser()
    seen = {browser.sign_in(cast.basic).answer.params["session_state"]}
    for _ in range(3):
        seen.add(silent(cast, browser).params["session_state"])
    assert len(seen) == 4
    for each in seen:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{20}", each)
        assert watched(browser, each) == "unchanged"
        assert watched(browser, each, origin="https://evil.example") == "changed"
        assert watched(browser, each, origin="https://rp.example:8443") == "changed"
        assert watched(browser, each, client_id="post") == "changed"


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://rp.example:8443/cb", "https://rp.example:8443"),
        ("https://rp.example:443/cb", "https://rp.example"),
        ("https://RP.example/cb", "https://rp.example"),
        ("http://127.0.0.1/cb", "http://127.0.0.1"),
        ("http://[::1]:9000/cb", "http://[::1]:9000"),
        ("com.example.app:/cb", "null"),
    ],
)
def test_the_origin_is_the_browsers(house: House, acme: Tenant, uri: str, origin: str) -> None:
    """OpenID Connect Session Management §3.2: the origin of the redirect URI as a browser names it in a message."""
    native = {"application_type": "native", "token_endpoint_auth_method": "none"}
    client = house.client(acme, "origin", redirect_uris=[uri], **native)
    browser = house.browser(acme)
    answer = browser.sign_in(client, redirect_uri=uri).answer
    assert status(answer.params["session_state"], "origin", origin, browser.cookies["o-acme"]) == "unchanged"


def test_fragment_and_form_answers(cast: Cast) -> None:
    """OpenID Connect Session Management §2: however the response travels."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    form = silent(cast, browser, response_mode="form_post").form[1]
    assert watched(browser, form["session_state"]) == "unchanged"


def test_not_without_openid(cast: Cast) -> None:
    """OpenID Connect Session Management §2: a plain OAuth response has none."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    assert "session_state" not in silent(cast, browser, scope="api").params


def test_an_error_says_what_to_watch(cast: Cast) -> None:
    """OpenID Connect Session Management §2: login_required comes with the state of nobody; a sign-in changes it."""
    browser = cast.browser()
    answer = silent(cast, browser)
    assert answer.params["error"] == "login_required"
    nobody = answer.params["session_state"]
    assert "o-acme" not in browser.cookies
    assert watched(browser, nobody) == "unchanged"
    signed = browser.sign_in(cast.basic).answer.params["session_state"]
    assert watched(browser, nobody) == "changed"
    assert watched(browser, signed) == "unchanged"


def test_a_sign_out_is_a_change(cast: Cast) -> None:
    """OpenID Connect Session Management §3.3: the cookie goes with the session."""
    browser = cast.browser()
    state = browser.sign_in(cast.basic).answer.params["session_state"]
    page = browser.get(f"{cast.acme.base_path}/logout")
    assert watched(browser, state) == "unchanged"
    browser.submit(page, action="logout")
    assert watched(browser, state) == "changed"
    assert watched(browser, silent(cast, browser).params["session_state"]) == "unchanged"


def test_another_person_is_a_change_and_the_same_is_none(cast: Cast) -> None:
    """OpenID Connect Session Management §3.3: renewing one's sign-in is no change; somebody else is one, at the sign-in itself."""
    cast.house.user(cast.acme, "carol@example.com")
    browser = cast.browser()
    state = browser.sign_in(cast.basic).answer.params["session_state"]
    browser.sign_in(cast.basic, prompt="login")
    browser.sign_in(cast.post)
    assert watched(browser, state) == "unchanged"
    page = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, prompt="login"))
    browser.submit(page, username="carol@example.com", password="correct horse battery staple")
    assert watched(browser, state) == "changed"


def test_a_session_that_ended_elsewhere(cast: Cast) -> None:
    """OpenID Connect Session Management §3.3: when the browser comes back, its cookie and the new session_state agree: no endless change."""
    cast.house.user(cast.acme, "dora@example.com")
    browser = cast.browser()
    state = browser.sign_in(cast.basic, username="dora@example.com").answer.params["session_state"]
    accounts.disable_user(
        cast.house.database(cast.acme), cast.house.user_id(cast.acme, "dora@example.com"), by=By("operator")
    )
    answer = silent(cast, browser)
    assert answer.params["error"] == "login_required"
    assert watched(browser, state) == "changed"
    assert watched(browser, answer.params["session_state"]) == "unchanged"


def test_a_session_from_before_gets_its_cookie(cast: Cast) -> None:
    """OpenID Connect Session Management §3.2: each answer brings the cookie, so that a lost one reports one change and not for ever."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    del browser.cookies["o-acme"]
    state = silent(cast, browser).params["session_state"]
    assert watched(browser, state) == "unchanged"


def test_the_cookie_ends_with_the_session(cast: Cast) -> None:
    """OpenID Connect Session Management §3.3: it lives as long as an idle session, never beyond the session's end."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    assert _age(silent(cast, browser)) == 8 * 3600
    for hours in range(7, 7 * 24, 7):
        with clock.shifted(hours * 3600):
            age = _age(silent(cast, browser))
            assert age <= 8 * 3600
            assert hours * 3600 + age <= 7 * 24 * 3600 + 5


def _age(answer: Answer) -> int:
    (field,) = [value for name, value in answer.headers if name == "set-cookie" and value.startswith("o-acme=")]
    return int(re.findall(r"Max-Age=(\d+)", field)[0])


def test_two_tenants_in_one_browser(cast: Cast) -> None:
    """OpenID Connect Session Management §3.2, S100: each has its own cookie; a sign-out at one is no change at the other."""
    browser = cast.browser()
    state = browser.sign_in(cast.basic).answer.params["session_state"]
    browser.tenant = cast.globex
    browser.sign_in(cast.foreign)
    browser.submit(browser.get(f"{cast.globex.base_path}/logout"), action="logout")
    assert watched(browser, state) == "unchanged"


def test_the_page(cast: Cast, tmp_path: Path) -> None:
    """OpenID Connect Session Management §3.3, browser rules: anybody may frame it; one script of ours, nothing else, no cookie, no secret."""
    page = cast.house.get(cast.acme, "/check-session", headers={"accept": "text/html"})
    assert page.status == 200
    policy = page.header("content-security-policy") or ""
    assert "frame-ancestors" not in policy
    assert policy == "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'"
    names = [name for name, _ in page.headers]
    assert not {"x-frame-options", "set-cookie", "cross-origin-resource-policy"} & set(names)
    (source,) = re.findall(r'<script src="(/static/check_session\.js\?v=[0-9a-f]+)" data-cookie="o-acme">', page.text)
    script = cast.house.send("GET", source)
    assert script.header("content-type") == "text/javascript; charset=utf-8"
    for word in ("fetch", "XMLHttpRequest", "localStorage", "eval", "import", "innerHTML"):
        assert word not in script.text
    house = House(tmp_path / "var", IDP_PUBLIC_URL="https://id.example")
    tenant = house.tenant("acme")
    assert 'data-cookie="__Host-o-acme"' in house.get(tenant, "/check-session").text
    house.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_page_is_only_read(cast: Cast, method: str) -> None:
    """RFC 9110 §15.5.6: nothing can be sent to it."""
    answer = cast.house.send(method, f"{cast.acme.base_path}/check-session")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")
