"""`idp outbox`: what an operator sees of deliveries, and decides (issue: Logout and Jobs)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from idp.installation import Installation
from idp.jobs.outbox import Sent, outbox_job
from idp.jobs.worker import Worker
from idp.settings import Settings
from idp.store.tenant import outbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from command import Idp


@pytest.fixture
def ids(idp: Idp) -> Iterator[dict[str, int]]:
    """Messages to `dead`, `delivered` and `waiting`, each in the state of its name; by that name."""
    installation = Installation(Settings.from_env(idp.environ), "test")
    tenant = installation.provisioning.find("acme")
    database = installation.store.tenant(tenant.id, tenant.database_url)
    names = ["dead", "delivered", "waiting"]
    database.writing(lambda conn: outbox.enqueue(conn, "k", names, {"sid": "the-sid", "reason": "logout"}))

    def send(_context: Any, message: Any) -> Sent:
        verdict: Any = {"dead": "refused", "delivered": "delivered", "waiting": "failed"}[message.target]
        return Sent(verdict, f"said {message.target}", f"https://{message.target}.example/bcl")

    assert database.mark_work is not None
    database.mark_work("outbox", 0)
    Worker(installation.store, [outbox_job({"k": send})]).run_due()
    with database.reading() as conn:
        found = {row.target: row.id for row in outbox.list_some(conn, outbox.STATES)}
    yield found
    installation.close()


def test_listed(idp: Idp, ids: dict[str, int]) -> None:
    """Issue Build 6: what waits and what is dead; others by their state or client; people get the counts of all."""
    listed = idp("outbox", "list", "acme", "--json").json
    assert [(each["target"], each["state"]) for each in listed] == [("waiting", "waiting"), ("dead", "dead")]
    assert listed[1]["last_error"] == "said dead"
    assert listed[0]["next_attempt_at"] > listed[0]["created_at"]
    delivered = idp("outbox", "list", "acme", "--state", "delivered", "--json").json
    assert [each["id"] for each in delivered] == [ids["delivered"]]
    assert idp("outbox", "list", "acme", "--target", "dead", "--json").json == [listed[1]]
    shown = idp("outbox", "list", "acme").out
    assert "1 waiting, 1 delivered, 1 dead, 0 discarded" in shown
    assert "said dead" in shown


def test_shown_with_its_ledger(idp: Idp, ids: dict[str, int]) -> None:
    """Issue Build 6: the ledger of a message: when, what, how long, where."""
    document = idp("outbox", "show", "acme", str(ids["dead"]), "--json").json
    assert document["payload"] == {"sid": "the-sid", "reason": "logout"}
    (attempt,) = document["ledger"]
    assert (attempt["number"], attempt["outcome"], attempt["address"]) == (1, "said dead", "https://dead.example/bcl")
    assert attempt["milliseconds"] >= 0
    shown = idp("outbox", "show", "acme", str(ids["dead"])).out
    assert "https://dead.example/bcl" in shown
    assert "the-sid" in shown


def test_retried(idp: Idp, ids: dict[str, int]) -> None:
    """Issue Build 6: a dead letter waits again; one that was delivered does not."""
    assert idp("outbox", "retry", "acme", str(ids["dead"]), "--json").json == {"messages": [ids["dead"]]}
    states = {each["target"]: each["state"] for each in idp("outbox", "list", "acme", "--json").json}
    assert states == {"dead": "waiting", "waiting": "waiting"}
    assert "was delivered" in idp("outbox", "retry", "acme", str(ids["delivered"])).sentence
    assert idp("outbox", "retry", "acme", "--all-dead", "--json").json == {"messages": []}


def test_discarded(idp: Idp, ids: dict[str, int]) -> None:
    """Issue Build 6: given up for good, all dead ones at once, or those of one client."""
    assert idp("outbox", "discard", "acme", "--all-dead", "--target", "nobody", "--json").json == {"messages": []}
    assert idp("outbox", "discard", "acme", "--all-dead", "--json").json == {"messages": [ids["dead"]]}
    assert idp("outbox", "discard", "acme", str(ids["waiting"])).status == 0
    assert idp("outbox", "list", "acme", "--json").json == []
    assert "1 of 2" not in idp("outbox", "discard", "acme", str(ids["waiting"])).sentence


def test_the_doctor_sees_dead_letters(idp: Idp, ids: dict[str, int]) -> None:
    """Interfaces §2, doctor: one line with the fix, which then clears it."""

    def found() -> list[str]:
        lines = json.loads(idp("doctor", "--json").out)
        return [each["level"] for each in lines if "delivered" in each["what"] or "dead letter" in each["what"]]

    assert found() == ["warning"]
    idp("outbox", "discard", "acme", "--all-dead")
    assert found() == ["ok"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "acme", "99"),
        ("show", "acme", "0"),
        ("show", "acme", "x"),
        ("show", "acme", "9" * 30),
        ("retry", "acme"),
        ("retry", "acme", "1", "--all-dead"),
        ("retry", "acme", "99"),
        ("discard", "acme", "1", "--target", "x"),
        ("discard", "acme", "99"),
        ("list", "acme", "--state", "lost"),
        ("list", "nobody"),
    ],
)
def test_wrong_use(idp: Idp, arguments: tuple[str, ...]) -> None:
    """Interfaces §2: exit status 1 or 2 and one sentence."""
    done = idp("outbox", *arguments)
    assert done.status in (1, 2)
    assert done.sentence
