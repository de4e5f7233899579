"""Sign-up: a form, a code by mail, an account (issue 5; NIST SP 800-63B-4 §3.1.3.2, §3.2.2; security rule 7)."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from flow_world import BASE, Browser
from identity_world import BY, PASSWORD
from postbox import mails
from signup_world import EVE, FORM, NEW, letters, newest_code, opening, to_code, to_form, wrong

from idp.clock import now, shifted
from idp.identity import accounts, signup
from idp.identity.profile_schema import parse
from idp.identity.terms import Terms
from idp.store.tenant import users

if TYPE_CHECKING:
    from collections.abc import Callable

    from flow_world import EchoServer, Page

CODE_TITLE = "Confirm your email address"


def in_parallel(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run work in threads that begin together."""
    barrier, found, errors = threading.Barrier(count), [None] * count, []

    def run(number: int) -> None:
        barrier.wait()
        try:
            found[number] = work(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return found


# -- the way through ----------------------------------------------------------------------------------------------------------


def test_from_the_form_to_the_application(any_server: EchoServer) -> None:
    """Issue 5: the form, the code, consent, and the application's answer; the account is active, its address verified."""
    server = opening(any_server)
    server.terms = Terms("2026-03", {"": "https://acme.example/terms"})
    browser = Browser(server)
    page = to_code(browser, terms="2026-03")
    assert letters(server) == ["signup_code"]
    assert page.text.count(EVE) == 1
    assert server.rows("SELECT id FROM users WHERE username = 'eve@new.example'") == []
    page = browser.post(page, {"code": newest_code(server)})
    answer = browser.allow(page).answer
    assert answer["user"] == EVE
    with server.database.reading() as conn:
        user = users.find_by_username(conn, EVE)
    assert user is not None
    assert (user.state, user.email, user.email_verified, user.claims) == (
        "active",
        EVE,
        True,
        {"name": "Eve Newcomer"},
    )
    (event,) = server.events("user.signed_up")
    assert (event.subject, event.session_id, event.source) == (user.id, answer["sid"], "192.0.2.1")
    (accepted,) = server.rows("SELECT * FROM terms_acceptances")
    assert (accepted.user_id, accepted.version, accepted.source) == (user.id, "2026-03", "192.0.2.1")
    assert len(server.events("terms.accepted")) == 1
    # and the password is the one that was typed
    other = Browser(server)
    page = other.log_in(other.authorize(scope="openid"), EVE, NEW)
    assert page.answer["user"] == EVE


def test_a_code_as_people_type_it(server: EchoServer) -> None:
    """NIST SP 800-63B-4 §3.1.3.2: with spaces and hyphens, as the mail shows it or as it was read out."""
    server, typed = opening(server), ("{0} {1}", "{0}-{1}", " {0}{1} ", "{0}\u00a0{1}")
    for number, form in enumerate(typed):
        browser, address = Browser(server), f"typed{number}@new.example"
        page = to_code(browser, address)
        page = browser.post(page, {"code": form.format(*newest_code(server, address).split())})
        assert browser.allow(page).answer["user"] == address


def test_from_the_front_page(any_server: EchoServer) -> None:
    """Issue 5: without an application the sign-up begins at the tenant's front page and ends there, signed in."""
    browser = Browser(opening(any_server))
    front = browser.get(f"{BASE}/")
    assert f'href="{BASE}/signup"' in front.text
    page = browser.get(f"{BASE}/signup")
    page = browser.post(page, FORM)
    page = browser.post(page, {"code": newest_code(any_server)})
    assert page.url == f"{BASE}/"
    assert page.title == "You are signed in"
    assert EVE in page.text


def test_off_unless_the_tenant_wants_it(server: EchoServer, browser: Browser) -> None:
    """Issue 5: the default is off: no link, no page, and a form that is sent all the same makes nothing."""
    page = browser.authorize()
    assert "signup" not in page.text
    assert "signup" not in browser.get(f"{BASE}/").text
    assert browser.get(f"{BASE}/signup").status == 404
    assert browser.get(f"{BASE}/signup?interaction={page.interaction}").title == "Sign in"
    opened = Browser(opening(server), browser.cookies)
    form = opened.get(f"{BASE}/signup?interaction={page.interaction}")
    browser.post(form, FORM)
    assert server.rows("SELECT id FROM signups") == []


def test_switched_off_meanwhile(server: EchoServer) -> None:
    """Issue 5: a code that is under way when the tenant ends sign-ups makes no account."""
    browser = Browser(opening(server))
    page = to_code(browser)
    after = Browser(server, browser.cookies)
    assert after.post(page, {"code": newest_code(server)}).title == "Sign in"
    assert server.events("user.signed_up") == []


def test_not_where_it_must_be_somebody_known(server: EchoServer) -> None:
    """OIDC Core §3.1.2.1: where a hint says whom the answer is about, a new account cannot be the one."""
    browser = Browser(opening(server))
    with server.database.reading() as conn:
        ada = users.find_by_username(conn, "ada@acme.example").id
    page = browser.authorize(subject_hint=ada)
    assert f"{BASE}/signup" not in page.text
    assert browser.get(f"{BASE}/signup?interaction={page.interaction}").title == "Sign in"


def test_sign_in_instead(server: EchoServer) -> None:
    """Issue 5: who has an account goes to the sign-in from each page, also where the application asked for a sign-up."""
    for prompt in ("", "create"):
        browser = Browser(opening(server))
        page = browser.authorize(prompt=prompt)
        form = browser.get(f"{BASE}/signup?interaction={page.interaction}")
        assert browser.post(form, {"action": "sign_in"}).title == "Sign in"
        form = browser.get(f"{BASE}/signup?interaction={page.interaction}")
        if prompt == "":
            code = browser.post(form, FORM | {"email": "x@new.example"})
            page = browser.post(code, {"action": "sign_in"})
        else:
            page = browser.post(form, {"action": "sign_in"})
        page = browser.log_in(page)
        page = page if page.url.startswith("https://rp.example") else browser.allow(page)
        assert page.answer["user"] == "ada@acme.example"


def test_whoever_was_signed_in_is_not_any_more(any_server: EchoServer) -> None:
    """ASVS 7.2.4: a new account has a cookie of its own; who sat there before has to go where the browser has room for one."""
    server = opening(any_server).with_settings(signup="on", accounts_in_browser=1)
    browser = Browser(server)
    first = browser.sign_in()
    secret = browser.cookies["s-acme"]
    page = browser.authorize(prompt="create")
    assert page.title == "Create an account"
    page = browser.post(browser.post(page, FORM), {"code": newest_code(server)})
    answer = browser.allow(page).answer
    assert answer["user"] == EVE
    assert answer["sid"] != first["sid"]
    assert browser.cookies["s-acme"] != secret
    assert [event.session_id for event in server.events("session.ended")] == [first["sid"]]


# -- what was typed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"email": "eve"}, "Enter an email address such as ada@example.org"),
        ({"email": ""}, "Enter an email address such as ada@example.org"),
        ({"email": "eve@new.example."}, "Enter an email address such as ada@example.org"),
        ({"email": "eve\u202e@new.example"}, "Enter an email address such as ada@example.org"),
        ({"profile_name": " "}, "Fill in “Full name”"),
        ({"profile_name": "E\x00ve"}, "“Full name” has characters that cannot be used"),
        ({"profile_name": "E" * 201}, "“Full name” can have at most 200 characters"),
        ({"password": "short", "confirm_password": "short"}, "too short"),
        ({"password": EVE, "confirm_password": EVE}, "must not be your username"),
        ({"confirm_password": f"{NEW}!"}, "The two passwords are not the same"),
        ({"terms": ""}, "Accept the terms to go on"),
        ({"terms": "2025-01"}, "Accept the terms to go on"),
    ],
)
def test_what_was_typed_survives(server: EchoServer, fields: dict[str, str], sentence: str) -> None:
    """Issue 5: a sentence for what is wrong; everything typed is still there, passwords are not, and nothing was stored."""
    server = opening(server)
    server.terms = Terms("2026-03", {"": "https://acme.example/terms"})
    browser = Browser(server)
    sent = FORM | {"terms": "2026-03"} | fields
    page = browser.post(to_form(browser), sent)
    assert page.status == 400
    assert sentence in page.text
    assert NEW not in page.text
    assert page.fields.get("email", "") == sent["email"]
    if sent["profile_name"].isprintable():
        assert page.fields["profile_name"] == sent["profile_name"]
    assert (" checked" in page.text) is (sent["terms"] == "2026-03")
    assert server.rows("SELECT id FROM signups") == []
    page = browser.post(page, FORM | {"terms": "2026-03"})
    assert page.title == CODE_TITLE


@pytest.mark.parametrize(
    "password", ["AuthSec-AuthSec-1", "Eve Newcomer 2026", "acme-instruments!", "eve@new.example.."]
)
def test_the_rules_of_a_new_password_hold_here_too(server: EchoServer, password: str) -> None:
    """S090, SP 800-63B-4 §3.1.1.2: the product's name, the tenant's, one's own and one's address are no password at the sign-up either."""
    browser = Browser(opening(server))
    page = browser.post(to_form(browser), FORM | {"password": password, "confirm_password": password})
    assert page.status == 400
    assert 'id="password-error"' in page.text
    assert server.rows("SELECT id FROM signups") == []


def test_a_domain_that_looks_alike_is_another(any_server: EchoServer) -> None:
    """RFC 5892 §2.6, S105: who owns faß.example takes no address of fass.example away, and is not told which have accounts."""
    server = opening(any_server)
    server.user("ada@fass.example")
    for address in ("ada@faß.example", "bob@faß.example"):
        browser = Browser(server)
        page = to_code(browser, address)
        assert letters(server, address) == ["signup_code"]
        assert browser.allow(browser.post(page, {"code": newest_code(server, address)})).answer["user"] == address
    to_code(Browser(server), "bob@fass.example")
    assert letters(server, "bob@fass.example") == ["signup_code"]
    to_code(Browser(server), "BOB@FASS.example")
    assert accounts.fold("BOB@FAẞ.example") == accounts.fold("bob@faß.example") != accounts.fold("bob@fass.example")


def test_back_from_the_code_to_the_form(server: EchoServer) -> None:
    """Issue 5: who mistyped the address goes back, finds what was typed, and gets the code at the right one."""
    browser = Browser(opening(server))
    page = to_code(browser, "typo@new.example")
    page = browser.get(f"{BASE}/signup?interaction={page.interaction}")
    assert (page.fields["email"], page.fields["profile_name"]) == ("typo@new.example", "Eve Newcomer")
    page = browser.post(page, FORM)
    assert browser.allow(browser.post(page, {"code": newest_code(server)})).answer["user"] == EVE
    assert server.rows("SELECT id FROM users WHERE username LIKE 'typo%%'") == []


def test_the_tenants_own_attributes(server: EchoServer) -> None:
    """Issue 5: the form asks for what the schema wants, each attribute in its own form, and stores it as a claim."""
    server = opening(server)
    server.profile = parse(
        {
            "attributes": [
                {"name": "given_name", "label": "First name", "signup": True},
                {
                    "name": "team",
                    "label": "Team",
                    "type": "choice",
                    "values": ["red", "blue"],
                    "signup": True,
                    "required": True,
                },
                {"name": "news", "label": "News by mail", "type": "boolean", "signup": True},
                {"name": "salary", "label": "Salary", "type": "number", "editable": "admin"},
            ]
        }
    )
    browser = Browser(server)
    page = to_form(browser)
    assert "Salary" not in page.text
    assert browser.post(page, FORM | {"profile_team": "green"}).status == 400
    page = browser.post(page, FORM | {"profile_team": "blue", "profile_news": "on", "profile_salary": "1"})
    browser.post(page, {"code": newest_code(server)})
    with server.database.reading() as conn:
        assert users.find_by_username(conn, EVE).claims == {"team": "blue", "news": True}


@pytest.mark.parametrize(
    ("email", "allowed", "blocked", "is_welcome"),
    [
        ("eve@new.example", "", "", True),
        ("eve@NEW.Example", "new.example", "", True),
        ("eve+tag@new.example", "new.example", "", True),
        ("eve@sub.new.example", "new.example", "", False),
        ("eve@sub.new.example", "*.new.example", "", True),
        ("eve@new.example", "*.new.example", "", False),
        ("eve@evilnew.example", "*.new.example", "", False),
        ("eve@old.example", "new.example,old.example", "", True),
        ("eve@new.example", "", "new.example", False),
        ("eve@new.example", "new.example", "NEW.example.", False),
        ("eve@sub.new.example", "", "new.example", True),
        ("eve@sub.new.example", "", "*.new.example", False),
        ("eve@xn--mnchen-3ya.example", "münchen.example", "", True),
        ("eve@MÜNCHEN.example", "xn--mnchen-3ya.example", "", True),
        ("eve@münchen.example", "", "xn--mnchen-3ya.example", False),
    ],
)
def test_domains(server: EchoServer, email: str, allowed: str, blocked: str, is_welcome: bool) -> None:
    """Issue 5: allowed and blocked domains in any case and script; those below only where the list says so; blocked wins."""
    from idp.tenancy.settings import parse as parse_settings

    stored = parse_settings({"signup_allowed_domains": allowed, "signup_blocked_domains": blocked}, {})
    browser = Browser(opening(server, **stored))
    page = browser.post(to_form(browser), FORM | {"email": email})
    assert (page.title == CODE_TITLE) is is_welcome
    assert ("Accounts cannot be made with addresses of this domain" in page.text) is not is_welcome


@pytest.mark.parametrize(
    "value", ["\x00", "\ud800", "%00", "e" * 100_000, "<script>alert(1)</script>", "'; DROP TABLE users", "🦉"]
)
def test_hostile_fields(any_server: EchoServer, value: str) -> None:
    """Issue 5, S117: whatever stands in a field, the answer is a page that says what is wrong, or the next one."""
    browser = Browser(opening(any_server))
    page = to_form(browser)
    for field in (*FORM, "terms", "action", "profile_nothing"):
        answer = browser.follow(_sent(browser, page, FORM | {field: value}), page.url)
        assert answer.status in (200, 400, 429)
        assert "<script" not in answer.text
    assert any_server.rows("SELECT id FROM users WHERE username <> 'ada@acme.example'") == []


def _sent(browser: Browser, page: Page, fields: dict[str, str]) -> Any:
    safe = {name: value.encode("utf-8", "surrogatepass") for name, value in (page.fields | fields).items()}
    return browser.send("POST", page.action, safe)


# -- the code -----------------------------------------------------------------------------------------------------------------


def test_guesses_are_counted_over_all_codes(any_server: EchoServer) -> None:
    """NIST SP 800-63B-4 §3.2.2: five guesses a sign-up; another code gives none back; afterwards the right one is refused."""
    server = opening(any_server)
    browser = Browser(server)
    page = to_code(browser)
    for left in (4, 3):
        page = browser.post(page, {"code": wrong(newest_code(server))})
        assert page.status == 400
        assert f"{left} more times" in page.text
    with shifted(61):
        page = browser.post(page, {"action": "resend"})
        assert "on its way" in page.text
        assert "2 more times" in browser.post(page, {"code": wrong(newest_code(server))}).text
        assert "once more" in browser.post(page, {"code": wrong(newest_code(server))}).text
        page = browser.post(page, {"code": wrong(newest_code(server))})
        assert "cannot be used any more" in page.text
        page = browser.post(page, {"code": newest_code(server)})
        assert "cannot be used any more" in page.text
    with shifted(130):
        assert browser.post(page, {"action": "resend"}).status == 429
    assert server.rows("SELECT id FROM users WHERE email = 'eve@new.example'") == []


def test_what_is_no_code_costs_no_guess(server: EchoServer) -> None:
    """Issue 5: letters, too few digits, digits of other scripts: a sentence, and no guess is used up."""
    server = opening(server)
    browser = Browser(server)
    page = to_code(browser)
    for typed in ("", "1234567", "123456789", "abcdefgh", "١٢٣٤٥٦٧٨", "1234567\x00", "9" * 5000):
        page = browser.post(page, {"code": typed})
        assert page.status == 400
        assert "Enter the 8 digits" in page.text
    assert server.rows("SELECT guesses FROM signups")[0].guesses == 0
    assert browser.allow(browser.post(page, {"code": newest_code(server)})).answer["user"] == EVE


def test_guesses_in_parallel_share_their_number(any_server: EchoServer) -> None:
    """NIST SP 800-63B-4 §3.2.2: 40 guesses at once are five judged ones, whatever the parallelism; then the right code is dead."""
    server = opening(any_server)
    browser = Browser(server)
    page = to_code(browser)
    code = newest_code(server)
    bad = [f"{(int(code.replace(' ', '')) + 1 + number) % 10**8:08d}" for number in range(40)]

    def try_one(number: int) -> str:
        mine = Browser(server, dict(browser.cookies))
        return mine.post(page, {"code": bad[number]}).text

    told = Counter("judged" if "This code is not right" in text else "over" for text in in_parallel(40, try_one))
    assert told == {"judged": 4, "over": 36}  # the fifth judged one is told that it was the last
    assert server.rows("SELECT guesses FROM signups")[0].guesses == 5
    assert "cannot be used any more" in browser.post(page, {"code": code}).text


def test_one_code_many_times_at_once_is_one_account(any_server: EchoServer) -> None:
    """Issue 5: 50 submissions of the right code make one account, one session and one event."""
    server = opening(any_server)
    browser = Browser(server)
    page = to_code(browser)
    code = newest_code(server)

    def submit(_number: int) -> int:
        return Browser(server, dict(browser.cookies)).post(page, {"code": code}).status

    assert set(in_parallel(50, submit)) <= {200, 400, 410}
    assert len(server.rows("SELECT id FROM users WHERE username = 'eve@new.example'")) == 1
    assert len(server.rows("SELECT id FROM sessions")) == 1
    assert len(server.events("user.signed_up")) == 1


def test_two_sign_ups_for_one_address(any_server: EchoServer) -> None:
    """Issue 5: both have a right code; one makes the account, the other is told to sign in."""
    server = opening(any_server)
    browsers = [Browser(server) for _ in range(2)]
    pages = [to_code(browser) for browser in browsers]
    codes = []
    for browser, page in zip(browsers, pages, strict=True):
        with shifted(61):
            browser.post(page, {"action": "resend"})
            codes.append(newest_code(server))

    def submit(number: int) -> Page:
        return browsers[number].post(pages[number], {"code": codes[number]})

    with shifted(61):
        found = in_parallel(2, submit)
    assert sorted(page.status for page in found) == [200, 409]
    loser = next(page for page in found if page.status == 409)
    assert "Sign in with it" in loser.text
    assert len(server.rows("SELECT id FROM users WHERE username = 'eve@new.example'")) == 1
    browser = browsers[found.index(loser)]
    page = browser.post(loser, {"action": "sign_in"})
    assert browser.allow(browser.log_in(page, EVE, NEW)).answer["user"] == EVE


def test_a_code_ends(server: EchoServer) -> None:
    """NIST SP 800-63B-4 §3.1.3.2: a code is good for ten minutes, the newest one only; a sign-up for an hour."""
    server = opening(server, interaction_lifetime=86400)
    browser = Browser(server)
    page = to_code(browser)
    first = newest_code(server)
    with shifted(signup.CODE_LIFETIME + 1):
        assert "cannot be used any more" in browser.post(page, {"code": first}).text
        page = browser.post(page, {"action": "resend"})
        second = newest_code(server)
        assert "not right" in browser.post(page, {"code": first}).text
        assert browser.allow(browser.post(page, {"code": second})).answer["user"] == EVE
    other = Browser(server)
    page = to_code(other, "late@new.example")
    with shifted(signup.LIFETIME + 1):
        assert other.post(page, {"code": newest_code(server, "late@new.example")}).title == "Create an account"


def test_resending_is_bounded(any_server: EchoServer) -> None:
    """Issue 5: three more codes, a minute apart; one that comes too early leaves the sent one as it is."""
    server = opening(any_server)
    browser = Browser(server)
    page = to_code(browser)
    answer = browser.post(page, {"action": "resend"})
    assert answer.status == 429
    assert "less than a minute ago" in answer.text
    for number in range(1, 5):
        with shifted(61 * number):
            answer = browser.post(page, {"action": "resend"})
            assert answer.status == (200 if number < 4 else 429)
            if number < 4:  # the page that the redirect led to (RFC 9110 §15.4.4) sends nothing when it is loaded again
                assert answer.url.endswith("&sent=yes")
                assert "on its way" in browser.get(answer.url).text
                assert len(letters(server)) == number + 1
    assert "No more codes" in answer.text
    assert letters(server) == ["signup_code"] * 4
    with shifted(61 * 4):
        assert browser.allow(browser.post(page, {"code": newest_code(server)})).answer["user"] == EVE


def test_a_sign_up_is_its_browsers(any_server: EchoServer) -> None:
    """S095: another browser's sign-up is neither shown nor finished, with the right code and in an interaction of its own."""
    server = opening(any_server)
    browser, stranger = Browser(server), Browser(server)
    page = to_code(browser)
    code = newest_code(server)
    seen = stranger.get(page.url)
    assert EVE not in seen.text
    assert stranger.post(page, {"code": code}).status == 400
    own = to_code(stranger, "stranger@new.example")
    assert "not right" in stranger.post(own, {"code": code}).text
    signup_id = server.rows("SELECT id FROM signups WHERE address = 'eve@new.example'")[0].id
    own_interaction = own.interaction
    # Even where the state of the stranger's interaction named it, the row says whose it is.
    server.database.writing(
        lambda conn: conn.exec_driver_sql(
            f"""UPDATE interactions SET state = '{{"signup": "{signup_id}"}}' WHERE id = '{own_interaction}'"""
        )
    )
    assert stranger.get(own.url).title == "Create an account"
    assert server.events("user.signed_up") == []
    assert browser.allow(browser.post(page, {"code": code})).answer["user"] == EVE


def test_a_code_is_not_found_in_the_database(server: EchoServer) -> None:
    """ASVS 6.6.2: at rest a code is a keyed hash, the mail is sealed, the password is argon2id."""
    server = opening(server)
    to_code(Browser(server))
    code = newest_code(server).replace(" ", "")
    (row,) = server.rows("SELECT * FROM signups")
    assert code not in repr(row)
    assert NEW not in repr(row)
    assert row.password_hash.startswith("$argon2id$")
    assert all(code not in repr(each) for each in server.rows("SELECT payload FROM outbox"))
    import hashlib

    plain = (code, f"{row.id}{code}", f"{row.id}\n{code}")
    assert row.code_hash not in {hashlib.sha256(text.encode()).hexdigest() for text in plain}


# -- who has an account is told to nobody -------------------------------------------------------------------------------------


def _people(server: EchoServer) -> dict[str, str]:
    server.user("known@there.example")
    disabled = server.user("disabled@there.example")
    accounts.disable_user(server.database, disabled, by=BY)
    invited = server.user("invited@there.example", password=None)
    server.database.writing(lambda conn: users.change(conn, invited, state="invited"))
    server.user("named", email="renamed@there.example")
    return {
        "unknown": "unknown@there.example",
        "known": "known@there.example",
        "spelt otherwise": "KNOWN@there.example",
        "disabled": "disabled@there.example",
        "invited": "invited@there.example",
        "by address": "renamed@there.example",
    }


def _seen(response: Any, address: str) -> tuple[int, list[tuple[str, str]], str]:
    """An answer without what is each sign-up's own: ids, tokens, the address that was typed."""

    def plain(text: str) -> str:
        text = text.replace(address, "ADDRESS")
        text = re.sub(r'name="csrf" value="[^"]*"', "CSRF", text)
        return re.sub(r"interaction(?:=|%3D)[0-9a-f]{32}", "INTERACTION", text)

    headers = [(name, plain(value)) for name, value in response.headers if name != "content-length"]
    return response.status, headers, plain(response.body.decode())


def test_known_and_unknown_addresses_are_answered_alike(
    any_server: EchoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security rule 7, ASVS 6.3.8: same pages, status, headers, transactions, hashes and guesses, whatever account there is."""
    server = opening(any_server, signup_source_limit=1000)
    work: list[str] = []
    writing, hashing = server.database.writing, server.services.hasher.hash
    monkeypatch.setattr(server.database, "writing", lambda job: work.append("commit") or writing(job))
    monkeypatch.setattr(server.services.hasher, "hash", lambda text: work.append("hash") or hashing(text))
    stories = {}
    for name, address in _people(server).items():
        browser = Browser(server)
        form = to_form(browser)
        work.clear()
        story = [_seen(browser.send("POST", form.action, form.fields | FORM | {"email": address}), address)]
        page = browser.get(form.url.replace("/signup", "/signup/code"))
        story.append(_seen(page.response, address))
        for code in ("12345678", "87654321"):
            answer = browser.send("POST", page.action, page.fields | {"code": code})
            story.append(_seen(answer, address))
        with shifted(61):
            story.append(_seen(browser.send("POST", page.action, page.fields | {"action": "resend"}), address))
            story.append(_seen(browser.send("POST", page.action, page.fields | {"action": "resend"}), address))
        last = [browser.send("POST", page.action, page.fields | {"code": f"{number:08d}"}) for number in range(1, 5)]
        story += [_seen(answer, address) for answer in last]
        stories[name] = (story, list(work))
    for name, story in stories.items():
        assert story == stories["unknown"], name
    assert stories["unknown"][1].count("hash") == 1
    sent = {name: letters(server, address) for name, address in _people_addresses().items()}
    assert sent["unknown"] == ["signup_code"] * 2
    assert sent["known"] == sent["disabled"] == sent["invited"] == sent["by address"] == ["signup_known"] * 2


def test_the_owner_of_an_account_reads_the_account_s_language(server: EchoServer) -> None:
    """Issue 5, part 6: a mail that somebody else's sign-up causes is in the owner's language; one to a new address in the page's."""
    server = opening(server)
    ada = server.rows("SELECT id FROM users WHERE username = 'ada@acme.example'")[0].id
    server.database.writing(lambda conn: users.change(conn, ada, claims={"locale": "fr"}))
    for address, language in (("ada@acme.example", "fr"), (EVE, "en")):
        browser = Browser(server)
        page = to_code(browser, address)
        with shifted(61):
            browser.post(page, {"action": "resend"})
        found = mails(server.services, server.tenant, server.database, address)
        assert [mail["language"] for mail in found] == [language] * 2


def _people_addresses() -> dict[str, str]:
    return {name: f"{name}@there.example" for name in ("unknown", "known", "disabled", "invited")} | {
        "by address": "renamed@there.example"
    }


def test_no_code_is_right_for_an_address_that_has_an_account(any_server: EchoServer) -> None:
    """Security rule 7: the row of a known address has a hash that no code has; the account stays as it was."""
    server = opening(any_server)
    browser = Browser(server)
    page = to_code(browser, "ada@acme.example")
    (row,) = server.rows("SELECT * FROM signups")
    own = replace(server, terms=None)
    assert row.code_hash not in {signup._hash(own, row.id, f"{number:08d}") for number in range(20_000)}
    assert letters(server) == ["signup_known"]
    assert "not right" in browser.post(page, {"code": "00000000"}).text
    other = Browser(server)
    assert other.sign_in()["user"] == "ada@acme.example"
    with server.database.reading() as conn:
        assert users.find_by_username(conn, "ada@acme.example").claims == {"name": "Ada Lovelace"}
    assert PASSWORD != NEW


def test_a_source_is_bounded(any_server: EchoServer) -> None:
    """NIST SP 800-63B-4 §3.2.2: so many sign-ups an hour from one address; the others go on, the page keeps what was typed."""
    server = opening(any_server, signup_source_limit=3)
    for number in range(3):
        to_code(Browser(server), f"n{number}@new.example")
    browser = Browser(server)
    page = browser.post(to_form(browser), FORM)
    assert page.status == 429
    assert page.response.header("retry-after") == "3600"
    assert page.fields["email"] == EVE
    assert len(letters(server)) == 3
    to_code(Browser(server, address="198.51.100.9"))
    with shifted(3601):
        to_code(Browser(server), "later@new.example")


def test_nobody_is_bombed_with_mails(any_server: EchoServer) -> None:
    """Issue 5: a mailbox gets at most six mails an hour, from whatever addresses they are asked for, subaddresses included."""
    server = opening(any_server)
    sent = 0
    for number in range(12):
        browser = Browser(server, address=f"198.51.100.{number}")
        address = "eve@new.example" if number % 2 else f"eve+{number}@NEW.example"
        page = browser.post(to_form(browser), FORM | {"email": address})
        sent += page.status == 200
        assert page.status in (200, 429)
    assert sent == signup.ADDRESS_MAILS == len(letters(server))
    to_code(Browser(server), "someone@new.example")


def test_rows_have_an_end(server: EchoServer) -> None:
    """Issue 5: what was typed is kept for an hour."""
    server = opening(server)
    to_code(Browser(server))
    (row,) = server.rows("SELECT created_at, expires_at FROM signups")
    assert row.expires_at - row.created_at == signup.LIFETIME
    assert row.expires_at <= now() + 3600
