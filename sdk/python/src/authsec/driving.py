"""Does what flows need: waiting, or awaiting."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

import httpx

from authsec.errors import UnexpectedAnswer
from authsec.flow import Token, Wait, built

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from authsec.flow import Flow

T = TypeVar("T")


def drive(flow: Flow[T], http: httpx.Client, token: Callable[[str | None], str | None] = lambda _: None) -> T:
    """Do what a flow needs until it is done; `token` returns an access token, other than the one that was refused."""
    try:
        effect = next(flow)
        while True:
            if isinstance(effect, Wait):
                time.sleep(effect.seconds)
                effect = next(flow)
            elif isinstance(effect, Token):
                effect = flow.send(token(effect.refused))
            else:
                try:
                    request = built(http, effect.request)
                    response = http.send(request, stream=effect.is_streamed, follow_redirects=False)
                    if not response.is_success:
                        response.read()
                except httpx.DecodingError as error:
                    effect = flow.throw(undecodable(error))
                except httpx.TransportError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(response)
    except StopIteration as done:
        found: T = done.value
        return found


def undecodable(error: httpx.DecodingError) -> UnexpectedAnswer:
    """Return what it means that an answer is not in the encoding that it says."""
    found = UnexpectedAnswer(f"The answer cannot be decoded: {error}")
    found.__cause__ = error
    return found


async def _none(_: str | None) -> str | None:
    return None


async def drive_async(
    flow: Flow[T], http: httpx.AsyncClient, token: Callable[[str | None], Awaitable[str | None]] = _none
) -> T:
    """Do the same for asyncio."""
    try:
        effect = next(flow)
        while True:
            if isinstance(effect, Wait):
                await asyncio.sleep(effect.seconds)
                effect = next(flow)
            elif isinstance(effect, Token):
                effect = flow.send(await token(effect.refused))
            else:
                try:
                    request = built(http, effect.request)
                    response = await http.send(request, stream=effect.is_streamed, follow_redirects=False)
                    if not response.is_success:
                        await response.aread()
                except httpx.DecodingError as error:
                    effect = flow.throw(undecodable(error))
                except httpx.TransportError as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(response)
    except StopIteration as done:
        found: T = done.value
        return found
