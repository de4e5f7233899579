"""The password: the current one, a new one twice. What a new password must be and what its change ends is :mod:`idp.identity`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.errors import Invalid, Unavailable
from idp.identity import accounts, notices, password_confirmation
from idp.identity.passwords import normalised
from idp.language import N_, gettext

if TYPE_CHECKING:
    from idp.account.visit import Visit
    from idp.store.rows import Connection
    from idp.web.http import Response

_Errors = list[tuple[str | None, str]]
REFUSED = N_(
    "The password is not right, or there were too many attempts. Check it, or wait a few minutes and try again"
)


def show(visit: Visit) -> Response:
    """Answer the form."""
    return _page(visit, [])


def submit(visit: Visit) -> Response:
    """Judge both passwords, the cheap rules first, and change it."""
    current, new, again = (visit.field(name) for name in ("current_password", "new_password", "confirm_password"))
    errors: _Errors = []
    if not current:
        errors.append(("current_password", gettext(N_("Enter your current password"))))
    if not new:
        errors.append(("new_password", gettext(N_("Enter a new password"))))
    elif normalised(again) != normalised(new):
        errors.append(("confirm_password", gettext(N_("The two passwords are not the same"))))
    elif current and normalised(new) == normalised(current):
        errors.append(("new_password", gettext(N_("The new password is the one you have now"))))
    if errors:
        return _page(visit, errors, 400)
    try:
        return _change(visit, current, new)
    except Unavailable as busy:
        page = _page(visit, [(None, gettext(N_("The service is busy. Please try again in a moment")))], busy.status)
        page.set("retry-after", str(busy.retry_after))
        return page


def _change(visit: Visit, current: str, new: str) -> Response:
    server, user, request = visit.server, visit.user, visit.request
    is_right = password_confirmation.confirm(
        server,
        user,
        current,
        source=request.remote_addr,
        correlation_id=request.correlation_id,
        session_id=visit.session.id,
    )
    if not is_right:
        return _page(visit, [("current_password", gettext(REFUSED))], 400)

    def tell(conn: Connection) -> None:
        notices.tell(conn, server.services.mailer, server.tenant, "password_changed", user.email, visit.origin)

    try:
        accounts.set_password(
            server.database,
            server.services.hasher,
            server.tenant,
            user,
            new,
            by=visit.by,
            keep_session=visit.session.id,
            also=tell,
        )
    except Invalid as error:
        return _page(visit, [("new_password", error.errors.get("password", error.title))], 400)
    return visit.done("password")


def _page(visit: Visit, errors: _Errors, status: int = 200) -> Response:
    settings = visit.server.tenant.settings
    return visit.page(
        "account_password.html",
        status=status,
        username=visit.user.username,
        min_length=settings.password_min_length,
        ends_others=settings.password_change_ends_sessions,
        errors=errors,
    )
