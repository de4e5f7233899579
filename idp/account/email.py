"""The e-mail address: asking for another one, and the page behind the link that its mail carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.account.visit import Visit, form_token, require_form
from idp.errors import IdpError, Invalid, NotFound, TooManyRequests
from idp.flow import pages, remembered, session
from idp.identity import email_change
from idp.identity.accounts import By
from idp.identity.email_change import AddressTaken
from idp.identity.notices import Origin
from idp.language import N_, gettext
from idp.store.tenant import users
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.store.rows import Row
    from idp.web.http import Request, Response

PATH = "/account/email"
SENT_PATH = f"{PATH}/sent"
CONFIRM_PATH = email_change.PATH
LONGEST = 320  # characters of what was typed that are shown again


def show(visit: Visit) -> Response:
    """Answer the form."""
    return _page(visit, visit.typed.get("email"), [])


def submit(visit: Visit) -> Response:
    """Send a link to the address; whether it belongs to somebody is not said, and nothing is sent again by a reload."""
    typed = visit.field("email").strip()
    server = visit.server
    if not typed or len(typed) > LONGEST:
        return _page(visit, typed[:LONGEST], [("email", gettext(N_("Enter the new email address")))], 400)
    try:
        wanted = email_change.ask(
            server.database,
            server.services.mailer,
            server.tenant,
            visit.user,
            typed,
            session_id=visit.session.id,
            origin=visit.origin,
            by=visit.by,
        )
    except TooManyRequests as error:
        sentence = gettext(N_("You have asked for this several times. Please wait an hour and try again"))
        answer = _page(visit, typed, [(None, sentence)], error.status)
        answer.set("retry-after", str(error.retry_after))
        return answer
    except Invalid as error:
        return _page(visit, typed, [("email", gettext(error.title).rstrip("."))], 400)
    return visit.leading_to(SENT_PATH, email=wanted)


def show_sent(visit: Visit) -> Response:
    """Answer the page that follows every request, as often as it is loaded; opened by itself it leads to the form."""
    form, address = f"{visit.server.tenant.base_path}{PATH}", visit.typed.get("email")
    if address is None:
        return redirect(303, form, visit.set_cookies)
    return visit.page("account_email_sent.html", address=address, minutes=email_change.LIFETIME // 60, another_url=form)


def show_link(server: TenantServer, request: Request) -> Response:
    """Answer the page behind a link: what would change, and the button that does it. Opening it uses nothing up."""
    token = _token(request.args)
    live = session.current(server, request)
    found = _find(server, request, token, live)
    if not isinstance(found, tuple):
        return found
    link, user = found
    browser = session.browser_of(server.tenant, request)
    if live is None or browser is None:
        return _elsewhere(server, request)
    return pages.page(
        server,
        request,
        "account_email_confirm.html",
        action=f"{server.tenant.base_path}{CONFIRM_PATH}",
        csrf=form_token(server, browser, live, CONFIRM_PATH),
        token=token,
        old=user.email,
        new=link.payload["address"],
        is_username=user.email is not None and user.username == user.email,
        errors=[],
    )


def submit_link(server: TenantServer, request: Request) -> Response:
    """Change the address."""
    live = session.current(server, request)
    if live is None:
        return _elsewhere(server, request)
    require_form(server, request, live, CONFIRM_PATH)
    found = _find(server, request, _token(request.form), live)
    if not isinstance(found, tuple):
        return found
    link, user = found
    try:
        is_done = email_change.apply(
            server.database,
            server.services.mailer,
            server.tenant,
            link,
            ends_others=any(pair == ("others", "yes") for pair in request.form),
            origin=Origin(request.remote_addr, request.headers.get("user-agent")),
            by=By(user.id, request.remote_addr, request.correlation_id),
        )
    except AddressTaken as error:
        return pages.failed(server, request, error, f"{server.tenant.base_path}{PATH}")
    if not is_done:
        return _used_up(server, request)
    server.services.spool.touch(server.tenant.id)
    with server.database.reading() as conn:
        changed = users.find(conn, user.id)
    cookies = remembered.renamed(server, request, user.username, changed.username if changed is not None else None)
    return redirect(303, f"{server.tenant.base_path}{PATH}?done=email", cookies)


def _find(
    server: TenantServer, request: Request, token: str, live: Row[Any] | None
) -> tuple[Row[Any], Row[Any]] | Response:
    """Return the link and its user, or the page for whoever cannot use it."""
    try:
        link = email_change.find(server.database, token, live)
    except NotFound:
        return _elsewhere(server, request)
    if link is None:
        return _used_up(server, request)
    with server.database.reading() as conn:
        user = users.find(conn, link.user_id)
    return (link, user) if user is not None else _used_up(server, request)


def _token(pairs: list[tuple[str, str]]) -> str:
    given = [value for name, value in pairs if name == "token"]
    return given[0] if len(given) == 1 else ""


def _elsewhere(server: TenantServer, request: Request) -> Response:
    """Answer that the link works only where the change was asked for (security case S092)."""
    title = N_("Open this link in the browser in which you asked for the change")
    return pages.failed(
        server,
        request,
        IdpError(gettext(title), code="other_session", status=403),
        f"{server.tenant.base_path}{PATH}",
    )


def _used_up(server: TenantServer, request: Request) -> Response:
    title = N_("This link cannot be used any more. Ask for the change once more to get a new one")
    return pages.failed(
        server, request, IdpError(gettext(title), code="link_ended", status=410), f"{server.tenant.base_path}{PATH}"
    )


def _page(visit: Visit, value: str | None, errors: list[tuple[str | None, str]], status: int = 200) -> Response:
    return visit.page(
        "account_email.html",
        status=status,
        email=visit.user.email,
        is_verified=bool(visit.user.email_verified),
        value=value,
        errors=errors,
    )
