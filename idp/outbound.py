"""The one guarded HTTP client: every fetch of an address that somebody registered (security rule 8; ASVS 5.0 §13.2.4).

An address is resolved once, every answer of the resolver must be a public address, the connection goes to exactly that
address while certificate and Host are the name's, no redirect is followed, and time and size have an end however slowly
bytes drip. A host that the operator lists in ``IDP_ALLOWED_PRIVATE_HOSTS`` may be private and may be plain HTTP. Must not know
what is fetched or why. It blocks: tasks call it through :func:`idp.waiting.elsewhere`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.settings import Settings

SECONDS = 5.0
MOST_BYTES = 1_000_000
MOST_REQUEST_BYTES = 64 * 1024
LONGEST_URL = 2000
MOST_ADDRESSES = 8  # of one name that are tried
_CHUNK = 16 * 1024
_TROUBLE = (OSError, HTTPError, HTTPException)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_RESOLVERS = 64  # look-ups at a time; a resolver that hangs holds a thread until it gives up


class FetchFailed(Exception):
    """Nothing usable came back. The text says why, for logs and records, and never contains what was received."""


class FetchRefused(FetchFailed):
    """The address itself may not be fetched; trying again later is of no use."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class _Target:
    scheme: str
    host: str
    port: int
    path: str
    authority: str


class Outbound:
    """The guarded client of one process; safe to share between threads."""

    def __init__(self, settings: Settings, *, seconds: float = SECONDS, most_bytes: int = MOST_BYTES) -> None:
        """Take the allowed private hosts and the extra roots; ``seconds`` and ``most_bytes`` bound each fetch."""
        self._private = frozenset(name.lower() for name in settings.allowed_private_hosts)
        self._ca_bundle = settings.ca_bundle
        self._seconds, self._most_bytes = seconds, most_bytes
        self._context: ssl.SSLContext | None = None
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolver")

    def get(self, url: str, *, accept: str) -> Fetched:
        """GET an address; raises :class:`FetchFailed`."""
        return self._fetch("GET", url, {"Accept": accept}, None)

    def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str,
        accept: str = "*/*",
        headers: Mapping[str, str] | None = None,
        most_read: int | None = None,
    ) -> Fetched:
        """POST to an address; raises :class:`FetchFailed`.

        With ``most_read`` the status is the answer: of the body no more than so many bytes are read, whatever becomes of the rest.
        """
        if len(body) > MOST_REQUEST_BYTES:
            raise FetchRefused("what is to be sent is too large")
        sent = {"Accept": accept, "Content-Type": content_type, **(headers or {})}
        return self._fetch("POST", url, sent, body, most_read)

    def check(self, url: str) -> None:
        """Raise :class:`FetchRefused` for an address that could never be fetched, without looking its name up."""
        target = self._parse(url)
        with contextlib.suppress(ValueError):
            self._require_public(target.host, [ipaddress.ip_address(target.host)])

    # -- one fetch ------------------------------------------------------------------------------------------------

    def _fetch(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, most_read: int | None = None
    ) -> Fetched:
        deadline = time.monotonic() + self._seconds
        target = self._parse(url)
        addresses = self.resolve(target.host, target.port, seconds=deadline - time.monotonic())
        last: Exception | None = None
        for address in addresses[:MOST_ADDRESSES]:
            connection = self._connection(target, address, deadline)
            # Each read may take as long as the time limit: only a watch ends an answer that drips.
            watch = threading.Timer(max(0.0, deadline - time.monotonic()), _hang_up, (connection,))
            watch.daemon = True
            watch.start()
            try:
                try:
                    connection.connect()
                except _TROUBLE as error:
                    last = error
                    if time.monotonic() >= deadline:
                        break
                    continue
                answer = self._exchange(connection, method, target, headers, body, most_read)
                if (
                    most_read is None and time.monotonic() >= deadline
                ):  # where the watch hung up, half an answer looks like a whole one
                    raise TimeoutError
            except (*_TROUBLE, ValueError) as error:
                if time.monotonic() >= deadline:
                    raise FetchFailed(f"no complete answer within {self._seconds:g} seconds") from error
                raise FetchFailed(f"the answer could not be read ({type(error).__name__})") from error
            else:
                return answer
            finally:
                watch.cancel()
                connection.close()
        if time.monotonic() >= deadline:
            raise FetchFailed(f"no connection within {self._seconds:g} seconds") from last
        raise FetchFailed(f"no connection ({_reason(last)})") from last

    def _exchange(
        self,
        connection: Any,
        method: str,
        target: _Target,
        headers: dict[str, str],
        body: bytes | None,
        most_read: int | None,
    ) -> Fetched:
        sent = {
            "Host": target.authority,
            "User-Agent": "AuthSec",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **headers,
        }
        connection.request(method, target.path, body=body, headers=sent, preload_content=False, decode_content=False)
        answer = connection.getresponse()
        if most_read is not None:
            return Fetched(answer.status, _lowered(answer.headers), _beginning(answer, most_read))
        declared = answer.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._most_bytes:
            raise FetchFailed(f"the answer is larger than {self._most_bytes} bytes")
        received = bytearray()
        while chunk := answer.read(_CHUNK, decode_content=False):
            received += chunk
            if len(received) > self._most_bytes:
                raise FetchFailed(f"the answer is larger than {self._most_bytes} bytes")
        if declared.isdigit() and len(received) != int(declared):
            raise FetchFailed("the answer ended early")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise FetchFailed("the answer is compressed, which was not asked for")
        return Fetched(answer.status, _lowered(answer.headers), bytes(received))

    def _connection(self, target: _Target, address: str, deadline: float) -> HTTPConnection:
        timeout = max(0.05, deadline - time.monotonic())
        if target.scheme == "http":
            return HTTPConnection(address, target.port, timeout=timeout)
        return HTTPSConnection(
            address,
            target.port,
            timeout=timeout,
            ssl_context=self.tls(),
            server_hostname=target.host,
        )

    def tls(self) -> ssl.SSLContext:
        """Return what proves another's server: the system's roots and ``IDP_CA_BUNDLE``, its name, TLS 1.2 or newer."""
        if self._context is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self._ca_bundle:
                context.load_verify_locations(cafile=self._ca_bundle)
            self._context = context
        return self._context

    # -- where it goes --------------------------------------------------------------------------------------------

    def _parse(self, url: str) -> _Target:
        if len(url) > LONGEST_URL or not all("!" <= character <= "~" for character in url):
            raise FetchRefused("the address is not a URL of visible ASCII characters")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise FetchRefused("the address has no valid host and port") from None
        if not host or "@" in parts.netloc or "%" in host or "\\" in url or port == 0:
            raise FetchRefused("the address has no plain host, or names a user")
        if parts.scheme != "https" and not (parts.scheme == "http" and host in self._private):
            raise FetchRefused("the address is not https")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        default = 443 if parts.scheme == "https" else 80
        name = f"[{host}]" if ":" in host else host
        authority = name if port in (None, default) else f"{name}:{port}"
        return _Target(parts.scheme, host, port or default, path, authority)

    def resolve(self, host: str, port: int, *, seconds: float, may_be_private: bool = False) -> list[str]:
        """Return a name's addresses, looked up once; all of them must be allowed, or none is used.

        ``may_be_private`` is for what the operator set. Raises :class:`FetchFailed`. Connect to what is returned, and to nothing else.
        """
        look_up = self._resolvers.submit(
            socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        try:
            found = look_up.result(max(0.0, seconds))
        except StillRunning:
            look_up.cancel()
            raise FetchFailed("its name was not resolved in time") from None
        except (OSError, UnicodeError):
            raise FetchFailed("its name cannot be resolved") from None
        addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        if not addresses:
            raise FetchFailed("its name has no address")
        if not may_be_private:
            self._require_public(host, [ipaddress.ip_address(address) for address in addresses])
        return addresses

    def _require_public(self, host: str, addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
        if host in self._private:
            return
        for address in addresses:
            if not all(map(_is_public, _all_of(address))):
                raise FetchRefused(
                    "the address is private, loopback, link-local or reserved; an operator may allow its host by "
                    "IDP_ALLOWED_PRIVATE_HOSTS"
                )


def _is_public(address: Any) -> bool:
    # fec0::/10 is nobody's any more (RFC 3879), is still used inside, and counts as global.
    is_site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return bool(address.is_global and not address.is_multicast and not address.is_reserved and not is_site_local)


def _all_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[Any]:
    """Return an address and those that it carries inside (RFC 4291 §2.5.5.2, RFC 3056, RFC 4380, RFC 6052)."""
    found: list[Any] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return [address.ipv4_mapped]
        if address.sixtofour is not None:
            found.append(address.sixtofour)
        if address.teredo is not None:
            found += address.teredo
        if address in _NAT64:
            return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return found


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _beginning(answer: Any, most: int) -> bytes:
    """Return how a body begins, as far as it comes."""
    received = bytearray()
    with contextlib.suppress(*_TROUBLE, ValueError):
        while len(received) < most and (chunk := answer.read(most - len(received), decode_content=False)):
            received += chunk
    return bytes(received)


def _hang_up(connection: Any) -> None:
    """End a connection from another thread, whatever it is doing."""
    line = connection.sock
    if line is not None:
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception | None) -> str:
    if isinstance(error, ssl.SSLError) or "SSL" in type(error).__name__:
        return "TLS"
    return type(error).__name__ if error is not None else "no address"
