"""Browser sessions: server-side, found by the digest of a random cookie, with an idle and an absolute end (ASVS 7.2, 7.3).

Every sign-in puts a new secret into the cookie and kills the old one (session fixation, ASVS 7.2.4). Who signs in again as the
same person keeps the session's public id (``sid``), because relying parties and grants know it. Another person's sign-in keeps the
old session as another account of the browser (:mod:`idp.flow.browser_accounts`), up to the tenant's ``accounts_in_browser``;
the one used longest ago ends with its grants. Must not know steps or protocols.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.errors import StorageUnavailable
from idp.flow import browser_accounts
from idp.identity import session_end
from idp.identity.accounts import fold
from idp.identity.authentication import METHODS
from idp.jobs.outbox import announced
from idp.store.tenant import session_clients, sessions
from idp.web import cookies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from idp.flow.browser_accounts import Held
    from idp.flow.services import FlowServer
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant
    from idp.web.http import Request

TOUCH_INTERVAL = 60  # seconds between two notes that a session is in use
ACR_PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"  # what a password alone is worth
_LONGEST_AGENT = 256


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that a sign-in made or renewed: its public id, the secret for the cookie, and the browser's other accounts."""

    id: str
    secret: str
    others: tuple[Held, ...] = ()


def secret_of(tenant: Tenant, request: Request) -> str | None:
    """Return the session cookie of the request, or None; any text, never trusted before it is looked up."""
    return request.cookies.get(_name(cookies.SESSION, tenant)) or None


def browser_of(tenant: Tenant, request: Request) -> str | None:
    """Return the cookie that binds forms and interactions to one browser, or None when it has none that we made."""
    value = request.cookies.get(_name(cookies.BROWSER, tenant))
    return value if value and value.startswith("b_") and len(value) == 45 else None


def session_cookie(tenant: Tenant, secret: str) -> tuple[str, str]:
    """Return the Set-Cookie field of a session; it ends with the browser, at the latest with the row."""
    return cookies.set_cookie(_name(cookies.SESSION, tenant), secret, secure=tenant.is_secure)


def browser_cookie(tenant: Tenant, secret: str) -> tuple[str, str]:
    """Return the Set-Cookie field that marks a browser."""
    return cookies.set_cookie(_name(cookies.BROWSER, tenant), secret, secure=tenant.is_secure)


def no_session_cookie(tenant: Tenant) -> tuple[str, str]:
    """Return the Set-Cookie field that takes the session away from the browser."""
    return cookies.expire_cookie(_name(cookies.SESSION, tenant), secure=tenant.is_secure)


def current(server: FlowServer, request: Request) -> Row[Any] | None:
    """Return the live session of the request's cookie with its user (columns of ``sessions.find_live``), or None.

    Notes at most once a minute that it is in use; failing that note fails no request.
    """
    secret = secret_of(server.tenant, request)
    if secret is None:
        return None
    found = find(server, secret)
    if found is not None:
        note_use(server, found)
    return found


def note_use(server: FlowServer, live: Row[Any]) -> None:
    """Note that a session is in use, at most once a minute; failing that fails no request."""
    if now() - live.last_seen_at >= TOUCH_INTERVAL:
        ends = now() + server.tenant.settings.session_idle_lifetime
        with contextlib.suppress(StorageUnavailable):
            server.database.writing(lambda conn: sessions.touch(conn, live.id, ends))


def find(server: FlowServer, secret: str) -> Row[Any] | None:
    """Return the live session of a cookie's value, or None."""
    with server.database.reading() as conn:
        return sessions.find_live(conn, opaque.digest(secret))


def begin(conn: Connection, server: FlowServer, request: Request, user_id: str, *, by_program: bool = False) -> Begun:
    """Give the browser, or the program, a session for a user who has just signed in, in the sign-in's transaction."""
    settings, at = server.tenant.settings, now()
    secret = opaque.new_secret("s")
    values: dict[str, Any] = {
        "cookie_hash": opaque.digest(secret),
        "auth_time": at,
        "amr": list(METHODS),
        "acr": ACR_PASSWORD,
        "last_seen_at": at,
        "idle_expires_at": at + settings.session_idle_lifetime,
        "expires_at": at + settings.session_lifetime,
        "source": audit.clean(request.remote_addr),
        "user_agent": audit.clean(request.headers.get("user-agent"), _LONGEST_AGENT),
        "by_program": by_program,
    }
    old_secret = secret_of(server.tenant, request)
    old = sessions.find_live(conn, opaque.digest(old_secret)) if old_secret else None
    here = browser_accounts.held_in(conn, server.tenant, request)
    if old is not None and old_secret:
        here.insert(0, browser_accounts.Held(old_secret, old))
    kept, displaced = _beside(server, here, lambda each: bool(each.user_id == user_id))
    for each in displaced:
        end(conn, request, each.session, reason="another_user_signed_in")
    for mine in (each for each in here if each.session.user_id == user_id):
        if sessions.renew(conn, mine.session.id, opaque.digest(mine.secret), **values):
            return Begun(mine.session.id, secret, kept)
    session_id = opaque.new_id()
    sessions.create(conn, id=session_id, user_id=user_id, created_at=at, ended_at=None, **values)
    return Begun(session_id, secret, kept)


def _beside(
    server: FlowServer, here: list[Held], is_theirs: Callable[[Row[Any]], bool]
) -> tuple[tuple[Held, ...], tuple[Held, ...]]:
    """Return which sessions a sign-in keeps in the browser beside its own, and which it has to end; the last used first."""
    others = [each for each in here if not is_theirs(each.session)]
    room = server.tenant.settings.accounts_in_browser - 1
    return tuple(others[:room]), tuple(others[room:])


@contextlib.contextmanager
def ending(server: FlowServer, *ended: Row[Any]) -> Iterator[None]:
    """Wrap the transaction that ends sessions, so that the applications are told at once."""
    if _are_told(server, ended):
        with announced(server.database):
            yield
        return
    yield
    # Another tab may have signed in at the first of them between that look and the transaction.
    if _are_told(server, ended):
        with announced(server.database):
            pass


def _are_told(server: FlowServer, ended: Sequence[Row[Any]]) -> bool:
    member = f"{session_end.BACKCHANNEL_LOGOUT}_uri"
    with server.database.reading() as conn:
        return any(session_clients.addresses(conn, each.id, member) for each in ended)


def replacing(server: FlowServer, here: list[Held], username: str) -> AbstractContextManager[None]:
    """Return what a sign-in is wrapped in: of the browser's sessions (the current one first) it may end other people's."""
    displaced = _beside(server, here, lambda each: fold(each.username) == fold(username))[1]
    return ending(server, *(each.session for each in displaced)) if displaced else contextlib.nullcontext()


def end(conn: Connection, request: Request, session: Row[Any], *, reason: str) -> bool:
    """End a session and record it, inside :func:`ending`; False when it had ended already."""
    if not session_end.end(conn, session.id, session.user_id, reason):
        return False
    audit.record(
        conn,
        "session.ended",
        outcome="success",
        actor=session.user_id,
        subject=session.user_id,
        session_id=session.id,
        source=request.remote_addr,
        correlation_id=request.correlation_id,
        details={"reason": reason},
    )
    return True


def _name(kind: str, tenant: Tenant) -> str:
    return cookies.cookie_name(kind, tenant.slug, secure=tenant.is_secure)
