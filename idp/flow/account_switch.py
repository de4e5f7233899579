"""What a person does with the accounts of one browser: make another one the current, or take one out of it.

Owns the two transactions and the cookies after them; the secret of the account that becomes current is replaced (session fixation,
ASVS 7.2.4). Must not know the pages that offer it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.flow import browser_accounts, browser_state, session
from idp.flow.browser_accounts import Held
from idp.store.tenant import sessions, users

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.flow.services import FlowServer
    from idp.store.rows import Connection
    from idp.web.http import Request


def here(server: FlowServer, request: Request) -> list[Held]:
    """Return every session of the browser, the current one first if there is one."""
    current, secret = session.current(server, request), session.secret_of(server.tenant, request)
    mine = [Held(secret, current)] if current is not None and secret else []
    return [*mine, *browser_accounts.held(server, request)]


def shown(server: FlowServer, accounts: list[Held], current: Any) -> list[dict[str, Any]]:
    """Return accounts as the pages show them: ``id`` of the session, ``name`` or None, ``username``, ``is_current``."""
    with server.database.reading() as conn:
        people = {each.session.user_id: users.find(conn, each.session.user_id) for each in accounts}
    found = []
    for each in accounts:
        person = people[each.session.user_id]
        name = (person.claims or {}).get("name") if person is not None else None
        is_current = current is not None and each.session.id == current.id
        found.append({"id": each.session.id, "name": name, "username": each.session.username, "is_current": is_current})
    return found


def choose(
    server: FlowServer,
    request: Request,
    accounts: list[Held],
    chosen: Held,
    and_then: Callable[[Connection], None] = lambda _: None,
) -> tuple[list[Held], list[tuple[str, str]]] | None:
    """Make one of the browser's accounts the current one, under a new secret; ``and_then`` joins the transaction.

    Returns the accounts, the current one first, and the cookies to set; None when its session has ended this moment.
    """
    tenant, at = server.tenant, now()
    secret = opaque.new_secret("s")

    def work(conn: Connection) -> bool:
        values = {"cookie_hash": opaque.digest(secret), "last_seen_at": at}
        ends = at + tenant.settings.session_idle_lifetime
        if not sessions.renew(conn, chosen.session.id, opaque.digest(chosen.secret), idle_expires_at=ends, **values):
            return False
        audit.record(
            conn,
            "session.chosen",
            outcome="success",
            actor=chosen.session.user_id,
            subject=chosen.session.user_id,
            session_id=chosen.session.id,
            source=request.remote_addr,
            correlation_id=request.correlation_id,
        )
        and_then(conn)
        return True

    if not server.database.writing(work):
        return None
    server.services.spool.touch(tenant.id)
    live = session.find(server, secret)
    if live is None:
        return None
    others = [each for each in accounts if each.session.id != chosen.session.id]
    fields = [session.session_cookie(tenant, secret), *browser_accounts.cookie(tenant, request, others)]
    return [Held(secret, live), *others], fields


def remove(server: FlowServer, request: Request, accounts: list[Held], leaving: list[Held]) -> list[tuple[str, str]]:
    """End sessions of the browser and return the cookies to set; those that ended already are only forgotten."""
    with session.ending(server, *(each.session for each in leaving)):
        server.database.writing(
            lambda conn: [session.end(conn, request, each.session, reason="logout") for each in leaving]
        )
    server.services.spool.touch(server.tenant.id)
    return after(server, request, accounts, leaving)


def after(server: FlowServer, request: Request, accounts: list[Held], leaving: list[Held]) -> list[tuple[str, str]]:
    """Return the cookies to set in a browser where some of its accounts have ended."""
    gone, secret = {each.session.id for each in leaving}, session.secret_of(server.tenant, request)
    current = next((each.session for each in accounts if each.secret == secret), None)
    kept = [each for each in accounts if each.session.id not in gone and each.secret != secret]
    fields = browser_accounts.cookie(server.tenant, request, kept)
    if current is None or current.id in gone:
        return [session.no_session_cookie(server.tenant), browser_state.no_cookie(server.tenant), *fields]
    return [browser_state.cookie(server, current, kept), *fields]
