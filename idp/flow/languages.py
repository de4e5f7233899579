"""Which language a person's request is answered in, and the small switch in every page's footer.

The newest wish counts first: what the application asks for with ``ui_locales`` (OpenID Connect Core §3.1.2.1), then what the person
chose before in this browser, what the browser says, and what the place has by default; a choice made after the application sent
the person comes before the application's. The switch is a link: it sets one cookie and leads back to the page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from idp import language
from idp.clock import now
from idp.tenancy.languages import best
from idp.web import cookies
from idp.web.http import redirect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from idp.flow.services import FlowServer
    from idp.language import Language
    from idp.web.http import Request, Response

PATH = "/language"
MOST_WISHES = 10
LONGEST_ADDRESS = 4000  # characters of an address that the switch leads back to
_KEPT = 365 * 86400  # seconds that a choice is remembered
_CHOICE = re.compile(r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,3})\.([0-9]{1,12})")
_HERE = re.compile(r"((?:/[A-Za-z0-9_~%-][A-Za-z0-9._~%-]*)*/?)(\?[!-~]*)?")
_WISH = re.compile(r"(^|&)ui_locales=[^&]*")


class Place(NamedTuple):
    """Where a choice of language holds: a tenant, or the platform."""

    slug: str
    base_path: str
    is_secure: bool
    offered: tuple[str, ...]
    default: str


def place_of(server: FlowServer) -> Place:
    """Return a tenant as a place."""
    tenant, languages = server.tenant, server.languages
    return Place(tenant.slug, tenant.base_path, tenant.is_secure, languages.offered, languages.default)


def wish(request: Request, ui_locales: str | Iterable[str] | None, since: int = 0) -> None:
    """Note what the application asks for, since a moment; of too many languages the first."""
    wanted = ui_locales.split() if isinstance(ui_locales, str) else list(ui_locales or ())
    request.languages, request.languages_since = tuple(wanted[:MOST_WISHES]), since or now() + 1


def of(server: FlowServer, request: Request) -> Language:
    """Return the language in which a request to a tenant is answered."""
    return server.languages.of(tag_of(place_of(server), request))


def tag_of(place: Place, request: Request) -> str:
    """Return the tag of the language in which a request is answered."""
    if len(place.offered) == 1:
        return place.offered[0]
    found = _CHOICE.fullmatch(request.cookies.get(_cookie(place), ""))
    wishes = request.languages
    if found is not None:
        wishes = (found[1], *wishes) if int(found[2]) >= request.languages_since else (*wishes, found[1])
    return best(place.offered, wishes, request.headers.get("accept-language"), place.default)


def switch(place: Place, request: Request, *, has_query: bool = True) -> list[dict[str, str]]:
    """Return what a page's footer offers: tag, name and address of each language; nothing where there is one, or no way back.

    ``has_query`` says whether the page is another one without its query.
    """
    query = _WISH.sub("", request.query).lstrip("&") if has_query else ""
    address = quote(request.path, safe="/%~") + (f"?{query}" if query else "")
    if len(place.offered) == 1 or len(address) > LONGEST_ADDRESS or not _is_here(place, address):
        return []
    return [
        {
            "tag": tag,
            "name": language.load(tag).name,
            "url": f"{place.base_path}{PATH}?{urlencode({'language': tag, 'to': address})}",
        }
        for tag in place.offered
    ]


def tell(response: Response, tag: str) -> None:
    """Say in a page's headers which language it is in, and what that depends on."""
    response.set("content-language", tag)
    response.vary("accept-language", "cookie")


def handle(server: FlowServer, request: Request) -> Response:
    """Answer the switch of a tenant's page."""
    return choose(place_of(server), request)


def choose(place: Place, request: Request) -> Response:
    """Remember the language that was chosen, and lead back to the page: an address of this place, never another one."""
    given = dict(reversed(request.args))
    tag, address = given.get("language"), given.get("to", "")
    target = address if _is_here(place, address) else f"{place.base_path}/"
    # Another site's link changes nothing.
    is_ours = request.headers.get("sec-fetch-site") in (None, "same-origin", "none")
    if tag not in place.offered or not is_ours:
        return redirect(303, target)
    value = f"{tag}.{now()}"
    return redirect(303, target, [cookies.set_cookie(_cookie(place), value, secure=place.is_secure, max_age=_KEPT)])


def _is_here(place: Place, address: str) -> bool:
    """Say whether an address is a path of this place, with no way out of it (``..``, ``//``)."""
    found = _HERE.fullmatch(address)
    if found is None or not address.startswith("/") or len(address) > LONGEST_ADDRESS or "%2e" in address.lower():
        return False
    return found[1] == place.base_path or found[1].startswith(f"{place.base_path}/")


def _cookie(place: Place) -> str:
    return cookies.cookie_name(cookies.LANGUAGE, place.slug, secure=place.is_secure)
