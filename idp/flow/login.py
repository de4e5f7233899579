"""The step in which a person signs in with a password (OIDC Core §3.1.2.1 and §3.1.2.3: ``prompt``, ``max_age``, hints).

Owns when a sign-in is needed although there is a session, and the form. What was typed as username survives every error; it is
remembered on the device only where the person ticks that.
The answer to a wrong, unknown, disabled or locked account is one and the same page (security rule 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.errors import Refusal, Unavailable
from idp.flow import browser_state, pages, remembered, session, signup_offer
from idp.flow import interaction as interactions
from idp.flow.by_program import Judged, ProgramContext
from idp.flow.dispatcher import proceed
from idp.flow.preamble import form_token
from idp.identity.accounts import LONGEST_USERNAME
from idp.identity.authentication import Attempt, Reason, Refused, sign_in
from idp.language import N_
from idp.web.http import Response, redirect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.flow.dispatcher import Context
    from idp.store.rows import Connection, Row

REFUSED = N_(
    "The email address or the password is not right, or there were too many attempts. "
    "Check both, or wait a few minutes and try again"
)
_ANOTHER = N_("The application asks for another account. Sign in with the account that you used there before")

# reason → (what happened, what to do), for `idp explain`
_WHY: dict[Reason, tuple[str, str]] = {
    "wrong_password": (
        "the password is wrong",
        "Let the person try again, or give a new one: idp user set-password TENANT EMAIL",
    ),
    "unknown_account": ("there is no account of this name", "Check the spelling: idp user list TENANT"),
    "disabled_account": ("the account is disabled", "Enable it: idp user enable TENANT EMAIL"),
    "account_locked": (
        "the account had too many failed sign-ins; the right password is refused too until the window ends",
        "Wait for attempts_window seconds (idp tenant show TENANT), or end it now: idp user unlock TENANT EMAIL",
    ),
    "source_locked": (
        "too many failed sign-ins came from this address; it is refused until the window ends",
        "Wait for attempts_window seconds, or raise source_attempts where many people share an address.",
    ),
}

_Errors = list[tuple[str | None, str]]


class Login:
    """The step; it keeps nothing, all it knows is in the context."""

    name = "login"
    path = "/login"
    refusal = "login_required"
    fields = ("username", "password")

    def is_needed(self, context: Context) -> bool:
        """Say whether there is no session, not the one that is asked for, or one that is too old or not wanted."""
        live, interaction = context.session, context.interaction
        hint = interaction.request.get("subject_hint")
        if live is None or (hint and hint != live.user_id):
            return True
        if interaction.state.get("signed_in") == live.id:
            return False
        max_age = interaction.request.get("max_age")
        return (
            bool(interaction.state.get("switch"))
            or "login" in interaction.prompt
            # Whole seconds: "at least" rather than "more than", so that max_age=0 always asks and 1 never lets 1.9 pass.
            or (max_age is not None and now() >= live.auth_time + max_age)
        )

    def shows(self, context: Context) -> str:  # noqa: ARG002
        """Promise nothing: the form may be sent whoever is signed in by now."""
        return ""

    def show(self, context: Context) -> Response:
        """Answer the form, with the username where it is known."""
        return self._page(context, _known_username(context), [], remember=None)

    def submit(self, context: Context) -> Response:
        """Judge username and password; on success the session, what the interaction notes and the event are one transaction."""
        if context.field("action") == "forget":
            gone = remembered.cookie(context.server, context.request, None)
            return redirect(303, context.url_of(self.path), gone)
        username = context.field("username")
        remember = context.field("remember") == "yes"
        wrong = self.judge(context)
        if wrong is not None:
            page = self._page(
                context, username[:LONGEST_USERNAME] or None, list(wrong.errors), wrong.status, remember=remember
            )
            if wrong.retry_after is not None:
                page.set("retry-after", str(wrong.retry_after))
            return page
        name = context.session.username if remember and context.session is not None else None
        context.set_cookies += remembered.cookie(context.server, context.request, name)
        browser_state.show(context)
        return proceed(context)

    def told(self, context: Context) -> Mapping[str, Any]:  # noqa: ARG002
        """Say nothing more: nobody has said who it is."""
        return {}

    def judge(self, context: Context) -> Judged | None:
        """Sign the person in; a program and the page are told the same."""
        username, password = context.field("username"), context.field("password")
        errors: _Errors = []
        if not username.strip():
            errors.append(("username", N_("Enter your email address")))
        if not password:
            errors.append(("password", N_("Enter your password")))
        if errors:
            return Judged(errors)
        request = context.request
        attempt = Attempt(
            username, password, request.remote_addr, request.correlation_id, context.interaction.client_id or None
        )
        begun: list[session.Begun] = []

        def and_then(conn: Connection, user: Row[Any]) -> str | None:
            hint = context.interaction.request.get("subject_hint")
            if hint and hint != user.id:
                return None
            by_program = isinstance(context, ProgramContext)
            made = session.begin(conn, context.server, request, user.id, by_program=by_program)
            context.interaction = interactions.note(conn, context.interaction, signed_in=made.id)
            begun.append(made)
            return made.id

        try:
            with session.replacing(context.server, context.here, username):
                result = sign_in(context.server, attempt, and_then)
        except Unavailable as busy:
            sentence = N_("Too many people are signing in. Please try again in a moment")
            return Judged([(None, sentence)], 503, busy.retry_after)
        if isinstance(result, Refused):
            self._record(context, result)
            return Judged([("password", REFUSED)], is_recorded=True)
        context.server.services.spool.touch(context.server.tenant.id)
        if not begun:
            return Judged([("username", _ANOTHER)])
        context.go_on_as(begun[0])
        return None

    def _record(self, context: Context, refused: Refused) -> None:
        """Keep for the people who run the tenant what the page tells nobody: which of its reasons it was."""
        request = context.request
        context.server.services.spool.refusal(
            context.server.tenant.id,
            request.correlation_id,
            "login_refused",
            Refusal("sign_in", "NIST SP 800-63B-4 §3.2.2", *_WHY[refused.reason]),
            request.method,
            request.path,
            context.interaction.client_id,
            request.remote_addr,
        )

    def _page(
        self, context: Context, username: str | None, errors: _Errors, status: int = 200, *, remember: bool | None
    ) -> Response:
        known = remembered.username(context.server, context.request)
        return pages.interaction_page(
            context.server,
            context.request,
            context.interaction,
            "login.html",
            status=status,
            action=context.url_of(self.path),
            csrf=form_token(context, self),
            username=username,
            recover_url=context.url_of("/recover"),
            signup_url=signup_offer.link(context),
            errors=errors,
            remembered=known is not None and known == username and not errors,
            remember=remember if remember is not None else known is not None and known == username,
        )


def _known_username(context: Context) -> str | None:
    interaction = context.interaction
    if interaction.state.get("switch") or interaction.request.get("another"):
        return None
    hint = interaction.request.get("login_hint")
    if isinstance(hint, str) and 0 < len(hint) <= LONGEST_USERNAME and hint.isprintable():
        return hint
    asked = interaction.request.get("subject_hint")
    live = context.session
    if live is not None:
        return live.username if asked in (None, live.user_id) else None
    return remembered.username(context.server, context.request) if asked is None else None


LOGIN = Login()
