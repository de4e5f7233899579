"""The step in which a person accepts the tenant's terms when there are new ones.

Whoever does not accept them goes on with nothing, but keeps what is theirs by law: the page leads to one's own data and, where the
tenant has it, to the deletion of the account, and neither is kept behind the terms (GDPR Articles 17, 20 and 7(3)). A tenant without terms costs nothing: which version is in force is kept with the tenant's server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import language
from idp.flow import pages
from idp.flow.by_program import Judged
from idp.flow.dispatcher import proceed, refuse
from idp.flow.preamble import form_token
from idp.identity import terms
from idp.language import N_, gettext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.flow.dispatcher import Context
    from idp.store.rows import Connection
    from idp.web.http import Response

_ACCEPT = N_("The terms have not been accepted as they are now")
_TICK = N_("Tick that you accept the terms, or choose not to go on")


class TermsStep:
    """The step; needed as long as the account has not accepted the version in force."""

    name = "terms"
    path = "/terms"
    refusal = "interaction_required"
    fields = ("terms",)

    def is_needed(self, context: Context) -> bool:
        """Say whether there are terms that the signed-in person has not accepted."""
        wanted, live = context.server.terms, context.session
        if wanted is None or live is None:
            return False
        if context.interaction.request.get("before_terms"):
            return False
        if context.interaction.state.get("terms") == [live.user_id, wanted.version]:
            return False
        with context.server.database.reading() as conn:
            return not terms.has_accepted(conn, live.user_id, wanted.version)

    def shows(self, context: Context) -> str:
        """Promise that it is the version shown that the account shown accepts."""
        wanted, live = context.server.terms, context.session
        return f"{live.id if live is not None else ''} {wanted.version if wanted is not None else ''}"

    def show(self, context: Context) -> Response:
        """Answer the page with the way to the text."""
        return self._page(context, [])

    def submit(self, context: Context) -> Response:
        """Note that the terms are accepted, or tell the application that they are not."""
        wanted, live = context.server.terms, context.session
        if wanted is None or live is None or not self.is_needed(context):
            return proceed(context)
        if context.field("action") == "decline":
            return refuse(context, "access_denied", "The person did not accept the terms.")
        wrong = self.judge(context)
        return proceed(context) if wrong is None else self._page(context, [("terms", gettext(_TICK))], wrong.status)

    def told(self, context: Context) -> Mapping[str, Any]:
        """Say which terms are to be accepted, and where they can be read."""
        wanted = context.server.terms
        if wanted is None:
            return {}
        return {"terms": {"version": wanted.version, "url": wanted.url_for(language.current().tag)}}

    def judge(self, context: Context) -> Judged | None:
        """Note that the terms are accepted: what was sent names the version in force."""
        wanted, live, request = context.server.terms, context.session, context.request
        if wanted is None or live is None:
            return None
        if context.field("terms") != wanted.version:
            return Judged([("terms", _ACCEPT)])
        user_id, version = live.user_id, wanted.version

        def accept(conn: Connection) -> None:
            terms.accept(conn, user_id, version, source=request.remote_addr, correlation_id=request.correlation_id)

        context.leave(accept, terms=[user_id, version])
        return None

    def _page(self, context: Context, errors: list[tuple[str | None, str]], status: int = 200) -> Response:
        wanted = context.server.terms
        if wanted is None:
            return proceed(context)
        account = f"{context.server.tenant.base_path}/account"
        may_delete = context.server.tenant.settings.account_self_deletion
        return pages.interaction_page(
            context.server,
            context.request,
            context.interaction,
            "terms.html",
            status=status,
            action=context.url_of(self.path),
            csrf=form_token(context, self),
            data_url=f"{account}/data",
            delete_url=f"{account}/delete" if may_delete else None,
            terms={"version": wanted.version, "url": wanted.url_for(language.current().tag)},
            errors=errors,
        )


TERMS = TermsStep()
