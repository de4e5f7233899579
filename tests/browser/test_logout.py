"""Logout across registrable domains over TLS, as Chromium does it: frames that end two applications, and a frame that watches."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from chromium import PROGRAM, person_with
from logout_apps import HOSTS, Apps
from running import need
from walking import ADA, finish, log_in, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page, Playwright
    from site_pair import Site

pytestmark = pytest.mark.slow


@pytest.fixture
def apps(pair: Site) -> Iterator[Apps]:
    """Two applications of tenant acme."""
    made = Apps(pair)
    yield made
    made.close()


@pytest.fixture
def person(playwright: Playwright, pair: Site, apps: Apps, tmp_path: Path) -> Iterator[Callable[..., BrowserContext]]:
    """Start a person's Chromium; a test fails when one of the pages was blocked by a policy of ours."""
    need("Chromium", "Debian package chromium", is_there=PROGRAM.exists())
    made: list[BrowserContext] = []
    blocked: list[str] = []
    world = replace(pair, ports={**pair.ports, **dict.fromkeys(HOSTS, apps.port)})

    def start(*, blocks_third_party_cookies: bool = False, **options: Any) -> BrowserContext:
        context = person_with(
            playwright,
            world,
            tmp_path / f"profile{len(made)}",
            blocks_third_party_cookies=blocks_third_party_cookies,
            **options,
        )
        context.set_default_timeout(20_000)
        context.on(
            "console",
            lambda message: blocked.append(message.text) if "Content Security Policy" in message.text else None,
        )
        made.append(context)
        return context

    yield start
    for context in made:
        context.close()
    assert blocked == []


def _is_in(page: Page, host: str) -> bool:
    page.goto(f"https://{host}/home")
    return page.inner_text("#home") == "in"


def _state(page: Page, host: str, query: str = "", username: str = ADA) -> str:
    sign_in(page, f"https://{host}", query, username)
    return page.inner_text("#session-state")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_one_sign_out_ends_both(person: Callable[..., BrowserContext], apps: Apps, script: bool) -> None:
    """OIDC Front-Channel Logout §3: each application's frame is loaded with iss and sid, then the person is where the first one asked."""
    page = person(java_script_enabled=script).new_page()
    claims = [sign_in(page, f"https://{host}") for host in HOSTS]
    assert [_is_in(page, host) for host in HOSTS] == [True, True]
    sign_in(page, f"https://{HOSTS[0]}")
    began = time.monotonic()
    page.click("#sign-out", no_wait_after=True)
    page.wait_for_url(f"https://{HOSTS[0]}/bye?state=the+state")
    took = time.monotonic() - began
    assert took < 4 if script else 4 < took < 9, took
    assert [_is_in(page, host) for host in HOSTS] == [False, False]
    for app in apps.by_host.values():
        assert app.told == [{"from": "idp", "iss": apps.tenant.issuer, "sid": claims[0]["sid"]}]
    assert claims[0]["sid"] == claims[1]["sid"]
    page.goto(f"{apps.by_host[HOSTS[1]].root}/start")
    assert page.locator("#login-submit").count() == 1


def test_an_application_that_hangs_holds_nobody(person: Callable[..., BrowserContext], apps: Apps) -> None:
    """OIDC Front-Channel Logout §3: after five seconds the page goes on, whatever a frame does; the others have had theirs."""
    page = person().new_page()
    for host in HOSTS:
        sign_in(page, f"https://{host}")
    apps.by_host[HOSTS[1]].delay = 15
    sign_in(page, f"https://{HOSTS[0]}")
    began = time.monotonic()
    page.click("#sign-out", no_wait_after=True)
    page.wait_for_selector("h1:has-text('signed out')")
    page.wait_for_url(f"https://{HOSTS[0]}/bye?state=the+state")
    assert 4 < time.monotonic() - began < 9
    assert not _is_in(page, HOSTS[0])


def _says(page: Page, status: str) -> None:
    page.wait_for_function("status => document.getElementById('status').textContent === status", arg=status)


def test_the_frame_reports_a_change(person: Callable[..., BrowserContext], apps: Apps, pair: Site) -> None:
    """OIDC Session Management §3: unchanged while the session lasts, a renewed sign-in included, without network; changed at its end."""
    context = person()
    watching, other = context.new_page(), context.new_page()
    state = _state(other, HOSTS[0])
    watching.goto(f"https://{HOSTS[0]}/watch?session_state={state}")
    _says(watching, "unchanged")
    again = _state(other, HOSTS[0], "?prompt=login")
    assert again != state
    time.sleep(0.3)
    _says(watching, "unchanged")
    for nonsense in ("nonsense", "a b c", "", {"a": 1}, 7, f"{state} x", f"x {state[:-30]}"):
        watching.evaluate("question => { window.question = question }", nonsense)
        _says(watching, "error")
    client_id = apps.by_host[HOSTS[0]].client_id
    watching.evaluate("question => { window.question = question }", f"{client_id} {again}")
    _says(watching, "unchanged")
    other.goto(f"{apps.tenant.issuer}/logout")
    other.click("#logout-confirm")
    other.wait_for_selector("h1:has-text('signed out')")
    context.set_offline(offline=True)  # the frame asks nobody
    _says(watching, "changed")


def test_the_frame_reports_another_person(person: Callable[..., BrowserContext], apps: Apps, pair: Site) -> None:
    """OIDC Session Management §3: somebody else signs in: changed; what that sign-in was told is unchanged, but not from elsewhere."""
    bob = f"bob-{time.monotonic_ns()}@example.com"
    pair.running.house.user(apps.tenant, bob)
    context = person()
    watching, other = context.new_page(), context.new_page()
    state = _state(other, HOSTS[0])
    watching.goto(f"https://{HOSTS[0]}/watch?session_state={state}")
    _says(watching, "unchanged")
    new = _state(other, HOSTS[0], "?prompt=login", bob)
    _says(watching, "changed")
    watching.goto(f"https://{HOSTS[0]}/watch?session_state={new}")
    _says(watching, "unchanged")
    watching.goto(f"https://{HOSTS[1]}/watch?session_state={new}")
    _says(watching, "changed")  # another application with the first one's value learns nothing


def test_after_a_change_a_silent_request_says_what_is(person: Callable[..., BrowserContext], apps: Apps) -> None:
    """OIDC Session Management §3.1, Core §3.1.2.1: prompt=none in a frame answers without a page, and what it says can be watched on."""
    context = person()
    page = context.new_page()
    _state(page, HOSTS[0])
    page.goto(f"https://{HOSTS[0]}/silent")
    page.wait_for_function("document.getElementById('answer').textContent.includes('code=ac_')")
    page.goto(f"{apps.tenant.issuer}/logout")
    page.click("#logout-confirm")
    page.wait_for_selector("h1:has-text('signed out')")
    page.goto(f"https://{HOSTS[0]}/silent")
    page.wait_for_function("document.getElementById('answer').textContent.includes('error=login_required')")
    answer = page.inner_text("#answer")
    state = answer.partition("session_state=")[2].partition("&")[0]
    page.goto(f"https://{HOSTS[0]}/watch?session_state={state}")
    _says(page, "unchanged")
    other = context.new_page()
    other.goto(f"https://{HOSTS[1]}/start")
    log_in(other)
    finish(other)
    _says(page, "changed")


def test_where_third_party_cookies_are_blocked(person: Callable[..., BrowserContext], apps: Apps) -> None:
    """OIDC Session Management §3: a browser that shows the frame no cookie has nobody signed in there: no endless change."""
    page = person(blocks_third_party_cookies=True).new_page()
    state = _state(page, HOSTS[0])
    page.goto(f"https://{HOSTS[0]}/watch?session_state={state}")
    _says(page, "changed")
    page.goto(f"https://{HOSTS[0]}/silent")
    page.wait_for_function("document.getElementById('answer').textContent.includes('error=login_required')")
    told = page.inner_text("#answer").partition("session_state=")[2].partition("&")[0]
    page.goto(f"https://{HOSTS[0]}/watch?session_state={told}")
    _says(page, "unchanged")
    page.goto(f"https://{HOSTS[0]}/start")  # the frame's answer took nothing away from the session of the address bar
    page.wait_for_selector("#signed-in, #login-submit")
    assert page.locator("#signed-in").count() == 1
