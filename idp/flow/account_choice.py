"""The step in which a person says which account to go on with (OIDC Core §3.1.2.1, ``prompt=select_account``).

Asked where a request wants that, where somebody said "not me" on the way, and where nobody is current but other accounts are live
in this browser; without any the sign-in that follows is the choice. What an account must fulfil (``max_age``) the sign-in judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.flow import account_switch, browser_state, pages
from idp.flow import interaction as interactions
from idp.flow.dispatcher import proceed
from idp.flow.preamble import form_token
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.flow.browser_accounts import Held
    from idp.flow.dispatcher import Context
    from idp.web.http import Response


class AccountChoice:
    """The step; the choice is noted for a session that was shown."""

    name = "account_choice"
    path = "/select-account"
    refusal = "account_selection_required"

    def is_needed(self, context: Context) -> bool:
        """Say whether a choice is asked for that has not been made yet, and there is something to choose."""
        state, live = context.interaction.state, context.session
        if state.get("switch") or not _offered(context):
            return False  # another account it will be: the sign-in asks for it
        if state.get("choose"):
            return True
        if live is None:
            return "login" not in context.interaction.prompt and not context.interaction.request.get("login_hint")
        return "select_account" in context.interaction.prompt and live.id not in (
            state.get("chosen"),
            state.get("signed_in"),
        )

    def shows(self, context: Context) -> str:
        """Promise that the accounts shown are those that can be chosen."""
        return " ".join(each.session.id for each in _offered(context))

    def show(self, context: Context) -> Response:
        """Answer the page: the accounts of this browser, or another."""
        return pages.interaction_page(
            context.server,
            context.request,
            context.interaction,
            "select_account.html",
            action=context.url_of(self.path),
            csrf=form_token(context, self),
            accounts=account_switch.shown(context.server, _offered(context), context.current),
        )

    def submit(self, context: Context) -> Response:
        """Go on with an account shown, take one out of this browser, or let the person sign in with another."""
        decision, _, wanted = context.field("action").partition(" ")
        offered = _offered(context)
        if decision == "switch":
            self._note(context, chosen=None, signed_in=None, choose=None, switch=True)
            return proceed(context)
        if decision == "continue" and offered:
            return self._choose(context, offered[0])
        named = next((each for each in offered if each.session.id == wanted), None)
        if named is not None and decision == "use":
            return self._choose(context, named)
        if named is not None and decision == "remove":
            fields = account_switch.remove(context.server, context.request, context.here, [named])
            return redirect(303, context.url_of(self.path), fields)
        return redirect(303, context.url_of(self.path))

    def _choose(self, context: Context, account: Held) -> Response:
        noted: dict[str, Any] = {"chosen": account.session.id, "choose": None}
        if context.current is not None and account.session.id == context.current.id:
            self._note(context, **noted)
            context.session = context.current
            return proceed(context)

        def note(conn: Any) -> None:
            context.interaction = interactions.note(conn, context.interaction, **noted)

        done = account_switch.choose(context.server, context.request, context.here, account, note)
        if done is None:
            return redirect(303, context.url_of(self.path))
        (chosen, *context.others), fields = done
        context.session = context.current = chosen.session
        context.set_cookies += fields
        browser_state.show(context)
        return proceed(context)

    def _note(self, context: Context, **noted: Any) -> None:
        context.interaction = context.write(lambda conn: interactions.note(conn, context.interaction, **noted))


def _offered(context: Context) -> list[Held]:
    """Return the accounts that may answer the request: of the whole browser, or only the one that a hint allows."""
    hint = context.interaction.request.get("subject_hint")
    return [each for each in context.here if not hint or each.session.user_id == hint]


ACCOUNT_CHOICE = AccountChoice()
