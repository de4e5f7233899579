"""A keep-alive HTTP/1.1 client on a raw socket: little enough that the load generator costs less than the server.

It knows what the servers of the bench send (Content-Length or chunked bodies, no trailers) and refuses anything else.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT_SECONDS = 15.0
CHUNK = 65536


class WireError(Exception):
    """The server closed the connection early or sent something that is not HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered with; `head` is the raw head without the status line."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of that name."""
        for value in self.headers(name):
            return value
        return None

    def headers(self, name: str) -> Iterable[str]:
        """Yield every header of that name, in order."""
        wanted = name.lower().encode()
        for line in self.head.split(b"\r\n"):
            key, separator, value = line.partition(b":")
            if separator and key.lower() == wanted:
                yield value.strip().decode("latin-1")


class Connection:
    """One TCP connection to one address; it sends the same Host whatever the address, as a proxy would."""

    def __init__(self, address: tuple[str, int], host: str) -> None:
        self._socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = host
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def get(self, target: str, headers: str = "") -> Answer:
        """GET `target`; `headers` are whole lines, each ending in CRLF."""
        return self._exchange(f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\n{headers}\r\n")

    def post(self, target: str, form: str, headers: str = "") -> Answer:
        """POST an urlencoded form; `headers` are whole lines, each ending in CRLF."""
        return self._exchange(
            f"POST {target} HTTP/1.1\r\nHost: {self._host}\r\n{headers}"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}",
        )

    def _exchange(self, request: str) -> Answer:
        self._socket.sendall(request.encode("latin-1"))
        head = self._until(b"\r\n\r\n")
        status_line, _, rest = head.partition(b"\r\n")
        if not status_line.startswith(b"HTTP/1.1 "):
            raise WireError(status_line.decode("latin-1"))
        answer = Answer(int(status_line[9:12]), rest, b"")
        length = answer.header("content-length")
        if length is not None:
            body = self._exactly(int(length))
        elif (answer.header("transfer-encoding") or "").lower() == "chunked":
            body = b"".join(self._chunks())
        else:
            body = b""
        return Answer(answer.status, rest, body)

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            self._exactly(2)
        self._exactly(2)

    def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            self._fill()
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _fill(self) -> None:
        received = self._socket.recv(CHUNK)
        if not received:
            raise WireError("the server closed the connection before its answer was complete")
        self._buffer += received
