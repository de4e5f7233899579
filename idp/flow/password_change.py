"""The step in which a person replaces a password: one that somebody else has set (NIST SP 800-63B-4 §3.1.1.2), or one too old.

Owns the form. What a new password must be, and what its change ends, is :mod:`idp.identity`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.clock import now
from idp.errors import Invalid, Unavailable
from idp.flow import pages
from idp.flow.dispatcher import proceed
from idp.flow.preamble import form_token
from idp.identity import accounts, notices
from idp.identity.password_rules import names_of
from idp.identity.password_strength import strength
from idp.identity.passwords import check_new_password, normalised
from idp.language import N_
from idp.store.tenant import users

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.identity.password_strength import Strength
    from idp.web.http import Response

_Errors = list[tuple[str | None, str]]


class PasswordChange:
    """The step; needed as long as the account says so, whatever the request is."""

    name = "password"
    path = "/password"
    refusal = "interaction_required"

    def is_needed(self, context: Context) -> bool:
        """Say whether the signed-in person's password was set by somebody else, or is older than the tenant allows."""
        live = context.session
        return live is not None and (bool(live.must_change_password) or _is_too_old(context))

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
        names = names_of(server.tenant.name, user.username, user.email, user.claims)
        problems = check_new_password(new, server.tenant.settings, names)
        errors: _Errors = [("new_password", sentence) for sentence in problems]
        if not problems and normalised(context.field("confirm_password")) != normalised(new):
            errors.append(("confirm_password", N_("The two passwords are not the same")))
        if errors:
            return self._page(context, errors, 400, strength(new, names))
        by = accounts.By(user.id, request.remote_addr, request.correlation_id)
        origin = notices.Origin(request.remote_addr, request.headers.get("user-agent"))
        try:
            if (
                not server.tenant.settings.password_history
                and server.services.hasher.verify(user.password_hash, new)[0]
            ):
                return self._page(context, [("new_password", N_("The new password is the one you have now"))], 400)
            accounts.set_password(
                server.database,
                server.services.hasher,
                server.tenant,
                user,
                new,
                by=by,
                keep_session=live.id,
                also=lambda conn: notices.tell(
                    conn, server.services.mailer, server.tenant, "password_changed", user.email, origin
                ),
            )
        except Invalid as refused:  # it was one before
            errors = [("new_password", refused.errors.get("password", refused.title))]
            return self._page(context, errors, 400, strength(new, names))
        except Unavailable as busy:
            page = self._page(context, [(None, N_("The service is busy. Please try again in a moment"))], 503)
            page.set("retry-after", str(busy.retry_after))
            return page
        server.services.spool.touch(server.tenant.id)
        context.look_again()
        return proceed(context)

    def _page(self, context: Context, errors: _Errors, status: int = 200, estimate: Strength | None = None) -> Response:
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
            strength=estimate,
            is_too_old=_is_too_old(context),
        )


def _is_too_old(context: Context) -> bool:
    live, longest = context.session, context.server.tenant.settings.password_max_age
    if live is None or live.must_change_password or not longest or live.password_changed_at is None:
        return False
    return bool(now() - live.password_changed_at >= longest)


PASSWORD_CHANGE = PasswordChange()
