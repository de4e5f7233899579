"""The change feed: no change is missed, whatever the order of commits, and nothing stale is kept."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from serving import eventually, scalar

from idp.store.control import changes, tenants
from idp.tenancy import feed as feed_module
from idp.tenancy.feed import ChangeFeed

if TYPE_CHECKING:
    from house import House
    from sqlalchemy.engine import Connection


def listening(house: House) -> tuple[ChangeFeed, list[str]]:
    """A second process's feed, and what it heard."""
    heard: list[str] = []
    made = ChangeFeed(house.installation.store.control)
    made.subscribe(lambda _tenant, _kind, subject: heard.append(subject))
    return made, heard


def test_a_slow_commit_is_not_overtaken(any_house: House) -> None:
    """Architecture §4: a change whose commit is slow is not gone past because a later one was committed first."""
    control = any_house.installation.store.control
    feed, heard = listening(any_house)
    begun, may_commit = threading.Event(), threading.Event()

    def slow(conn: Connection) -> None:
        changes.announce(conn, "a", "client", "slow")
        begun.set()
        may_commit.wait(2)

    first = threading.Thread(target=control.writing, args=(slow,))
    first.start()
    assert begun.wait(5)
    second = threading.Thread(
        target=control.writing, args=(lambda conn: changes.announce(conn, "b", "client", "quick"),)
    )
    second.start()
    second.join(0.5)
    feed.poll()
    may_commit.set()
    first.join()
    second.join()
    feed.poll()
    assert heard == ["slow", "quick"]


def test_a_change_is_announced_before_and_after(any_house: House) -> None:
    """Architecture §4: before the tenant's commit (a crash costs a needless reload) and after it (nothing read in between stays)."""
    feed, heard = listening(any_house)
    with any_house.installation.feed.announced("a", "client", "rp"):
        feed.poll()
        assert heard == ["rp"]
    feed.poll()
    assert heard == ["rp", "rp"]


def test_a_change_that_fails_is_announced_all_the_same(any_house: House) -> None:
    """Architecture §4: who raises in the middle may have changed something: everybody looks again."""
    feed, heard = listening(any_house)
    with pytest.raises(LookupError), any_house.installation.feed.announced("a", "client", "rp"):
        raise LookupError
    feed.poll()
    assert heard == ["rp", "rp"]


def test_each_change_is_heard_once(any_house: House) -> None:
    """Architecture §4: in the order of its row numbers, by every reader."""
    feed, heard = listening(any_house)
    for i in range(5):
        any_house.installation.store.control.writing(lambda conn, i=i: changes.announce(conn, "a", "client", str(i)))
    for _ in range(3):
        feed.poll()
    assert heard == list("01234")
    assert feed.seq == scalar(any_house.settings.control_url, "SELECT max(seq) FROM changes")


def test_nothing_ends_the_feed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4: a worker that heard of no change any more would go on letting disabled clients in."""
    monkeypatch.setattr(feed_module, "INTERVAL", 0.01)
    feed, heard = listening(house)
    broken = [True]

    def fail(*_: str) -> None:
        if broken.pop() if broken else False:
            raise RuntimeError("a subscriber with a defect")

    feed.subscribe(fail)
    feed.start()
    with house.installation.feed.announced("a", "client", "one"):
        pass
    eventually(lambda: not broken, 5)
    with house.installation.feed.announced("a", "client", "two"):
        pass
    eventually(lambda: "two" in heard, 5)
    feed.stop()


def test_what_was_read_before_a_change_is_not_remembered(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4: a tenant that is read while it is being suspended is answered, but never kept."""
    acme = any_house.tenant("acme")
    installation = any_house.installation
    find, calls = tenants.find_by_slug, []

    def slow_find(conn: Connection, slug: str) -> object:
        row = find(conn, slug)
        if not calls:
            calls.append(slug)
            worker = threading.Thread(target=installation.provisioning.suspend, args=(acme,))
            worker.start()
            worker.join(10)
        return row

    monkeypatch.setattr(tenants, "find_by_slug", slow_find)
    first = installation.resolver.by_slug("acme")
    assert first is not None
    assert first.state == "active"
    second = installation.resolver.by_slug("acme")
    assert second is not None
    assert second.state == "suspended"


def test_a_lost_control_database_ends_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security §3, DB loss: the feed goes on when the database is back, and hears what happened meanwhile."""
    monkeypatch.setattr(feed_module, "INTERVAL", 0.01)
    feed, heard = listening(house)
    path = house.settings.data_dir / "control.db"
    feed.start()
    house.installation.store.control.connections.close()
    path.rename(path.with_suffix(".away"))
    time.sleep(0.1)
    path.with_suffix(".away").rename(path)
    with house.installation.feed.announced("a", "client", "back"):
        pass
    eventually(lambda: "back" in heard, 5)
    feed.stop()
