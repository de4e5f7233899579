"""Names and attributes of the cookies (RFC 6265bis §4.1.3; security.md "Browser rules").

Over HTTPS every cookie is `__Host-…; Secure; HttpOnly; SameSite=None`, because a relying party on another site sends the
browser here by POST too; on loopback HTTP it has no prefix and is `SameSite=Lax`. CSRF never rests on SameSite. Values
are random references; what they mean is not known here.
"""

from __future__ import annotations

import re

SESSION = "s"
BROWSER = "b"
STATE = "o"
LANGUAGE = "l"
ACCOUNTS = "a"
REMEMBERED = "r"
_name_form = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_value_form = re.compile(r"[A-Za-z0-9!#$%&'*+./:<=>?@^_`{|}~()\[\]-]{0,4000}").fullmatch


def cookie_name(kind: str, tenant: str, *, secure: bool) -> str:
    """Return the cookie's name for a tenant's slug: `__Host-s-acme` on HTTPS, `s-acme` on loopback HTTP.

    `kind` is SESSION, BROWSER (which binds forms and interactions to one browser before anybody signed in), STATE, LANGUAGE, ACCOUNTS (the
    browser's other sessions) or REMEMBERED (whose sign-in is expected).
    """
    name = f"{kind}-{tenant}"
    if not _name_form(name):
        raise ValueError(f"not a cookie name: {name!r}")
    return f"__Host-{name}" if secure else name


def set_cookie(name: str, value: str, *, secure: bool, max_age: int | None = None) -> tuple[str, str]:
    """Return the Set-Cookie field; without `max_age` (seconds) the cookie ends with the browser."""
    if not _value_form(value):
        raise ValueError("not a cookie value")
    # RFC 6265bis §4.1.3.2: __Host- needs Secure, Path=/ and no Domain.
    text = f"{name}={value}; Path=/; HttpOnly"
    if max_age is not None:
        text += f"; Max-Age={max_age}"
    return "set-cookie", text + ("; Secure; SameSite=None" if secure else "; SameSite=Lax")


def expire_cookie(name: str, *, secure: bool) -> tuple[str, str]:
    """Return the Set-Cookie field that removes the cookie."""
    return set_cookie(name, "", secure=secure, max_age=0)


def session_state_cookie(tenant: str, value: str, *, secure: bool, max_age: int | None = None) -> tuple[str, str]:
    """Return the one script-readable cookie, for OIDC Session Management §3.2; it is useless as a session."""
    name, text = set_cookie(cookie_name(STATE, tenant, secure=secure), value, secure=secure, max_age=max_age)
    return name, text.replace("; HttpOnly", "")
