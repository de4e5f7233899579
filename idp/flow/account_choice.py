"""The step in which a person says which account to go on with (OIDC Core §3.1.2.1, ``prompt=select_account``).

Asked only where there is a session to go on with; without one the sign-in that follows is the choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.flow import interaction as interactions
from idp.flow import pages
from idp.flow.dispatcher import proceed
from idp.flow.preamble import form_token
from idp.store.tenant import users
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.store.rows import Row
    from idp.web.http import Response


class AccountChoice:
    """The step; the choice is noted for the session that was shown."""

    name = "account_choice"
    path = "/select-account"
    refusal = "account_selection_required"

    def is_needed(self, context: Context) -> bool:
        """Say whether the request asks for a choice that has not been made yet, and there is something to choose."""
        live, interaction = context.session, context.interaction
        if live is None or "select_account" not in interaction.prompt:
            return False
        hint, state = interaction.request.get("subject_hint"), interaction.state
        if (hint and hint != live.user_id) or state.get("switch"):
            return False  # another account it will be: the sign-in asks for it
        return live.id not in (state.get("chosen"), state.get("signed_in"))

    def shows(self, context: Context) -> str:
        """Promise that the account shown is the one that is chosen."""
        return context.session.id if context.session is not None else ""

    def show(self, context: Context) -> Response:
        """Answer the page: the account that is signed in, or another."""
        live = context.session
        user: Row[Any] | None = None
        if live is not None:
            with context.server.database.reading() as conn:
                user = users.find(conn, live.user_id)
        if user is None:
            return proceed(context)
        return pages.interaction_page(
            context.server,
            context.request,
            context.interaction,
            "select_account.html",
            action=context.url_of(self.path),
            csrf=form_token(context, self),
            account={"name": (user.claims or {}).get("name"), "username": user.username},
        )

    def submit(self, context: Context) -> Response:
        """Go on with the account shown, or let the person sign in with another."""
        decision, live = context.field("action"), context.session
        if live is None:
            return proceed(context)
        if decision not in ("continue", "switch"):
            return redirect(303, context.url_of(self.path))
        noted: dict[str, Any] = {"chosen": live.id} if decision == "continue" else {"signed_in": None, "switch": True}
        context.interaction = context.write(lambda conn: interactions.note(conn, context.interaction, **noted))
        return proceed(context)


ACCOUNT_CHOICE = AccountChoice()
