"""Changing the e-mail address: the link, whom it is bound to, what dies with it, and what nobody learns (security case S092)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from account_world import ADA, EVE
from house import PASSWORD
from serving import together
from sqlalchemy import select

from idp import opaque
from idp.clock import shifted
from idp.identity import accounts, email_change, links, notices, session_end
from idp.identity.email_change import AddressTaken
from idp.store.db import db
from idp.store.tenant import one_time_links, users

if TYPE_CHECKING:
    import pytest
    from account_world import World
    from house import Answer, Browser

NEW = "ada@new.example"


def ask(world: World, browser: Browser, address: str = NEW) -> Answer:
    """Ask for another address."""
    return browser.follow(browser.submit(world.open(browser, "/email"), email=address))


def confirm(world: World, browser: Browser, mail: dict, **fields: str) -> Answer:
    """Open the link of a mail, and press the button."""
    return browser.submit(browser.get(world.link_path(mail)), **fields)


def test_s092_the_new_address_proves_itself(any_world: World) -> None:
    """ASVS 5.0 §6.3.7, S092: nothing changes before the link; then address and name change, and the old address is told."""
    browser = any_world.signed_in()
    assert "Look into your mailbox" in ask(any_world, browser).text
    (mail,) = any_world.mails()
    assert (mail["template"], mail["to"]) == ("email_change", NEW)
    assert any_world.user().email == ADA
    page = browser.get(any_world.link_path(mail))
    assert NEW in page.text
    assert any_world.user().email == ADA  # opening it uses nothing up
    answer = browser.submit(page)
    assert answer.location == any_world.url("/email?done=email")
    user = any_world.user(NEW)
    assert (user.email, user.username, user.email_verified) == (NEW, NEW, True)
    notice = any_world.mails()[-1]
    assert (notice["template"], notice["to"], notice["context"]["what"]) == ("notice", ADA, "email_changed")
    (event,) = any_world.events("user.email_changed")
    assert event.actor == event.subject == user.id
    assert any_world.signed_in(NEW)


def test_a_reload_sends_nothing_again(any_world: World) -> None:
    """RFC 9110 §15.4.4: the form is answered by a redirect to a page that any number of loads leave as it is, for nobody else."""
    browser = any_world.signed_in()
    answer = browser.submit(any_world.open(browser, "/email"), email=NEW)
    assert answer.status == 303
    assert "new.example" not in answer.location, "no address stands in an address"
    before = any_world.everything()
    for _ in range(2):
        page = browser.get(answer.location)
        assert (page.status, page.text.count(NEW)) == (200, 1)
    for stranger in (any_world.signed_in(), any_world.signed_in(EVE)):
        assert stranger.get(answer.location).location == any_world.url("/email")
    assert browser.get(any_world.url("/email/sent")).location == any_world.url("/email")
    assert len(any_world.mails()) == 1
    assert any_world.everything()["one_time_links"] == before["one_time_links"]


def test_a_name_that_is_not_the_address_stays(world: World) -> None:
    """Issue 5, e-mail change: who signs in by another name goes on doing so."""
    user = world.user()
    world.house.database(world.tenant).writing(
        lambda conn: users.change(conn, user.id, username="ada", username_key="ada")
    )
    browser = world.signed_in("ada")
    ask(world, browser)
    confirm(world, browser, world.mails()[0])
    assert (world.user("ada").email, world.user("ada").username) == (NEW, "ada")


def test_s092_another_session_cannot_use_the_link(any_world: World) -> None:
    """S092, CVE-2026-9087: not without a session, not as somebody else, not in another browser of the same person; then it still works."""
    browser = any_world.signed_in()
    ask(any_world, browser)
    (mail,) = any_world.mails()
    path = any_world.link_path(mail)
    for other in (any_world.browser(), any_world.signed_in(EVE), any_world.signed_in()):
        answer = other.get(path)
        assert answer.status == 403
        assert NEW not in answer.text
        token = other.get(any_world.url("/profile"))
        csrf = token.form[1].get("csrf", "") if token.status == 200 else ""
        posted = other.post(any_world.url("/email/confirm"), {"csrf": csrf, "token": path.partition("token=")[2]})
        assert posted.status == 403
    assert any_world.user().email == ADA
    assert confirm(any_world, browser, mail).status == 303


def test_s092_a_signed_out_session_cannot_use_the_link(world: World) -> None:
    """S092, S093: the session that asked is over; the same person signed in again in the same browser has another."""
    browser = world.signed_in()
    ask(world, browser)
    browser.submit(browser.get(f"{world.tenant.base_path}/logout"), action="logout")
    world.log_in(browser, "")
    assert browser.get(world.link_path(world.mails()[0])).status == 403


def test_a_fresh_sign_in_keeps_the_session(world: World) -> None:
    """S092, OIDC Core §3.1.2.1: who had to sign in again meanwhile sits at the same session, and the link works."""
    browser = world.signed_in()
    ask(world, browser)
    with shifted(900):
        world.log_in(browser, "/password")
        assert confirm(world, browser, world.mails()[0]).status == 303


def test_a_link_works_once_and_an_hour(any_world: World) -> None:
    """Security rule on links: used, older and expired ones are nothing any more."""
    browser = any_world.signed_in()
    ask(any_world, browser)
    ask(any_world, browser, "second@new.example")
    first, second = any_world.mails()
    assert browser.get(any_world.link_path(first)).status == 410
    with shifted(3600):
        assert browser.get(any_world.link_path(second)).status == 410
    page = browser.get(any_world.link_path(second))
    assert browser.submit(page).status == 303
    assert browser.submit(page).status == 410
    assert any_world.user("second@new.example")


def test_what_is_no_link(world: World) -> None:
    """Security rule on hostile input: whatever stands in the address is answered as a link that has ended."""
    browser = world.signed_in()
    for token in ("", "x", "l_" + "A" * 43, "%00", "x" * 5000, "a&token=b"):
        assert browser.get(world.url(f"/email/confirm?token={token}")).status == 410


def test_a_link_of_another_kind_is_none(world: World) -> None:
    """Security rule on links: one kind is never taken for another."""
    browser = world.signed_in()
    user = world.user()

    def make(conn) -> str:
        made = links.make(
            conn, world.tenant, "recovery", "/x", user_id=user.id, address=ADA, lifetime=600, by="t", payload={}
        )
        return made.url.partition("token=")[2]

    token = world.house.database(world.tenant).writing(make)
    assert browser.get(world.url(f"/email/confirm?token={token}")).status == 410


def test_other_links_of_the_account_die(world: World) -> None:
    """S092: a link for another purpose went to the old address, and is worth nothing afterwards."""
    browser = world.signed_in()
    user = world.user()
    database = world.house.database(world.tenant)
    made = database.writing(
        lambda conn: links.make(
            conn, world.tenant, "recovery", "/x", user_id=user.id, address=ADA, lifetime=9999, by="t"
        )
    )
    ask(world, browser)
    confirm(world, browser, world.mails()[0])
    with database.reading() as conn:
        assert one_time_links.get(conn, made.id).revoked_at is not None


def test_s092_other_sessions_end_where_that_is_wanted(any_world: World) -> None:
    """ASVS 5.0 §7.4.3, S092: the page offers to end the other sessions, and their tokens die; this session stays."""
    browser, other = any_world.signed_in(), any_world.signed_in()
    tokens = any_world.tokens(other)
    ask(any_world, browser)
    page = browser.get(any_world.link_path(any_world.mails()[0]))
    assert page.form[1]["others"] == "yes"
    browser.submit(page)
    assert any_world.rp.userinfo(tokens["access_token"]).status == 401
    assert any_world.rp.refresh(tokens["refresh_token"]).status == 400
    assert 'id="login-submit"' in any_world.open(other, "").text
    assert "Your account" in any_world.open(browser, "").text


def test_s092_or_stay_where_it_is_not(world: World) -> None:
    """S092: without the offer taken, the other sessions stay."""
    browser, other = world.signed_in(), world.signed_in()
    ask(world, browser)
    action, fields = browser.get(world.link_path(world.mails()[0])).form
    del fields["others"]
    assert browser.post(action, fields).status == 303
    assert 'id="login-submit"' not in world.open(other, "").text


def test_a_taken_address_is_answered_alike(any_world: World) -> None:
    """Security rule 7: the page for somebody else's address is that for a free one; its owner is told, and there is no link."""
    browser = any_world.signed_in()
    free, taken = ask(any_world, browser), ask(any_world, browser, EVE.upper())
    assert free.status == taken.status == 200

    def plain(answer: Answer, address: str) -> str:
        text = answer.text.replace(address, "X")
        text = re.sub(r"again%3D[0-9a-f]{32}", "", text)  # what was typed is kept under it
        return text.replace(answer.header("x-correlation-id") or "?", "")

    assert plain(free, NEW) == plain(taken, "EVE@example.com")
    assert [name for name, _ in free.headers] == [name for name, _ in taken.headers]
    mail = any_world.mails()[-1]
    assert (mail["template"], mail["to"]) == ("email_taken", EVE)
    assert "token=" not in str(mail)
    assert browser.get(any_world.link_path(any_world.mails()[0])).status == 410  # the older link died alike


def test_an_address_that_somebody_has_beside_another_name(any_world: World) -> None:
    """S105: one address is one account's, also where that account is signed in to by another name, and a sign-up judges alike."""
    database = any_world.house.database(any_world.tenant)
    with database.reading() as conn:
        eve = users.find_by_username(conn, EVE)
    changed = {"username": "eve", "username_key": "eve", "claims": {"locale": "de"}}
    database.writing(lambda conn: users.change(conn, eve.id, **changed))
    ask(any_world, any_world.signed_in(), EVE)
    (mail,) = any_world.mails()
    assert (mail["template"], mail["to"], mail["language"]) == ("email_taken", EVE, "de")


def test_an_address_taken_meanwhile(any_world: World) -> None:
    """Issue 5, e-mail change: whoever proved the address is told that it belongs to an account by now; nothing is changed."""
    browser = any_world.signed_in()
    ask(any_world, browser)
    any_world.house.user(any_world.tenant, NEW)
    answer = confirm(any_world, browser, any_world.mails()[0])
    assert answer.status == 409
    assert any_world.user().email == ADA


def test_an_address_that_two_take_at_once_is_one_account_s(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """S105, S112: both have proven that they read it, and both find it free at the same moment; one has it afterwards."""
    tenant = any_world.tenant
    database, mailer = any_world.house.database(tenant), any_world.house.installation.services.mailer
    ids = []
    for name, address in (("ada", ADA), ("eve", EVE)):
        user = any_world.user(address)
        ids.append(user.id)
        change = {"username": name, "username_key": name}
        database.writing(lambda conn, id_=user.id, change=change: users.change(conn, id_, **change))
        ask(any_world, any_world.signed_in(name))
    with database.reading() as conn:
        links_ = one_time_links.list_of_kind(conn, "email_change")
    real = users.find_with_address

    def slow(*args: Any, **more: Any) -> Any:
        found = real(*args, **more)
        time.sleep(0.3)
        return found

    monkeypatch.setattr(users, "find_with_address", slow)

    def take(number: int) -> bool:
        told = {"origin": notices.Origin(None, None), "by": accounts.By(ids[number])}
        try:
            return email_change.apply(database, mailer, tenant, links_[number], ends_others=False, **told)
        except AddressTaken:
            return False

    assert sum(together(2, take)) == 1
    assert len(any_world.rows(select(users.users).where(users.users.c.email == NEW))) == 1


def test_what_is_no_address_is_said(world: World) -> None:
    """WCAG 2.2 §3.3.1: what was typed stays, the sentence says what is wrong, no mail leaves."""
    browser = world.signed_in()
    for typed in ("", "ada", "a b@example.org", "x" * 400 + "@example.org", "ada@\x00.example"):
        answer = ask(world, browser, typed)
        assert answer.status == 400
        assert 'id="email-error"' in answer.text
    world.house.database(world.tenant).writing(lambda conn: users.change(conn, world.user().id, email_verified=True))
    assert "your address already" in ask(world, browser, ADA).text
    assert world.mails() == []


def test_the_address_of_now_can_be_confirmed(world: World) -> None:
    """OIDC Core §5.1, email_verified: an address that nobody has confirmed is confirmed the same way."""
    browser = world.signed_in()
    ask(world, browser, ADA)
    confirm(world, browser, world.mails()[0])
    assert (world.user().email, world.user().email_verified) == (ADA, True)


def test_nobody_is_flooded(any_world: World) -> None:
    """OWASP ASVS 2.4.1: one account asks five times in an hour, one address is sent five mails, whoever asks."""
    browser, eve = any_world.signed_in(), any_world.signed_in(EVE)
    assert [ask(any_world, browser).status for _ in range(6)] == [200] * 5 + [429]
    assert ask(any_world, eve).status == 200  # told nothing
    assert len(any_world.mails()) == 5
    with shifted(3601):
        browser = any_world.signed_in()
        assert ask(any_world, browser).status == 200
    assert len(any_world.mails()) == 6


def test_links_name_the_issuer_not_the_host(world: World) -> None:
    """ASVS 5.0 §6.3: the link is built from the issuer, whatever Host the request named."""
    browser = world.signed_in()
    page = world.open(browser, "/email")
    browser.post(*[page.form[0], {**page.form[1], "email": NEW}], {"x-forwarded-host": "evil.example"})
    assert world.mails()[0]["context"]["link"].startswith(f"{world.tenant.issuer}/account/email/confirm?token=l_")


def test_mails_carry_nothing_of_who_asks_but_facts(world: World) -> None:
    """OWASP ASVS 1.3: a mail to a stranger is no place for a name or a text that its cause has chosen."""
    browser = world.signed_in()
    ask(world, browser)
    assert world.mails()[0]["context"].keys() == {"link", "source", "user_agent", "minutes"}
    assert PASSWORD not in str(world.mails())


def test_the_link_is_kept_nowhere_in_clear(any_world: World) -> None:
    """S118: the link's row has a digest, the mail waits sealed; the token stands in no row of the tenant."""
    browser = any_world.signed_in()
    ask(any_world, browser)
    token = any_world.link_path(any_world.mails()[0]).partition("token=")[2]
    browser.get(any_world.link_path(any_world.mails()[0]))
    everything = "".join(repr(any_world.rows(table.select())) for table in db.metadatas["tenant"].sorted_tables)
    assert len(token) > 40
    assert token not in everything
    assert opaque.digest(token) in everything


def test_s091_a_changed_password_ends_a_link_to_another_address(any_world: World) -> None:
    """S091, S092: who was let in by the former password has asked for an address of their own; the owner's new password ends that."""
    any_world.set(password_change_ends_sessions="off")
    thief, owner = any_world.signed_in(), any_world.signed_in()
    ask(any_world, thief)
    page = thief.get(any_world.link_path(any_world.mails()[0]))
    assert page.status == 200
    another = "one more long enough sentence"
    changed = owner.submit(
        any_world.open(owner, "/password"),
        current_password=PASSWORD,
        new_password=another,
        confirm_password=another,
    )
    assert changed.status == 303
    assert thief.submit(page).status == 410
    assert thief.get(any_world.link_path(any_world.mails()[0])).status == 410
    assert any_world.user().email == ADA


def test_s092_a_session_that_ends_this_moment_changes_nothing(any_world: World) -> None:
    """S092, S093: the owner ends the session while the form of whoever stole it is under way."""
    thief = any_world.signed_in()
    ask(any_world, thief)
    user, tenant = any_world.user(), any_world.tenant
    database, mailer = any_world.house.database(tenant), any_world.house.installation.services.mailer
    with database.reading() as conn:
        (link,) = one_time_links.list_of_kind(conn, "email_change")
    database.writing(lambda conn: session_end.end_all_of(conn, user.id, "test"))
    told = {"origin": notices.Origin(None, None), "by": accounts.By(user.id)}
    assert not email_change.apply(database, mailer, tenant, link, ends_others=False, **told)
    assert any_world.user().email == ADA


def test_a_mailbox_is_not_flooded_by_its_subaddresses(any_world: World) -> None:
    """OWASP ASVS 2.4.1: however an address is spelt, its mailbox gets five mails in an hour; and nobody is told."""
    browser, eve = any_world.signed_in(), any_world.signed_in(EVE)
    for number in range(5):
        assert ask(any_world, browser, f"Victim+{number}@new.example").status == 200
    for number in range(5):
        assert ask(any_world, eve, f"victim+x{number}@new.example").status == 200
    assert len(any_world.mails()) == 5
