"""Standard claims as they are given: their types and forms (OpenID Connect Core §5.1, §5.1.1).

Owns which claims may be stored with a user. What is a column of its own (the e-mail address) or the protocol's (``sub``,
``iss``, …) is refused, and so is a name that no release of claims would ever read: a typing mistake should not be silent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST = 1000  # characters of one value
_TEXTS = ("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "gender")
_ADDRESS = ("formatted", "street_address", "locality", "region", "postal_code", "country")
# Names that are the token's, not the person's (RFC 7519 §4.1, OIDC Core §2), or columns of their own.
RESERVED = frozenset(
    [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "at_hash",
        "c_hash",
        "s_hash",
        "sid",
        "cnf",
        "client_id",
        "scope",
        "act",
        "may_act",
        "events",
        "sub_id",
        "token_type",
        "email",
        "updated_at",
    ]
)
_BIRTHDATE = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", re.ASCII)
_LOCALE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*", re.ASCII)
# BCP 47, as far as the form goes.
_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,5}", re.ASCII)
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{2,30}(;ext=[0-9]{1,10})?", re.ASCII)


# Texts and addresses of pages: what a person may have in several languages (§5.2).
_IN_LANGUAGES = frozenset({*_TEXTS, "profile", "picture", "website"} - {"preferred_username", "gender"})


def check(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims to store; raises :class:`Invalid` naming the first that is wrong. A null value is left out (§5.3.2)."""
    if not isinstance(claims, dict):
        raise Invalid('Claims are a JSON object such as {"given_name": "Ada"}.')
    found = {}
    for name, value in claims.items():
        if name in RESERVED:
            raise wrong(name, "cannot be set: it is computed or has a place of its own.")
        base, _, tag = name.partition("#") if isinstance(name, str) else (name, "", "")
        form = _FORMS.get(base)
        if form is None:
            raise wrong(name, "is not a standard claim (OpenID Connect Core §5.1).")
        if "#" in str(name) and not (base in _IN_LANGUAGES and _TAG.fullmatch(tag)):
            raise wrong(name, "cannot have this language tag (OpenID Connect Core §5.2).")
        if value is None:
            continue
        test, must = form
        if not test(value):
            raise wrong(name, f"must be {must}.")
        found[name] = value
    return found


def is_known(name: str) -> bool:
    """Say whether a name is a standard claim's that may be set."""
    return name in _FORMS


def fits(name: str, value: Any) -> bool:
    """Say whether a value has the form of a standard claim."""
    return _FORMS[name][0](value)


def is_language_tag(value: str) -> bool:
    """Say whether a text has the form of a language tag (BCP 47)."""
    return _TAG.fullmatch(value) is not None


def is_text(value: Any, *, lines: bool = False) -> bool:
    """Say whether a value is a text that may be stored and shown: printable, not blank, not endless."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST:
        return False
    return (value.replace("\r\n", "\n").replace("\n", "") if lines else value).isprintable()


def wrong(name: object, what: str) -> Invalid:
    """Return the error that names a claim and says what is wrong with it."""
    shown = str(name)[:50] if str(name).isprintable() else "?"
    return Invalid(f"The claim {shown} {what}", errors={f"claims.{shown}": what})


def _is_url(value: Any) -> bool:
    if not is_text(value) or any(character in value for character in ' <>"\\'):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _is_address(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and set(value) <= set(_ADDRESS)
        and all(is_text(part, lines=True) for part in value.values())
    )


def _matches(form: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


_BOOLEAN = (lambda value: isinstance(value, bool), "true or false")
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_TEXTS, (is_text, f"a text of 1 to {LONGEST} printable characters")),
    **dict.fromkeys(("profile", "picture", "website"), (_is_url, "an http(s) address")),
    "email_verified": _BOOLEAN,
    "phone_number_verified": _BOOLEAN,
    "phone_number": (_matches(_PHONE), "a telephone number such as +49 30 1234567"),
    "birthdate": (_matches(_BIRTHDATE), "a date such as 1815-12-10, or a year"),
    "zoneinfo": (_matches(_ZONE), "a time zone such as Europe/Berlin"),
    "locale": (_matches(_LOCALE), "a language such as en-GB"),
    "address": (_is_address, f"an object of texts with members among {', '.join(_ADDRESS)}"),
}
