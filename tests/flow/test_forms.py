"""Forms and pages of a sign-in: RFC 9700 §4.2.4, §4.7, §4.12, §4.16; security cases S014, S015, S095, S111; security rule 7."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from flow_world import BASE, HANDLERS, Browser, Page
from identity_world import BY, NEW_PASSWORD, PASSWORD, spooled

from idp.clock import shifted
from idp.errors import StorageUnavailable
from idp.flow import preamble
from idp.flow.consent import CONSENT
from idp.identity import accounts
from idp.store.db import Database
from idp.web import csrf

if TYPE_CHECKING:
    from flow_world import EchoServer


def steps(server: EchoServer) -> list[tuple[Browser, Page, dict[str, str]]]:
    """Each step's page with fields that would be accepted."""
    server.user("new@acme.example", must_change=True)
    first, second, third = Browser(server), Browser(server), Browser(server)
    password = second.log_in(second.authorize(), "new@acme.example")
    return [
        (first, first.authorize(), {"username": "ada@acme.example", "password": PASSWORD}),
        (second, password, {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}),
        (third, third.log_in(third.authorize()), {"action": "approve"}),
    ]


def state(server: EchoServer) -> str:
    """All that a form could change."""
    tables = ("sessions", "consents", "interactions", "attempts", "audit_events", "grants")
    found = [str(server.rows(f"SELECT * FROM {name}")) for name in tables]
    return "".join(found) + str(server.rows("SELECT password_hash, must_change_password FROM users"))


def test_s014_pages_cannot_be_framed_cached_or_leaked(server: EchoServer) -> None:
    """RFC 9700 §4.2.4, §4.16, S014: frame-ancestors 'none', no-store, Referrer-Policy same-origin, on every step and outcome."""
    found = steps(server)
    wrong = found[0][0].post(found[0][1], {"username": "x", "password": "y"})
    nothing = found[0][0].get(f"{BASE}/login")
    for page in (*(page for _, page, _ in found), wrong, nothing):
        response = page.response
        policy = response.header("content-security-policy")
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert response.header("x-frame-options") == "DENY"
        assert response.header("cache-control") == "no-store"
        assert response.header("referrer-policy") == "same-origin"
        assert response.header("x-content-type-options") == "nosniff"
        assert "<script" not in page.text


def test_s014_forms_may_lead_to_the_client_only(server: EchoServer) -> None:
    """Browser rules: Chromium applies form-action to the redirect after the POST: 'self' and the pending redirect URI's origin."""
    for _, page, _ in steps(server):
        assert "form-action 'self' https://rp.example;" in page.response.header("content-security-policy")
        assert "img-src 'self' https://cdn.example;" in page.response.header("content-security-policy")
    plain = Browser(server).get(f"{BASE}/login").response.header("content-security-policy")
    assert "form-action 'self';" in plain


def test_s014_after_a_form_comes_303(server: EchoServer) -> None:
    """RFC 9700 §4.12, S014: 303 and never 307, so that a reload, or the client, never gets the password again."""
    for browser, page, fields in steps(server):
        response = browser.send("POST", page.action, page.fields | fields)
        assert response.status == 303
        assert PASSWORD not in str(response.headers)


@pytest.mark.parametrize(
    ("case", "headers"),
    [
        ("no token", {}),
        ("another browser's token", {}),
        ("another interaction's token", {}),
        ("another step's token", {}),
        ("empty token", {}),
        ("two tokens", {}),
        ("other origin", {"origin": "https://evil.example"}),
        ("null origin", {"origin": "null"}),
        ("cross-site", {"sec-fetch-site": "cross-site"}),
        ("same-site", {"sec-fetch-site": "same-site"}),
        ("text/plain", {"content-type": "text/plain"}),
        ("json", {"content-type": "application/json"}),
    ],
)
def test_s095_a_form_from_elsewhere_changes_nothing(server: EchoServer, case: str, headers: dict[str, str]) -> None:
    """RFC 9700 §4.7, S095: each step refuses a form that its own page in this browser did not send; the way on is shown."""
    found = steps(server)
    stranger = Browser(server)
    other = stranger.authorize().fields["csrf"]
    for browser, page, fields in found:
        sent = page.fields | fields
        if case == "no token":
            del sent["csrf"]
        elif case == "another browser's token":
            sent["csrf"] = other
        elif case == "another interaction's token":
            sent["csrf"] = browser.authorize(client_id="c3", prompt="login").fields["csrf"]
        elif case == "another step's token":
            key = server.services.csrf_key
            sent["csrf"] = csrf.token(key, browser.cookies["b-acme"], "another", f"{page.interaction} ")
        elif case == "empty token":
            sent["csrf"] = ""
        before = state(server)
        pairs = [*sent.items(), ("csrf", sent["csrf"])] if case == "two tokens" else sent
        answer = browser.follow(browser.send("POST", page.action, pairs, headers), page.action)
        assert answer.status in (400, 403)
        assert answer.onward == page.url
        assert state(server) == before
        assert "C" * 16 in answer.text
        # And the same form, sent from the page itself, is taken.
        assert browser.send("POST", page.action, page.fields | fields).status == 303


def test_s095_control_without_the_check_the_form_is_taken(server: EchoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """S095, control: with the check taken out, a form without a token is accepted, so the test above can fail."""
    monkeypatch.setattr(preamble.csrf, "require", lambda *_: None)
    browser = Browser(server)
    page = browser.authorize()
    fields = {"username": "ada@acme.example", "password": PASSWORD}
    assert browser.send("POST", page.action, fields, {"origin": "https://evil.example"}).status == 303


def test_s095_nothing_is_changed_by_get(server: EchoServer) -> None:
    """S095: the fields of a form in a query do nothing; only POST has a form."""
    for browser, page, fields in steps(server):
        before = state(server)
        query = "&".join(f"{name}={value}" for name, value in (page.fields | fields).items())
        browser.get(f"{page.url}&{query.replace(' ', '+')}")
        assert state(server) == before
    assert all(method in ("GET", "POST") for method, _ in HANDLERS)


def test_s095_login_csrf_is_refused(server: EchoServer) -> None:
    """S095: a stranger cannot sign somebody else's browser in: neither with his form nor with his interaction."""
    mallory, victim = Browser(server), Browser(server)
    page = mallory.authorize()
    victim.authorize()
    sent = page.fields | {"username": "ada@acme.example", "password": PASSWORD}
    answer = victim.send("POST", page.action, sent)
    assert answer.status == 400
    assert "s-acme" not in victim.cookies
    sent["csrf"] = victim.authorize().fields["csrf"]
    assert victim.send("POST", page.action, sent).status == 400
    assert "s-acme" not in victim.cookies


def test_s015_the_form_decides_nothing_but_the_answer(server: EchoServer) -> None:
    """S015: scopes, client, redirect URI or user added to the consent form change nothing: the interaction is what counts."""
    browser = Browser(server)
    page = browser.log_in(browser.authorize(scope="openid", client_id="photos"))
    sent = {
        "action": "approve",
        "scope": "openid admin",
        "scopes": "admin",
        "client_id": "evil",
        "redirect_uri": "https://evil.example",
    }
    told = browser.post(page, sent | {"user_id": "f" * 32, "return_origin": "https://evil.example"})
    assert told.url.startswith("https://rp.example/cb")
    (row,) = server.rows("SELECT * FROM consents")
    assert (row.client_id, str(row.scopes)) == ("photos", '["openid"]')
    assert browser.authorize(scope="openid admin").title.endswith("wants to use your account")


def test_s015_another_browser_cannot_go_on(server: EchoServer) -> None:
    """S015, CVE-2026-7507: whoever knows the address of somebody's consent cannot answer it: 400, and a GET begins a new one."""
    ada, mallory = Browser(server), Browser(server)
    page = ada.log_in(ada.authorize())
    mallory.authorize()
    answer = mallory.send("POST", page.action, page.fields | {"action": "approve"})
    assert answer.status == 400
    fresh = mallory.get(page.url)
    assert fresh.title == "Sign in"
    assert fresh.interaction != page.interaction
    assert server.answers == []
    assert ada.allow(page).answer["user"]


def test_s015_an_interaction_named_in_the_form_must_be_the_addressed_one(server: EchoServer) -> None:
    """S015: the interaction is the one of the address; naming another in the form does not reach it."""
    browser = Browser(server)
    page = browser.log_in(browser.authorize())
    other = browser.authorize(client_id="c2", scope="openid admin")
    sent = page.fields | {"action": "approve", "interaction": other.interaction}
    assert browser.send("POST", page.action, sent).status == 303
    assert [row.client_id for row in server.rows("SELECT client_id FROM consents")] == ["photos"]


def test_s015_who_consents_is_who_was_shown(server: EchoServer) -> None:
    """S015: when another tab has signed somebody else in meanwhile, the consent page of the first person does not count."""
    server.user("bob@acme.example")
    browser = Browser(server)
    page = browser.log_in(browser.authorize())
    other = browser.log_in(browser.authorize(client_id="c2", prompt="login"), "bob@acme.example")
    assert "bob@acme.example" in other.text
    answer = browser.post(page, {"action": "approve"})
    assert answer.status == 403
    assert server.rows("SELECT * FROM consents") == []
    again = browser.get(answer.onward)
    assert "bob@acme.example" in again.text
    assert browser.allow(again).answer["user"] == "bob@acme.example"


@pytest.mark.parametrize("sent", [{}, {"action": ""}, {"action": "maybe"}, [("action", "approve"), ("action", "deny")]])
def test_a_form_without_a_decision_is_asked_again(server: EchoServer, sent) -> None:
    """OIDC Core §3.1.2.4: nothing, nonsense or two answers at once are no consent."""
    browser = Browser(server)
    page = browser.log_in(browser.authorize())
    pairs = [*page.fields.items(), *(sent.items() if isinstance(sent, dict) else sent)]
    answer = browser.follow(browser.send("POST", page.action, pairs), page.action)
    assert answer.title == page.title
    assert server.answers == []


def test_rule_7_every_refusal_of_a_login_is_the_same_page(server: EchoServer) -> None:
    """Security rule 7, ASVS 6.3.8: wrong, unknown, disabled and locked: same status, headers and body but for what was typed."""
    server.user("off@acme.example")
    accounts.disable_user(server.database, accounts.find_user(server.database, "off@acme.example").id, by=BY)
    server.user("locked@acme.example")
    browser = Browser(server)
    page = browser.authorize()
    for _ in range(11):
        browser.post(page, {"username": "locked@acme.example", "password": "wrong"})
    tries = [("ada@acme.example", "wrong"), ("nobody@acme.example", PASSWORD), ("off@acme.example", PASSWORD)]
    tries += [("locked@acme.example", PASSWORD), ("locked@acme.example", "wrong"), ("ada@acme.example", "x" * 2000)]
    seen = set()
    for name, password in tries:
        answer = browser.post(page, {"username": name, "password": password})
        seen.add((answer.status, answer.text.replace(name, "NAME"), str(answer.response.headers)))
    assert len(seen) == 1
    assert [one["details"]["reason"] for one in spooled(server, "login.failed")][-6:] == [
        "wrong_password", "unknown_account", "disabled_account", "account_locked", "account_locked", "wrong_password",
    ]  # fmt: skip


def test_s089_the_lock_ends_and_the_same_form_signs_in(server: EchoServer) -> None:
    """S089: the right password during the lock gets the same refusal; when the lock is over, a sign-in, not a dead end."""
    browser = Browser(server)
    page = browser.authorize()
    for _ in range(11):
        page = browser.post(page, {"username": "ada@acme.example", "password": "wrong"})
    assert browser.log_in(page).status == 400
    with shifted(16 * 60):
        assert browser.log_in(page).title.endswith("wants to use your account")


def test_what_was_typed_as_username_survives_every_error(server: EchoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """WCAG 2.2 §3.3.7: a username is typed once; a password is never sent back."""
    browser = Browser(server)
    page = browser.authorize()
    for password in ("sesame-open", "", "\x00", "x" * 5000):
        page = browser.post(page, {"username": 'ada"<b>@acme.example', "password": password})
        assert page.status == 400
        assert page.fields["username"] == 'ada"<b>@acme.example'
        assert "<b>" not in page.text
        assert not password or password not in page.text
    assert browser.post(page, {"username": "", "password": "x"}).status == 400
    hasher = server.services.hasher
    monkeypatch.setattr(hasher, "_queue", 0)
    with hasher._slot:
        busy = browser.log_in(page)
    assert busy.status == 503
    assert busy.response.header("retry-after")
    assert busy.fields["username"] == "ada@acme.example"

    def lost(_self, _work):
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", lost)
        down = browser.log_in(busy)
    assert down.status == 503
    assert down.fields["username"] == "ada@acme.example"
    assert browser.log_in(down).title.endswith("wants to use your account")


def test_a_lost_database_is_503_everywhere(server: EchoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reliability §3: full, locked or lost: 503 with Retry-After and a way on; nothing half-done; it works again afterwards."""
    found = steps(server)
    real = Database.writing

    def lost(_self, _work):
        raise StorageUnavailable

    for browser, page, fields in found:
        monkeypatch.setattr(Database, "writing", lost)
        answer = browser.follow(browser.send("POST", page.action, page.fields | fields), page.action)
        assert answer.status == 503
        assert answer.response.header("retry-after")
        monkeypatch.setattr(Database, "writing", real)
        assert browser.send("POST", page.action, page.fields | fields).status == 303


def test_a_session_is_not_lost_with_the_answer(server: EchoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reliability §3: when the protocol's own transaction fails after a login, the cookie still reaches the browser."""
    browser = Browser(server)
    browser.sign_in()
    page = browser.authorize(prompt="login")

    def fails(_context):
        raise StorageUnavailable

    monkeypatch.setattr(server.services.protocols["echo"], "complete", fails, raising=False)
    answer = browser.log_in(page)
    assert answer.status == 503
    monkeypatch.undo()
    assert browser.get(answer.onward).answer["user"] == "ada@acme.example"


@pytest.mark.parametrize(
    "query",
    ["interaction=", "interaction=x", "interaction=%00", "interaction=" + "f" * 32, "interaction=%ff", "interaction=%zz",
     "interaction=" + "F" * 32, "interaction=../../etc", "interaction=" + "a" * 9000, "interaction=1&interaction=2", "&" * 2000],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/login", "/password", "/consent", "/continue"])
def test_hostile_addresses_are_answered_with_a_page(any_server: EchoServer, path: str, query: str) -> None:
    """Security rule 10: whatever stands in the address: 4xx and a page, on every database."""
    browser = Browser(any_server)
    for method in ("GET", "POST") if path != "/continue" else ("GET",):
        answer = browser.follow(browser.send(method, f"{BASE}{path}?{query}"), "")
        assert 400 <= answer.status < 500
        assert "<h1>" in answer.text


@pytest.mark.parametrize("body", [b"\xff\xfe", b"username=%zz", b"a&" * 1500, b"username=%ff&password=x"])
def test_hostile_bodies_are_answered_with_a_page(
    server: EchoServer, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security rule 10, S111: unreadable forms are 400 with a page, and count no attempt."""
    browser = Browser(server)
    page = browser.authorize()
    from idp.web.http import FORM_TYPE, Headers, Request

    path, _, query = page.action.partition("?")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = Headers([("cookie", cookie), ("content-type", FORM_TYPE), ("origin", "http://localhost:8000")])
    request = Request("POST", "http", "localhost:8000", path, query, headers, body, "192.0.2.1", "C" * 16)
    answer = HANDLERS["POST", "/login"](server, request)
    assert answer.status in (400, 403)
    assert re.search(rb"<h1>", answer.body)
    assert server.rows("SELECT * FROM attempts") == []


def test_refusals_are_kept_for_explain(server: EchoServer) -> None:
    """Security rule 10, issue 8: a refused form leaves its check, section, reason and fix under the correlation id shown."""
    browser = Browser(server)
    page = browser.authorize()
    browser.post(page, {"csrf": "x"})
    lines = [path.read_text() for path in server.services.spool.directory.glob("*.jsonl")]
    assert '"check":"csrf"' in "".join(lines)
    assert "RFC 9700" in "".join(lines)


def test_consent_leaves_its_event(server: EchoServer) -> None:
    """OIDC Core §3.1.2.4: who consented to what for whom, in the transaction that remembers it."""
    Browser(server).sign_in(scope="openid profile")
    (event,) = server.events("consent.granted")
    assert (event.client_id, event.details) == ("photos", {"scopes": ["openid", "profile"]})
    assert event.actor == event.subject


class Later:
    """A step after the consent, which is always needed."""

    name, path, refusal = "later", "/continue", "interaction_required"

    def is_needed(self, _context) -> bool:
        return True


def test_a_consent_is_kept_when_something_else_is_asked_first(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.4: what a person allowed is not lost, nor asked again, when another page comes before the answer."""
    server, browser = any_server, Browser(any_server)
    page = browser.log_in(browser.authorize(prompt="consent"))
    steps, server.services = server.services.steps, replace(server.services, steps=(*server.services.steps, Later()))
    response = browser.send("POST", page.action, page.fields | {"action": "approve"})
    assert response.header("location") == f"{BASE}/continue?interaction={page.interaction}"
    assert [row.client_id for row in server.rows("SELECT client_id FROM consents")] == ["photos"]
    assert len(server.events("consent.granted")) == 1
    server.services = replace(server.services, steps=steps)
    assert browser.get(f"{BASE}/continue?interaction={page.interaction}").answer["user"] == "ada@acme.example"
    assert len(server.events("consent.granted")) == 1


def test_a_consent_that_comes_too_late_is_none(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.4: the answer and the consent are one transaction: of a form sent twice the second writes nothing."""
    server, browser = any_server, Browser(any_server)
    page = browser.log_in(browser.authorize())
    context = preamble.load_step(server, browser.request_of("POST", page.action, page.fields | {"action": "approve"}))
    browser.allow(page)
    assert CONSENT.submit(context).status == 410
    assert len(server.events("consent.granted")) == 1
