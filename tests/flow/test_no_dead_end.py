"""The sign-in never dead-ends (issue, must show; OIDC Core §3.1.2.3): tabs, back, reload, expiry, bookmarks, lost cookies."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from flow_world import BASE, CLIENT_ORIGIN, Browser
from identity_world import PASSWORD

from idp.clock import shifted
from idp.flow import interaction, static_files
from idp.flow.dispatcher import Context
from idp.flow.interaction import new
from idp.store.tenant import interactions
from idp.web.branding import brand_css_url
from idp.web.http import Headers, Request
from idp.web.pages import static_url

if TYPE_CHECKING:
    from flow_world import EchoServer


def test_twenty_tabs_each_end_in_a_sign_in(browser: Browser) -> None:
    """Must show: 20 tabs opened before anybody signed in; each then signs in, or goes on by itself after a click."""
    tabs = [browser.authorize(client_id=f"c{number}", state=str(number)) for number in range(20)]
    assert len({page.interaction for page in tabs}) == 20
    for number, page in enumerate(tabs):
        opened = browser.log_in(page) if number % 2 else browser.get(page.url)
        if opened.title == "Sign in":
            opened = browser.log_in(opened)
        assert browser.allow(opened).answer["state"] == str(number)


def test_twenty_tabs_that_all_post_the_form_they_have(browser: Browser) -> None:
    """Must show: the same 20, each sending the login form it was shown, although the first has signed in long ago."""
    tabs = [browser.authorize(client_id=f"c{number}", state=str(number)) for number in range(20)]
    for number, page in enumerate(tabs):
        assert browser.allow(browser.log_in(page)).answer["state"] == str(number)


def test_twenty_first_visits_at_once(server: EchoServer) -> None:
    """Must show: first visits whose cookies overwrite one another: every tab still ends in a sign-in."""
    firsts = []
    for number in range(20):
        alone = Browser(server)  # sent before any answer: without a cookie
        response = alone.send("GET", f"{BASE}/authorize?state={number}&client_id=c{number}")
        firsts.append((response.header("location"), alone.cookies["b-acme"]))
    browser = Browser(server, {"b-acme": firsts[-1][1]})  # the last answer's cookie stands
    for number, (location, _) in enumerate(firsts):
        page = browser.get(location)
        if page.title == "Sign in":
            page = browser.log_in(page)
        assert browser.allow(page).answer["state"] == str(number)


def test_a_form_shown_before_the_cookie_was_overwritten(server: EchoServer) -> None:
    """Must show: the page was shown, then another tab's cookie replaced this one: the POST says how to go on, one click away."""
    browser = Browser(server)
    page = browser.authorize(state="7")
    browser.cookies.clear()
    browser.authorize()
    answer = browser.log_in(page)
    assert answer.status == 400
    again = browser.get(answer.onward)
    assert browser.allow(browser.log_in(again)).answer["state"] == "7"


def test_back_after_login_moves_on(browser: Browser) -> None:
    """Must show: back to the login page after signing in: what is needed now; its form still signs in."""
    page = browser.authorize()
    consent = browser.log_in(page)
    assert browser.get(page.url).url == consent.url
    assert browser.log_in(page).url == consent.url
    assert browser.allow(consent).answer


@pytest.mark.parametrize("path", ["/login", "/consent", "/password", "/continue"])
def test_back_after_the_end(browser: Browser, path: str) -> None:
    """Must show: any page of a finished sign-in says so and leads to a new one."""
    page = browser.authorize(state="1")
    browser.allow(browser.log_in(page))
    late = browser.get(f"{BASE}{path}?interaction={page.interaction}")
    assert (late.status, late.title) == (410, "This sign-in is already finished")
    assert browser.get(late.onward).answer["state"] == "1"
    if path != "/continue":
        posted = browser.follow(browser.send("POST", f"{BASE}{path}?interaction={page.interaction}"), "")
        assert posted.onward == late.onward


def test_reload_after_a_form_repeats_no_form(browser: Browser) -> None:
    """Must show, RFC 9110 §15.4.4: what a reload repeats after a form is a GET."""
    page = browser.log_in(browser.authorize())
    attempts = browser.server.rows("SELECT * FROM attempts")
    assert browser.get(page.url).url == page.url
    assert browser.server.rows("SELECT * FROM attempts") == attempts


def test_a_form_sent_twice(browser: Browser) -> None:
    """Must show: a double click on Allow: one answer, and the other says that it is done and how to go on."""
    page = browser.log_in(browser.authorize())
    assert browser.allow(page).answer
    second = browser.post(page, {"action": "approve"})
    assert second.status == 410
    assert browser.get(second.onward).answer["user"]
    assert len([one for one in browser.server.answers if one]) == 1


def test_twenty_clicks_at_once_are_one_answer(any_server: EchoServer) -> None:
    """RFC 9700 §4.5, S015: however often Allow is sent at once, the protocol answers once."""
    browser = Browser(any_server)
    page = browser.log_in(browser.authorize())
    statuses: list[tuple[int, str]] = []

    def click() -> None:
        response = browser.send("POST", page.action, page.fields | {"action": "approve"})
        statuses.append((response.status, response.header("location") or ""))

    threads = [threading.Thread(target=click) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = [location for status, location in statuses if status == 303 and location.startswith(CLIENT_ORIGIN)]
    assert len(answered) == 1
    assert sum(1 for status, _ in statuses if status == 410) == 19
    assert any_server.answers == [page.interaction]


def test_a_sign_in_that_another_tab_finished_meanwhile(any_server: EchoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Must show, S093: finished while the password was judged: the page says so, and no session was made on the side."""
    browser = Browser(any_server)
    page = browser.authorize()
    hasher = any_server.services.hasher
    real = hasher.verify

    def slow(stored, password):
        any_server.database.writing(lambda conn: interactions.change(conn, page.interaction, finished_at=1))
        return real(stored, password)

    monkeypatch.setattr(hasher, "verify", slow)
    late = browser.log_in(page)
    assert (late.status, late.title) == (410, "This sign-in is already finished")
    assert any_server.rows("SELECT id FROM sessions") == []
    assert "s-acme" not in browser.cookies


def test_an_expired_sign_in_begins_again(browser: Browser) -> None:
    """Must show: after half an hour the form is not taken, the page says why and leads to a new sign-in."""
    page = browser.authorize(state="e")
    with shifted(31 * 60):
        for late in (browser.get(page.url), browser.log_in(page)):
            assert (late.status, late.title) == (410, "This sign-in took too long")
            assert browser.get(late.onward).title == "Sign in"
        assert browser.allow(browser.log_in(browser.get(late.onward))).answer["state"] == "e"


def test_a_purged_sign_in_says_how_to_go_on(browser: Browser) -> None:
    """Must show: a sign-in that nobody remembers any more: a page in words, no error of ours."""
    page = browser.authorize()
    browser.server.database.writing(lambda conn: interactions.purge_expired(conn, 2**40))
    late = browser.get(page.url)
    assert late.status == 410
    assert "Go back to the application" in late.text


@pytest.mark.parametrize("path", ["/login", "/consent", "/password", "/continue"])
def test_a_bookmarked_page_says_how_to_sign_in(browser: Browser, path: str) -> None:
    """Must show: the address of a step without a sign-in under way explains, and leads to the front page."""
    page = browser.get(f"{BASE}{path}")
    assert page.status == 400
    assert page.title == "Sign in from an application"
    assert browser.get(page.onward).status == 200


def test_without_cookies_there_is_a_page_and_no_loop(server: EchoServer) -> None:
    """Must show: a browser that keeps no cookie is told so instead of being sent in circles."""
    browser = Browser(server, keeps_cookies=False)
    page = browser.authorize(state="c")
    assert (page.status, page.title) == (400, "Your browser did not keep a cookie")
    allowed = Browser(server)
    assert allowed.log_in(allowed.get(page.onward)).title.endswith("wants to use your account")


def test_an_expired_session_between_two_pages(browser: Browser) -> None:
    """Must show: when the session ended while the consent page stood open, Allow leads to the login and then on."""
    with_long = browser.server.with_settings(interaction_lifetime=86_400)
    browser.server = with_long
    page = browser.log_in(browser.authorize(state="z"))
    with shifted(8 * 3600 + 5):
        login = browser.post(page, {"action": "approve"})
        assert login.title == "Sign in"
        assert browser.allow(browser.log_in(login)).answer["state"] == "z"


def test_an_entry_that_another_site_posts(any_server: EchoServer) -> None:
    """Browser rules: POST /authorize from another site, without cookies: stored, 303 to a GET that has them and is bound there."""
    browser = Browser(any_server)
    told = browser.sign_in()
    bare = Browser(any_server)
    headers = {"origin": "https://rp.example", "sec-fetch-site": "cross-site"}
    response = bare.send("POST", f"{BASE}/authorize", {"state": "p", "scope": "openid"}, headers)
    assert response.status == 303
    assert not [name for name, _ in response.headers if name == "set-cookie"]
    # The browser follows with its cookies, which the cross-site POST did not carry.
    assert browser.get(response.header("location")).answer == {**told, "state": "p"}


def test_a_posted_entry_belongs_to_the_first_browser(any_server: EchoServer) -> None:
    """S015: what came by POST is bound once; who comes second begins a new one, and no page is shown before it is bound."""
    first, second, stranger = Browser(any_server), Browser(any_server), Browser(any_server)
    location = first.send("POST", f"{BASE}/authorize", {"state": "q"}).header("location")
    assert location.startswith(f"{BASE}/continue?")
    second.authorize()
    page = first.get(location)
    assert page.title == "Sign in"
    assert second.get(location).interaction != page.interaction
    assert stranger.get(location).title == "Your browser did not keep a cookie"
    assert first.allow(first.log_in(page)).answer["state"] == "q"


def test_a_posted_entry_is_shown_to_nobody_before_it_is_bound(server: EchoServer) -> None:
    """S015: a step of an unbound interaction leads to where it is bound."""
    browser = Browser(server)
    location = browser.send("POST", f"{BASE}/authorize", {}).header("location")
    page = browser.send("GET", location.replace("/continue", "/login"))
    assert (page.status, page.header("location")) == (303, location)


def test_a_posted_prompt_none_is_refused_without_a_page(server: EchoServer) -> None:
    """OIDC Core §3.1.2.1, S008: prompt=none by POST: the error, at any of the flow's addresses, and no form."""
    browser = Browser(server)
    location = browser.send("POST", f"{BASE}/authorize", {"prompt": "none"}).header("location")
    assert browser.get(location).answer["error"] == "login_required"
    assert browser.get(location.replace("/continue", "/login")).status == 410


def test_a_stored_prompt_none_has_no_page(server: EchoServer) -> None:
    """OIDC Core §3.1.2.1, S008: a step of an interaction that allows no page answers the error, to GET and to POST."""
    for method in ("GET", "POST"):
        browser = Browser(server)
        browser.authorize()
        location = browser.send("POST", f"{BASE}/authorize", {"prompt": "none"}).header("location")
        found = interaction.find(server.database, location.partition("=")[2])
        assert interaction.bind(server.database, found, browser.cookies["b-acme"])
        answer = browser.send(method, location.replace("/continue", "/login"), {"username": "ada@acme.example"})
        assert "error=login_required" in answer.header("location")


def test_posted_entry_raced_by_two_browsers(any_server: EchoServer) -> None:
    """S015: of browsers that come at once with one posted entry, exactly one gets it."""
    location = Browser(any_server).send("POST", f"{BASE}/authorize", {}).header("location")
    browsers = [Browser(any_server) for _ in range(10)]
    found: list[str] = []

    def go(one: Browser) -> None:
        found.append(one.send("GET", location).header("location") or "page")

    threads = [threading.Thread(target=go, args=(one,)) for one in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for where in found if where.startswith(f"{BASE}/login")) == 1


@pytest.mark.parametrize(
    "restart", ["", "authorize", "//evil.example/", "/\\evil.example", "https://evil.example", "/a\nb", "/ä"]
)
def test_the_way_back_stays_here(restart: str) -> None:
    """RFC 9700 §4.11: what a person is sent to in order to begin again is a path of the tenant, whatever a protocol says."""
    with pytest.raises(ValueError, match="restart"):
        new("echo", "c", {"restart": restart})


def test_the_front_page_says_who_this_is(browser: Browser) -> None:
    """Interfaces §4: the tenant's address, for people and for programs."""
    assert browser.get(f"{BASE}/").title == "Welcome"
    response = browser.send("GET", f"{BASE}/", headers={"accept": "application/json"})
    assert json.loads(response.body) == {
        "issuer": "http://localhost:8000/t/acme",
        "name": "Acme Instruments",
        "slug": "acme",
    }
    browser.sign_in()
    assert "ada@acme.example" in browser.get(f"{BASE}/").text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("application/json;q=0.4, text/html;q=0.5", "text/html"),
        ("application/json;q=x", "text/html"),
        ("application/json; q=nan", "text/html"),
        (";;;,,,", "text/html"),
    ],
)
def test_accept_decides_page_or_json(browser: Browser, accept: str | None, kind: str) -> None:
    """RFC 9110 §12.5.1: JSON where it is preferred to HTML; any header is read without an error."""
    response = browser.send("GET", f"{BASE}/", headers={"accept": accept or ""})
    assert response.header("content-type").startswith(kind)
    assert "accept" in response.header("vary")


def test_the_stylesheets_may_be_kept(browser: Browser) -> None:
    """RFC 9111 §5.2.2: addresses with a digest are kept for ever, the same without for a minute; a name that is no file is none."""
    from idp.errors import NotFound
    from idp.flow.pages import brand_of

    url = brand_css_url(brand_of(browser.server.tenant))
    assert "immutable" in browser.send("GET", url).header("cache-control")
    assert "max-age=60" in browser.send("GET", f"{BASE}/brand.css?v=x").header("cache-control")
    path, _, query = static_url("idp.css").partition("?")

    def ask(path: str, query: str = "", match: str = "") -> object:
        return static_files.serve(Request("GET", "http", "h", path, query, Headers([("if-none-match", match)])))

    first = ask(path, query)
    assert "immutable" in first.header("cache-control")
    assert ask(path, "", first.header("etag")).status == 304
    for missing in ("/static/../setup.cfg", "/static/", "/static/none.css", "/other"):
        with pytest.raises(NotFound):
            ask(missing)


def test_a_login_posted_while_another_person_is_signed_in(browser: Browser) -> None:
    """Must show: an old login form, sent after somebody else signed in in another tab, signs in who is named in it."""
    browser.server.user("bob@acme.example")
    stale = browser.authorize(trusted="1", client_id="c1")
    browser.log_in(browser.authorize(trusted="1"))
    assert browser.log_in(stale, "bob@acme.example", PASSWORD).answer["user"] == "bob@acme.example"


def test_control_without_finishing_every_click_is_an_answer(
    server: EchoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S015, control: with the finishing taken out a second click is answered too, so the tests above can fail."""
    monkeypatch.setattr(Context, "finish", lambda _self, _conn: True)
    browser = Browser(server)
    page = browser.log_in(browser.authorize())
    assert browser.allow(page).answer
    assert browser.allow(page).answer
    assert len(server.answers) == 2
