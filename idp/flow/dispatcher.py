"""The dispatcher: which step comes next, and when the protocol takes over.

Owns the order of events of a sign-in (OIDC Core §3.1.2.3 to §3.1.2.6): the first step of the table that is needed is shown;
when none is, the protocol answers. Must not know which steps and protocols there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from idp.flow import interaction as interactions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection, Row

    from idp.flow.interaction import Interaction
    from idp.flow.services import FlowServer
    from idp.web.http import Request, Response


@dataclass
class Context:
    """One request within one interaction; ``session`` has the columns of ``sessions.find_live``."""

    server: FlowServer
    request: Request
    interaction: Interaction
    session: Row[Any] | None
    browser: str | None
    set_cookies: list[tuple[str, str]] = field(default_factory=list)

    def finish(self, conn: Connection) -> bool:
        """Mark the interaction finished in the caller's transaction; False when somebody else has finished it."""
        return interactions.finish(conn, self.interaction, self.session.id if self.session is not None else None)


def begin(server: FlowServer, request: Request, *, protocol: str, client_id: str, interaction_request: Mapping[str, Any]) -> Response:
    """Start a sign-in for a validated request and answer: the protocol's answer at once, or a redirect to the first step.

    ``interaction_request`` holds the neutral keys of :mod:`idp.flow.interaction` and whatever the protocol needs to answer.
    """
    raise NotImplementedError


def proceed(context: Context) -> Response:
    """Go on after a step: redirect (303) to the next one that is needed, or let the protocol answer."""
    raise NotImplementedError


def refuse(context: Context, error: str, description: str) -> Response:
    """Finish the interaction and let the protocol answer with an error."""
    raise NotImplementedError
