"""Waiting without holding a thread: a task steps aside on the event loop while its write is made durable or its hash computed.

A task is ordinary code that runs in a greenlet on the loop's thread. Where it would have to wait it is paused, the loop
answers others, and it goes on when what it waits for has happened in another thread. Code that does not run as a task blocks
its own thread at the same places, so that callers write one kind of code. Only what pauses a task may wait: everything else
that a task does holds the loop. Must not know what is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor, Future

T = TypeVar("T")


class Task(greenlet):
    """A greenlet that makes calls, one after another, which may be paused; made and continued by the loop's thread alone.

    It is used again, because the stack of a new one is memory that the kernel has to give and take back for each request.
    """

    loop: asyncio.AbstractEventLoop
    _call: tuple[Callable[..., Any], tuple[Any, ...]]
    _outcome: tuple[Any, BaseException | None]
    _paused: asyncio.Future[None]

    def run(self) -> None:
        """Make a call in a context of its own, report :data:`_DONE`, and wait for the next."""
        while True:
            try:
                function, arguments = self._call
                self._outcome = contextvars.Context().run(function, *arguments), None
            except GreenletExit:
                raise
            except BaseException as error:  # noqa: BLE001 - raised where the call was asked for
                self._outcome = None, error
            function = arguments = None  # type: ignore[assignment]  # they are not kept until the next call
            self.parent.switch(_DONE)

    def begin(self, loop: asyncio.AbstractEventLoop, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Make a call on a loop; return what it is paused for, or :data:`_DONE`."""
        self.loop = loop
        self._call = function, arguments
        return self.switch()

    def outcome(self) -> tuple[Any, BaseException | None]:
        """Return what the call returned or raised, once, and let go of all that belonged to it, the loop too."""
        found = self._outcome
        self.__dict__.clear()
        return found

    def pause(self) -> None:
        """Step aside until :func:`wake`; called by the task itself, after it was handed to whoever wakes it."""
        self._paused = self.loop.create_future()
        self.parent.switch(self._paused)


_DONE = object()
KEPT = 64  # tasks of a loop that wait for another call


def current() -> Task | None:
    """Return the task that runs here; None in ordinary code."""
    found = getcurrent()
    return found if type(found) is Task else None


_homes: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Task]] = WeakKeyDictionary()  # loops, with their idle tasks


class MustWait(Exception):
    """A plain call on the loop has come to where it would have to wait: whoever made it begins again where waiting is allowed."""


def refuse_on_loop() -> None:
    """Raise :class:`MustWait` where a wait would hold the loop; call it before anything is changed."""
    if current() is None and asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public one raises where none runs
        raise MustWait


def is_loop() -> bool:
    """Say whether a loop that runs tasks is running in this thread, be this code a task or not."""
    found = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises where none runs
    return found is not None and found in _homes


async def run(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function as a task and return what it returns or raise what it raises."""
    loop = asyncio.get_running_loop()
    idle = _homes.get(loop)
    if idle is None:
        idle = _homes[loop] = []
    task = idle.pop() if idle else Task()
    outcome = task.begin(loop, function, arguments)
    while outcome is not _DONE:
        try:
            await outcome
        except BaseException:
            task.throw(GreenletExit)  # cancelled: nobody waits for the answer any more
            raise
        outcome = task.switch()
    result, error = task.outcome()
    if len(idle) < KEPT:
        idle.append(task)
    if error is not None:
        try:
            raise error
        finally:
            del error
    return result  # type: ignore[no-any-return]


def soon(function: Callable[..., object], *arguments: Any) -> None:
    """Call a function when the loop, in whose thread this is called, has gone on with what is ready."""
    asyncio.get_running_loop().call_soon(function, *arguments)


def wake(tasks: Iterable[Task]) -> None:
    """Let paused tasks of one loop go on; may be called from any thread."""
    woken = list(tasks)
    if not woken:
        return
    if asyncio._get_running_loop() is woken[0].loop:  # noqa: SLF001 - the public one raises where none runs
        _continue(woken)
    else:
        with contextlib.suppress(RuntimeError):  # the loop is closed: its tasks are gone
            woken[0].loop.call_soon_threadsafe(_continue, woken)


def elsewhere(pool: Executor, function: Callable[[], T], patience: float | None = None) -> T:
    """Return what a function returns that blocks: for a task it is called in the pool, otherwise here.

    Raises TimeoutError when the pool has not begun with it after ``patience`` seconds.
    """
    task = current()
    if task is None:
        return function()
    outcome: list[tuple[Any, BaseException | None]] = []
    context = contextvars.copy_context()

    def call() -> None:
        try:
            outcome.append((context.run(function), None))
        except BaseException as error:  # noqa: BLE001 - raised where it was called
            outcome.append((None, error))

    def done(future: Future[None]) -> None:
        if not future.cancelled():  # who has given up is not waiting any more, or for something else
            with contextlib.suppress(RuntimeError):  # the loop is closed: its tasks are gone
                # Never at once: it may be done before the task has paused.
                task.loop.call_soon_threadsafe(_continue, [task])

    future = pool.submit(call)
    # When the pool has done with it, not when the function has: whoever goes on finds the pool's turn free.
    future.add_done_callback(done)
    timer = None if patience is None else task.loop.call_later(patience, _give_up, future, task)
    task.pause()
    if timer is not None:
        timer.cancel()
    if future.cancelled():
        raise TimeoutError
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _give_up(future: Future[None], task: Task) -> None:
    if future.cancel():  # else it has begun, and will end
        _continue([task])


def _continue(tasks: list[Task]) -> None:
    for task in tasks:
        if not task._paused.done():  # noqa: SLF001 - cancelled otherwise
            task._paused.set_result(None)  # noqa: SLF001
