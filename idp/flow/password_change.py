"""The step in which a person replaces a password that somebody else has set (NIST SP 800-63B-4 §3.1.1.2).

Owns the form. What a new password must be, and what its change ends, is :mod:`idp.identity`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.errors import Unavailable
from idp.flow import pages
from idp.flow.dispatcher import proceed
from idp.flow.preamble import form_token
from idp.identity import accounts
from idp.identity.passwords import check_new_password, normalised
from idp.store.tenant import users

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.web.http import Response

_Errors = list[tuple[str | None, str]]


class PasswordChange:
    """The step; needed as long as the account says so, whatever the request is."""

    name = "password"
    path = "/password"
    refusal = "interaction_required"

    def is_needed(self, context: Context) -> bool:
        """Say whether the signed-in person's password was set by somebody else."""
        return context.session is not None and bool(context.session.must_change_password)

    def shows(self, context: Context) -> str:
        """Promise that it is the password of the account shown."""
        return context.session.id if context.session is not None else ""

    def show(self, context: Context) -> Response:
        """Answer the form."""
        return self._page(context, [])

    def submit(self, context: Context) -> Response:
        """Judge the new password, change it, and go on."""
        live = context.session
        if live is None or not self.is_needed(context):
            return proceed(context)
        server, request = context.server, context.request
        new = context.field("new_password")
        with server.database.reading() as conn:
            user = users.find(conn, live.user_id)
        if user is None:
            return proceed(context)
        problems = check_new_password(new, server.tenant.settings, (user.username, user.email, server.tenant.name))
        errors: _Errors = [("new_password", sentence) for sentence in problems]
        if not problems and normalised(context.field("confirm_password")) != normalised(new):
            errors.append(("confirm_password", "The two passwords are not the same"))
        if errors:
            return self._page(context, errors, 400)
        by = accounts.By(user.id, request.remote_addr, request.correlation_id)
        try:
            if server.services.hasher.verify(user.password_hash, new)[0]:
                return self._page(context, [("new_password", "The new password is the one you have now")], 400)
            accounts.set_password(
                server.database, server.services.hasher, server.tenant, user, new, by=by, keep_session=live.id
            )
        except Unavailable as busy:
            page = self._page(context, [(None, "The service is busy. Please try again in a moment")], 503)
            page.set("retry-after", str(busy.retry_after))
            return page
        server.services.spool.touch(server.tenant.id)
        context.look_again()
        return proceed(context)

    def _page(self, context: Context, errors: _Errors, status: int = 200) -> Response:
        return pages.interaction_page(
            context.server,
            context.request,
            context.interaction,
            "password.html",
            status=status,
            action=context.url_of(self.path),
            csrf=form_token(context, self),
            username=context.session.username if context.session is not None else "",
            min_length=context.server.tenant.settings.password_min_length,
            errors=errors,
        )


PASSWORD_CHANGE = PasswordChange()
