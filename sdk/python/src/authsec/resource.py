"""What the generated namespaces stand on: they name an operation, this calls it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import httpx

from authsec.answers import Etag, matched
from authsec.calls import Call, answer_of, line_of, unreached
from authsec.driving import undecodable
from authsec.errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

T = TypeVar("T")


class Caller(Protocol):
    """Who calls operations, waiting."""

    tenant: str

    def call(self, call: Call) -> httpx.Response:
        """Call one."""


class AsyncCaller(Protocol):
    """Who calls operations, awaiting."""

    tenant: str

    async def call(self, call: Call) -> httpx.Response:
        """Call one."""


def _call(
    tenant: str,
    method: str,
    path: str,
    parameters: Mapping[str, str] | None = None,
    *,
    if_match: Etag = None,
    **more: Any,
) -> Call:
    return Call(method, path, {"tenant_id": tenant, **(parameters or {})}, if_match=matched(if_match), **more)


def _items(page: Mapping[str, Any]) -> list[Any]:
    found = page.get("items")
    if not isinstance(found, list):
        raise UnexpectedAnswer("The answer is no page of a list: it has no `items`.")
    return found


def _next(page: Mapping[str, Any], cursor: str | None) -> str | None:
    """Return where the list goes on; a server that sends us round in a circle is not followed."""
    found = page.get("next")
    if found is not None and found == cursor:
        raise UnexpectedAnswer("The list does not go on: its `next` is the cursor that was sent.")
    return found


class Resource:
    """A namespace of operations."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def _response(self, method: str, path: str, *given: Any, **more: Any) -> httpx.Response:
        return self._caller.call(_call(self._caller.tenant, method, path, *given, **more))

    def _shown(self, shape: type[T], method: str, path: str, *given: Any, **more: Any) -> T:
        del shape  # for who reads types
        return cast("T", answer_of(self._response(method, path, *given, **more)))

    def _lines(self, shape: type[T], method: str, path: str, *given: Any, **more: Any) -> Iterator[T]:
        del shape
        with closing(self._response(method, path, *given, is_streamed=True, **more)) as response:
            try:
                for line in response.iter_lines():
                    yield cast("T", line_of(line))
            except httpx.DecodingError as error:
                raise undecodable(error) from error
            except httpx.TransportError as error:
                raise unreached(error) from error

    def _done(self, method: str, path: str, *given: Any, **more: Any) -> None:
        self._response(method, path, *given, **more)

    def _pages(
        self, shape: type[T], path: str, parameters: Mapping[str, str], query: Mapping[str, object]
    ) -> Iterator[T]:
        del shape
        cursor = None
        while True:
            page = answer_of(self._response("GET", path, parameters, query={**query, "after": cursor}))
            yield from _items(page)
            cursor = _next(page, cursor)
            if cursor is None:
                return


class AsyncResource:
    """A namespace of operations that are awaited."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    async def _response(self, method: str, path: str, *given: Any, **more: Any) -> httpx.Response:
        return await self._caller.call(_call(self._caller.tenant, method, path, *given, **more))

    async def _shown(self, shape: type[T], method: str, path: str, *given: Any, **more: Any) -> T:
        del shape
        return cast("T", answer_of(await self._response(method, path, *given, **more)))

    async def _lines(self, shape: type[T], method: str, path: str, *given: Any, **more: Any) -> AsyncIterator[T]:
        del shape
        response = await self._response(method, path, *given, is_streamed=True, **more)
        try:
            async for line in response.aiter_lines():
                yield cast("T", line_of(line))
        except httpx.DecodingError as error:
            raise undecodable(error) from error
        except httpx.TransportError as error:
            raise unreached(error) from error
        finally:
            await response.aclose()

    async def _done(self, method: str, path: str, *given: Any, **more: Any) -> None:
        await self._response(method, path, *given, **more)

    async def _pages(
        self, shape: type[T], path: str, parameters: Mapping[str, str], query: Mapping[str, object]
    ) -> AsyncIterator[T]:
        del shape
        cursor = None
        while True:
            page = answer_of(await self._response("GET", path, parameters, query={**query, "after": cursor}))
            for item in _items(page):
                yield item
            cursor = _next(page, cursor)
            if cursor is None:
                return


__all__ = ["AsyncCaller", "AsyncResource", "Caller", "Etag", "Resource"]
