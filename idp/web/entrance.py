"""What every request must pass before anything reads it, whichever server received it.

Owns the checks of a request's head: one valid Host (RFC 9112 §3.2), no ambiguous length (RFC 9112 §6.1), bounded
headers (RFC 6585 §5), a readable path, and HTTPS (RFC 9700 §2.6). Must not know a server or an endpoint.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from idp.errors import IdpError, Invalid, refused
from idp.language import N_
from idp.settings import LOOPBACK_HOSTS
from idp.web.proxies import BadHost, hostname, resolve

if TYPE_CHECKING:
    from idp.settings import Settings
    from idp.web.http import Headers

MAX_HEADER_BYTES = 32 * 1024
MAX_BODY_BYTES = 256 * 1024
_TOO_LONG = 8 * 1024
_CONTROL = frozenset(map(chr, [*range(32), 127, 0xFFFD]))


class HeadersTooLarge(IdpError):
    """The header fields together exceed 32 KiB."""

    code, status, title = "headers_too_large", 431, N_("The request's headers are too large.")


class UriTooLong(IdpError):
    """Path and query together exceed 16 KiB."""

    code, status, title = "uri_too_long", 414, N_("The address is too long.")


class BodyTooLarge(IdpError):
    """The body exceeds the cap."""

    code, status, title = "body_too_large", 413, N_("The request's body is too large.")


class BodyTooSlow(IdpError):
    """The body did not arrive in time."""

    code, status, title = "request_timeout", 408, N_("The request's body did not arrive in time.")


class HttpsRequired(IdpError):
    """Plain HTTP is refused and never redirected, which would hide a leaked credential."""

    code, status, title = "https_required", 400, N_("This service is reached over HTTPS only.")


class AmbiguousLength(Invalid):
    """Content-Length beside Transfer-Encoding, or a length that is no number: a smuggling attempt."""

    code, title = "ambiguous_length", N_("The request's length is ambiguous.")


class Entrance:
    """The checks of one process's settings; `admit` is called for each request."""

    def __init__(self, settings: Settings, *, max_body: int = MAX_BODY_BYTES) -> None:
        self._trusted = settings.trusted_proxies
        self._production = settings.is_production
        self._max_body = max_body

    def admit(
        self, scheme: str, authority: str | None, path: str, query: str, headers: Headers, peer: str
    ) -> tuple[str, str, str, int | None]:
        """Return (scheme, host, remote address, length), the proven facts of the head, or raise the IdpError that answers it.

        `authority` is that of an absolute request target or of HTTP/2, `peer` the socket's address without its port. The length
        is None for a chunked body.
        """
        items = headers.items()
        if sum([len(name) + len(value) for name, value in items]) > MAX_HEADER_BYTES:
            raise HeadersTooLarge
        if len(path) > _TOO_LONG or len(query) > 2 * _TOO_LONG:
            raise UriTooLong
        # Printable ASCII, which nearly every path is, has none of them; that is told in a tenth of the time.
        is_plain = path.isascii() and path.isprintable()
        if not path.startswith("/") or not (is_plain or _CONTROL.isdisjoint(path)):
            raise Invalid(N_("The address is malformed."))
        get = headers.get
        host = get("host")
        if authority:
            # RFC 9112 §3.2.2: the target's authority counts; one that disagrees with Host is an attack or a defect.
            if host is not None and host != authority:
                raise refused(
                    BadHost(),
                    check="host",
                    spec="RFC 9112 §3.2.2",
                    reason="The request target and the Host header name different hosts.",
                    fix="Send the same host in both, or an origin-form target.",
                    received=host[:200],
                    registered=(authority[:200],),
                )
            host = authority
        # A repeated Host arrives combined with a comma, which no host contains: RFC 9112 §3.2 wants 400.
        scheme, host, remote = resolve(peer, scheme, host, get, self._trusted)
        if scheme != "https":
            self._require_https(scheme, host, path)
        return scheme, host, remote, self._length(get("content-length"), get("transfer-encoding"))

    def _length(self, declared: str | None, encoding: str | None) -> int | None:
        if encoding is not None:
            # RFC 9112 §6.1: a message with both is refused; §6.3: chunked must be the one, final coding.
            if declared is not None or encoding.strip().lower() != "chunked":
                raise refused(
                    AmbiguousLength(),
                    check="length",
                    spec="RFC 9112 §6.1",
                    reason="Content-Length stands beside Transfer-Encoding, or the coding is not chunked alone.",
                    fix="Send one of the two; look for a proxy that rewrites requests.",
                )
            return None
        if declared is None:
            return 0
        if not (declared.isascii() and declared.isdigit()):
            raise AmbiguousLength
        if len(declared) > 15 or int(declared) > self._max_body:
            raise BodyTooLarge
        return int(declared)

    def _require_https(self, scheme: str, host: str, path: str) -> None:
        if path.startswith("/health/"):
            return
        if self._production or not _is_local(host):
            raise refused(
                HttpsRequired(),
                check="https",
                spec="RFC 9700 §2.6",
                reason="The request arrived over plain HTTP, or its proxy is not in IDP_TRUSTED_PROXIES.",
                fix="Use https://, or list the proxy that ends TLS in IDP_TRUSTED_PROXIES and let it send X-Forwarded-Proto.",
                received=f"{scheme}://{host}",
            )


@lru_cache(maxsize=256)
def _is_local(host: str) -> bool:
    name = hostname(host)
    return name in LOOPBACK_HOSTS or name.endswith(".localhost")
