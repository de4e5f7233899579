"""The browser's login state as relying parties may watch it (OpenID Connect Session Management 1.0 §2, §3).

The state is a value in a cookie that a script of ours reads in the relying party's frame: one for each set of sessions, the same as
long as these last and the current one is the same, none where nobody is signed in. It is made from the sessions' public ids under a key
of the installation, so that it is worth nothing as a session and tells nothing about one. Must not know the page that reads it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.web import cookies
from idp.web.cors import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from idp.flow.browser_accounts import Held
    from idp.flow.dispatcher import Context
    from idp.flow.services import FlowServer
    from idp.store.rows import Row
    from idp.tenancy.tenant import Tenant

_OPAQUE_ORIGIN = "null"  # of who is no web page: HTML calls an origin that nobody else shares by this name


def cookie_name(tenant: Tenant) -> str:
    """Return the name of the cookie, which the page's script is told."""
    return cookies.cookie_name(cookies.STATE, tenant.slug, secure=tenant.is_secure)


def show(context: Context) -> None:
    """See to it that the browser's cookie says what the session is; it ends when the session would, were it not used again."""
    name = cookie_name(context.server.tenant)
    field = cookie(context.server, context.current, context.others)
    if context.current is None and name not in context.request.cookies:
        return
    context.set_cookies[:] = [each for each in context.set_cookies if not each[1].startswith(f"{name}=")]
    context.set_cookies.append(field)


def cookie(server: FlowServer, current: Row[Any] | None, others: Iterable[Held]) -> tuple[str, str]:
    """Return the Set-Cookie field that says what the browser's sessions are."""
    tenant = server.tenant
    if current is None:
        # It ended elsewhere: left as it is, the cookie would report a change for ever.
        return no_cookie(tenant)
    ends = min(current.expires_at, now() + tenant.settings.session_idle_lifetime)
    value = _value(server, current, others)
    return cookies.session_state_cookie(tenant.slug, value, secure=tenant.is_secure, max_age=max(1, ends - now()))


def no_cookie(tenant: Tenant) -> tuple[str, str]:
    """Return the Set-Cookie field that says that nobody is signed in."""
    return cookies.expire_cookie(cookie_name(tenant), secure=tenant.is_secure)


def session_state(context: Context, client_id: str, redirect_uri: str) -> str:
    """Return the ``session_state`` of an authentication response (§3.2), and see to it that the browser's cookie agrees with it.

    It is the hash of client, origin, state and salt, a dot, and the salt.
    """
    show(context)
    state = _value(context.server, context.current, context.others) if context.current is not None else ""
    salt = _text(os.urandom(15))
    hashed = f"{client_id} {origin_of(redirect_uri) or _OPAQUE_ORIGIN} {state} {salt}"
    return f"{_text(hashlib.sha256(hashed.encode()).digest())}.{salt}"


def _value(server: FlowServer, current: Row[Any], others: Iterable[Held]) -> str:
    ids = [current.id, *sorted(each.session.id for each in others)]
    message = f"browser state {server.tenant.id} {' '.join(ids)}".encode()
    return _text(hmac.digest(server.services.csrf_key, message, hashlib.sha256)[:24])


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
