"""The dispatcher: which step comes next, and when the protocol takes over.

Owns the order of events of a sign-in (OIDC Core §3.1.2.3 to §3.1.2.6): the first step of the table that is needed is shown;
when none is, the protocol answers. Must not know which steps and protocols there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from idp import opaque
from idp.errors import IdpError
from idp.flow import browser_accounts, pages, session
from idp.flow import interaction as interactions
from idp.flow.interaction import AlreadyFinished
from idp.identity.accounts import fold
from idp.web.http import redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from idp.flow.browser_accounts import Held
    from idp.flow.interaction import Interaction
    from idp.flow.services import FlowServer, Protocol_, Step
    from idp.flow.session import Begun
    from idp.store.rows import Connection, Row
    from idp.web.http import Request, Response

T = TypeVar("T")

# Constants for error_description: why a request that allows no page (prompt=none) cannot be answered.
_NO_PAGE = {
    "login_required": "The person must sign in, and the request allows no page.",
    "consent_required": "The person must consent, and the request allows no page.",
    "interaction_required": "The person must do something first, and the request allows no page.",
}


@dataclass
class Context:
    """One request within one interaction; sessions have the columns of ``sessions.find_live``.

    ``session`` is whom the answer is about: the browser's ``current`` session, or one of its ``others`` that a hint names.
    """

    server: FlowServer
    request: Request
    interaction: Interaction
    session: Row[Any] | None
    browser: str | None
    current: Row[Any] | None
    others: list[Held]
    set_cookies: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[dict[str, Any], Callable[[Connection], None]]] = field(default_factory=list)

    @property
    def here(self) -> list[Held]:
        """Every session of the browser, the current one first."""
        secret = session.secret_of(self.server.tenant, self.request)
        mine = [browser_accounts.Held(secret, self.current)] if self.current is not None and secret else []
        return [*mine, *self.others]

    def look_again(self) -> None:
        """Read the browser's sessions anew, because a step has changed something about them."""
        self.current = session.current(self.server, self.request)
        self.others = browser_accounts.held(self.server, self.request)
        self.session = _meant(self.interaction, self.current, self.others)

    def go_on_as(self, made: Begun) -> None:
        """Go on as whom a step has just signed in, and let the browser hold the session, beside those that it keeps."""
        tenant = self.server.tenant
        self.session = self.current = session.find(self.server, made.secret)
        self.others = list(made.others)
        self.set_cookies.append(session.session_cookie(tenant, made.secret))
        self.set_cookies += browser_accounts.cookie(tenant, self.request, made.others)

    @property
    def protocol(self) -> Protocol_:
        """The protocol that the interaction belongs to."""
        return self.server.services.protocols[self.interaction.protocol]

    def url_of(self, path: str) -> str:
        """Return the address of a page of this interaction."""
        return f"{self.server.tenant.base_path}{path}?interaction={self.interaction.id}"

    def field(self, name: str) -> str:
        """Return a field of the form that was sent exactly once, else an empty text."""
        given = [value for key, value in self.request.form if key == name]
        return given[0] if len(given) == 1 else ""

    def leave(self, work: Callable[[Connection], None], **state: Any) -> None:
        """Leave a step's writes to the transaction that answers, so that they cost no commit of their own.

        ``state`` is what the interaction notes. Where another step is asked first, both are written before it is.
        """
        self.interaction = interactions.noted(self.interaction, **state)
        self.left.append((state, work))

    def finish(self, conn: Connection) -> bool:
        """Mark the interaction finished in the caller's transaction; False when somebody else has finished it."""
        if not interactions.finish(conn, self.interaction, self.session.id if self.session is not None else None):
            return False
        for _, work in self.left:
            work(conn)
        return True

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a step's transaction, and note that it may have left an audit event."""
        result = self.server.database.writing(work)
        self.server.services.spool.touch(self.server.tenant.id)
        return result


def begin(
    server: FlowServer,
    request: Request,
    *,
    protocol: str,
    client_id: str,
    interaction_request: Mapping[str, Any],
    is_own_form: bool = False,
) -> Response:
    """Start a sign-in for a validated request and answer: the protocol's answer at once, or a redirect to the first step.

    ``interaction_request`` holds the neutral keys of :mod:`idp.flow.interaction` and whatever the protocol needs to answer.
    ``is_own_form`` says that a POST came from a page of ours (:func:`idp.web.csrf.check_origin`): it is bound to its browser at once,
    so that nobody can hand what was typed there to another person's.
    """
    made = interactions.new(protocol, client_id, interaction_request)
    if request.method == "POST" and not is_own_form:
        # Another site may have sent it, without our cookies: what is answered to the GET that follows has them.
        lifetime = server.tenant.settings.interaction_lifetime
        stored = interactions.store(server.database, made, browser=None, lifetime=lifetime)
        return redirect(303, f"{server.tenant.base_path}/continue?interaction={stored.id}")
    return proceed(context_of(server, request, made, session.browser_of(server.tenant, request)))


def context_of(server: FlowServer, request: Request, interaction: Interaction, browser: str | None) -> Context:
    """Return the context of a request within an interaction of its browser."""
    current, others = session.current(server, request), browser_accounts.held(server, request)
    meant = _meant(interaction, current, others)
    if meant is not None and meant is not current:
        session.note_use(server, meant)
    return Context(server, request, interaction, meant, browser, current, others)


def _meant(interaction: Interaction, current: Row[Any] | None, others: list[Held]) -> Row[Any] | None:
    """Return the session that a request is about: one that a hint names, as long as the person has not said whose it shall be."""
    if not others or any(interaction.state.get(key) for key in ("signed_in", "chosen", "switch", "choose")):
        return current
    subject, name = interaction.request.get("subject_hint"), interaction.request.get("login_hint")
    live = [*([current] if current is not None else []), *(each.session for each in others)]
    # OIDC Core §3.1.2.1: who is named and logged in already is answered for, whoever else is logged in.
    if subject:
        return next((each for each in live if each.user_id == subject), current)
    if isinstance(name, str) and name:
        return next((each for each in live if fold(each.username) == fold(name)), current)
    return current


def proceed(context: Context) -> Response:
    """Go on: redirect (303) to the next step that is needed, or let the protocol answer. What every step ends with."""
    step = first_needed(context)
    if step is None:
        return _answer(context, lambda: context.protocol.complete(context))
    if "none" in context.interaction.prompt:
        return refuse(context, step.refusal, _NO_PAGE.get(step.refusal, _NO_PAGE["interaction_required"]))
    if not context.interaction.is_stored:
        _store(context)
    if context.left:
        context.write(lambda conn: _keep(conn, context))
        context.left.clear()
    return redirect(303, context.url_of(step.path), context.set_cookies)


def first_needed(context: Context) -> Step | None:
    """Return the first step of the table that is still needed."""
    return next((step for step in context.server.services.steps if step.is_needed(context)), None)


def refuse(
    context: Context, error: str, description: str, *, also: Callable[[Connection], None] | None = None
) -> Response:
    """Finish the interaction and let the protocol answer with an error.

    ``description`` is a constant; ``also`` is written in the transaction that finishes a stored interaction.
    """

    def finish(conn: Connection) -> None:
        if not context.finish(conn):
            raise AlreadyFinished
        if also is not None:
            also(conn)

    def finish_and_refuse() -> Response:
        if context.interaction.is_stored:
            context.write(finish)
        return context.protocol.refuse(context, error, description)

    return _answer(context, finish_and_refuse)


def _answer(context: Context, ask: Callable[[], Response]) -> Response:
    try:
        response = ask()
    except AlreadyFinished:
        response = pages.restart(context.server, context.request, "finished", context.interaction, 410)
    except IdpError as error:  # answered here, so that a sign-in just made is not lost with the cookie
        is_stored, tenant = context.interaction.is_stored, context.server.tenant
        onward = context.url_of("/continue") if is_stored else pages.restart_url(tenant, context.interaction)
        response = pages.failed(context.server, context.request, error, onward)
    response.headers.extend(context.set_cookies)
    return response


def _keep(conn: Connection, context: Context) -> None:
    for state, work in context.left:
        context.interaction = interactions.note(conn, context.interaction, **state)
        work(conn)


def _store(context: Context) -> None:
    tenant = context.server.tenant
    if context.browser is None:
        context.browser = opaque.new_secret("b")
        context.set_cookies.append(session.browser_cookie(tenant, context.browser))
    lifetime = tenant.settings.interaction_lifetime
    context.interaction = interactions.store(
        context.server.database, context.interaction, browser=context.browser, lifetime=lifetime
    )
