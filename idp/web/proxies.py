"""Who really asked, for which host, over which scheme: forwarded headers are believed from trusted proxies only.

Owns the syntax of a host (RFC 9110 §7.2, RFC 3986 §3.2.2) and the reading of `X-Forwarded-For`, `-Proto` and `-Host`.
`Forwarded` (RFC 7239) is not read: two notations for one fact are two ways to disagree. Pure functions; must not know
a server, settings or a tenant.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from idp.errors import Invalid
from idp.language import N_

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.settings import Network

FORWARDED_HEADERS = frozenset(
    {
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-real-ip",
    }
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_host_form = re.compile(
    r"(?P<name>[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
).fullmatch


class BadHost(Invalid):
    """The Host header, or what a trusted proxy put in its place, is no host name."""

    code, status, title = "bad_host", 400, N_("The Host header is missing or malformed.")


@lru_cache(maxsize=4096)
def normal_host(host: str, scheme: str) -> str | None:
    """Return `host` in lower case without the scheme's default port, or None when it is not a host."""
    if len(host) > 260:  # 253 for the name, 6 for the port
        return None
    match = _host_form(host.lower())
    if match is None:
        return None
    name, port = match["name"], match["port"]
    if name[0] == "[" and parse_address(name[1:-1]) is None:
        return None
    if port is not None and not 0 < int(port) < 65536:
        return None
    return name if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{name}:{port}"


def hostname(host: str) -> str:
    """Return the host without its port; an IPv6 address comes without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


@lru_cache(maxsize=4096)
def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address in `text` (IPv4-mapped IPv6 as IPv4), or None."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def strip_port(address: str) -> str:
    """Return the address of `1.2.3.4:567`, `[::1]:567`, `[::1]`, or of an address without a port."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


@lru_cache(maxsize=4096)
def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Say whether `address` lies in one of the trusted networks."""
    found = parse_address(address)
    return found is not None and any(found in network for network in trusted)


def resolve(
    peer: str,
    scheme: str,
    host: str | None,
    header: Callable[[str], str | None],
    trusted: tuple[Network, ...],
) -> tuple[str, str, str]:
    """Return (scheme, host, remote address) of a request.

    `peer` is the socket's address without its port, `host` the Host header, `header` looks up a combined field
    value by lower-case name. Raises BadHost when the resulting host or scheme is malformed.
    """
    remote = peer
    if trusted and is_trusted(peer, trusted):
        remote, hops = _walk(peer, _pieces(header("x-forwarded-for")), trusted)
        scheme = _said(header("x-forwarded-proto"), hops, scheme).lower()
        host = _said(header("x-forwarded-host"), hops, host or "")
        if scheme not in _DEFAULT_PORTS:
            raise BadHost("The proxy sent a scheme that is neither http nor https.")
    normal = normal_host(host, scheme) if host else None
    if normal is None:
        raise BadHost
    return scheme, normal, remote


def _walk(peer: str, chain: list[str], trusted: tuple[Network, ...]) -> tuple[str, int]:
    # Right to left: each trusted hop vouches for the entry to its left; the first untrusted address is the client.
    client, hops = peer, 0
    while is_trusted(client, trusted):
        hops += 1
        if not chain:
            break
        claimed = parse_address(strip_port(chain.pop()))
        if claimed is None:
            break
        client = str(claimed)
    return client, hops


def _said(value: str | None, hops: int, otherwise: str) -> str:
    # A list grows to the right, one entry a proxy: only the last `hops` entries were written by trusted ones.
    pieces = _pieces(value)
    return pieces[-min(hops, len(pieces))] if pieces else otherwise


def _pieces(value: str | None) -> list[str]:
    return [piece.strip() for piece in value.split(",") if piece.strip()] if value else []
