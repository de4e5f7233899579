"""The front: a granian RSGI application that reads requests safely and chooses between the two doors.

Owns size and time limits of bodies, slow clients, the bounded thread pool, the correlation id and the orderly stop.
Inline doors are answered on the event loop, other doors and the WSGI application in threads. What granian does before
us: it refuses a malformed head (400) and more than 100 fields (431), and where Content-Length stands beside
Transfer-Encoding it drops the length, reads the chunks and closes the connection (RFC 9112 §6.3). Must not know Flask
or an endpoint.
"""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, Any

from idp import waiting
from idp.errors import IdpError, Unavailable
from idp.opaque import new_correlation_id
from idp.web.access_log import access_log
from idp.web.bodies import GONE, BodyReader, ClientGone
from idp.web.entrance import MAX_BODY_BYTES, BodyTooLarge, BodyTooSlow, Entrance
from idp.web.headers import HSTS
from idp.web.health import LIVE_PATH, READY_PATH, Health
from idp.web.http import Headers, Request, Response
from idp.web.logs import configure, get_logger
from idp.web.metrics import recorder
from idp.web.problems import InternalError, problem, refusal
from idp.web.proxies import strip_port
from idp.web.wsgi import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from idp.settings import Settings
    from idp.web.http import Doors
    from idp.web.problems import OnRefusal
    from idp.web.wsgi import WsgiApp

_CLOSE = ("connection", "close")


class Front:
    """One worker's front; granian calls `__rsgi_init__`, `__rsgi__` for each request, and `__rsgi_del__`."""

    def __init__(
        self,
        wsgi_app: WsgiApp,
        doors: Doors,
        settings: Settings,
        *,
        health: Health | None = None,
        on_refusal: OnRefusal | None = None,
        on_close: Callable[[], object] | None = None,
        max_body: int = MAX_BODY_BYTES,
        body_seconds: float = 10.0,
        queue: int = 128,
        drain_seconds: float | None = None,
    ) -> None:
        """Build the front of a worker.

        `on_refusal` is told of each refusal made here, and may return a page for it; else a problem document is sent. `queue`
        requests may wait for a thread, more are answered 503. For `drain_seconds` after SIGTERM (default 5 in production, else 0)
        readiness answers 503 while requests are still served.
        """
        self._settings = settings
        self._app = wsgi_app
        self._doors = doors
        self._entrance = Entrance(settings, max_body=max_body)
        self._health = health or Health({})
        self._on_refusal = on_refusal
        self._on_close = on_close
        self._bodies = BodyReader(max_body, body_seconds)
        self._most_busy = settings.threads + queue
        self._drain_seconds = (5.0 if settings.is_production else 0.0) if drain_seconds is None else drain_seconds
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="request")
        self._health_pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._access = access_log(settings)
        self._metrics = recorder(settings)
        self._busy = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the worker's loop and its log; from now on SIGTERM drains first and stops then."""
        configure(self._settings)
        self._loop = loop
        if self._drain_seconds > 0:
            loop.add_signal_handler(signal.SIGTERM, self._drain)

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Finish what runs in threads and let go of everything."""
        self._pool.shutdown(wait=True)
        self._health_pool.shutdown(wait=False, cancel_futures=True)
        if self._access is not None:
            self._access.flush()
        if self._on_close is not None:
            self._on_close()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer one request."""
        if scope.proto != "http":
            proto.close(404)
            return
        started = perf_counter()
        correlation_id = new_correlation_id()
        method, path, endpoint = scope.method, scope.path, "refused"
        scheme, remote = scope.scheme, strip_port(scope.client)
        closing = False
        headers = None
        try:
            headers = Headers(scope.headers.items())
            query = scope.query_string
            scheme, host, remote, length = self._entrance.admit(scheme, scope.authority, path, query, headers, remote)
            body = b"" if length == 0 else await self._bodies.read(proto, length)
            request = Request(method, scheme, host, path, query, headers, body, remote, correlation_id)
            door = self._doors("GET" if method == "HEAD" else method, host, path)
            if door is not None:
                request.endpoint = door.name
                endpoint = "failed"
                if door.inline(request):
                    try:
                        response = door.handle(request)
                    except waiting.MustWait:  # something was not at hand after all; nothing has been changed
                        response = await (self._as_task if door.is_task else self._threaded)(door.handle, request)
                elif door.is_task:
                    response = await self._as_task(door.handle, request)
                else:
                    response = await self._threaded(door.handle, request)
            elif path.startswith("/health/") and (found := await self._health_answer(method, path)) is not None:
                request.endpoint, response = "health", found
            else:
                request.endpoint = "page"
                endpoint = "failed"
                response = await self._threaded(self._call_app, request)
            endpoint = request.endpoint
        except ClientGone:
            return
        except IdpError as error:
            closing = isinstance(error, BodyTooLarge | BodyTooSlow)
            accept, accept_language = (
                (headers.get("accept"), headers.get("accept-language")) if headers else (None, None)
            )
            response = refusal(self._on_refusal, correlation_id, error, accept, accept_language)
        except Exception:  # noqa: BLE001 - a defect of any kind is answered, and logged once
            get_logger(__name__).exception("unhandled", request_id=correlation_id, method=method)
            response = problem(InternalError(), correlation_id)
        await self._send(proto, method, scheme, correlation_id, response, closing=closing)
        seconds = perf_counter() - started
        if self._metrics is not None:
            self._metrics.observe(endpoint, response.status, seconds)
        if self._access is not None and not (endpoint == "health" and response.status == 200):
            self._access.add(method, path, endpoint, response.status, seconds, remote, correlation_id)

    def _call_app(self, request: Request) -> Response:
        return call(self._app, request)

    async def _send(
        self, proto: Any, method: str, scheme: str, correlation_id: str, response: Response, *, closing: bool
    ) -> None:
        # A door may answer with one shared Response again and again: its list is copied, never changed.
        headers = [*response.headers, ("x-correlation-id", correlation_id)]
        if scheme == "https":
            headers.append(HSTS)
        if closing:
            headers.append(_CLOSE)
        if method == "HEAD":
            if response.header("content-length") is None and response.stream is None:
                headers.append(("content-length", str(len(response.body))))
            proto.response_empty(response.status, headers)
        elif response.stream is not None:
            await self._stream(proto, response.status, headers, response.stream, correlation_id)
        elif response.body:
            proto.response_bytes(response.status, headers, response.body)
        else:
            proto.response_empty(response.status, headers)

    async def _stream(
        self, proto: Any, status: int, headers: list[tuple[str, str]], parts: Iterator[bytes], correlation_id: str
    ) -> None:
        """Send an answer part by part: each is made in a thread when the one before is on its way, and held by nobody."""
        transport = proto.response_stream(status, headers)
        loop = self._loop or asyncio.get_running_loop()
        try:
            while part := await loop.run_in_executor(self._pool, next, parts, b""):
                await transport.send_bytes(part)
        except GONE:
            return
        except Exception:  # noqa: BLE001 - the head is sent: all that is left is to stop, and to say so in the log
            get_logger(__name__).exception("cut_off", request_id=correlation_id)

    async def _as_task(self, handle: Callable[[Request], Response], request: Request) -> Response:
        if self._busy >= self._most_busy:
            raise Unavailable(retry_after=1)
        self._busy += 1
        try:
            return await waiting.run(handle, request)
        finally:
            self._busy -= 1

    async def _threaded(self, handle: Callable[[Request], Response], request: Request) -> Response:
        if self._busy >= self._most_busy:
            raise Unavailable(retry_after=1)
        self._busy += 1
        try:
            loop = self._loop or asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, handle, request)
        finally:
            self._busy -= 1

    async def _health_answer(self, method: str, path: str) -> Response | None:
        if method not in ("GET", "HEAD"):
            return None
        if path == LIVE_PATH:
            return self._health.live()
        if path != READY_PATH:
            return None
        known = self._health.fresh()
        if known is not None:
            return known
        # A thread of its own: a busy pool must not look like a lost database.
        loop = self._loop or asyncio.get_running_loop()
        return await loop.run_in_executor(self._health_pool, self._health.ready)

    def _drain(self) -> None:
        if self._health.draining.active:
            return
        self._health.draining.begin()
        get_logger(__name__).info("draining", seconds=self._drain_seconds)
        loop = self._loop or asyncio.get_running_loop()
        # granian stops on SIGINT as it does on SIGTERM: stops accepting, finishes what runs.
        loop.call_later(self._drain_seconds, os.kill, os.getpid(), signal.SIGINT)


def granian_options() -> dict[str, Any]:
    """Return the options for `granian.Granian` that the front's promises rest on."""
    from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, TaskImpl
    from granian.http import HTTP1Settings

    return {
        "interface": Interfaces.RSGI,
        # One connection takes one place until it closes: the bound must lie far above what slow clients can hold.
        "backlog": 4096,
        "backpressure": 4096,
        "websockets": False,
        # In `auto` mode a connection that never sends a byte is never closed; HTTP/2 is the business of a proxy.
        "http": HTTPModes.http1,
        # uvloop where it is installed: 65 instead of 80 µs of processor a small answer.
        "loop": Loops.auto,
        # One runtime thread a worker, the loop's own: 55 instead of 67 µs; workers are what spreads the load.
        "runtime_mode": RuntimeModes.st,
        # The time limit of a body cancels a task, which only asyncio's own tasks allow.
        "task_impl": TaskImpl.asyncio,
        "http1_settings": HTTP1Settings(header_read_timeout=10_000, max_buffer_size=64 * 1024),
        "respawn_failed_workers": True,
        "respawn_interval": 0.5,
        "workers_kill_timeout": 30,
        "log_access": False,
    }
