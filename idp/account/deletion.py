"""Deleting one's own account, where the tenant lets people do that (``account_self_deletion``)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from idp.account.protocol import ROOT
from idp.errors import NotFound
from idp.flow import browser_state, pages, remembered, session
from idp.identity import accounts, notices
from idp.identity.accounts import fold
from idp.identity.administrators import LastAdministrator
from idp.language import N_, gettext
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.account.visit import Visit
    from idp.feature import Handler
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection, Row
    from idp.web.http import Request, Response

PATH, DONE_PATH = f"{ROOT}/delete", f"{ROOT}/deleted"
_LAST = N_("You are the last administrator here. Let somebody else become one first, then delete your account")
LONGEST = 320  # characters of what was typed that are shown again


def where_allowed(handle: Handler) -> Handler:
    """Return a handler that knows its page only where the tenant allows deletion, before it asks anybody to sign in."""

    def checked(server: TenantServer, request: Request) -> Response:
        if not server.tenant.settings.account_self_deletion:
            raise NotFound
        answer: Response = handle(server, request)
        return answer

    return checked


def show(visit: Visit) -> Response:
    """Answer what deleting means, and the form."""
    return _page(visit, None, [])


def submit(visit: Visit) -> Response:
    """Delete the account when its name was typed; every session and token ends with it."""
    server, user, typed = visit.server, visit.user, visit.field("username")
    if fold(typed) != user.username_key:
        sentence = gettext(N_("Type the name of your account exactly as it is shown"))
        return _page(visit, typed[:LONGEST], [("username", sentence)], 400)

    def tell(conn: Connection, user: Row[Any]) -> None:
        notices.tell(conn, server.services.mailer, server.tenant, "account_deleted", user.email, visit.origin)

    try:
        with suppress(NotFound):  # a second click that came while the first was under way
            accounts.delete_user(server.database, user.id, by=visit.by, tell=tell)
    except LastAdministrator:
        return _page(visit, typed[:LONGEST], [(None, gettext(_LAST))], 409)
    server.services.spool.touch(server.tenant.id)
    answer = redirect(303, f"{server.tenant.base_path}{DONE_PATH}")
    answer.headers += [session.no_session_cookie(server.tenant), browser_state.no_cookie(server.tenant)]
    answer.headers += remembered.renamed(server, visit.request, user.username, None)
    return answer


def done(server: TenantServer, request: Request) -> Response:
    """Answer the last page, which needs no session, for there is none any more; who has one has an account, and is led there."""
    if session.current(server, request) is not None:
        return redirect(303, f"{server.tenant.base_path}{ROOT}")
    return pages.page(server, request, "account_deleted.html")


def _page(visit: Visit, value: str | None, errors: list[tuple[str | None, str]], status: int = 200) -> Response:
    return visit.page("account_delete.html", status=status, username=visit.user.username, value=value, errors=errors)
