"""The table of account states, walked cell by cell over the served product (Issue 5; ASVS 7.4.2, 6.4.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from house import PASSWORD
from letters import Letter, answer_requests, ask, letters
from serving import rows

from idp import clock
from idp.errors import Conflict, Invalid
from idp.identity import accounts, invitations, kept_accounts, lifecycle, links, lockout, recovery, unlocking
from idp.identity.accounts import By
from idp.jobs import purge
from idp.store.tenant import attempts, one_time_links, users
from idp.work import _purge_rules

if TYPE_CHECKING:
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

BY = By("operator")
ADA = "ada@example.com"
NEW = "a different long enough sentence"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "accounts.md"
EFFECTS = [each.name for each in fields(lifecycle.Rules) if each.name != "next"]


@dataclass
class Account:
    """ada's account in some state, with a session and tokens from before where it could have had them."""

    house: House
    tenant: Tenant
    rp: RelyingParty
    user_id: str
    browser: Any
    tokens: dict[str, Any]

    @property
    def database(self) -> Any:
        return self.house.database(self.tenant)

    @property
    def mailer(self) -> Any:
        return self.house.installation.services.mailer

    @property
    def row(self) -> Any:
        with self.database.reading() as conn:
            return users.find(conn, self.user_id)

    def link(self, kind: str, path: str) -> str:
        """A link made behind the back of whatever would refuse to make one."""
        made = self.database.writing(
            lambda conn: links.make(
                conn, self.tenant, kind, path, user_id=self.user_id, address=ADA, lifetime=600, by="test"
            )
        )
        return Letter("", "", {"link": made.url}).path


def account_in(house: House, state: str) -> Account:
    """Bring an account into a state, by what the product does where that keeps its session."""
    tenant = house.tenant("acme", account_attempts="3")
    rp = house.client(tenant)
    browser = house.browser(tenant)
    tokens = rp.redeem(browser.sign_in(rp, scope="openid offline_access")).json
    made = Account(house, tenant, rp, house.user_id(tenant), browser, tokens)
    if state == "invited":  # nobody who was invited has a session: this one is made up
        rows(tenant.database_url, "UPDATE users SET state = 'invited'")
    elif state == "locked":
        guess(made, 3)
    elif state == "disabled":
        accounts.disable_user(made.database, made.user_id, by=BY)
    elif state == "deleted":
        kept_accounts.delete(made.database, made.user_id, by=BY)
    with made.database.reading() as conn:
        assert lifecycle.state_of(conn, made.row, tenant.settings) == state
    return made


def guess(account: Account, times: int, username: str = ADA) -> None:
    """Sign in with a wrong password."""
    browser = account.house.browser(account.tenant)
    page = browser.follow(browser.authorize(account.rp, verifier="v" * 43))
    for _ in range(times):
        assert browser.submit(page, username=username, password="wrong").status == 400


def signs_in(account: Account, password: str = PASSWORD) -> bool:
    browser = account.house.browser(account.tenant)
    page = browser.follow(browser.authorize(account.rp, verifier="v" * 43))
    return bool(browser.submit(page, username=ADA, password=password).status == 303)


def has_sessions(account: Account) -> bool:
    """Whether the session and each kind of token work; they do together."""
    silent = account.browser.authorize(account.rp, verifier="v" * 43, prompt="none", scope="openid offline_access")
    found = {
        "code" in silent.params,
        account.rp.userinfo(account.tokens["access_token"]).status == 200,
        account.rp.introspect(account.tokens["access_token"])["active"],
        account.rp.introspect(account.tokens["refresh_token"])["active"],
        account.rp.refresh(account.tokens["refresh_token"]).status == 200,
    }
    assert len(found) == 1, found
    return bool(found.pop())


def opens(account: Account, kind: str, path: str) -> bool:
    status = account.house.browser(account.tenant).get(account.link(kind, path)).status
    assert status in (200, 410)
    return bool(status == 200)


def may_have_password(account: Account) -> bool:
    hasher = account.house.installation.services.hasher
    try:
        accounts.set_password(account.database, hasher, account.tenant, account.row, NEW, by=BY)
    except Conflict:
        return False
    return True


def mail_of_recovery(account: Account) -> str | None:
    assert ask(account.house, account.tenant, ADA).status == 303
    answer_requests(account.house, account.tenant)
    found = [letter.template for letter in letters(account.house, account.tenant)]
    assert len(found) <= 1
    return found[0] if found else None


def is_mailed_a_way_out(account: Account) -> bool:
    unlocking.offer(account.database, account.user_id, "192.0.2.1", "C" * 16)
    answer_requests(account.house, account.tenant)
    return bool(letters(account.house, account.tenant, "unlock"))


def is_told(account: Account) -> bool:
    browser = account.house.browser(account.tenant)
    page = browser.get(account.link(lifecycle.RECOVERY, recovery.PATH))
    if page.status == 200:
        browser.submit(page, new_password=NEW, confirm_password=NEW)
    return [letter.template for letter in letters(account.house, account.tenant)] == ["notice"]


OBSERVED = {
    "signs_in": signs_in,
    "sessions": has_sessions,
    "invitation": lambda account: opens(account, lifecycle.INVITATION, invitations.PATH),
    "links": lambda account: opens(account, lifecycle.RECOVERY, recovery.PATH),
    "password": may_have_password,
    "recovery": mail_of_recovery,
    "unlock": is_mailed_a_way_out,
    "notices": is_told,
}


def test_every_effect_is_looked_at() -> None:
    """Issue 5, account states: no column of the table is there without being walked."""
    assert set(EFFECTS) == OBSERVED.keys()


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("state", lifecycle.TABLE)
def test_each_state_means_what_the_table_says(any_house: House, state: str, effect: str) -> None:
    """Issue 5, ASVS 7.4.2: what a state does to sign-in, sessions, tokens, links, mails and recovery is what its row says."""
    account = account_in(any_house, state)
    assert OBSERVED[effect](account) == getattr(lifecycle.TABLE[state], effect)


@pytest.mark.parametrize("wanted", [state for state in lifecycle.TABLE if state != "locked"])
@pytest.mark.parametrize("state", [state for state in lifecycle.TABLE if state != "locked"])
def test_an_account_goes_only_where_the_table_leads(house: House, state: str, wanted: str) -> None:
    """Issue 5, account states: every other move is refused, and nothing is changed by it."""
    account = account_in(house, state)
    before = account.row

    def work(conn: Any) -> None:
        lifecycle.enter(conn, users.find_locked(conn, account.user_id), wanted, "test")

    if wanted == state or wanted in lifecycle.TABLE[state].next:
        account.database.writing(work)
        assert account.row.state == wanted
    else:
        with pytest.raises(Conflict) as refused:
            account.database.writing(work)
        assert refused.value.title.endswith((".", "invitation", "restore"))
        assert account.row == before


@pytest.mark.parametrize("state", ["disabled", "deleted"])
def test_links_from_before_die_with_the_state(any_house: House, state: str) -> None:
    """S091, ASVS 6.4.1: disabling and deleting revoke each link of the account, so that enabling brings none back."""
    account = account_in(any_house, "active")
    paths = [account.link(kind, path) for kind, path in (("recovery", "/recovery"), ("unlock", "/unlock"))]
    if state == "disabled":
        accounts.disable_user(account.database, account.user_id, by=BY)
        accounts.enable_user(account.database, account.user_id, by=BY)
    else:
        kept_accounts.delete(account.database, account.user_id, by=BY)
        assert kept_accounts.restore(account.database, account.user_id, by=BY) == "active"
    browser = any_house.browser(account.tenant)
    assert [browser.get(path).status for path in paths] == [410, 410]
    assert signs_in(account)


def test_a_lock_ends_by_itself(house: House) -> None:
    """S089: a locked account is active again when its window is over, whatever was tried meanwhile."""
    account = account_in(house, "locked")
    guess(account, 3)
    assert not signs_in(account)
    with clock.shifted(account.tenant.settings.attempts_window + 1):
        assert signs_in(account)


def test_a_deleted_account_that_is_kept_holds_its_name(any_house: House) -> None:
    """Issue 5, soft delete: nobody takes the name meanwhile; restored it is as it was; disabled before, it is disabled again."""
    account = account_in(any_house, "disabled")
    kept_accounts.delete(account.database, account.user_id, by=BY)
    with pytest.raises(Conflict):
        any_house.user(account.tenant, ADA)
    with pytest.raises(Conflict, match="restore"):
        accounts.enable_user(account.database, account.user_id, by=BY)
    with pytest.raises(Conflict, match="restore"):
        accounts.disable_user(account.database, account.user_id, by=BY)
    with pytest.raises(Conflict, match="already"):
        kept_accounts.delete(account.database, account.user_id, by=BY)
    assert kept_accounts.restore(account.database, account.user_id, by=BY) == "disabled"
    assert not signs_in(account)
    with pytest.raises(Conflict, match="nothing to restore"):
        kept_accounts.restore(account.database, account.user_id, by=BY)
    accounts.enable_user(account.database, account.user_id, by=BY)
    assert signs_in(account)
    kinds = [row["kind"] for row in rows(account.tenant.database_url, "SELECT kind FROM audit_events ORDER BY seq")]
    assert [kind for kind in kinds if kind in ("user.deleted", "user.restored")] == ["user.deleted", "user.restored"]


def test_the_purge_removes_it_when_its_time_has_come(any_house: House) -> None:
    """Issue 5, soft delete: after `deleted_account_retention` every row of it is gone and the name is free."""
    account = account_in(any_house, "active")
    account.link("recovery", "/recovery")
    kept_accounts.delete(account.database, account.user_id, by=BY)
    age = account.tenant.settings.deleted_account_retention
    for later, left in ((age - 60, 1), (age + 60, 0)):
        with clock.shifted(later):
            purge.purge(account.database, _purge_rules(account.tenant))
        for table, column in (("users", "id"), ("consents", "user_id"), ("one_time_links", "user_id")):
            found = rows(account.tenant.database_url, f"SELECT 1 FROM {table} WHERE {column} = ?", account.user_id)
            assert len(found) == left, table
    (event,) = rows(account.tenant.database_url, "SELECT actor, subject FROM audit_events WHERE kind = 'user.purged'")
    assert event == {"actor": "worker", "subject": account.user_id}
    any_house.user(account.tenant, ADA)


def test_deleting_for_good_takes_the_links_along(any_house: House) -> None:
    """S091: no link of a deleted user stays behind, for whoever has the name next."""
    account = account_in(any_house, "active")
    path = account.link("recovery", "/recovery")
    accounts.delete_user(account.database, account.user_id, by=BY)
    assert rows(account.tenant.database_url, "SELECT id FROM one_time_links") == []
    any_house.user(account.tenant, ADA)
    assert any_house.browser(account.tenant).get(path).status == 410


def test_the_page_shows_the_same_table() -> None:
    """Issue 5, documentation: docs/accounts.md says of each state what the code does."""
    words = {True: "yes", False: "no", None: "nothing"}
    wanted = {
        state: [str(words.get(getattr(rules, name), getattr(rules, name))) for name in EFFECTS]
        + [", ".join(sorted(rules.next))]
        for state, rules in lifecycle.TABLE.items()
    }
    lines = re.findall(r"^\| `(\w+)` \|(.*)\|$", DOCS.read_text("utf-8"), re.MULTILINE)
    found = {state: [cell.strip() for cell in cells.split("|")] for state, cells in lines if state in wanted}
    assert found == wanted


def test_an_unknown_state_means_disabled() -> None:
    """Issue 5, account states: what a newer release wrote lets nobody in."""
    assert lifecycle.of("frozen") == lifecycle.TABLE["disabled"]


def test_a_link_is_revoked_once(house: House) -> None:
    """S091: a link that was revoked cannot be used, by whoever has found its row before."""
    account = account_in(house, "active")
    account.link("recovery", "/recovery")
    with account.database.reading() as conn:
        (link,) = one_time_links.list_of_kind(conn, "recovery")
    accounts.disable_user(account.database, account.user_id, by=BY)
    assert not account.database.writing(lambda conn: one_time_links.consume(conn, link.id))


def test_a_password_must_still_be_one(house: House) -> None:
    """NIST SP 800-63B-4 §3.1.1.2: the rules hold for whoever sets it."""
    account = account_in(house, "active")
    hasher = house.installation.services.hasher
    with pytest.raises(Invalid):
        accounts.set_password(account.database, hasher, account.tenant, account.row, "short", by=BY)


@pytest.mark.parametrize("what", ["disable", "enable", "delete", "keep", "restore", "unlock"])
def test_a_change_and_its_notice_are_one_transaction(any_house: House, what: str) -> None:
    """Architecture §4, ASVS 5.0 §6.3.7: where the mail cannot be written the account is as it was, its events too."""
    tenant = any_house.tenant("acme")
    database, user_id = any_house.database(tenant), any_house.user_id(tenant)
    if what in ("enable", "restore"):
        prepare = accounts.disable_user if what == "enable" else kept_accounts.delete
        prepare(database, user_id, by=BY)

    def fail(conn: Any, user: Any) -> None:
        assert user.id == user_id
        raise RuntimeError("no mail")

    def tried() -> None:
        if what == "unlock":
            key = lockout.account(ADA)
            database.writing(lambda conn: [attempts.count_one(conn, key, 900) for _ in range(100)])
            unlocking.unlock(database, tenant.settings, user_id, by=BY, tell=fail)
        else:
            change = {
                "disable": accounts.disable_user,
                "enable": accounts.enable_user,
                "delete": accounts.delete_user,
                "keep": kept_accounts.delete,
                "restore": kept_accounts.restore,
            }[what]
            change(database, user_id, by=BY, tell=fail)

    with database.reading() as conn:
        before = users.find(conn, user_id)
    events = "SELECT count(*) AS n FROM audit_events"
    (count,) = rows(tenant.database_url, events)
    with pytest.raises(RuntimeError):
        tried()
    with database.reading() as conn:
        assert users.find(conn, user_id) == before
        assert what != "unlock" or lifecycle.is_locked(conn, ADA, tenant.settings)
    assert rows(tenant.database_url, events) == [count]
