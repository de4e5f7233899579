"""Reading a request's body from a client that may be slow, huge or gone.

Owns the cap (413), the time limit (408) and the bound on what all unfinished bodies of a worker hold together (503).
One timer watches all readers: a timer each would cost a tenth of a token request. Must not know what a body means.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import granian.rsgi

from idp.errors import Unavailable
from idp.web.entrance import BodyTooLarge, BodyTooSlow

GONE: tuple[type[Exception], ...] = (
    granian.rsgi.ProtocolClosed,  # type: ignore[attr-defined] # granian's documented names, re-exported without `as`
    granian.rsgi.ProtocolError,  # type: ignore[attr-defined]
)
_SMALL = 16 * 1024
_IN_FLIGHT = 32 * 1024 * 1024


class ClientGone(Exception):
    """The client left before its request was complete; there is nobody to answer."""


class BodyReader:
    """Reads the bodies of one event loop's requests."""

    def __init__(self, max_body: int, seconds: float) -> None:
        self._max_body = max_body
        self._seconds = seconds
        self._held = 0
        self._readers: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._watching = False

    async def read(self, proto: Any, length: int | None) -> bytes:
        """Return the whole body; `length` is what was declared, None for chunked.

        Raises BodyTooLarge, BodyTooSlow, Unavailable or ClientGone.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a body is read inside a task")
        self._readers[task] = monotonic()
        if not self._watching:
            self._watching = True
            asyncio.get_running_loop().call_later(self._seconds / 8, self._watch)
        try:
            if length is None or length > _SMALL:
                return await self._chunks(proto, length)
            body: bytes = await proto()
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise BodyTooSlow from None
        except GONE:
            raise ClientGone from None
        finally:
            del self._readers[task]
            self._late.discard(task)
        if len(body) != length:
            raise ClientGone
        return body

    async def _chunks(self, proto: Any, length: int | None) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in proto:
                size += len(chunk)
                self._held += len(chunk)
                if size > self._max_body:
                    raise BodyTooLarge
                if self._held > _IN_FLIGHT:
                    raise Unavailable(retry_after=2)
                chunks.append(chunk)
        finally:
            self._held -= size
        if length is not None and size != length:
            raise ClientGone
        return b"".join(chunks)

    def _watch(self) -> None:
        oldest = monotonic() - self._seconds
        for task, since in self._readers.items():
            if since <= oldest and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._watching = bool(self._readers)
        if self._watching:
            asyncio.get_running_loop().call_later(self._seconds / 8, self._watch)
