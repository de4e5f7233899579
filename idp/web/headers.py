"""The security headers of pages and of JSON (OWASP ASVS 3.4; security.md "Browser rules").

Owns the content security policy, framing, referrer, caching and transport rules. Must not know a page or a client.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from idp.web.proxies import normal_host

if TYPE_CHECKING:
    from collections.abc import Iterable

# The front and `guarded` add it to every answer over HTTPS.
HSTS = ("strict-transport-security", "max-age=63072000; includeSubDomains")

LONGEST_SOURCES = (
    2500  # characters of origins that clients bring into a policy: with more, servers in between refuse the header
)
_NOSNIFF = ("x-content-type-options", "nosniff")
_NO_STORE = ("cache-control", "no-store")
_PAGE = (
    ("x-frame-options", "DENY"),
    # `no-referrer` would make Chromium send `Origin: null` on our own POST, which the CSRF check refuses.
    ("referrer-policy", "same-origin"),
    _NOSNIFF,
    _NO_STORE,
    (
        "permissions-policy",
        (
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), "
            "publickey-credentials-get=(self), publickey-credentials-create=(self)"
        ),
    ),
    ("cross-origin-resource-policy", "same-origin"),
)
# The browser cuts the opener only where no relying party waits for it: `same-origin` would break sign-in in a popup.
_OPENER = ("cross-origin-opener-policy", "same-origin-allow-popups")
JSON_HEADERS: tuple[tuple[str, str], ...] = (
    _NOSNIFF,
    _NO_STORE,
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
)
_source_form = re.compile(
    r"'(?:self|none|nonce-[A-Za-z0-9+/_=-]+|sha(?:256|384|512)-[A-Za-z0-9+/_=-]+)'"
    r"|[a-z][a-z0-9+.-]*:"
    r"|(?:https?://)(?:[a-z0-9_-]+\.)*[a-z0-9_-]+(?::[0-9]{1,5})?"
).fullmatch
_scheme_form = re.compile(r"[a-z][a-z0-9+.-]*").fullmatch


@lru_cache(maxsize=1024)
def origin_source(uri: str) -> str | None:
    """Return the CSP source that allows a redirect to `uri`: its origin, or its scheme for an app's own scheme.

    None when `uri` has no usable origin; then nothing beyond `'self'` is allowed and the browser stops the redirect.
    """
    try:
        parts = urlsplit(uri)
        scheme = parts.scheme.lower()
        if not _scheme_form(scheme) or scheme in ("javascript", "data", "blob", "filesystem", "about", "vbscript"):
            return None
        if scheme not in ("http", "https"):
            return f"{scheme}:"
        host = normal_host(parts.netloc.rpartition("@")[2], scheme)
    except ValueError:
        return None
    if host is None:
        return None
    # A CSP source has no syntax for an IPv6 address (CSP3 §2.3.1): a loopback redirect there needs the scheme.
    return f"{scheme}:" if host.startswith("[") else f"{scheme}://{host}"


def bounded_sources(sources: Iterable[str]) -> tuple[str, ...]:
    """Return sources of a policy, each once; where they are too many to name, all of their schemes."""
    found = tuple(dict.fromkeys(sources))
    if sum(len(source) + 1 for source in found) <= LONGEST_SOURCES:
        return found
    return tuple(dict.fromkeys(f"{source.partition(':')[0]}:" for source in found))


def page_csp(
    *,
    form_action: Iterable[str] = (),
    frame_src: Iterable[str] = (),
    img_src: Iterable[str] = (),
    style_src: Iterable[str] = (),
    script_src: Iterable[str] = (),
    connect_src: Iterable[str] = (),
    frame_ancestors: str | None = "'none'",
) -> str:
    """Return the policy of a page: everything from ourselves, plus the sources named.

    `form_action` takes the pending redirect URI's `origin_source` (Chromium applies the directive to redirects after the
    POST). `frame_ancestors=None` leaves the directive out, for `/check-session`. A malformed source raises ValueError.
    """
    return _csp(
        tuple(form_action),
        tuple(frame_src),
        tuple(img_src),
        tuple(style_src),
        tuple(script_src),
        tuple(connect_src),
        frame_ancestors,
    )


@lru_cache(maxsize=512)
def _csp(
    form_action: tuple[str, ...],
    frame_src: tuple[str, ...],
    img_src: tuple[str, ...],
    style_src: tuple[str, ...],
    script_src: tuple[str, ...],
    connect_src: tuple[str, ...],
    frame_ancestors: str | None,
) -> str:
    directives = [
        "default-src 'none'",
        _directive("style-src", ("'self'", *style_src)),
        _directive("img-src", ("'self'", *img_src)),
        "font-src 'self'",
        _directive("form-action", ("'self'", *form_action)),
        "base-uri 'none'",
    ]
    if script_src:
        directives.append(_directive("script-src", script_src))
    if connect_src:
        directives.append(_directive("connect-src", connect_src))
    if frame_src:
        directives.append(_directive("frame-src", frame_src))
    if frame_ancestors is not None:
        directives.append(_directive("frame-ancestors", (frame_ancestors,)))
    return "; ".join(directives)


def _directive(name: str, sources: tuple[str, ...]) -> str:
    for source in sources:
        if not _source_form(source):
            raise ValueError(f"not a source for a content security policy: {source!r}")
    return f"{name} {' '.join(dict.fromkeys(sources))}"


def page_headers(csp: str | None = None, *, framed: bool = False) -> list[tuple[str, str]]:
    """Return the headers of a page; without `csp` the plain policy, `framed` for the one page made to be framed."""
    headers = [("content-security-policy", csp or page_csp()), *_PAGE, _OPENER]
    return (
        [pair for pair in headers if pair[0] not in ("x-frame-options", "cross-origin-resource-policy")]
        if framed
        else headers
    )


def json_headers() -> list[tuple[str, str]]:
    """Return the headers of a JSON answer that must not be stored."""
    return list(JSON_HEADERS)
