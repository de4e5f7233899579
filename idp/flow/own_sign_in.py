"""Signing in for a page of the tenant's own, without an application: a protocol of the flow whose answer is that page.

Where it leads is one of a few paths of ours, by name: nothing that comes from outside is an address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.flow import browser_state, dispatcher
from idp.flow.interaction import AlreadyFinished
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.flow.services import FlowServer
    from idp.store.rows import Connection
    from idp.web.http import Request, Response

PATH = "/sign-in"
GOALS = {
    "start": "/",
    "accounts": "/accounts",
    "preview": "/brand/preview",
}  # name in the query → path below the tenant
START = "start"


def address(server: FlowServer, goal: str, *, another: bool = False) -> str:
    """Return the path and query of a sign-in that leads to one of :data:`GOALS`, of ``another`` account than the current one."""
    return f"{server.tenant.base_path}{PATH}?to={goal}{'&another=1' if another else ''}"


def begin(server: FlowServer, request: Request) -> Response:
    """Begin one; who is signed in already is led on at once, unless it shall be another account."""
    given = dict(request.args)
    goal = given.get("to", START)
    if goal not in GOALS:
        goal = START
    another = given.get("another") == "1"
    restart = address(server, goal, another=another).removeprefix(server.tenant.base_path)
    return start(server, request, goal, restart, ["login"] if another else [], another=another)


def start(
    server: FlowServer, request: Request, goal: str, restart: str, prompt: list[str], *, another: bool = False
) -> Response:
    """Begin a sign-in that leads to one of :data:`GOALS`; ``restart`` is the path below the tenant that begins it again."""
    asked = {"prompt": prompt, "another": another, "scopes": [], "client": None, "restart": restart, "goal": goal}
    return dispatcher.begin(server, request, protocol=OWN_SIGN_IN.name, client_id="", interaction_request=asked)


class OwnSignIn:
    """The protocol: it promises nothing to anybody, it only leads on."""

    name = "own"

    def complete(self, context: Context) -> Response:
        """Finish the interaction and lead to its page."""

        def finish(conn: Connection) -> None:
            if not context.finish(conn):
                raise AlreadyFinished

        if context.interaction.is_stored:
            context.write(finish)
        browser_state.show(context)
        return redirect(303, f"{context.server.tenant.base_path}{GOALS[context.interaction.request['goal']]}")

    def refuse(self, context: Context, error: str, description: str) -> Response:  # noqa: ARG002 - the protocol's signature
        """Lead to the start page, which says who is signed in."""
        return redirect(303, f"{context.server.tenant.base_path}/")


OWN_SIGN_IN = OwnSignIn()
