"""The protocol of who comes from no application: what was begun at the tenant's front page ends there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.flow.interaction import AlreadyFinished
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.flow.dispatcher import Context
    from idp.store.rows import Connection
    from idp.web.http import Response


def request(restart: str, prompt: list[str]) -> dict[str, Any]:
    """Return an interaction's request that asks for nothing but the person."""
    return {"prompt": prompt, "scopes": [], "client": None, "return_origin": "", "return_host": "", "restart": restart}


class Home:
    """Goes to the front page, which says who is signed in."""

    name = "home"

    def complete(self, context: Context) -> Response:
        """Finish the interaction and go there."""

        def work(conn: Connection) -> None:
            if not context.finish(conn):
                raise AlreadyFinished

        if context.interaction.is_stored:
            context.write(work)
        return self._go(context)

    def refuse(self, context: Context, error: str, description: str) -> Response:  # noqa: ARG002
        """Go there all the same: there is nobody to tell."""
        return self._go(context)

    def _go(self, context: Context) -> Response:
        return redirect(303, f"{context.server.tenant.base_path}/")


HOME = Home()
