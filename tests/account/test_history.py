"""One's own history, read from the audit trail: what it says, whose it is, and how it is paged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_world import EVE
from house import PASSWORD
from recorded import Recorded, Unknown, sources

from idp import opaque
from idp.account import history
from idp.clock import now
from idp.store.tenant import audit_events

if TYPE_CHECKING:
    from account_world import World


def filled(world: World, count: int, subject: str, **more: object) -> None:
    """Events of somebody, some of them in the same second."""
    at = now() - count
    rows = [
        {
            "id": opaque.new_id(),
            "at": at + number // 2,
            "kind": "login.succeeded",
            "outcome": "success",
            "actor": subject,
            "client_id": None,
            "subject": subject,
            "session_id": None,
            "grant_id": None,
            "source": f"198.51.100.{number}",
            "correlation_id": None,
            "details": None,
            **more,
        }
        for number in range(count)
    ]
    world.house.database(world.tenant).writing(lambda conn: audit_events.add(conn, rows))


def test_sign_ins_and_changes_in_words(any_world: World) -> None:
    """ASVS 5.0 §16.3.1, issue 5: what happened, the reason of a failure, from where; an administrator's act is named as one."""
    browser = any_world.browser()
    login = any_world.open(browser, "/history")
    wrong = browser.follow(browser.submit(login, username="ada@example.com", password="wrong"))
    browser.submit(wrong, username="ada@example.com", password=PASSWORD)
    any_world.tokens(browser)
    any_world.drain()
    text = any_world.open(browser, "/history").text
    for words in (
        "Signed in",
        "A sign-in failed",
        "The password was wrong",
        "An application was allowed access",
        "The account was created",
        "By an administrator",
        "127.0.0.1",
    ):
        assert words in text, words
    assert "authorization.granted" not in text
    assert "token.issued" not in text


def test_it_is_nobody_elses(world: World) -> None:
    """ASVS 5.0 §8.2.2: other people's events are in no page of it, whatever the address says."""
    filled(world, 3, world.user(EVE).id)
    browser = world.signed_in()
    for query in ("", "?before=9999999999-99", "?subject=x&user=eve@example.com"):
        assert "198.51.100" not in world.open(browser, f"/history{query}").text


def test_pages_of_fifty(any_world: World) -> None:
    """Issue 5, account pages: every event is on exactly one page, those of one second too, and the last page says so."""
    filled(any_world, 120, any_world.user().id)
    browser = any_world.signed_in()
    seen: list[str] = []
    page = any_world.open(browser, "/history")
    while True:
        found = [part.partition("<")[0] for part in page.text.split("<bdi>198.51.100.")[1:]]
        assert page.text.count('class="self-event"') <= 50
        seen += found
        older = page.text.partition('id="older" href="')[2].partition('"')[0]
        if not older:
            break
        page = browser.get(older)
    assert sorted(seen, key=int) == [str(number) for number in range(120)]
    assert 'id="newest"' in page.text


@pytest.mark.parametrize(
    "before", ["", "x", "1", "1-", "-1", "1-1-1", "9" * 40, "1-" + "9" * 40, "%00", "1-1&before=2-2"]
)
def test_any_position_is_harmless(any_world: World, before: str) -> None:
    """Security rule on hostile input: a position that was never given is the first page, or an empty one."""
    browser = any_world.signed_in()
    assert any_world.open(browser, f"/history?before={before}").status == 200


def test_an_unknown_kind_is_named_as_it_is(world: World) -> None:
    """Issue 5, account pages: an event of a newer release is shown, not hidden."""
    filled(world, 1, world.user().id, kind="user.something_new")
    assert "user.something_new" in world.open(world.signed_in(), "/history").text


def test_hostile_texts_stay_texts(world: World) -> None:
    """ASVS 5.0 §1.2.1: what an event holds of an address, a reason or an actor is no markup."""
    hostile = "<script>alert(1)</script>"
    filled(world, 1, world.user().id, kind=hostile, source=hostile, details={"reason": [hostile]}, actor=hostile)
    answer = world.open(world.signed_in(), "/history")
    assert answer.status == 200
    assert "<script>" not in answer.text


def test_the_index_is_used(any_world: World) -> None:
    """Issue 5, account pages: one person's page is read by the index, and the events of the hot path cost it nothing."""
    filled(any_world, 200, "somebody")
    filled(any_world, 2000, any_world.user().id, kind="token.issued")
    database = any_world.house.database(any_world.tenant)
    with database.reading() as conn:
        query = "SELECT * FROM audit_events WHERE subject = 'x' AND subject IS NOT NULL AND (kind NOT IN ('authorization.granted', 'token.issued', 'token.refreshed')) ORDER BY at DESC, seq DESC LIMIT 51"
        if database.kind == "sqlite":
            plan = str(conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all())
        else:
            conn.exec_driver_sql("SET enable_seqscan = off")
            plan = str(conn.exec_driver_sql(f"EXPLAIN {query}").all())
            conn.exec_driver_sql("RESET enable_seqscan")
        assert "ix_audit_events_subject" in plan


def test_everything_that_can_be_recorded_has_words() -> None:
    """Issue 5, account pages (history with outcome and reason): each kind and reason that the code records about a person, in words."""
    found = Recorded(sources())
    assert found.kinds - set(audit_events.OF_THE_HOT_PATH) - history.KINDS.keys() == set()
    assert found.reasons - history.REASONS.keys() == set()
    assert history.KINDS.keys() <= found.kinds, "words for what is never recorded"
    assert history.REASONS.keys() <= found.reasons


def test_control_a_new_kind_is_found() -> None:
    """Issue 5, negative control: a kind and a reason in a module of tomorrow are found, however they come there; a tenant's own are not."""
    tomorrow = """
from idp import audit
from idp.identity.accounts import record
from idp.account.sessions import REASON
WHY = "moon"

def one(conn, user, by, is_late):
    record(conn, "user.waxed" if is_late else "user.waned", user.id, by)
    two(conn, "user.eclipsed", user.id, WHY)
    two(conn, "moon.counted")
    audit.record(conn, "moon.seen", outcome="success", actor=None)

def two(conn, kind, subject=None, reason=REASON):
    audit.record(conn, kind, outcome="success", actor=None, subject=subject, details={"reason": reason})
"""
    before, found = Recorded(sources()), Recorded(sources() | {"idp.tomorrow": tomorrow})
    assert found.kinds - before.kinds == {"user.waxed", "user.waned", "user.eclipsed"}
    assert found.reasons - before.reasons == {"moon"}
    with pytest.raises(Unknown):
        Recorded(sources() | {"idp.tomorrow": tomorrow.replace('"user.eclipsed"', "by.kind")})


@pytest.mark.parametrize("kind", sorted(history.KINDS))
def test_each_kind_is_shown_in_words(world: World, kind: str) -> None:
    """Issue 5, account pages: no name of the program's is on the page where there are words."""
    filled(world, 1, world.user().id, kind=kind)
    text = world.open(world.signed_in(), "/history").text
    assert kind not in text
    assert history.KINDS[kind] in text
