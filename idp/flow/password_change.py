"""The step in which a person replaces a password: one that somebody else has set (NIST SP 800-63B-4 §3.1.1.2), or one too old.

Owns the form. What a new password must be, and what its change ends, is :mod:`idp.identity`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.errors import Invalid, Unavailable
from idp.flow import pages
from idp.flow.by_program import Judged
from idp.flow.dispatcher import proceed
from idp.flow.preamble import form_token
from idp.identity import accounts, notices
from idp.identity.password_rules import names_of
from idp.identity.password_strength import strength
from idp.identity.passwords import check_new_password, normalised
from idp.language import N_
from idp.store.tenant import users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.flow.dispatcher import Context
    from idp.identity.password_strength import Strength
    from idp.store.rows import Row
    from idp.web.http import Response

_Errors = list[tuple[str | None, str]]


class PasswordChange:
    """The step; needed as long as the account says so, whatever the request is."""

    name = "password"
    path = "/password"
    refusal = "interaction_required"
    fields = ("new_password",)

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
        if context.session is None or not self.is_needed(context):
            return proceed(context)
        user = self._user(context)
        if user is None:
            return proceed(context)
        wrong = self._judge(context, user, context.field("confirm_password"))
        if wrong is None:
            return proceed(context)
        estimate = strength(context.field("new_password"), _names(context, user)) if wrong.status == 400 else None
        page = self._page(context, list(wrong.errors), wrong.status, estimate)
        if wrong.retry_after is not None:
            page.set("retry-after", str(wrong.retry_after))
        return page

    def told(self, context: Context) -> Mapping[str, Any]:
        """Say how long the new password has to be."""
        return {"password_min_length": context.server.tenant.settings.password_min_length}

    def judge(self, context: Context) -> Judged | None:
        """Judge the new password and change it; who typed it twice is the program's to ask."""
        user = self._user(context)
        return self._judge(context, user, context.field("new_password")) if user is not None else None

    def _user(self, context: Context) -> Row[Any] | None:
        with context.server.database.reading() as conn:
            return users.find(conn, context.session.user_id) if context.session is not None else None

    def _judge(self, context: Context, user: Row[Any], confirmation: str) -> Judged | None:
        server, request, live = context.server, context.request, context.session
        new = context.field("new_password")
        problems = check_new_password(new, server.tenant.settings, _names(context, user))
        errors: _Errors = [("new_password", sentence) for sentence in problems]
        if not problems and normalised(confirmation) != normalised(new):
            errors.append(("confirm_password", N_("The two passwords are not the same")))
        if errors:
            return Judged(errors)
        by = accounts.By(user.id, request.remote_addr, request.correlation_id)
        origin = notices.Origin(request.remote_addr, request.headers.get("user-agent"))
        try:
            if (
                not server.tenant.settings.password_history
                and server.services.hasher.verify(user.password_hash, new)[0]
            ):
                return Judged([("new_password", N_("The new password is the one you have now"))])
            accounts.set_password(
                server.database,
                server.services.hasher,
                server.tenant,
                user,
                new,
                by=by,
                keep_session=live.id if live is not None else None,
                also=lambda conn: notices.tell(
                    conn, server.services.mailer, server.tenant, "password_changed", user.email, origin
                ),
            )
        except Invalid as refused:  # it was one before
            return Judged([("new_password", refused.errors.get("password", refused.title))])
        except Unavailable as busy:
            return Judged([(None, N_("The service is busy. Please try again in a moment"))], 503, busy.retry_after)
        server.services.spool.touch(server.tenant.id)
        context.look_again()
        return None

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


def _names(context: Context, user: Row[Any]) -> tuple[str | None, ...]:
    return names_of(context.server.tenant.name, user.username, user.email, user.claims)


def _is_too_old(context: Context) -> bool:
    live, longest = context.session, context.server.tenant.settings.password_max_age
    if live is None or live.must_change_password or not longest or live.password_changed_at is None:
        return False
    return bool(now() - live.password_changed_at >= longest)


PASSWORD_CHANGE = PasswordChange()
