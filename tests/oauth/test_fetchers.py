"""What requests fetch from others' servers (security rule 8, S111): nobody who answers slowly takes the threads of other tenants."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

from idp import waiting
from idp.errors import Unavailable
from idp.oauth import fetchers
from idp.oauth.fetchers import Fetchers

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


async def tasks(*calls: Callable[[], Any]) -> list[Any]:
    """Run each as a task of one loop."""
    return list(await asyncio.gather(*(waiting.run(call) for call in calls), return_exceptions=True))


def test_a_tenant_that_hangs_leaves_threads_to_others() -> None:
    """S111: while all of one tenant's addresses hang, another tenant's is fetched at once; the hanging ones end one after another."""
    pool, gate = Fetchers("test"), threading.Event()

    async def main() -> tuple[float, list[Any]]:
        hanging = asyncio.ensure_future(tasks(*[lambda: pool.call("evil", lambda: gate.wait(20))] * 100))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        found = await tasks(lambda: pool.call("good", lambda: 7))
        assert found == [7]
        took = time.monotonic() - began
        gate.set()
        return took, await hanging

    took, outcomes = asyncio.run(main())
    assert took < 1
    assert outcomes == [True] * 100


def test_at_most_so_many_at_a_time() -> None:
    """S111: of one tenant never more than its share is under way."""
    pool, guard, seen = Fetchers("test"), threading.Lock(), [0, 0]

    def one() -> None:
        with guard:
            seen[0] += 1
            seen[1] = max(seen)
        time.sleep(0.01)
        with guard:
            seen[0] -= 1

    asyncio.run(tasks(*[lambda: pool.call("acme", one)] * 40))
    assert seen == [0, fetchers.A_TENANT]
    assert not pool._running
    assert not pool._lines


def test_a_line_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """S111: what comes beyond the longest line is told to come again, and holds nothing meanwhile."""
    monkeypatch.setattr(fetchers, "LONGEST_LINE", 3)
    pool, gate = Fetchers("test"), threading.Event()
    threading.Timer(0.3, gate.set).start()
    outcomes = asyncio.run(tasks(*[lambda: pool.call("acme", lambda: gate.wait(20))] * 10))
    assert [type(each) for each in outcomes[-3:]] == [Unavailable] * 3
    assert outcomes[:-3] == [True] * 7


def test_errors_patience_and_ordinary_threads() -> None:
    """Architecture \u00a73: an error is raised where it was called; who has waited too long for a turn is told; without a loop it is a call."""
    pool, gate = Fetchers("test"), threading.Event()

    def fails() -> None:
        raise KeyError("there")

    async def main() -> list[Any]:
        hanging = asyncio.ensure_future(tasks(*[lambda: pool.call("acme", lambda: gate.wait(20))] * 4))
        await asyncio.sleep(0.05)
        found = await tasks(lambda: pool.call("acme", lambda: 7, 0.1), lambda: pool.call("other", fails))
        gate.set()
        await hanging
        return found + await tasks(lambda: pool.call("acme", lambda: 8))

    late, failed, after = asyncio.run(main())
    assert isinstance(late, TimeoutError)
    assert isinstance(failed, KeyError)
    assert after == 8
    assert pool.call("acme", threading.current_thread) is threading.current_thread()
