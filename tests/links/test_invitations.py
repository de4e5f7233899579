"""Invitations: an account whose owner chooses the password by mail (Issue 5; security S091; NIST SP 800-63B-4 §4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from house import PASSWORD
from letters import answer_requests, ask, letters, newest
from serving import rows, together

from idp import clock
from idp.errors import Conflict, Invalid, NotFound
from idp.identity import accounts, invitations
from idp.identity.accounts import By

if TYPE_CHECKING:
    from house import Answer, Browser, House

    from idp.tenancy.tenant import Tenant

BY = By("operator")
GRACE = "grace@example.com"
NEW = "a different long enough sentence"


def invite(house: House, tenant: Tenant, email: str = GRACE, **more: Any) -> str:
    mailer = house.installation.services.mailer
    return invitations.invite(house.database(tenant), mailer, tenant, email=email, by=BY, **more)


def states(house: House, tenant: Tenant) -> dict[str, str]:
    with house.database(tenant).reading() as conn:
        return {each.address: each.state for each in invitations.list_all(conn)}


def accept(browser: Browser, path: str, password: str = NEW) -> Answer:
    page = browser.get(path)
    return browser.submit(page, new_password=password, confirm_password=password) if page.status == 200 else page


def test_an_invitation_is_accepted(any_house: House) -> None:
    """Issue 5, invitations: the mail, the page that says who invites to what, the password, the account with its roles."""
    tenant = any_house.tenant("acme")
    rp = any_house.client(tenant)
    user_id = invite(any_house, tenant, inviter="Ada <Lovelace>", roles=["editor"], claims={"name": "Grace Hopper"})
    assert states(any_house, tenant) == {GRACE: "waiting"}
    letter = newest(any_house, tenant, "invitation")
    assert letter.link.startswith(f"{tenant.issuer}/invitation?token=l_")
    assert (letter.to, letter.context["name"], letter.context["hours"]) == (GRACE, "Grace Hopper", 168)
    browser = any_house.browser(tenant)
    page = browser.get(letter.path)
    assert "Ada &lt;Lovelace&gt;</bdi></strong> invites you to an account at <strong><bdi>Acme</bdi>" in page.text
    (row,) = rows(tenant.database_url, "SELECT state, password_hash, email_verified FROM users WHERE id = ?", user_id)
    assert (row["state"], row["password_hash"], bool(row["email_verified"])) == ("invited", None, False)
    done = browser.follow(browser.submit(page, new_password=NEW, confirm_password=NEW))
    assert "Your account is ready" in done.text
    assert f'href="{tenant.base_path}/start"' in done.text
    assert f"s-{tenant.slug}" not in browser.cookies, "a mail signs nobody in"
    (row,) = rows(tenant.database_url, "SELECT state, email_verified FROM users WHERE id = ?", user_id)
    assert (row["state"], bool(row["email_verified"])) == ("active", True)
    assert states(any_house, tenant) == {GRACE: "accepted"}
    any_house.browser(tenant).sign_in(rp, username=GRACE, password=NEW)
    kinds = [
        row["kind"] for row in rows(tenant.database_url, "SELECT kind FROM audit_events WHERE subject = ?", user_id)
    ]
    assert {"invitation.sent", "invitation.accepted"} <= set(kinds)
    assert [r["role"] for r in rows(tenant.database_url, "SELECT role FROM role_bindings")] == ["editor"]


def test_s091_fifty_acceptances_at_once_are_one(any_house: House) -> None:
    """S091, rule 4: of 50 forms sent together one is taken, and its password is the account's."""
    tenant = any_house.tenant("acme")
    rp = any_house.client(tenant)
    invite(any_house, tenant)
    path = newest(any_house, tenant, "invitation").path
    browsers = [any_house.browser(tenant) for _ in range(50)]
    opened = [browser.get(path) for browser in browsers]

    def send(i: int) -> int:
        password = f"password number {i} of them all"
        return browsers[i].submit(opened[i], new_password=password, confirm_password=password).status

    statuses = together(50, send)
    assert sorted(statuses) == [303, *[410] * 49]
    winner = f"password number {statuses.index(303)} of them all"
    any_house.browser(tenant).sign_in(rp, username=GRACE, password=winner)
    assert len(rows(tenant.database_url, "SELECT 1 FROM audit_events WHERE kind = 'invitation.accepted'")) == 1


def test_sending_again_kills_the_older_link(any_house: House) -> None:
    """S091: of two invitations the newest works; it says who invites as the first did."""
    tenant = any_house.tenant("acme")
    user_id = invite(any_house, tenant, inviter="Ada")
    first = newest(any_house, tenant, "invitation")
    mailer = any_house.installation.services.mailer
    invitations.resend(any_house.database(tenant), mailer, tenant, user_id, by=BY)
    second = newest(any_house, tenant, "invitation")
    assert second.context["inviter"] == "Ada"
    assert any_house.browser(tenant).get(first.path).status == 410
    assert states(any_house, tenant) == {GRACE: "waiting"}
    assert accept(any_house.browser(tenant), second.path).status == 303
    with pytest.raises(Conflict, match="not invited but active"):
        invitations.resend(any_house.database(tenant), mailer, tenant, user_id, by=BY)


def test_a_cancelled_invitation_leaves_nothing(any_house: House) -> None:
    """Issue 5, invitations: the link is gone and the address is free, for another invitation or an account."""
    tenant = any_house.tenant("acme")
    user_id = invite(any_house, tenant)
    path = newest(any_house, tenant, "invitation").path
    browser = any_house.browser(tenant)
    page = browser.get(path)
    invitations.cancel(any_house.database(tenant), user_id, by=BY)
    assert browser.submit(page, new_password=NEW, confirm_password=NEW).status == 410
    assert rows(tenant.database_url, "SELECT id FROM one_time_links") == []
    with pytest.raises(NotFound):
        invitations.cancel(any_house.database(tenant), user_id, by=BY)
    invite(any_house, tenant)
    ada = any_house.user_id(tenant)
    with pytest.raises(Conflict, match="not invited"):
        invitations.cancel(any_house.database(tenant), ada, by=BY)


def test_an_invitation_ends_with_its_time(house: House) -> None:
    """ASVS 6.4.1: seven days, or what the operator says; sent again it works anew."""
    tenant = house.tenant("acme")
    user_id = invite(house, tenant)
    path = newest(house, tenant, "invitation").path
    with clock.shifted(tenant.settings.invitation_lifetime + 1):
        assert house.browser(tenant).get(path).status == 410
        assert states(house, tenant) == {GRACE: "expired"}
        mailer = house.installation.services.mailer
        invitations.resend(house.database(tenant), mailer, tenant, user_id, by=BY, lifetime=7200)
        assert states(house, tenant) == {GRACE: "waiting"}
        letter = newest(house, tenant, "invitation")
        assert letter.context["hours"] == 2
        assert accept(house.browser(tenant), letter.path).status == 303


@pytest.mark.parametrize(
    ("state", "word"), [("active", "has an account"), ("invited", "invited already"), ("deleted", "restore")]
)
def test_an_address_that_is_taken_is_mailed_nothing(any_house: House, state: str, word: str) -> None:
    """Issue 5, invitations: the operator is told; whoever has the address is not bothered."""
    tenant = any_house.tenant("acme")
    rows(tenant.database_url, "UPDATE users SET state = ?", state)
    with pytest.raises(Conflict, match=word):
        invite(any_house, tenant, " ADA@example.com ")
    assert letters(any_house, tenant) == []
    assert len(rows(tenant.database_url, "SELECT id FROM users")) == 1


def test_an_address_of_another_account_is_taken_too(any_house: House) -> None:
    """S105: one address is one account's, also where that account is signed in to by another name: no second one by invitation or command."""
    tenant = any_house.tenant("acme")
    rows(tenant.database_url, "UPDATE users SET username = 'ada', username_key = 'ada'")
    for address in ("ada@example.com", "Ada@Example.com"):
        with pytest.raises(Conflict):
            invite(any_house, tenant, address)
        with pytest.raises(Conflict):
            any_house.user(tenant, address)
    assert letters(any_house, tenant) == []
    assert len(rows(tenant.database_url, "SELECT id FROM users")) == 1


def test_two_invitations_of_one_address_at_once_are_one(any_house: House) -> None:
    """Issue 5, invitations: two operators at the same moment: one invites, the other is told; one mail leaves."""
    tenant = any_house.tenant("acme")

    def attempt(_: int) -> bool:
        try:
            invite(any_house, tenant)
        except Conflict:
            return False
        return True

    assert sum(together(10, attempt)) == 1
    assert len(letters(any_house, tenant)) == 1


@pytest.mark.parametrize("email", ["grace", "grace@", "", "a b@example.com", "grace@example.com\nBcc: x@example.com"])
def test_an_address_must_be_one(house: House, email: str) -> None:
    """OIDC Core §5.1: nobody is invited at what is no address."""
    tenant = house.tenant("acme")
    with pytest.raises(Invalid):
        invite(house, tenant, email)
    assert letters(house, tenant) == []


def test_the_address_counts_as_verified_when_the_mail_was_read(house: House) -> None:
    """OIDC Core §5.1 email_verified: an operator's word does not count before; the link's use does."""
    tenant = house.tenant("acme")
    user_id = invite(house, tenant, claims={"email_verified": True})
    query = "SELECT email_verified FROM users WHERE id = ?"
    assert not rows(tenant.database_url, query, user_id)[0]["email_verified"]
    accept(house.browser(tenant), newest(house, tenant, "invitation").path)
    assert rows(tenant.database_url, query, user_id)[0]["email_verified"]


def test_who_is_invited_cannot_get_in_another_way(any_house: House) -> None:
    """Issue 5, account states: no password works, none can be set by somebody else, enabling and disabling are refused."""
    tenant = any_house.tenant("acme")
    rp = any_house.client(tenant)
    user_id = invite(any_house, tenant)
    database, hasher = any_house.database(tenant), any_house.installation.services.hasher
    with pytest.raises(Conflict, match="resend-invitation"):
        accounts.set_password(database, hasher, tenant, accounts.find_user(database, GRACE), NEW, by=BY)
    with pytest.raises(Conflict, match="resend-invitation"):
        accounts.enable_user(database, user_id, by=BY)
    with pytest.raises(Conflict, match="cancel-invitation"):
        accounts.disable_user(database, user_id, by=BY)
    browser = any_house.browser(tenant)
    page = browser.follow(browser.authorize(rp, verifier="v" * 43))
    for password in ("", NEW, PASSWORD):
        assert browser.submit(page, username=GRACE, password=password).status == 400


def test_forgotten_password_of_who_was_invited(any_house: House) -> None:
    """Security rule 7: they get their invitation again, and the answer is everybody's."""
    tenant = any_house.tenant("acme")
    invite(any_house, tenant, inviter="Ada")
    first = newest(any_house, tenant, "invitation").path
    assert ask(any_house, tenant, GRACE).location == f"{tenant.base_path}/recover/sent"
    answer_requests(any_house, tenant)
    assert [letter.template for letter in letters(any_house, tenant)] == ["invitation", "invitation"]
    assert any_house.browser(tenant).get(first).status == 410
    assert accept(any_house.browser(tenant), newest(any_house, tenant, "invitation").path).status == 303


@pytest.mark.parametrize("inviter", ["Ada Lovelace", None])
def test_an_expired_invitation_that_is_asked_for_is_the_same_one(any_house: House, inviter: str | None) -> None:
    """Issue 5, invitations: the mail and the page still say who invites, the list who sent it; it lasts as the tenant wants it."""
    tenant = any_house.tenant("acme", invitation_lifetime="7200")
    invite(any_house, tenant, inviter=inviter, lifetime=3600)
    with clock.shifted(4000):
        for _ in range(2):
            ask(any_house, tenant, GRACE)
            answer_requests(any_house, tenant)
        letter = newest(any_house, tenant, "invitation")
        assert (letter.context["inviter"], letter.context["hours"]) == (inviter, 2)
        assert (inviter or "") in any_house.browser(tenant).get(letter.path).text
        with any_house.database(tenant).reading() as conn:
            (found,) = invitations.list_all(conn)
    assert (found.state, found.invited_by, found.expires_at - found.sent_at) == ("waiting", "operator", 7200)


def test_an_invitation_of_another_tenant_is_nothing(house: House) -> None:
    """Isolation, S037: A's link at B is gone, and works at A afterwards."""
    acme, globex = house.tenant("acme"), house.tenant("globex")
    invite(house, acme)
    letter = newest(house, acme, "invitation")
    assert house.browser(globex).get(f"{globex.base_path}/invitation?token={letter.token}").status == 410
    assert accept(house.browser(acme), letter.path).status == 303
