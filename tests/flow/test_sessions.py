"""Browser sessions: ASVS 7.2 to 7.4, OIDC Core §2 (sid, auth_time); security cases S093 and S094."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from flow_world import BASE, Browser
from identity_world import PASSWORD

from idp import opaque
from idp.clock import now, shifted
from idp.errors import StorageUnavailable
from idp.flow import session
from idp.store.db import Database
from idp.store.tenant import grants, sessions
from idp.web.http import Headers, Request

if TYPE_CHECKING:
    from flow_world import EchoServer


def secret(browser: Browser) -> str | None:
    """The session cookie's value."""
    return browser.cookies.get("s-acme")


def is_signed_in(browser: Browser) -> bool:
    """Whether the cookies are a session now."""
    return "user" in browser.authorize(prompt="none").answer


def grant(server: EchoServer, session_id: str, name: str, *, is_offline: bool) -> None:
    """A grant of a session."""
    user_id = server.rows("SELECT id FROM users WHERE username_key = 'ada@acme.example'")[0][0]
    values = {"client_id": "photos", "user_id": user_id, "scope": "openid", "auth_time": 1, "amr": [], "acr": ""}
    server.database.writing(
        lambda conn: grants.create(
            conn, id=name, session_id=session_id, is_offline=is_offline, created_at=1, expires_at=2**40, **values
        )
    )


def standing(server: EchoServer) -> list[str]:
    """Ids of grants that are not revoked."""
    return [row.id for row in server.rows("SELECT id FROM grants WHERE revoked_at IS NULL ORDER BY id")]


def test_s093_a_cookie_set_before_login_is_not_the_session_after(any_server: EchoServer) -> None:
    """ASVS 7.2.4, S093: whatever the browser brought, the login puts a new secret into the cookie, and only its digest is stored."""
    browser = Browser(any_server, {"s-acme": "s_" + "A" * 43})
    browser.sign_in()
    made = secret(browser)
    assert made is not None
    assert made != "s_" + "A" * 43
    assert len(made) == 45
    (row,) = any_server.rows("SELECT * FROM sessions")
    assert row.cookie_hash == opaque.digest(made)
    assert made not in str(any_server.rows("SELECT * FROM sessions")) + str(
        any_server.rows("SELECT * FROM audit_events")
    )
    assert row.id not in made


def test_s093_signing_in_again_kills_the_old_cookie_and_keeps_the_sid(any_server: EchoServer) -> None:
    """ASVS 7.2.4, S093: the same person again: the old cookie is dead at once, `sid` and the grants of the session go on."""
    browser = Browser(any_server)
    first = browser.sign_in()
    grant(any_server, first["sid"], "g1", is_offline=False)
    thief = Browser(any_server, dict(browser.cookies))
    assert is_signed_in(thief)
    second = browser.log_in(browser.authorize(prompt="login")).answer
    assert second["sid"] == first["sid"]
    assert not is_signed_in(thief)
    assert is_signed_in(browser)
    assert standing(any_server) == ["g1"]
    assert len(any_server.rows("SELECT id FROM sessions")) == 1


def test_s093_another_person_ends_the_session_before(any_server: EchoServer) -> None:
    """ASVS 7.4.1: where a browser has one account, the session of the person before ends with its grants; offline access stays (Back-Channel Logout §2.7)."""
    any_server = any_server.with_settings(accounts_in_browser=1)
    any_server.user("bob@acme.example")
    browser = Browser(any_server)
    first = browser.sign_in()
    grant(any_server, first["sid"], "offline", is_offline=True)
    grant(any_server, first["sid"], "online", is_offline=False)
    thief = Browser(any_server, dict(browser.cookies))
    second = browser.allow(browser.log_in(browser.authorize(prompt="login"), "bob@acme.example")).answer
    assert second["sid"] != first["sid"]
    assert not is_signed_in(thief)
    assert standing(any_server) == ["offline"]
    (event,) = any_server.events("session.ended")
    assert (event.session_id, event.details) == (first["sid"], {"reason": "another_user_signed_in"})


def test_s093_an_ended_session_stays_ended(browser: Browser) -> None:
    """ASVS 7.4.1, S093: after the end the old cookie is nobody; the end is recorded once."""
    browser.sign_in()
    server = browser.server
    request = Request("GET", "http", "localhost:8000", "/", "", Headers([("cookie", f"s-acme={secret(browser)}")]))
    live = session.current(server, request)
    assert server.database.writing(lambda conn: session.end(conn, request, live, reason="logout"))
    assert not server.database.writing(lambda conn: session.end(conn, request, live, reason="logout"))
    assert not is_signed_in(browser)
    assert len(server.events("session.ended")) == 1


def test_sessions_end_when_idle_and_for_good(browser: Browser) -> None:
    """ASVS 7.3.1, 7.3.2: 8 hours without use, or 7 days however much it is used."""
    browser.sign_in()
    with shifted(8 * 3600 + 1):
        assert not is_signed_in(browser)
    for hours in range(7, 7 * 24, 7):
        with shifted(hours * 3600):
            assert is_signed_in(browser)
    with shifted(7 * 24 * 3600 + 1):
        assert not is_signed_in(browser)


def test_use_is_noted_at_most_once_a_minute(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §5: a session that is in use does not cost a commit a request; failing the note fails no request."""
    browser.sign_in()
    writes = []
    real = Database.writing
    monkeypatch.setattr(Database, "writing", lambda self, work: (writes.append(1), real(self, work))[1])
    for _ in range(3):
        assert browser.get(f"{BASE}/").status == 200
    assert writes == []
    with shifted(61):
        for _ in range(3):
            browser.get(f"{BASE}/")
        assert len(writes) == 1

    def full(_self, _work):
        raise StorageUnavailable

    monkeypatch.setattr(Database, "writing", full)
    with shifted(200):
        assert "ada@acme.example" in browser.get(f"{BASE}/").text


@pytest.mark.parametrize(
    "value", ["", "x", "s_", "s_" + "A" * 43, "\x00", "s_" + "é" * 43, "' OR 1=1 --", "b_" + "A" * 43, "x" * 4000]
)
def test_s094_no_invented_cookie_is_a_session(any_server: EchoServer, value: str) -> None:
    """S094: empty, invented, tampered, endless: nobody is signed in, and nothing breaks."""
    browser = Browser(any_server)
    browser.sign_in()
    for cookies in (
        {"s-acme": value},
        {"s-acme": (secret(browser) or "") + "A"},
        {"s-acme": (secret(browser) or "")[:-1]},
    ):
        assert not is_signed_in(Browser(any_server, cookies))


def test_s094_cookies_carry_what_the_scheme_allows(server: EchoServer) -> None:
    """RFC 6265bis §4.1.3.2, S094: `__Host-`, Secure, HttpOnly, SameSite=None on HTTPS; Lax without prefix on loopback HTTP."""
    browser = Browser(server)
    begun = browser.send("GET", f"{BASE}/authorize")
    (cookie,) = [value for name, value in begun.headers if name == "set-cookie"]
    assert cookie.startswith("b-acme=b_")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
    secure = session.session_cookie(_on_https(server).tenant, "s_x")[1]
    assert secure == "__Host-s-acme=s_x; Path=/; HttpOnly; Secure; SameSite=None"
    gone = session.no_session_cookie(server.tenant)[1]
    assert "Max-Age=0" in gone


def test_s094_another_tenants_cookie_is_nobody_here(server: EchoServer) -> None:
    """S094: the same secret under another tenant's name is not looked at, under this name it is unknown there."""
    browser = Browser(server)
    browser.sign_in()
    assert not is_signed_in(Browser(server, {"s-other": secret(browser) or "", "b-other": browser.cookies["b-acme"]}))


def test_the_browser_cookie_is_set_once(browser: Browser) -> None:
    """Browser rules: one cookie marks the browser, and every later sign-in uses it."""
    browser.authorize()
    first = browser.cookies["b-acme"]
    for _ in range(3):
        response = browser.send("GET", f"{BASE}/authorize")
        assert not [name for name, _ in response.headers if name == "set-cookie"]
    assert browser.cookies["b-acme"] == first


def test_a_session_is_renewed_by_its_own_cookie_only(any_server: EchoServer) -> None:
    """ASVS 7.2.4: of two sign-ins that saw the same cookie the second finds it spent and makes a session of its own."""
    browser = Browser(any_server)
    told, old = browser.sign_in(), opaque.digest(secret(browser) or "")
    database = any_server.database
    assert database.writing(lambda conn: sessions.renew(conn, told["sid"], old, cookie_hash="new"))
    assert not database.writing(lambda conn: sessions.renew(conn, told["sid"], old, cookie_hash="newer"))
    database.writing(lambda conn: sessions.end(conn, told["sid"]))
    assert not database.writing(lambda conn: sessions.renew(conn, told["sid"], "new", cookie_hash="newer"))


def test_sign_ins_of_one_browser_at_once_leave_no_mixture(any_server: EchoServer) -> None:
    """S093: tabs that sign in at the same time: each session has one person, and every dead cookie is dead."""
    any_server.user("bob@acme.example")
    start = Browser(any_server)
    start.sign_in()
    tabs = []
    for number in range(8):
        tab = Browser(any_server, start.cookies.copy())
        tabs.append(
            (tab, tab.authorize(prompt="login", trusted="1"), "bob@acme.example" if number % 2 else "ada@acme.example")
        )
    answers: list[dict[str, str]] = []

    def go(tab: Browser, page, name: str) -> None:
        answers.append(tab.log_in(page, name, PASSWORD).answer | {"name": name})

    threads = [threading.Thread(target=go, args=one) for one in tabs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(one["user"] == one["name"] for one in answers)
    owners = {
        row.id: row.username
        for row in any_server.rows("SELECT s.id, u.username FROM sessions s JOIN users u ON u.id = s.user_id")
    }
    assert all(owners[one["sid"]] == one["name"] for one in answers)
    assert not is_signed_in(Browser(any_server, dict(start.cookies)))


def test_session_rows_say_where_and_with_what(browser: Browser) -> None:
    """ASVS 7.5.2: what a person needs to recognise a session, cleaned of what a header may smuggle."""
    page = browser.authorize()
    browser.post(page, {"username": "ada@acme.example", "password": PASSWORD}, {"user-agent": "Evil\x00" + "x" * 5000})
    (row,) = browser.server.rows("SELECT source, user_agent, amr, auth_time FROM sessions")
    assert row.source == "192.0.2.1"
    assert "\x00" not in row.user_agent
    assert len(row.user_agent) == 256
    assert "pwd" in str(row.amr)
    assert abs(row.auth_time - now()) < 10


def _on_https(server: EchoServer) -> EchoServer:
    from dataclasses import replace

    made = server.with_settings()
    made.tenant = replace(server.tenant, issuer="https://id.example/t/acme")
    return made
