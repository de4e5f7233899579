"""Several accounts in one browser: OIDC Core §3.1.2.1 (select_account, hints), ASVS 7.2.4; cases S093, S094, S095."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from flow_world import BASE, Browser, Page
from identity_world import BY

from idp import opaque
from idp.clock import now, shifted
from idp.flow import browser_accounts
from idp.identity import accounts

if TYPE_CHECKING:
    from flow_world import EchoServer

ADA, BOB, EVE = "ada@acme.example", "bob@acme.example", "eve@acme.example"


def both(server: EchoServer) -> tuple[Browser, dict[str, str], dict[str, str]]:
    """A browser in which ada signed in and then bob, and what the application was told of each."""
    server.user(BOB, claims={"name": "Bob Boole"})
    browser = Browser(server)
    return browser, browser.sign_in(), add(browser, BOB)


def add(browser: Browser, username: str) -> dict[str, str]:
    """Sign in as somebody else beside."""
    page = browser.authorize(prompt="select_account")
    page = browser.post(page, {"action": "switch"}) if page.title == "Choose an account" else page
    page = browser.log_in(page, username)
    return (browser.allow(page) if page.url.startswith(BASE) else page).answer


def held(browser: Browser) -> list[str]:
    """The secrets of the accounts beside the current one."""
    return [each for each in browser.cookies.get("a-acme", "").split(".") if each]


def live(server: EchoServer) -> list[str]:
    """Who has a session that has not ended."""
    return [
        row.username
        for row in server.rows(
            "SELECT u.username FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.ended_at IS NULL ORDER BY 1"
        )
    ]


def user_id(server: EchoServer, username: str) -> str:
    """The id of a user."""
    return str(server.rows(f"SELECT id FROM users WHERE username_key = '{username}'")[0][0])


def current(browser: Browser) -> str:
    """Who answers a request that names nobody."""
    told = browser.authorize(prompt="none", trusted="1").answer
    return told.get("user") or told["error"]


def test_another_persons_sign_in_keeps_the_first(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: both sessions live; the one that signed in last is the current one, and nothing was ended."""
    browser, ada, bob = both(any_server)
    assert ada["sid"] != bob["sid"]
    assert live(any_server) == [ADA, BOB]
    assert current(browser) == BOB
    assert len(held(browser)) == 1
    assert any_server.events("session.ended") == []


def test_select_account_shows_all_and_takes_one_without_a_password(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: names and addresses of each; the one chosen answers with its own sid and auth_time, and is current then."""
    browser, ada, _ = both(any_server)
    with shifted(30):
        page = browser.authorize(prompt="select_account")
        for words in ("Ada Lovelace", ADA, "Bob Boole", BOB, "Current account"):
            assert words in page.text
        assert page.text.index(BOB) < page.text.index(ADA)  # the current one first
        told = browser.post(page, {"action": f"use {ada['sid']}"}).answer
    assert (told["user"], told["sid"], told["auth_time"]) == (ADA, ada["sid"], ada["auth_time"])
    assert current(browser) == ADA
    (event,) = any_server.events("session.chosen")
    assert (event.session_id, event.actor) == (ada["sid"], user_id(any_server, ADA))


def test_s093_choosing_an_account_renews_its_secret(any_server: EchoServer) -> None:
    """ASVS 7.2.4, S093: the secret that lay beside is dead once its account is the current one; the former one goes on beside."""
    browser, ada, _ = both(any_server)
    (beside,), of_bob = held(browser), browser.cookies["s-acme"]
    browser.post(browser.authorize(prompt="select_account"), {"action": f"use {ada['sid']}"})
    assert browser.cookies["s-acme"] not in (beside, of_bob)
    assert held(browser) == [of_bob]
    assert current(Browser(any_server, {"s-acme": beside})) == "login_required"
    assert current(Browser(any_server, {"s-acme": of_bob})) == BOB
    stored = str(any_server.rows("SELECT * FROM sessions")) + str(any_server.rows("SELECT * FROM audit_events"))
    assert browser.cookies["s-acme"] not in stored


def test_s093_signing_in_again_to_an_account_beside_renews_it(any_server: EchoServer) -> None:
    """ASVS 7.2.4, S093: the same sid, a new secret, no second session of the same person."""
    browser, ada, _ = both(any_server)
    (beside,) = held(browser)
    again = add(browser, ADA)
    assert again["sid"] == ada["sid"]
    assert current(Browser(any_server, {"s-acme": beside})) == "login_required"
    assert live(any_server) == [ADA, BOB]
    assert len(held(browser)) == 1


def test_s093_a_removed_account_does_not_come_back(any_server: EchoServer) -> None:
    """ASVS 7.4.1, S093: its secret and its sid are worth nothing afterwards, in the page that was open nor in either cookie."""
    browser, ada, _ = both(any_server)
    page, kept = browser.authorize(prompt="select_account"), dict(browser.cookies)
    after = browser.post(page, {"action": f"remove {ada['sid']}"})
    assert after.title == "Choose an account"
    assert ADA not in after.text
    assert live(any_server) == [BOB]
    (event,) = any_server.events("session.ended")
    assert (event.session_id, event.details) == (ada["sid"], {"reason": "logout"})
    assert held(browser) == []
    browser.cookies = kept
    assert ADA not in browser.authorize(prompt="select_account").text
    assert current(Browser(any_server, {"s-acme": held(Browser(any_server, kept))[0]})) == "login_required"
    later = browser.post(browser.authorize(prompt="select_account"), {"action": f"use {ada['sid']}"})
    assert later.title == "Choose an account"


def test_the_current_account_may_be_removed(any_server: EchoServer) -> None:
    """ASVS 7.4.4: then nobody is current, and those that are left may be chosen; without any it is a sign-in."""
    browser, ada, bob = both(any_server)
    page = browser.post(browser.authorize(prompt="select_account"), {"action": f"remove {bob['sid']}"})
    assert live(any_server) == [ADA]
    assert page.title == "Choose an account"
    page = browser.post(page, {"action": f"remove {ada['sid']}"})
    assert page.title == "Sign in"
    assert live(any_server) == []


def test_where_nobody_is_current_the_others_may_be_chosen(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.6: account_selection_required without a page; with one the choice, then the answer."""
    browser, ada, _ = both(any_server)
    del browser.cookies["s-acme"]
    assert browser.authorize(prompt="none").answer["error"] == "account_selection_required"
    page = browser.authorize()
    assert page.title == "Choose an account"
    assert browser.post(page, {"action": f"use {ada['sid']}"}).answer["user"] == ADA


def test_what_the_request_asks_is_asked_of_the_chosen(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: max_age and prompt=login: the account chosen signs in again, its name filled in."""
    browser, ada, _ = both(any_server)
    for given in ({"prompt": "select_account", "max_age": "20"}, {"prompt": "select_account login"}):
        with shifted(30):
            page = browser.post(browser.authorize(**given), {"action": f"use {ada['sid']}"})
            assert page.title == "Sign in"
            assert page.fields["username"] == ADA
            told = browser.log_in(page).answer
        assert (told["user"], told["sid"]) == (ADA, ada["sid"])
        assert int(told["auth_time"]) > int(ada["auth_time"])
        add(browser, BOB)


@pytest.mark.parametrize("prompt", ["none", ""])
def test_a_hint_is_answered_by_the_account_it_names(any_server: EchoServer, prompt: str) -> None:
    """OIDC Core §3.1.2.1: who is hinted at and logged in is answered for, without a page and without becoming the current one."""
    browser, ada, _ = both(any_server)
    before = dict(browser.cookies)
    for hint in ({"subject_hint": user_id(any_server, ADA)}, {"login_hint": "Ada@Acme.example"}):
        assert browser.authorize(prompt=prompt, **hint).answer["sid"] == ada["sid"]
    assert {name: browser.cookies[name] for name in before} == before
    assert current(browser) == BOB


def test_a_hint_of_nobody_here_changes_nothing(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: an unknown subject is login_required; a login_hint is only a hint."""
    browser, _, _ = both(any_server)
    assert browser.authorize(prompt="none", subject_hint="f" * 32).answer["error"] == "login_required"
    assert browser.authorize(prompt="none", login_hint="nobody@acme.example").answer["user"] == BOB


def test_a_hinted_account_that_is_too_old_signs_in(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: max_age is judged by the account that the hint names."""
    browser, ada, _ = both(any_server)
    hint = user_id(any_server, ADA)
    with shifted(60):
        assert browser.authorize(prompt="none", max_age="30", subject_hint=hint).answer["error"] == "login_required"
        page = browser.authorize(max_age="30", subject_hint=hint)
        assert page.fields["username"] == ADA
        assert browser.log_in(page).answer["sid"] == ada["sid"]
    assert current(browser) == ADA


def test_the_choice_is_kept_against_the_hint(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: a login_hint proposes; who then chooses another account is that account to the end."""
    browser, _, bob = both(any_server)
    page = browser.authorize(prompt="select_account consent", login_hint=ADA)
    page = browser.post(page, {"action": f"use {bob['sid']}"})
    assert BOB in page.text
    assert browser.allow(page).answer["user"] == BOB


def test_select_account_offers_only_whom_the_hint_allows(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: with an id_token_hint the answer is about its subject or nobody."""
    browser, ada, bob = both(any_server)
    page = browser.authorize(prompt="select_account", subject_hint=user_id(any_server, ADA))
    assert ADA in page.text
    assert BOB not in page.text
    assert browser.post(page, {"action": f"use {bob['sid']}"}).title == "Choose an account"
    assert browser.post(page, {"action": f"use {ada['sid']}"}).answer["user"] == ADA


def test_not_you_offers_the_others(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.3: on the consent page "Not you?" shows the accounts of this browser, and the one chosen consents."""
    browser, ada, _ = both(any_server)
    page = browser.post(browser.authorize(scope="openid email"), {"action": "switch"})
    assert page.title == "Choose an account"
    page = browser.post(page, {"action": f"use {ada['sid']}"})
    assert ADA in page.text
    assert browser.allow(page).answer["user"] == ADA


def test_the_limit_ends_the_one_used_longest_ago(any_server: EchoServer) -> None:
    """Issue 5, accounts_in_browser: beyond it the oldest session ends properly, with its event."""
    server = any_server.with_settings(accounts_in_browser=2)
    browser, ada, _ = both(server)
    server.user(EVE)
    add(browser, EVE)
    assert live(server) == [BOB, EVE]
    (event,) = server.events("session.ended")
    assert (event.session_id, event.details) == (ada["sid"], {"reason": "another_user_signed_in"})
    assert len(held(browser)) == 1


def test_a_lower_limit_counts_at_the_next_sign_in(any_server: EchoServer) -> None:
    """Issue 5, accounts_in_browser: 1 is one account, whatever the browser still holds."""
    browser, _, _ = both(any_server)
    server = browser.server = any_server.with_settings(accounts_in_browser=1)
    server.user(EVE)
    add(browser, EVE)
    assert live(server) == [EVE]
    assert "a-acme" not in {name for name, value in browser.cookies.items() if value}


def test_choosing_counts_as_use(any_server: EchoServer) -> None:
    """ASVS 7.3.1: the idle time of the chosen account begins anew."""
    browser, ada, _ = both(any_server)
    with shifted(3600):
        browser.post(browser.authorize(prompt="select_account"), {"action": f"use {ada['sid']}"})
        (row,) = any_server.rows(f"SELECT idle_expires_at FROM sessions WHERE id = '{ada['sid']}'")
        assert row.idle_expires_at == now() + any_server.tenant.settings.session_idle_lifetime


@pytest.mark.parametrize("how", ["disabled", "deleted", "idle"])
def test_dead_sessions_are_dropped_silently(any_server: EchoServer, how: str) -> None:
    """ASVS 7.4.2: an account that was disabled or deleted, or idle for too long, is not offered; the rest works."""
    browser, ada, _ = both(any_server)
    later = 0
    if how == "disabled":
        accounts.disable_user(any_server.database, user_id(any_server, ADA), by=BY)
    elif how == "deleted":
        accounts.delete_user(any_server.database, user_id(any_server, ADA), by=BY)
    else:
        later = any_server.tenant.settings.session_idle_lifetime - 100
        with shifted(later):
            assert current(browser) == BOB
        later += 200
    with shifted(later):
        page = browser.authorize(prompt="select_account")
        assert ADA not in page.text
        assert browser.post(page, {"action": f"use {ada['sid']}"}).title == "Choose an account"
        assert browser.post(page, {"action": "continue"}).answer["user"] == BOB


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "x",
        "\x00",
        "é" * 50,
        "' OR 1=1 --",
        "s_" + "A" * 43,
        "." * 4000,
        "x" * 60_000,
        ".".join(["s_" + "A" * 43] * 50),
        ".".join(opaque.new_secret("s") for _ in range(50)),
        "b_" + "A" * 43 + ".s_short",
    ],
    ids=range(12),
)
def test_s094_junk_in_the_cookie_is_nobody(any_server: EchoServer, value: str) -> None:
    """S094: empty, invented, endless, fifty secrets: nobody is offered, and the next sign-in writes a clean cookie."""
    any_server.user(BOB)
    browser = Browser(any_server)
    browser.sign_in()
    browser.cookies["a-acme"] = value
    assert current(browser) == ADA
    page = browser.authorize(prompt="select_account")
    assert page.status == 200
    assert page.text.count("ada@acme.example") == 1
    add(browser, BOB)
    assert len(held(browser)) == 1
    assert live(any_server) == [ADA, BOB]


def test_s094_duplicates_and_the_current_one_count_once(any_server: EchoServer) -> None:
    """S094: a secret that is there twice, or is the session cookie's, is one account."""
    browser, _, _ = both(any_server)
    (beside,) = held(browser)
    browser.cookies["a-acme"] = ".".join([beside, browser.cookies["s-acme"], beside, "junk", beside])
    page = browser.authorize(prompt="select_account")
    assert page.text.count('class="account-pick"') == 2


def test_s094_the_cookie_is_bounded(any_server: EchoServer) -> None:
    """RFC 6265 §6.1, S094: ten accounts fit well within what a browser keeps; more are never looked at."""
    server = any_server.with_settings(accounts_in_browser=10)
    browser = Browser(server)
    browser.sign_in(trusted="1")
    for number in range(10):
        server.user(f"p{number}@acme.example")
        add(browser, f"p{number}@acme.example")
    assert len(held(browser)) == 9
    assert len(browser.cookies["a-acme"]) < 500
    assert len(live(server)) == 10
    many = ".".join([*(opaque.new_secret("s") for _ in range(9)), *held(browser)])
    assert not browser_accounts.held(server, Browser(server, {"a-acme": many}).request_of("GET", f"{BASE}/"))


def test_s094_the_cookies_flags(server: EchoServer) -> None:
    """RFC 6265bis §4.1.3.2, S094: like the session cookie: `__Host-`, Secure, HttpOnly, SameSite=None on HTTPS; no lifetime."""
    browser, _, _ = both(server)
    beside = browser_accounts.held(server, browser.request_of("GET", f"{BASE}/"))
    secure = replace(server.tenant, issuer="https://id.example/t/acme")
    (field,) = browser_accounts.cookie(secure, Browser(server).request_of("GET", f"{BASE}/"), beside)
    assert field[1] == f"__Host-a-acme={held(browser)[0]}; Path=/; HttpOnly; Secure; SameSite=None"


def test_s094_another_tenants_accounts_are_nobody_here(server: EchoServer) -> None:
    """S094: under another tenant's name the cookie is not looked at."""
    browser, _, _ = both(server)
    stranger = Browser(server, {"a-other": browser.cookies["a-acme"], "s-acme": browser.cookies["s-acme"]})
    assert ADA not in stranger.authorize(prompt="select_account").text


def test_s095_a_page_chooses_only_what_it_showed(any_server: EchoServer) -> None:
    """S095, S015: when the accounts of the browser are others by now, the form is refused and nothing changes."""
    browser, ada, _ = both(any_server)
    any_server.user(EVE)
    page = browser.authorize(prompt="select_account")
    add(browser, EVE)
    refused = browser.post(page, {"action": f"use {ada['sid']}"})
    assert refused.status == 403
    assert current(browser) == EVE


def test_another_browsers_account_cannot_be_chosen(any_server: EchoServer) -> None:
    """S093: a sid is no secret: only what the browser's own cookie holds can be chosen or removed."""
    victim = Browser(any_server).sign_in()
    any_server.user(BOB)
    any_server.user(EVE)
    browser = Browser(any_server)
    browser.log_in(browser.authorize(trusted="1"), BOB)
    add(browser, EVE)
    for action in ("use", "remove"):
        page = browser.authorize(prompt="select_account")
        assert browser.post(page, {"action": f"{action} {victim['sid']}"}).title == "Choose an account"
    assert live(any_server) == [ADA, BOB, EVE]
    assert current(browser) == EVE


def test_two_tabs_choose_at_once(any_server: EchoServer) -> None:
    """S093: of two choices of one account at once one renews it; the other asks again, and no secret lives twice."""
    start, ada, _ = both(any_server)
    tabs = [Browser(any_server, dict(start.cookies)) for _ in range(2)]
    pages = [tab.authorize(prompt="select_account", trusted="1") for tab in tabs]
    done: list[Page] = []

    def go(tab: Browser, page: Page) -> None:
        done.append(tab.post(page, {"action": f"use {ada['sid']}"}))

    threads = [threading.Thread(target=go, args=pair) for pair in zip(tabs, pages, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(current(tab) == ADA for tab in tabs) == [False, True]
    # The form of the one that came second showed an account that its cookie no longer holds.
    assert sorted(page.status for page in done) in ([200, 303], [303, 403])
    assert live(any_server) == [ADA, BOB]


def test_the_session_state_follows_the_accounts(any_server: EchoServer) -> None:
    """OIDC Session Management §2: the state changes with the current account and with who is there at all, and comes back the same."""
    browser, ada, bob = both(any_server)
    seen = [browser.cookies["o-acme"]]
    for sid in (ada["sid"], bob["sid"]):
        browser.post(browser.authorize(prompt="select_account"), {"action": f"use {sid}"})
        seen.append(browser.cookies["o-acme"])
    page = browser.authorize(prompt="select_account")
    browser.post(page, {"action": f"remove {ada['sid']}"})
    seen.append(browser.cookies["o-acme"])
    assert seen[0] == seen[2]
    assert len(set(seen)) == 3


# -- the page of its own ------------------------------------------------------------------------------------------------


def test_the_page_switches_removes_and_adds(any_server: EchoServer) -> None:
    """Issue 5, accounts of a browser: the same without an application; another account is added by a sign-in of the tenant's own."""
    browser, ada, bob = both(any_server)
    page = browser.get(f"{BASE}/accounts")
    assert page.title == "Accounts in this browser"
    home = browser.post(page, {"action": f"use {ada['sid']}"})
    assert home.title == "You are signed in"
    assert "Ada Lovelace" in home.text
    assert current(browser) == ADA
    page = browser.post(browser.get(f"{BASE}/accounts"), {"action": f"remove {bob['sid']}"})
    assert BOB not in page.text
    any_server.user(EVE)
    login = browser.get(f"{BASE}/sign-in?to=accounts&another=1")
    assert login.fields.get("username") is None
    page = browser.log_in(login, EVE)
    assert page.title == "Accounts in this browser"
    assert {ADA, EVE} == {name for name in (ADA, BOB, EVE) if name in page.text}
    assert current(browser) == EVE


def test_s095_the_pages_form_is_ours(any_server: EchoServer) -> None:
    """S095: another site's form, another browser's token, a page of other accounts: refused, nothing changes."""
    browser, ada, _ = both(any_server)
    page, action = browser.get(f"{BASE}/accounts"), {"action": f"remove {ada['sid']}"}
    assert browser.post(page, action, {"origin": "https://evil.example"}).status == 403
    assert browser.post(page, {**action, "csrf": "A" * 43}).status == 403
    stranger = Browser(any_server)
    stranger.sign_in()
    assert browser.post(page, {**action, "csrf": stranger.get(f"{BASE}/accounts").fields["csrf"]}).status == 403
    assert live(any_server) == [ADA, ADA, BOB]
    for nothing in ("", "use", "evil 1", f"use {'0' * 32}"):
        assert browser.post(page, {"action": nothing}).title == "Accounts in this browser"


def test_nobody_has_no_page_of_accounts(server: EchoServer) -> None:
    """WCAG 2.2 §3.3: where nobody is signed in the start page says so, and offers the sign-in."""
    page = Browser(server).get(f"{BASE}/accounts")
    assert page.title == "Welcome"
    assert f"{BASE}/sign-in?to=start" in page.text


@pytest.mark.parametrize("to", ["", "https://evil.example", "//evil.example", "start", "nothing"])
def test_a_sign_in_of_our_own_leads_to_our_pages_only(server: EchoServer, to: str) -> None:
    """RFC 9700 §4.11: no open redirect: the goal is a name from a list, anything else the start page."""
    browser = Browser(server)
    page = browser.log_in(browser.get(f"{BASE}/sign-in?to={to}"))
    assert page.url == f"{BASE}/"
    assert page.title == "You are signed in"
    assert browser.get(f"{BASE}/sign-in?to={to}").url == f"{BASE}/"
