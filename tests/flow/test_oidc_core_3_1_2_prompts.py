"""When a person is asked what: OIDC Core §3.1.2.1 (prompt, max_age, hints), §3.1.2.3, §3.1.2.4, §3.1.2.6; cases S008, S009."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flow_world import BASE, Browser, Page
from identity_world import BY, NEW_PASSWORD, PASSWORD, Server

from idp.clock import now, shifted
from idp.flow.consent import CONSENT
from idp.identity import accounts

if TYPE_CHECKING:
    from flow_world import EchoServer


def test_login_then_consent_then_the_answer(any_server: EchoServer) -> None:
    """OIDC Core §3.1.2.3, §3.1.2.4: first visit: login, consent, answer; the second time neither is asked and nothing is stored."""
    browser = Browser(any_server)
    page = browser.authorize(scope="openid profile", state="x1")
    assert page.url.startswith(f"{BASE}/login?interaction=")
    page = browser.log_in(page)
    assert page.url.startswith(f"{BASE}/consent?interaction=")
    told = browser.allow(page).answer
    assert (told["user"], told["state"]) == ("ada@acme.example", "x1")
    again = browser.authorize(scope="openid profile", state="x2").answer
    assert (again["sid"], again["state"]) == (told["sid"], "x2")
    assert len(any_server.rows("SELECT id FROM interactions")) == 1
    (row,) = any_server.rows("SELECT finished_at, session_id FROM interactions")
    assert row.finished_at is not None
    assert row.session_id == told["sid"]


def test_login_leads_straight_back_when_consent_is_remembered(browser: Browser) -> None:
    """OIDC Core §3.1.2.4: consent given earlier is not asked again; the login's POST answers the client at once."""
    browser.sign_in()
    browser.cookies.clear()
    page = browser.log_in(browser.authorize())
    assert page.answer["user"] == "ada@acme.example"


@pytest.mark.parametrize(
    ("first", "then", "asked"),
    [
        ("openid profile", "openid", False),
        ("openid profile", "profile openid", False),
        ("openid", "openid profile", True),
        ("openid", "openid offline_access", True),
    ],
)
def test_consent_is_remembered_by_scope(browser: Browser, first: str, then: str, asked: bool) -> None:
    """OIDC Core §3.1.2.4: what was granted is not asked again, what is new is."""
    browser.sign_in(scope=first)
    page = browser.authorize(scope=then)
    assert page.url.startswith(BASE) is asked
    if asked:
        assert browser.allow(page).answer["user"]
        assert browser.authorize(scope=f"{first} {then}").answer


def test_consent_is_remembered_by_client_and_by_user(browser: Browser) -> None:
    """OIDC Core §3.1.2.4: another client, and another person, is asked for itself."""
    browser.sign_in()
    assert browser.authorize(client_id="other").title.endswith("wants to use your account")
    browser.server.user("bob@acme.example")
    page = browser.log_in(browser.authorize(prompt="login"), "bob@acme.example")
    assert page.url.startswith(f"{BASE}/consent")


def test_a_trusted_client_asks_for_nothing(browser: Browser) -> None:
    """OIDC Core §3.1.2.4: consent established by other conditions: no scopes to consent to, no page."""
    assert browser.log_in(browser.authorize(trusted="1")).answer["user"]


@pytest.mark.parametrize(
    ("setup", "given", "error"),
    [
        ("nothing", {}, "login_required"),
        ("signed in", {"scope": "openid email"}, "consent_required"),
        ("signed in", {"max_age": "0"}, "login_required"),
        ("signed in", {"subject_hint": "f" * 32}, "login_required"),
        ("must change", {"trusted": "1"}, "interaction_required"),
    ],
)
def test_s008_prompt_none_never_shows_a_page(browser: Browser, setup: str, given: dict, error: str) -> None:
    """OIDC Core §3.1.2.1 and §3.1.2.6, S008: the error says what would be needed; nothing is stored, no cookie set."""
    if setup == "signed in":
        browser.sign_in()
    if setup == "must change":
        browser.server.user("new@acme.example", must_change=True)
        browser.log_in(browser.authorize(), "new@acme.example")
    cookies, stored = dict(browser.cookies), browser.server.rows("SELECT id FROM interactions")
    told = browser.authorize(prompt="none", state="s", **given).answer
    assert (told["error"], told["state"]) == (error, "s")
    assert told["error_description"].isascii()
    assert browser.cookies == cookies
    assert browser.server.rows("SELECT id FROM interactions") == stored


def test_s008_prompt_none_answers_who_has_a_session_and_consented(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: prompt=none with session and consent is answered."""
    told = browser.sign_in()
    assert browser.authorize(prompt="none").answer["sid"] == told["sid"]


@pytest.mark.parametrize("given", [{"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account login"}])
def test_s009_reauthentication_is_real(browser: Browser, given: dict) -> None:
    """OIDC Core §3.1.2.1, S009: prompt=login, max_age=0 with a session: the form, and a new auth_time; after a choice too."""
    before = browser.sign_in()
    with shifted(30):
        page = browser.authorize(**given)
        if "select_account" in given.get("prompt", ""):
            page = browser.post(page, {"action": "continue"})
        assert page.title == "Sign in"
        # Neither coming back nor another tab's session is a sign-in.
        assert browser.get(page.url).title == "Sign in"
        assert browser.get(page.url.replace("/login", "/consent")).title == "Sign in"
        told = browser.log_in(page).answer
    assert int(told["auth_time"]) >= int(before["auth_time"]) + 30
    assert told["sid"] == before["sid"]


def test_s009_login_in_another_tab_does_not_answer_prompt_login(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: prompt=login is about this request: a sign-in of another tab does not count for it."""
    browser.sign_in()
    asked = browser.authorize(prompt="login")
    other = browser.authorize(prompt="login")
    browser.log_in(other)
    assert browser.get(asked.url).title == "Sign in"


def test_s009_max_age_counts_from_the_sign_in(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: within max_age no form, after it the form: 1 second after 2 (conformance: oidcc-max-age-1)."""
    browser.sign_in()
    assert browser.authorize(max_age="10000").answer
    with shifted(2):
        page = browser.authorize(max_age="1")
        assert page.title == "Sign in"
        assert int(browser.log_in(page).answer["auth_time"]) >= now() - 1


def test_prompt_consent_asks_again(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: prompt=consent shows the page although all was granted, and once is enough."""
    browser.sign_in()
    page = browser.authorize(prompt="consent")
    assert browser.allow(page).answer["user"]


def test_prompt_login_consent_asks_both(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: prompt is a list."""
    browser.sign_in()
    page = browser.log_in(browser.authorize(prompt="login consent"))
    assert page.url.startswith(f"{BASE}/consent")
    assert browser.allow(page).answer


def test_subject_hint_of_another_asks_and_accepts_only_that_account(browser: Browser) -> None:
    """OIDC Core §3.1.2.1 id_token_hint: the answer is about that person or there is none."""
    told = browser.sign_in()
    bob = browser.server.user("bob@acme.example")
    page = browser.authorize(subject_hint=bob, trusted="1")
    assert page.title == "Sign in"
    assert page.fields.get("username") is None
    wrong = browser.log_in(page)
    assert "another account" in wrong.text
    # The wrong account's sign-in made nothing and ended nothing.
    assert browser.authorize(prompt="none").answer["sid"] == told["sid"]
    assert browser.log_in(wrong, "bob@acme.example").answer["user"] == "bob@acme.example"


def test_login_hint_is_filled_in(browser: Browser) -> None:
    """OIDC Core §3.1.2.1 login_hint: a hint, shown as text; hostile or endless ones are not."""
    assert browser.authorize(login_hint="ada@acme.example").fields["username"] == "ada@acme.example"
    page = browser.authorize(login_hint='"><script>alert(1)</script>')
    assert "<script>alert" not in page.text
    assert browser.authorize(login_hint="x" * 10_000).fields.get("username") is None
    assert browser.authorize(login_hint="a\x00b").fields.get("username") is None


def test_reauthentication_fills_in_who_is_signed_in(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: prompt=login is about the same person; select_account asks for any."""
    browser.sign_in()
    assert browser.authorize(prompt="login").fields["username"] == "ada@acme.example"
    page = browser.post(browser.authorize(prompt="select_account"), {"action": "switch"})
    assert page.title == "Sign in"
    assert page.fields.get("username") is None


# -- select_account -----------------------------------------------------------------------------------------------------


def test_the_account_that_is_signed_in_may_go_on(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: select_account with a session asks which; going on with this one is no new sign-in."""
    before = browser.sign_in()
    with shifted(30):
        page = browser.authorize(prompt="select_account")
        assert page.title == "Choose an account"
        for words in ("Ada Lovelace", "ada@acme.example", "Photo Frame"):
            assert words in page.text
        told = browser.post(page, {"action": "continue"}).answer
    assert (told["sid"], told["auth_time"]) == (before["sid"], before["auth_time"])


def test_another_account_may_be_taken(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: the person may choose another account, and is asked for it; the choice is not asked for twice."""
    browser.server.user("bob@acme.example")
    before = browser.sign_in()
    page = browser.post(browser.authorize(prompt="select_account"), {"action": "switch"})
    assert page.title == "Sign in"
    told = browser.allow(browser.log_in(page, "bob@acme.example")).answer
    assert told["sid"] != before["sid"]


def test_the_same_account_again(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: who says "another" and then signs in as before goes on."""
    before = browser.sign_in()
    page = browser.post(browser.authorize(prompt="select_account"), {"action": "switch"})
    assert browser.log_in(page).answer["sid"] == before["sid"]


def test_without_a_session_the_sign_in_is_the_choice(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: nobody is signed in, so there is nothing to choose from."""
    assert browser.authorize(prompt="select_account").title == "Sign in"


def test_a_hint_of_another_person_leaves_no_choice(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: when the answer must be about somebody else, this account is not offered."""
    browser.sign_in()
    assert browser.authorize(prompt="select_account", subject_hint="somebody").title == "Sign in"


def test_the_choice_is_about_the_account_that_was_shown(browser: Browser) -> None:
    """S015: a page that showed one account does not choose the one that signed in meanwhile."""
    browser.server.user("bob@acme.example")
    browser.sign_in()
    page = browser.authorize(prompt="select_account")
    other = browser.post(browser.authorize(prompt="select_account"), {"action": "switch"})
    browser.log_in(other, "bob@acme.example")
    answered = browser.post(page, {"action": "continue"})
    assert not answered.url.startswith("https://rp.example")
    assert browser.get(page.url).title == "Choose an account"


def test_all_prompts_at_once(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: the values may stand together: a choice, a sign-in, a consent, each once."""
    browser.sign_in()
    page = browser.authorize(prompt="consent login select_account")
    page = browser.post(page, {"action": "continue"})
    assert page.fields["username"] == "ada@acme.example"
    assert "sid" in browser.allow(browser.log_in(page)).answer


@pytest.mark.parametrize("action", ["", "evil", "approve"])
def test_no_decision_is_no_choice(browser: Browser, action: str) -> None:
    """S015: a form without one of its two decisions asks again."""
    browser.sign_in()
    page = browser.authorize(prompt="select_account")
    assert browser.post(page, {"action": action}).title == "Choose an account"


def test_deny_answers_access_denied_and_finishes(browser: Browser) -> None:
    """OIDC Core §3.1.2.6, RFC 6749 §4.1.2.1: access_denied; the same page cannot then allow."""
    page = browser.log_in(browser.authorize(state="s9"))
    told = browser.post(page, {"action": "deny"}).answer
    assert (told["error"], told["state"]) == ("access_denied", "s9")
    later = browser.post(page, {"action": "approve"})
    assert later.status == 410
    assert browser.server.answers == []
    assert [event.outcome for event in browser.server.events("consent.denied")] == ["failure"]
    assert browser.server.rows("SELECT * FROM consents") == []


def test_not_you_signs_in_somebody_else(browser: Browser) -> None:
    """OIDC Core §3.1.2.3: "Not you?" asks for another account, and only that one then consents."""
    ada = browser.sign_in()
    browser.server.user("bob@acme.example")
    page = browser.authorize(scope="openid email")
    login = browser.post(page, {"action": "switch"})
    assert login.title == "Sign in"
    assert login.fields.get("username") is None
    # Thinking again: the first session still lives until somebody else has signed in.
    assert browser.authorize(prompt="none").answer["sid"] == ada["sid"]
    consent = browser.log_in(login, "bob@acme.example")
    assert "bob@acme.example" in consent.text
    assert browser.allow(consent).answer["user"] == "bob@acme.example"


def test_not_you_right_after_signing_in(browser: Browser) -> None:
    """OIDC Core §3.1.2.3: "Not you?" asks again although the sign-in is a minute old."""
    browser.server.user("bob@acme.example")
    login = browser.post(browser.log_in(browser.authorize()), {"action": "switch"})
    assert login.title == "Sign in"
    assert browser.allow(browser.log_in(login, "bob@acme.example")).answer["user"] == "bob@acme.example"


def test_s009_a_sign_in_counts_for_the_session_it_made(browser: Browser) -> None:
    """OIDC Core §3.1.2.1: after prompt=login, when another person has signed in since, that is asked for again."""
    browser.server.user("bob@acme.example")
    page = browser.log_in(browser.authorize(prompt="login"))
    choice = browser.authorize(client_id="c2", prompt="select_account")
    browser.log_in(browser.post(choice, {"action": "switch"}), "bob@acme.example")
    assert browser.get(page.url).title == "Sign in"


def test_the_consent_page_says_what_it_is_about(browser: Browser) -> None:
    """RFC 6749 §10.2, OIDC Core §11: the client, each scope in words, lasting access by name, whose account, where it leads."""
    page = browser.log_in(browser.authorize(scope="openid profile email offline_access invoices:read"))
    for words in (
        "Photo Frame",
        "Ada Lovelace",
        "ada@acme.example",
        "rp.example",
        "invoices:read",
        "https://rp.example/p",
    ):
        assert words in page.text
    assert "Keep access while you are not there" in page.text
    assert "Keep access" not in browser.authorize(scope="openid", client_id="c2").text


def test_must_change_comes_between_login_and_consent(browser: Browser) -> None:
    """SP 800-63B-4 §3.1.1.2: a password set by somebody else is replaced first, whatever page is opened."""
    browser.server.user("new@acme.example", must_change=True)
    page = browser.log_in(browser.authorize(), "new@acme.example")
    assert page.title == "Choose a new password"
    assert browser.get(page.url.replace("/password", "/consent")).title == "Choose a new password"
    for new, again, word in (
        ("short", "short", "too short"),
        (NEW_PASSWORD, NEW_PASSWORD + "x", "not the same"),
        (PASSWORD, PASSWORD, "the one you have now"),
        ("", "", "too short"),
        ("new@acme.example", "new@acme.example", "must not be your username"),
    ):
        page = browser.post(page, {"new_password": new, "confirm_password": again})
        assert page.status == 400
        assert word in page.text
    page = browser.post(page, {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD})
    assert browser.allow(page).answer["user"] == "new@acme.example"
    (event,) = browser.server.events("user.password_changed")
    assert event.actor == event.subject
    browser.cookies.clear()
    assert browser.log_in(browser.authorize(), "new@acme.example").status == 400
    assert browser.log_in(browser.authorize(), "new@acme.example", NEW_PASSWORD).answer


def test_a_disabled_person_is_out_in_the_middle(browser: Browser) -> None:
    """Security rule 3: who is disabled between login and consent does not get through."""
    page = browser.log_in(browser.authorize())
    user = accounts.find_user(browser.server.database, "ada@acme.example")
    accounts.disable_user(browser.server.database, user.id, by=BY)
    assert browser.post(page, {"action": "approve"}).title == "Sign in"
    assert browser.server.answers == []


def test_control_a_consent_step_that_is_never_needed_would_be_seen(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OIDC Core §3.1.2.4, control: with the step's question taken out the login answers at once, so the tests above can fail."""
    monkeypatch.setattr(type(CONSENT), "is_needed", lambda _self, _context: False)
    page: Page = browser.log_in(browser.authorize())
    assert page.answer
    assert isinstance(browser.server, Server)
