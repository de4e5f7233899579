"""A forgotten password (security S091, S089, S090; OWASP ASVS 6.4; NIST SP 800-63B-4 §4.2)."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from house import PASSWORD
from letters import answer_requests, ask, letters, newest, recovery_letter
from serving import rows, together

from idp import clock
from idp.errors import TooManyRequests
from idp.identity import accounts, links, recovery
from idp.identity.accounts import By
from idp.store.tenant import one_time_links, users

if TYPE_CHECKING:
    from house import Answer, Browser, House, RelyingParty


ADA = "ada@example.com"
NEW = "a different long enough sentence"
OTHER = "one more long enough sentence"


def signs_in(house: House, rp: RelyingParty, password: str = PASSWORD, username: str = ADA) -> bool:
    browser = house.browser(rp.tenant)
    page = browser.follow(browser.authorize(rp, verifier="v" * 43))
    return browser.submit(page, username=username, password=password).status == 303


def use(browser: Browser, path: str, password: str = NEW) -> Answer:
    """Open a link and choose a password."""
    page = browser.get(path)
    return browser.submit(page, new_password=password, confirm_password=password) if page.status == 200 else page


def test_a_new_password_by_mail(any_house: House) -> None:
    """S091, NIST SP 800-63B-4 §4.2: from the login page to the mail, to a new password, and on with the sign-in it began from."""
    tenant = any_house.tenant("acme")
    rp = any_house.client(tenant)
    browser = any_house.browser(tenant)
    login = browser.follow(browser.authorize(rp, verifier="v" * 43))
    interaction = login.form[0].partition("interaction=")[2]
    assert f"/recover?interaction={interaction}" in login.text
    sent = ask(any_house, tenant, " ADA@Example.com", browser, interaction=interaction)
    assert sent.status == 303
    assert "If there is an account" in browser.follow(sent).text
    answer_requests(any_house, tenant)
    letter = newest(any_house, tenant, "recovery")
    assert letter.to == ADA
    page = browser.get(letter.path)
    assert page.header("referrer-policy") == "strict-origin"
    assert 'autocomplete="username" value="ada@example.com"' in page.text
    assert page.text.count('autocomplete="new-password"') == 2
    done = browser.submit(page, new_password=NEW, confirm_password=NEW)
    assert done.status == 303
    done = browser.follow(done)
    assert "Continue to" in done.text
    assert f"/continue?interaction={interaction}" in done.text
    # nobody is signed in by a mail: the sign-in asks for the new password, and for whatever else it would
    assert f"s-{tenant.slug}" not in browser.cookies
    login = browser.follow(browser.get(f"{tenant.base_path}/continue?interaction={interaction}"))
    assert browser.submit(login, username=ADA, password=PASSWORD).status == 400
    assert browser.submit(login, username=ADA, password=NEW).status == 303
    notice = newest(any_house, tenant, "notice")
    told = (notice.to, notice.context["what"], notice.context["link"])
    assert told == (ADA, "password_changed", f"{tenant.issuer}/account")
    assert notice.context["source"] == "127.0.0.1"
    kinds = [row["kind"] for row in rows(tenant.database_url, "SELECT kind FROM audit_events ORDER BY seq")]
    assert [kind for kind in kinds if kind.startswith(("recovery", "user.password"))] == [
        "recovery.requested",
        "recovery.mailed",
        "user.password_changed",
    ]
    (user,) = rows(tenant.database_url, "SELECT email_verified FROM users")
    assert user["email_verified"], "who reads the mail has the address"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "evil.example"},
        {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"},
        {"forwarded": "host=evil.example;proto=https"},
        {"x-original-host": "evil.example", "x-host": "evil.example"},
        {"referer": "https://evil.example/"},
    ],
)
def test_s091_the_link_is_the_issuers(house: House, headers: dict[str, str]) -> None:
    """S091, CVE-2017-12161: whatever the request says of hosts, the mail leads to the tenant's issuer."""
    tenant = house.tenant("acme")
    browser = house.browser(tenant)
    page = browser.get(f"{tenant.base_path}/recover")
    action, values = page.form
    assert browser.post(action, {**values, "username": ADA}, headers).status == 303
    answer_requests(house, tenant)
    letter = newest(house, tenant, "recovery")
    assert letter.link.startswith(f"{tenant.issuer}/recovery?token=l_")
    assert "evil" not in json.dumps([letter.context, letter.to])


def test_s091_another_host_gets_no_form(house: House) -> None:
    """S091: under a Host that is not the issuer's there is nothing to ask at."""
    tenant = house.tenant("acme", "login.acme.example")
    for host in ("evil.example", "login.acme.example.evil.example"):
        answer = house.send("POST", "/recover", form={"username": ADA}, host=host, scheme="https")
        assert answer.status >= 400
    assert rows(tenant.database_url, "SELECT id FROM outbox") == []


def test_s091_a_token_is_long_random_and_kept_as_a_digest(house: House) -> None:
    """S091, ASVS 6.4.1: 256 random bits, another each time; the database has the digest, the outbox the sealed mail."""
    tenant = house.tenant("acme")
    tokens = [recovery_letter(house, tenant).token for _ in range(3)]
    assert len(set(tokens)) == 3
    assert all(len(token.removeprefix("l_")) == 43 for token in tokens)
    stored = json.dumps(
        [rows(tenant.database_url, f"SELECT * FROM {table}") for table in ("one_time_links", "outbox", "audit_events")],
        default=str,
    )
    assert not [token for token in tokens if token in stored]


def test_s091_a_link_works_once(any_house: House) -> None:
    """S091: used, it is gone; what it did is not done twice."""
    tenant = any_house.tenant("acme")
    rp = any_house.client(tenant)
    path = recovery_letter(any_house, tenant).path
    browser = any_house.browser(tenant)
    page = browser.get(path)
    assert browser.submit(page, new_password=NEW, confirm_password=NEW).status == 303
    assert browser.submit(page, new_password=OTHER, confirm_password=OTHER).status == 410
    assert browser.get(path).status == 410
    assert signs_in(any_house, rp, NEW)


def test_s091_opening_uses_nothing_up(house: House) -> None:
    """S091: mail scanners open links, with GET and HEAD and without cookies; the person's form still works afterwards."""
    tenant = house.tenant("acme")
    path = recovery_letter(house, tenant).path
    before = rows(tenant.database_url, "SELECT * FROM one_time_links")
    for _ in range(3):
        assert house.browser(tenant).get(path).status == 200
        assert house.send("HEAD", path, host=tenant.host).status == 200
    assert rows(tenant.database_url, "SELECT * FROM one_time_links") == before
    assert use(house.browser(tenant), path).status == 303


def test_s091_a_scanner_that_sends_forms_needs_the_cookie(house: House) -> None:
    """S091, RFC 9700 §4.7: the form of one browser is not accepted from another."""
    tenant = house.tenant("acme")
    path = recovery_letter(house, tenant).path
    action, values = house.browser(tenant).get(path).form
    stranger = house.browser(tenant)
    assert stranger.post(action, {**values, "new_password": NEW, "confirm_password": NEW}).status == 403
    stranger.get(path)
    assert stranger.post(action, {**values, "new_password": NEW, "confirm_password": NEW}).status == 403
    assert use(house.browser(tenant), path).status == 303


def test_s091_the_newest_link_alone_works(any_house: House) -> None:
    """S091: of two links outstanding the older is dead, though its form stands open."""
    tenant = any_house.tenant("acme")
    first = recovery_letter(any_house, tenant).path
    browser = any_house.browser(tenant)
    page = browser.get(first)
    second = recovery_letter(any_house, tenant).path
    assert browser.submit(page, new_password=NEW, confirm_password=NEW).status == 410
    assert use(any_house.browser(tenant), second).status == 303


def test_s091_every_way_to_a_new_password_kills_the_links(any_house: House) -> None:
    """S091: after a password that an operator set, or that a person changed, an earlier mail opens nothing."""
    tenant = any_house.tenant("acme")
    path = recovery_letter(any_house, tenant).path
    hasher = any_house.installation.services.hasher
    database = any_house.database(tenant)
    user = accounts.find_user(database, ADA)
    accounts.set_password(database, hasher, tenant, user, OTHER, by=By(user.id))
    assert use(any_house.browser(tenant), path).status == 410
    assert signs_in(any_house, any_house.client(tenant), OTHER)


def test_s091_a_new_address_kills_the_links(any_house: House) -> None:
    """S091: a mail to the former address opens nothing any more, however the address was changed."""
    tenant = any_house.tenant("acme")
    path = recovery_letter(any_house, tenant).path
    user_id = any_house.user_id(tenant)
    any_house.database(tenant).writing(lambda conn: users.change(conn, user_id, email="ada@new.example"))
    assert use(any_house.browser(tenant), path).status == 410


def test_s091_a_link_is_one_persons_and_for_one_thing(house: House) -> None:
    """S091, rule 4: it sets its own user's password whatever the form says; and a token of one kind is none of another."""
    tenant = house.tenant("acme")
    rp = house.client(tenant)
    house.user(tenant, "bob@example.com", OTHER)
    letter = recovery_letter(house, tenant)
    for path in ("/invitation", "/unlock"):
        assert house.browser(tenant).get(f"{tenant.base_path}{path}?token={letter.token}").status == 410
    browser = house.browser(tenant)
    page = browser.get(letter.path)
    named = {"username": "bob@example.com", "user_id": house.user_id(tenant, "bob@example.com")}
    assert browser.submit(page, new_password=NEW, confirm_password=NEW, **named).status == 303
    assert signs_in(house, rp, OTHER, "bob@example.com")
    assert signs_in(house, rp, NEW)


def test_s091_a_link_ends_with_its_time(house: House) -> None:
    """S091, ASVS 6.4.1: after `recovery_lifetime` it is gone, on the form that is open too."""
    tenant = house.tenant("acme", recovery_lifetime="300")
    path = recovery_letter(house, tenant).path
    browser = house.browser(tenant)
    page = browser.get(path)
    with clock.shifted(301):
        assert browser.get(path).status == 410
        assert browser.submit(page, new_password=NEW, confirm_password=NEW).status == 410


@pytest.mark.parametrize("token", ["", "x", "l_" + "A" * 43, "\x00", "l_%F0%9F%98%80", "A" * 5000, "%ED%A0%80"])
def test_s091_what_is_no_link_is_answered_alike(house: House, token: str) -> None:
    """S091, rule 10: unknown, malformed and used tokens end on one page that says what to do; never a 500."""
    tenant = house.tenant("acme")
    used = recovery_letter(house, tenant).path
    use(house.browser(tenant), used)
    pages = [house.browser(tenant).get(path) for path in (used, f"{tenant.base_path}/recovery?token={token}")]
    if pages[1].status == 400:  # not readable as a query
        assert token in ("\x00", "%ED%A0%80")
        return
    assert [page.status for page in pages] == [410, 410]
    assert _same(pages[0]) == _same(pages[1])
    assert f"{tenant.base_path}/recover" in pages[0].text


def _same(page: Answer) -> tuple[Any, ...]:
    """A page but for what is drawn anew each time."""
    reference = page.text.partition('id="correlation-id">')[2].partition("<")[0]
    return page.status, page.text.replace(reference, "REFERENCE"), page.headers


def test_s091_the_token_is_told_to_nobody(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """S091: not to other sites by Referer, not in any link of the page, not in a cookie, not in what is recorded."""
    tenant = house.tenant("acme")
    letter = recovery_letter(house, tenant)
    browser = house.browser(tenant)
    page = browser.get(letter.path)
    assert page.text.count(letter.token) == 1, "in the form's hidden field alone"
    assert letter.token not in page.form[0]
    assert page.header("referrer-policy") == "strict-origin"
    assert page.header("cache-control") == "no-store"
    wrong = browser.submit(page, new_password="short", confirm_password="short")
    assert wrong.status == 400
    done = browser.submit(page, new_password=NEW, confirm_password=NEW)
    assert letter.token not in done.location
    gone = browser.get(letter.path)
    assert letter.token not in gone.text
    for answer in (page, wrong, done, gone):
        assert letter.token not in str([value for _, value in answer.headers])
    spooled = "".join(path.read_text() for path in house.installation.spool.directory.glob("*.jsonl"))
    assert "one_time_link" in spooled
    assert letter.token not in spooled
    assert letter.token not in "".join(capfd.readouterr())


def test_s091_fifty_forms_at_once_set_one_password(any_house: House) -> None:
    """S091, rule 4: of 50 forms sent together one is taken; the account has that one's password."""
    tenant = any_house.tenant("acme")
    rp = any_house.client(tenant)
    path = recovery_letter(any_house, tenant).path
    browsers = [any_house.browser(tenant) for _ in range(50)]
    opened = [browser.get(path) for browser in browsers]

    def send(i: int) -> int:
        password = f"password number {i} of them all"
        return browsers[i].submit(opened[i], new_password=password, confirm_password=password).status

    statuses = together(50, send)
    assert sorted(statuses) == [303, *[410] * 49]
    winner = statuses.index(303)
    assert signs_in(any_house, rp, f"password number {winner} of them all")
    assert len(letters(any_house, tenant, "notice")) == 1


@pytest.mark.parametrize(
    ("new", "again", "word"),
    [
        ("", "", "too short"),
        ("short", "short", "too short"),
        (NEW, OTHER, "not the same"),
        ("a" * 129, "a" * 129, "too long"),
        ("x" * 1_000_00, "x" * 1_000_00, "too long"),
        (ADA, ADA, "must not be your username"),
        ("with a NUL \x00 inside it", "with a NUL \x00 inside it", "cannot be used"),
    ],
)
def test_s090_a_password_against_the_rules(house: House, new: str, again: str, word: str) -> None:
    """S090, NIST SP 800-63B-4 §3.1.1.2: said beside the field, the link is not used up, nothing typed is sent back."""
    tenant = house.tenant("acme")
    path = recovery_letter(house, tenant).path
    browser = house.browser(tenant)
    answer = browser.submit(browser.get(path), new_password=new, confirm_password=again)
    assert answer.status == 400
    assert word in answer.text
    fields = re.findall(r'<input[^>]*type="password"[^>]*>', answer.text)
    assert ["value=" in field for field in fields] == [False, False]
    answer = browser.submit(answer, new_password=NEW, confirm_password=NEW)
    assert answer.status == 303, "the form that was shown again works"


def test_s090_spellings_of_one_password(house: House) -> None:
    """S090: NFC and NFD are one password; spaces at the ends are kept; nothing is cut off at 72 bytes."""
    tenant = house.tenant("acme")
    rp = house.client(tenant)
    decomposed, composed = "ue\u0308ber alle Berge und Ta\u0308ler  ", "u\u00ebber alle Berge und T\u00e4ler  "
    browser = house.browser(tenant)
    page = browser.get(recovery_letter(house, tenant).path)
    assert browser.submit(page, new_password=decomposed, confirm_password=composed).status == 303
    assert signs_in(house, rp, composed)
    assert not signs_in(house, rp, composed.strip())
    long = "z" + "y" * 71
    page = browser.get(recovery_letter(house, tenant).path)
    assert browser.submit(page, new_password=f"{long}1", confirm_password=f"{long}1").status == 303
    assert not signs_in(house, rp, f"{long}2")
    assert signs_in(house, rp, f"{long}1")


@pytest.mark.parametrize("ends", [True, False])
def test_s092_other_sessions_end_as_the_tenant_wants_it(house: House, ends: bool) -> None:
    """S092, ASVS 7.4.3: by default a recovered password ends sessions and tokens of whoever had the former."""
    tenant = house.tenant("acme", password_change_ends_sessions=str(ends))
    rp = house.client(tenant)
    browser = house.browser(tenant)
    tokens = rp.redeem(browser.sign_in(rp, scope="openid offline_access")).json
    assert use(house.browser(tenant), recovery_letter(house, tenant).path).status == 303
    assert rp.introspect(tokens["access_token"])["active"] is not ends
    assert (
        "code" in browser.authorize(rp, verifier="v" * 43, prompt="none", scope="openid offline_access").params
    ) is not ends


def test_s089_a_new_password_ends_a_lock(house: House) -> None:
    """S089: whoever was locked out by a guesser comes back in by mail."""
    tenant = house.tenant("acme", account_attempts="3")
    rp = house.client(tenant)
    for _ in range(4):
        assert not signs_in(house, rp, "wrong")
    assert not signs_in(house, rp)
    assert use(house.browser(tenant), recovery_letter(house, tenant).path).status == 303
    assert signs_in(house, rp, NEW)


def test_s089_asking_is_counted_by_account(any_house: House) -> None:
    """S089, ASVS 6.3.1: no more than `recovery_mails` in the window whichever the spelling, and the answer stays the same."""
    tenant = any_house.tenant("acme", recovery_mails="2")
    rp = any_house.client(tenant)
    answers = [
        ask(any_house, tenant, name) for name in (ADA, "ADA@example.com", " ada@EXAMPLE.com", "ａda@example.com")
    ]
    assert {(answer.status, answer.location) for answer in answers} == {(303, f"{tenant.base_path}/recover/sent")}
    answer_requests(any_house, tenant)
    assert len(letters(any_house, tenant)) == 2
    assert signs_in(any_house, rp), "asking locks nobody out"
    with clock.shifted(tenant.settings.attempts_window + 1):
        ask(any_house, tenant, ADA)
        answer_requests(any_house, tenant)
        assert len(letters(any_house, tenant)) == 3


def test_s089_asking_at_once_is_counted_by_source(any_house: House) -> None:
    """S089: 30 requests of one source that come together are no more than those that it may send one after another."""
    tenant = any_house.tenant("acme", source_attempts="10")
    server = SimpleNamespace(tenant=tenant, database=any_house.database(tenant))

    def attempt(number: int) -> bool:
        try:
            recovery.ask(server, recovery.Request(f"nobody{number}@example.com", "192.0.2.1", "C" * 16))
        except TooManyRequests:
            return False
        return True

    assert sum(together(30, attempt)) == 10
    assert len(rows(tenant.database_url, "SELECT id FROM outbox")) == 10


def test_s089_asking_is_counted_by_source(any_house: House) -> None:
    """S089: a source that asks for many accounts is told to wait, with what it typed; sign-ins from there go on."""
    tenant = any_house.tenant("acme", source_attempts="10")
    rp = any_house.client(tenant)
    for number in range(10):
        assert ask(any_house, tenant, f"nobody{number}@example.com").status == 303
    for name in (ADA, "nobody@example.com"):
        answer = ask(any_house, tenant, name)
        assert answer.status == 429
        assert int(answer.header("retry-after") or 0) > 0
        assert f'value="{name}"' in answer.text
    answer_requests(any_house, tenant)
    assert letters(any_house, tenant) == []
    assert signs_in(any_house, rp)
    with clock.shifted(tenant.settings.attempts_window + 1):
        assert ask(any_house, tenant, ADA).status == 303


@pytest.mark.parametrize("username", ["", "   ", "\t"])
def test_an_empty_form_says_what_to_enter(house: House, username: str) -> None:
    """WCAG 2.2 §3.3.1: the field is named, nothing is counted or sent."""
    tenant = house.tenant("acme")
    answer = ask(house, tenant, username)
    assert (answer.status, "Enter your email address" in answer.text) == (400, True)
    assert rows(tenant.database_url, "SELECT id FROM outbox") == []


@pytest.mark.parametrize(
    "username", ["\x00", "x" * 100_000, "\u202e", "a@b\r\nBcc: c@d.example", "<script>", "' OR 1=1 --"]
)
def test_hostile_addresses_bring_nothing(any_house: House, username: str) -> None:
    """Security rule 10: whatever is typed, the answer is the one page, and nothing is mailed."""
    tenant = any_house.tenant("acme")
    answer = ask(any_house, tenant, username)
    assert (answer.status, answer.location) == (303, f"{tenant.base_path}/recover/sent")
    answer_requests(any_house, tenant)
    assert letters(any_house, tenant) == []


@pytest.mark.parametrize("interaction", ["f" * 32, "x", "//evil.example", "%0d%0aset-cookie:a=b"])
def test_an_interaction_that_is_none_is_left_out(house: House, interaction: str) -> None:
    """Security rule 10: an invented sign-in to go on with leads to the applications, never elsewhere."""
    tenant = house.tenant("acme")
    letter = recovery_letter(house, tenant, interaction=interaction)
    browser = house.browser(tenant)
    done = browser.follow(use(browser, letter.path))
    assert done.status == 200
    assert f'id="continue" href="{tenant.base_path}/start"' in done.text
    assert "evil" not in done.text


def test_another_browser_goes_on_elsewhere(house: House) -> None:
    """RFC 9700 §4.7: opened on the telephone, the link sets the password; the sign-in that waits on the desk is not taken over."""
    tenant = house.tenant("acme")
    rp = house.client(tenant)
    desk, telephone = house.browser(tenant), house.browser(tenant)
    login = desk.follow(desk.authorize(rp, verifier="v" * 43))
    interaction = login.form[0].partition("interaction=")[2]
    letter = recovery_letter(house, tenant, interaction=interaction)
    done = telephone.follow(use(telephone, letter.path))
    assert f'id="continue" href="{tenant.base_path}/start"' in done.text
    assert desk.submit(login, username=ADA, password=NEW).status == 303


def test_an_account_without_an_address_gets_no_mail(house: House) -> None:
    """Security rule 7: the answer is the same page."""
    tenant = house.tenant("acme")
    hasher = house.installation.services.hasher
    database = house.database(tenant)
    accounts.create_user(
        database, hasher, tenant, username="terminal", password=PASSWORD, email=None, by=By("operator")
    )
    assert ask(house, tenant, "terminal").location == f"{tenant.base_path}/recover/sent"
    answer_requests(house, tenant)
    assert letters(house, tenant) == []


def test_the_mail_and_its_link_are_one_transaction(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4: no link without its mail: where the outbox takes nothing, no link was made, and the request waits on."""
    tenant = any_house.tenant("acme")
    ask(any_house, tenant, ADA)
    mailer = any_house.installation.services.mailer

    def full(*_: object, **__: object) -> None:
        raise OSError("the box is full")

    with monkeypatch.context() as patched:
        patched.setattr(mailer, "enqueue", full)
        answer_requests(any_house, tenant)
    assert rows(tenant.database_url, "SELECT id FROM one_time_links") == []
    (request,) = rows(tenant.database_url, "SELECT state FROM outbox WHERE kind = 'recovery'")
    assert request["state"] == "waiting"
    with clock.shifted(60):
        answer_requests(any_house, tenant)
        assert newest(any_house, tenant, "recovery").to == ADA


def test_the_link_of_a_tenant_on_its_own_domain(house: House) -> None:
    """Interfaces §4: the link stands on the tenant's domain, over HTTPS."""
    tenant = house.tenant("acme", "login.acme.example")
    letter = recovery_letter(house, tenant)
    assert urlsplit(letter.link)[:3] == ("https", "login.acme.example", "/recovery")
    assert use(house.browser(tenant), letter.path).status == 303


def test_links_are_purged(any_house: House) -> None:
    """Architecture §4: a link's row goes 30 days after its end."""
    tenant = any_house.tenant("acme")
    recovery_letter(any_house, tenant)
    database = any_house.database(tenant)
    day = 86400
    for later, count in ((29 * day, 1), (31 * day, 0)):
        with clock.shifted(later):
            database.writing(lambda conn: one_time_links.purge_expired(conn, clock.now() - 30 * day))
        assert len(rows(tenant.database_url, "SELECT id FROM one_time_links")) == count


def test_a_token_longer_than_any_is_not_looked_up(house: House) -> None:
    """Security rule 10: what cannot be a token costs no query."""
    tenant = house.tenant("acme")
    assert links.find(house.database(tenant), "recovery", "l" * 65) is None


@pytest.mark.parametrize(("claims", "language"), [({}, "de"), ({"locale": "en-GB"}, "en-GB")])
def test_the_mail_is_in_the_language_of_who_asks(house: House, claims: dict[str, str], language: str) -> None:
    """Issue 5, part 6: a person who has chosen no language for the account is written to in the page's."""
    tenant = house.tenant("acme")
    email = "gina@example.com"
    user_id = house.user(tenant, email)
    house.database(tenant).writing(lambda conn: users.change(conn, user_id, claims=claims))
    browser = house.browser(tenant)
    browser.get(f"{tenant.base_path}/language?language=de&to={tenant.base_path}/recover")
    page = browser.get(f"{tenant.base_path}/recover")
    browser.submit(page, username=email)
    answer_requests(house, tenant)
    assert newest(house, tenant, "recovery").language == language
