"""What an attacker tries at the account pages and at what stands around them: links, forms, addresses, names and wordings."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from account_world import ADA, EVE, FIREFOX
from house import PASSWORD

from idp import opaque
from idp.clock import shifted
from idp.errors import Invalid
from idp.flow import texts
from idp.identity import email_change, signup
from idp.identity.accounts import By
from idp.identity.email_change import AddressTaken
from idp.identity.notices import Origin
from idp.store.tenant import interactions, one_time_links, sessions, signups, users

if TYPE_CHECKING:
    from account_world import World
    from house import Browser

NEW = "ada@new.example"
SELF = By("someone")


def asked(world: World, browser: Browser) -> str:
    """Ask for another address; returns the path of the mailed link."""
    browser.submit(world.open(browser, "/email"), email=NEW)
    return world.link_path(world.mails()[-1])


# -- mailed links ---------------------------------------------------------------------------------------------------------


def test_s091_no_page_behind_a_mailed_link_says_its_token(world: World) -> None:
    """S091: the address has the token, so no link of the page repeats it, and whoever it leads to is told the origin alone."""
    browser = world.signed_in()
    path = asked(world, browser)
    token = path.partition("token=")[2]
    pages = {
        "confirm": browser.get(path),
        "another browser": world.browser().get(path),
        "gone": browser.get(path[:-1] + "x"),
        "recovery": browser.get(f"{world.tenant.base_path}/recovery?token={token}"),
        "invitation": browser.get(f"{world.tenant.base_path}/invitation?x=1&token={token}"),
        "unlock": browser.get(f"{world.tenant.base_path}/unlock?token={token}"),
    }
    for name, page in pages.items():
        said = re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
        assert not [each for each in said if token[:-1] in each], name
        assert page.header("referrer-policy") == "strict-origin", name


def test_s092_a_new_password_takes_an_address_change_back(any_world: World) -> None:
    """S092, ASVS 5.0 §7.4.3: who knew the old password asked for an address; the link dies with that password, if sessions stay too."""
    any_world.set(password_change_ends_sessions="off")
    thief, owner = any_world.signed_in(), any_world.signed_in()
    path = asked(any_world, thief)
    new = "another staple correct battery"
    answer = owner.submit(
        any_world.open(owner, "/password"), current_password=PASSWORD, new_password=new, confirm_password=new
    )
    assert answer.location == any_world.url("/password?done=password")
    assert thief.get(path).status == 410
    assert any_world.user().email == ADA


def test_s105_a_sign_up_and_a_change_cannot_both_have_an_address(any_world: World) -> None:
    """S105: while a sign-up is being written, somebody else confirms the same address: one of them has it, never both."""
    world = any_world
    database, server = world.house.database(world.tenant), world.house.installation.servers.get(world.tenant)
    database.writing(lambda conn: users.change(conn, world.user().id, username="ada", username_key="ada"))
    browser = world.signed_in("ada")
    token = asked(world, browser).partition("token=")[2]
    with database.reading() as conn:
        link = one_time_links.find_live(conn, email_change.KIND, opaque.digest(token))
    assert link is not None
    code = "123456"

    def begin(conn: Any) -> str:
        made = opaque.new_id()
        wanted = signup.Wanted(made, "i" * 32, "b", NEW, "hash", {}, None, "en", "203.0.113.9", "CORR", None)
        signup.begin(conn, server, wanted)
        conn.execute(signups.signups.update().values(code_hash=signup._hash(server, made, code)))
        return made

    signup_id = database.writing(begin)
    is_written, outcome = threading.Event(), []

    def change() -> None:
        is_written.wait(10)
        try:
            outcome.append(
                email_change.apply(
                    database,
                    world.house.installation.services.mailer,
                    world.tenant,
                    link,
                    ends_others=False,
                    origin=Origin(None, None),
                    by=SELF,
                )
            )
        except AddressTaken:
            outcome.append("taken")

    other = threading.Thread(target=change)
    other.start()

    def sign_up(conn: Any) -> Any:
        def and_then(_conn: Any, _user_id: str) -> str:
            is_written.set()
            other.join(1)  # it waits for this transaction
            return "s" * 32

        return signup.guess(
            conn,
            server,
            signup_id,
            code,
            source="203.0.113.9",
            correlation_id="CORR",
            client_id=None,
            and_then=and_then,
        )

    assert database.writing(sign_up)[0] == "right"
    other.join(10)
    assert outcome == ["taken"]
    assert [row.username for row in world.rows(users.users.select()) if row.email == NEW] == [NEW]


def test_an_address_taken_is_said_in_the_persons_language(world: World) -> None:
    """Issue 5, part 6: what the two pages of the change refuse is said in German to whoever reads German."""
    browser = world.signed_in()
    browser.get(f"{world.tenant.base_path}/language?language=de&to={world.tenant.base_path}/account")
    assert "Das ist keine E-Mail-Adresse" in browser.submit(world.open(browser, "/email"), email="ada").text
    page = browser.get(asked(world, browser))
    world.house.user(world.tenant, NEW)
    assert "Die Adresse gehört inzwischen zu einem anderen Konto" in browser.submit(page).text


# -- forms ----------------------------------------------------------------------------------------------------------------


def test_s095_nobody_fills_in_another_persons_form(any_world: World) -> None:
    """S095: a program sends a form without a session, and its sign-in is handed to somebody: it is that program's and nobody else's."""
    attacker = any_world.browser()
    answer = attacker.post(any_world.url("/email"), {"email": "eve@evil.example"})
    assert answer.status == 303
    (row,) = any_world.rows(interactions.interactions.select())
    assert row.browser_hash
    for victim in (any_world.signed_in(), any_world.browser()):
        page = victim.follow(victim.get(f"{any_world.tenant.base_path}/continue?interaction={row.id}"))
        if 'id="login-submit"' in page.text:
            page = victim.follow(victim.submit(page, username=ADA, password=PASSWORD))
        assert "eve@evil.example" not in page.text
        assert "eve@evil.example" not in victim.get(f"{any_world.url('/email')}?again={row.id}").text


def test_whatever_is_typed_before_a_sign_in_is_no_error(any_world: World) -> None:
    """Security rule 10: what a form holds that waits for a sign-in is kept, or left out, and never stops a database."""
    for typed in ("\x00", "a\x00b", "\u202e", "\ufffe", "x" * 7000):
        for path in ("/email", "/profile", "/sessions", "/applications", "/delete"):
            any_world.set(account_self_deletion="on")
            answer = any_world.browser().post(any_world.url(path), {"email": typed, typed: "x"})
            assert answer.status == 303, (path, typed)


def test_ids_of_other_people_in_a_form(any_world: World) -> None:
    """S098: another person's session named in one's own form is what does not exist, and nothing changes."""
    ada, other, eve = any_world.signed_in(), any_world.signed_in(), any_world.signed_in(EVE)
    any_world.tokens(eve, username=EVE)
    hers = [each for each in any_world.rows(sessions.sessions.select()) if each.user_id == any_world.user(EVE).id]
    assert hers
    for row in hers:
        before = any_world.everything()
        assert any_world.send(ada, "/sessions", action="end", session=row.id).status == 404
        assert any_world.everything() == before
    assert 'id="login-submit"' not in any_world.open(other, "").text


# -- several accounts -----------------------------------------------------------------------------------------------------


def both(world: World) -> Browser:
    """A browser in which ada has just signed in, and eve before her."""
    browser = world.signed_in(EVE)
    page = browser.follow(browser.get(f"{world.tenant.base_path}/sign-in?to=accounts&another=1"))
    browser.follow(browser.submit(page, username=ADA, password=PASSWORD))
    return browser


def switched(world: World, browser: Browser) -> None:
    """Make the other account the current one."""
    page = browser.get(f"{world.tenant.base_path}/accounts")
    picks = re.findall(r'value="(use [0-9a-f]{32})"', page.text)
    action, fields = page.form
    assert browser.post(action, {**fields, "action": picks[1]}).status == 303


def test_s081_one_accounts_fresh_sign_in_is_not_anothers(any_world: World) -> None:
    """S081, ASVS 5.0 §7.5.1: how lately somebody signed in is each account's own, however they are switched."""
    browser = any_world.signed_in(EVE)
    with shifted(700):
        page = browser.follow(browser.get(f"{any_world.tenant.base_path}/sign-in?to=accounts&another=1"))
        browser.follow(browser.submit(page, username=ADA, password=PASSWORD))
        assert 'id="email-submit"' in any_world.open(browser, "/email").text
        switched(any_world, browser)
        login = any_world.open(browser, "/email")
        assert 'id="login-submit"' in login.text
        assert "another account" in browser.follow(browser.submit(login, username=ADA, password=PASSWORD)).text
        switched(any_world, browser)
        assert 'id="email-submit"' in any_world.open(browser, "/email").text


def test_s095_a_page_of_one_account_changes_nothing_of_another(any_world: World) -> None:
    """S095: a tab still shows ada's form when another makes eve the current account: the form is refused."""
    browser = both(any_world)
    page = any_world.open(browser, "/email")
    switched(any_world, browser)
    before = any_world.everything()
    assert browser.submit(page, email=NEW).status == 403
    assert any_world.everything() == before


def test_a_deleted_account_takes_no_other_along(any_world: World) -> None:
    """S093: the other account of the browser stays signed in, and can be chosen; of the deleted one nothing is left there."""
    any_world.set(account_self_deletion="on")
    browser = any_world.signed_in(EVE)
    page = browser.follow(browser.get(f"{any_world.tenant.base_path}/sign-in?to=accounts&another=1"))
    browser.follow(browser.submit(page, username=ADA, password=PASSWORD, remember="yes"))
    assert any(name.startswith("r-") for name in browser.cookies)
    browser.submit(any_world.open(browser, "/delete"), username=ADA)
    assert not any(name.startswith(("s-", "r-")) and value for name, value in browser.cookies.items())
    page = any_world.open(browser, "")
    assert EVE in page.text
    assert ADA not in page.text


def test_a_changed_name_is_remembered_as_it_is_now(world: World) -> None:
    """GDPR Article 5(1)(d): the address that a browser remembers follows the account's name."""
    browser = world.browser()
    browser.follow(browser.submit(world.open(browser, ""), username=ADA, password=PASSWORD, remember="yes"))
    assert browser.submit(browser.get(asked(world, browser))).status == 303
    browser.submit(browser.get(f"{world.tenant.base_path}/logout"), action="logout")
    login = world.open(browser, "")
    assert NEW in login.text
    assert ADA not in login.text


# -- names and wordings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Nowhere/Land", "America", "posixrules", "GMT0"])
def test_a_time_zone_that_nobody_knows(world: World, zone: str) -> None:
    """OIDC Core §5.1, zoneinfo: a claim of the right form that names no zone of this machine: times are in UTC, no page fails."""
    user = world.user()
    world.house.database(world.tenant).writing(
        lambda conn: users.change(conn, user.id, claims={**(user.claims or {}), "zoneinfo": zone})
    )
    browser = world.signed_in()
    for path in ("", "/profile", "/sessions", "/history", "/applications"):
        assert world.open(browser, path).status == 200, path


PERCENT = {
    "%(browser)s on %(system)s": "100 % of %(browser)s, %(system)s, %s %d %(x",
    "Your account is signed in on %(count)s other device.": "%(count)s more: 50 % off, %o %s",
}


def test_a_wording_with_a_per_cent_sign_stops_no_page(any_world: World) -> None:
    """ASVS 5.0 §1.3.10 (format strings): a tenant's text is filled in by names alone; any other per cent sign is one."""
    house, tenant = any_world.house, any_world.tenant
    for sentence, text in PERCENT.items():
        texts.put(house.database(tenant), house.installation.feed, tenant.id, "en", sentence, text, by=SELF)
    browser, other = any_world.signed_in(), any_world.browser()
    action, fields = any_world.open(other, "").form
    other.post(action, {**fields, "username": ADA, "password": PASSWORD}, {"user-agent": FIREFOX})
    assert "1 more: 50 % off, %o %s" in any_world.open(browser, "").text
    assert "100 % of Firefox, Linux, %s %d %(x" in any_world.open(browser, "/sessions").text


@pytest.mark.parametrize(
    "agent", ["\u202e<b>evil</b>", "x" * 5000, '"><script>alert(1)</script>', "%(x)s %s {0}", "\x7f\x85"]
)
def test_what_a_browser_calls_itself_is_text(world: World, agent: str) -> None:
    """ASVS 5.0 §1.2.1: a User-Agent is shown to the account's own person, short, escaped, set apart from the sentence."""
    stranger = world.browser()
    page = world.open(stranger, "")
    action, fields = page.form
    header = {"user-agent": agent.encode("utf-8").decode("latin-1")}
    stranger.post(action, {**fields, "username": ADA, "password": PASSWORD}, header)
    shown = world.open(world.signed_in(), "/sessions").text
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "x" * 61 not in shown
    assert all("<bdi>" in each for each in re.findall(r"<h2>.*?</h2>", shown))


@pytest.mark.parametrize("text", ["a\u2028b", "a\u2029b", "\u200b\u200b", "\ufeff", "\u0301"])
def test_a_wording_that_cannot_be_seen_is_refused(world: World, text: str) -> None:
    """ASVS 5.0 §2.2.1: a tenant's text is one line, and has something in it that a person sees and a reader says."""
    with pytest.raises(Invalid):
        texts.put(
            world.house.database(world.tenant),
            world.house.installation.feed,
            world.tenant.id,
            "de",
            "Sign in",
            text,
            by=SELF,
        )
