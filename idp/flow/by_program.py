"""Steps that a program asks for the person: the same steps, judged alike, without a page, a form token or a cookie.

The program holds an ``auth_session`` (draft-ietf-oauth-first-party-apps §5.3.1) where a browser holds cookies: it names the
interaction and proves with 256 random bits that it began it. Whatever cookies come along are never looked at, so that no page can
use somebody's browser. Must not know protocols; the names of the fields are those of the pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from idp import opaque
from idp.flow import interaction as interactions
from idp.flow import session
from idp.flow.dispatcher import Context, first_needed
from idp.store.tenant import sessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.flow.interaction import Interaction
    from idp.flow.services import FlowServer, Step
    from idp.flow.session import Begun
    from idp.web.http import Request

PREFIX = "as"
_AUTH_SESSION = re.compile(rf"{PREFIX}_([0-9a-f]{{32}})([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class Judged:
    """What is wrong with what was sent to a step: fields (None: not one alone) and sentences that are not translated yet."""

    errors: Sequence[tuple[str | None, str]]
    status: int = 400
    retry_after: int | None = None
    is_recorded: bool = False  # the step has left a refusal's record that says more


@runtime_checkable
class ByProgram(Protocol):
    """A step that a program may ask for the person."""

    @property
    def name(self) -> str:
        """The step's name."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What it takes."""

    def told(self, context: Context) -> Mapping[str, Any]:
        """Return what a program has to know to ask for it, beside the fields."""

    def judge(self, context: Context) -> Judged | None:
        """Judge what was sent and do it; None when it is done."""


class ProgramContext(Context):
    """The context of a program's request: its session is the one that the interaction has signed in."""

    def look_again(self) -> None:
        """Read the session anew, because a step has changed something about it."""
        self.session = self.current = _session_of(self.server, self.interaction)

    def go_on_as(self, made: Begun) -> None:
        """Go on as whom a step has just signed in."""
        self.session = self.current = session.find(self.server, made.secret)


def begin(
    server: FlowServer, request: Request, *, protocol: str, client_id: str, interaction_request: Mapping[str, Any]
) -> tuple[ProgramContext, str]:
    """Start a sign-in by program for a validated request; returns its context and the ``auth_session``."""
    secret = opaque.new_secret("")[1:]
    made = interactions.store(
        server.database,
        interactions.new(protocol, client_id, interaction_request),
        browser=secret,
        lifetime=server.tenant.settings.interaction_lifetime,
    )
    return _context(server, request, made), f"{PREFIX}_{made.id}{secret}"


def find(server: FlowServer, auth_session: str, protocol: str) -> Interaction | None:
    """Return the interaction of an ``auth_session``; None when it is none of this protocol, or finished or expired."""
    given = _AUTH_SESSION.fullmatch(auth_session)
    found = interactions.find(server.database, given[1]) if given is not None else None
    if given is None or found is None or found.protocol != protocol or not found.is_bound_to(given[2]):
        return None
    return None if found.finished_at is not None or found.is_expired else found


def resume(server: FlowServer, request: Request, interaction: Interaction) -> ProgramContext:
    """Return the context of a further request of an interaction."""
    return _context(server, request, interaction)


def advance(context: ProgramContext) -> tuple[Step | None, Judged | None]:
    """Judge what was sent, step by step; returns the step that is still needed, and what is wrong with what was sent to it."""
    sent = {name for name, value in context.request.form if value}
    judged_steps: set[str] = set()
    while (step := first_needed(context)) is not None:
        if not isinstance(step, ByProgram) or step.name in judged_steps or not sent & set(step.fields):
            return step, None
        judged_steps.add(step.name)
        wrong = step.judge(context)
        if wrong is not None:
            return step, wrong
    return None, None


def keep(context: ProgramContext) -> None:
    """Write what steps have left to the transaction that answers, since it is not this request that does."""
    if context.left:
        left = list(context.left)
        context.left.clear()

        def work(conn: Any) -> None:
            for state, write in left:
                context.interaction = interactions.note(conn, context.interaction, **state)
                write(conn)

        context.write(work)


def _context(server: FlowServer, request: Request, interaction: Interaction) -> ProgramContext:
    live = _session_of(server, interaction)
    return ProgramContext(server, request.without_cookies(), replace(interaction), live, None, live, [])


def _session_of(server: FlowServer, interaction: Interaction) -> Any:
    signed_in = interaction.state.get("signed_in")
    if not signed_in:
        return None
    with server.database.reading() as conn:
        return sessions.find_live_by_id(conn, signed_in)
