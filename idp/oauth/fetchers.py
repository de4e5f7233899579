"""Threads in which a request's fetches wait for others' servers: of one tenant few at a time, so that none takes them all.

Who publishes something decides how long it takes to fetch it, and may have registered many addresses: what a tenant's requests
wait for beyond its share waits in the tenant's own line. Must not know what is fetched.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from idp import waiting
from idp.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

THREADS = 16
A_TENANT = 4  # of them for one tenant
LONGEST_LINE = 400  # calls of one tenant that wait for their turn


class Fetchers:
    """The threads of one process for one purpose."""

    def __init__(self, name: str) -> None:
        """Name the threads."""
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._guard = threading.Lock()
        self._running: Counter[str] = Counter()
        self._lines: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}

    def call(self, tenant_id: str, function: Callable[[], T], patience: float | None = None) -> T:
        """Return what a function returns that fetches for a tenant: for a task it is called in a thread, otherwise here.

        Raises TimeoutError when it has not begun after ``patience`` seconds, and :class:`~idp.errors.Unavailable` when the
        tenant's line is too long.
        """
        return waiting.elsewhere(_Share(self, tenant_id), function, patience)

    def submit(self, tenant_id: str, function: Callable[[], Any]) -> Future[Any]:
        """Call a function in a thread when it is the tenant's turn."""
        future: Future[Any] = Future()
        with self._guard:
            if self._running[tenant_id] >= A_TENANT:
                line = self._lines.setdefault(tenant_id, deque())
                if len(line) >= LONGEST_LINE:
                    raise Unavailable
                line.append((future, function))
                return future
            self._running[tenant_id] += 1
        self._pool.submit(self._run, tenant_id, future, function)
        return future

    def _run(self, tenant_id: str, future: Future[Any], function: Callable[[], Any]) -> None:
        """Call the function, give the turn back, then say what came of it: who has the answer finds the turn free."""
        answer: Any = None
        failure: BaseException | None = None
        wanted = future.set_running_or_notify_cancel()
        try:
            answer = function() if wanted else None
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            failure = error
        self._next(tenant_id)
        if failure is not None:
            future.set_exception(failure)
        elif wanted:
            future.set_result(answer)

    def _next(self, tenant_id: str) -> None:
        """Let the next of a tenant's line queue up behind what other tenants wait for."""
        with self._guard:
            line = self._lines.get(tenant_id)
            if line:
                following = line.popleft()
            else:
                following = None
                self._lines.pop(tenant_id, None)
                self._running[tenant_id] -= 1
                if not self._running[tenant_id]:
                    del self._running[tenant_id]
        if following is not None:
            self._pool.submit(self._run, tenant_id, *following)


class _Share(Executor):
    """The threads as one tenant may use them."""

    def __init__(self, fetchers: Fetchers, tenant_id: str) -> None:
        self._fetchers, self._tenant_id = fetchers, tenant_id

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._fetchers.submit(self._tenant_id, lambda: fn(*args, **kwargs))
