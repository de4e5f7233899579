"""Forms are only accepted from our own pages, in the browser they were shown to.

Owns the form token, an HMAC over the browser cookie, the form's purpose and its context, and the check of Origin and
Sec-Fetch-Site (OWASP ASVS 3.5, RFC 9700 §4.7, Fetch Metadata §2). Nothing rests on SameSite. Must not know a form.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from idp.errors import IdpError, refused
from idp.language import N_

if TYPE_CHECKING:
    from idp.web.http import Request

FIELD = "csrf"


class ForeignForm(IdpError):
    """A form that did not come from our own page in this browser."""

    code, status = "form_not_accepted", 403
    title = N_("This form could not be accepted. Please go back, reload the page and try again.")


def token(key: bytes, browser: str, purpose: str, context: str = "") -> str:
    """Return the token of one form: bound to the browser cookie's value, a purpose and a context (an interaction's id)."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (browser, purpose, context)]
    # Lengths before the parts: no two different triples give the same message.
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).rstrip(b"=").decode()


def is_valid(given: str | None, key: bytes, browser: str | None, purpose: str, context: str = "") -> bool:
    """Say in constant time whether `given` is the token of that form; without a browser cookie none is."""
    if not given or not browser:
        return False
    expected = token(key, browser, purpose, context)
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def check_origin(request: Request, own_origin: str) -> None:
    """Refuse a request that another site's page sent; raises ForeignForm.

    Programs that send neither Origin nor Sec-Fetch-Site are left to the token: every browser sends Origin on a POST.
    """
    site = request.headers.get("sec-fetch-site")
    # `same-site` is refused as well: a sibling host may belong to another tenant. `none` is the person's own reload.
    if site is not None and site not in ("same-origin", "none"):
        raise _foreign("Sec-Fetch-Site is not same-origin.", site, "same-origin")
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() != own_origin:
        raise _foreign("The Origin header is not this address.", origin, own_origin)


def require(request: Request, key: bytes, browser: str | None, purpose: str, context: str = "") -> None:
    """Refuse the POST of a form that is not ours: origin first, then the token in its field; raises ForeignForm."""
    check_origin(request, request.origin)
    given = [value for name, value in request.form if name == FIELD]
    if len(given) != 1 or not is_valid(given[0], key, browser, purpose, context):
        reason = (
            "The browser cookie is missing." if not browser else "The form token is missing or belongs to another form."
        )
        raise _foreign(reason, None, None)


def _foreign(reason: str, received: str | None, registered: str | None) -> ForeignForm:
    return refused(
        ForeignForm(),
        check="csrf",
        spec="RFC 9700 §4.7",
        reason=reason,
        fix="Send the form from the page that showed it, in the same browser, with cookies allowed.",
        received=received[:200] if received else None,
        registered=(registered,) if registered else (),
    )
