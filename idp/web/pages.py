"""Rendering the server-side pages and handing out their static files.

Owns: the one Jinja environment (autoescape, undefined names are errors), where `templates/` and `static/` stand (in the
installed package, or at the top of a checkout), which addresses may become links, and content-hashed static addresses.
Must not know: Flask, any protocol, any page's meaning. No page carries an inline script, style or event handler.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

import jinja2

from idp import language, templating
from idp.folders import packaged
from idp.web.branding import Brand, brand_css_url

STATIC_PATH = "/static/"

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
# A link may lead to a path of ours, to the web, or to an installed application: a private-use scheme has a dot (RFC 8252 §7.1).
_PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f\x7f]*")
_WEB = re.compile(r"https?://[^\s\\\x00-\x1f\x7f]+", re.IGNORECASE)
_APPLICATION = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:[^\s\\\x00-\x1f\x7f]*", re.IGNORECASE | re.ASCII)


class UnsafeAddressError(ValueError):
    """A page would lead to an address that is neither ours nor on the web."""


class StaticFile(NamedTuple):
    """One file of `static/`, ready to be sent."""

    body: bytes
    content_type: str
    etag: str  # with its quotes


def render(template: str, brand: Brand, correlation_id: str, **context: object) -> str:
    """Return the HTML of `template`, for instance "login.html".

    Every name a template uses must be in `context` (None where there is nothing to show); otherwise jinja2.UndefinedError.
    It is written in the current language; `page_languages` are those that its footer offers.
    `brand_css` there is the address of another stylesheet than the brand's own.
    """
    given = {"page_languages": (), **context, "page_language": language.current()}
    return (
        _environment()
        .get_template(template)
        .render({"brand_css": brand_css_url(brand), **given}, brand=brand, correlation_id=correlation_id)
    )


def static_url(name: str) -> str:
    """Return the address of a static file, with a hash of its content so that it may be cached for ever.

    Raises LookupError when there is no such file.
    """
    found = _static_files()[name]
    return f"{STATIC_PATH}{quote(name)}?v={found.etag.strip(chr(34))}"


def static_file(name: str) -> StaticFile | None:
    """Return a static file by its name below `static/`, or None; only what stood in the folder at the start is served."""
    return _static_files().get(name)


def href(address: str | None) -> str | None:
    """Return `address` when it may stand in a link or an image, else None."""
    if address and any(kind.fullmatch(address) for kind in (_PATH, _WEB, _APPLICATION)):
        return address
    return None


def _address(address: str) -> str:
    """Return `address` when a form or a link that a page cannot do without may lead there: a path of ours or the web."""
    address = str(address)  # a name that nobody gave says so here
    if not (_PATH.fullmatch(address) or _WEB.fullmatch(address)):
        raise UnsafeAddressError("A page's form or link may only lead to a path or to an http(s) address.")
    return address


def _initial(name: str) -> str:
    """Return the letter that stands for a name where it has no logo."""
    return next((letter.upper() for letter in name if letter.isalnum()), "?")


@cache
def _environment() -> jinja2.Environment:
    """Return the environment; templates are compiled once, on first use."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(packaged("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templating.install(environment)
    environment.globals["static"] = static_url
    environment.filters.update(href=href, address=_address, initial=_initial)
    return environment


@cache
def _static_files() -> dict[str, StaticFile]:
    """Read `static/` once: a name that is not a key here does not exist, whatever it spells."""
    folder = packaged("static")
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in _CONTENT_TYPES and path.is_file() and not path.is_symlink():
            body = path.read_bytes()
            etag = f'"{sha256(body).hexdigest()[:16]}"'
            found[path.relative_to(folder).as_posix()] = StaticFile(body, _CONTENT_TYPES[path.suffix], etag)
    return found
