"""The protocol ``account`` of the flow: a sign-in that somebody needs who opened one of the account pages.

It answers by leading to the page that was asked for, one of a fixed list: nothing of an address that came in from outside is
ever followed. Must not know the pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.flow import dispatcher
from idp.flow import interaction as interactions
from idp.flow.dispatcher import Context
from idp.flow.interaction import AlreadyFinished
from idp.web.http import redirect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.flow.services import FlowServer
    from idp.store.rows import Connection, Row
    from idp.web.http import Request, Response

ROOT = "/account"
AGAIN = "again"  # the parameter that names the interaction whose typed texts a page shows once more
# What is not kept behind the tenant's terms: whoever does not accept new ones may take the data along, and leave.
BEFORE_TERMS = frozenset([f"{ROOT}/data", f"{ROOT}/delete"])
GOALS = frozenset(
    [
        ROOT,
        *(
            f"{ROOT}/{page}"
            for page in (
                "profile",
                "email",
                "email/sent",
                "password",
                "sessions",
                "applications",
                "history",
                "data",
                "delete",
            )
        ),
    ]
)


class AccountProtocol:
    """Leads to the page that was asked for."""

    name = "account"

    def complete(self, context: Context) -> Response:
        """Finish the interaction and redirect."""

        def work(conn: Connection) -> None:
            if not context.finish(conn):
                raise AlreadyFinished

        interaction, base = context.interaction, context.server.tenant.base_path
        if interaction.is_stored:
            context.write(work)
        goal = interaction.request.get("goal")
        if goal not in GOALS:
            goal = ROOT
        has_typed = interaction.is_stored and bool(interaction.request.get("typed"))
        return redirect(303, f"{base}{goal}{f'?{AGAIN}={interaction.id}' if has_typed else ''}")

    def refuse(self, context: Context, error: str, description: str) -> Response:  # noqa: ARG002
        """Lead to the tenant's front page: the person did not want to do what the pages need."""
        return redirect(303, f"{context.server.tenant.base_path}/")


def asked(goal: str, *, max_age: int | None, user: Row[Any] | None, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the interaction's request for a page; ``typed`` is what a form held that cannot be accepted before the sign-in."""
    return {
        "prompt": [],
        "max_age": max_age,
        "login_hint": None,
        "subject_hint": user.user_id if user is not None else None,
        "scopes": [],
        "client": None,
        "return_origin": "",
        "return_host": "",
        "restart": goal,
        "goal": goal,
        "before_terms": goal in BEFORE_TERMS,
        "typed": dict(typed),
    }


def needs_step(server: FlowServer, request: Request, session: Row[Any] | None, wanted: dict[str, Any]) -> bool:
    """Say whether a person has to do anything (sign in, sign in again, choose a password) before a page may be shown."""
    made = interactions.new(AccountProtocol.name, "", wanted)
    return dispatcher.first_needed(Context(server, request, made, session, None, session, [])) is not None


def begin(server: FlowServer, request: Request, wanted: dict[str, Any]) -> Response:
    """Answer with the first step; a form's origin has been checked."""
    return dispatcher.begin(
        server,
        request,
        protocol=AccountProtocol.name,
        client_id="",
        interaction_request=wanted,
        is_own_form=request.method == "POST",
    )
