"""The browser's login state as relying parties may watch it (OpenID Connect Session Management 1.0 §2, §3).

The state is a value in a cookie that a script of ours reads in the relying party's frame: one for each session, the same as long
as that session lasts, none where nobody is signed in. It is made from the session's public id under a key of the installation,
so that it is worth nothing as a session and tells nothing about one. Must not know the page that reads it.
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
    tenant, session = context.server.tenant, context.session
    name = cookie_name(tenant)
    if session is not None:
        ends = min(session.expires_at, now() + tenant.settings.session_idle_lifetime)
        field = cookies.session_state_cookie(
            tenant.slug, _value(context.server, session), secure=tenant.is_secure, max_age=max(1, ends - now())
        )
    elif name in context.request.cookies:
        # The session ended elsewhere: left as it is, the cookie would report a change for ever.
        field = no_cookie(tenant)
    else:
        return
    context.set_cookies[:] = [each for each in context.set_cookies if not each[1].startswith(f"{name}=")]
    context.set_cookies.append(field)


def no_cookie(tenant: Tenant) -> tuple[str, str]:
    """Return the Set-Cookie field that says that nobody is signed in."""
    return cookies.expire_cookie(cookie_name(tenant), secure=tenant.is_secure)


def session_state(context: Context, client_id: str, redirect_uri: str) -> str:
    """Return the ``session_state`` of an authentication response (§3.2), and see to it that the browser's cookie agrees with it.

    It is the hash of client, origin, state and salt, a dot, and the salt.
    """
    show(context)
    state = _value(context.server, context.session) if context.session is not None else ""
    salt = _text(os.urandom(15))
    hashed = f"{client_id} {origin_of(redirect_uri) or _OPAQUE_ORIGIN} {state} {salt}"
    return f"{_text(hashlib.sha256(hashed.encode()).digest())}.{salt}"


def _value(server: FlowServer, session: Row[Any]) -> str:
    message = f"browser state {server.tenant.id} {session.id}".encode()
    return _text(hmac.digest(server.services.csrf_key, message, hashlib.sha256)[:24])


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
