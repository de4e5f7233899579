"""The pages on which a person asks for a new password: one question, and one answer whoever asks (security rule 7).

``/recover`` keeps the sign-in that it was opened from. What becomes of a request is :mod:`idp.identity.recovery`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.errors import TooManyRequests, refusal_of
from idp.flow import pages, plain_forms
from idp.flow.preamble import PARAMETER
from idp.identity import lockout, recovery
from idp.identity.accounts import LONGEST_USERNAME
from idp.language import N_, gettext
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.flow.services import FlowServer
    from idp.web.http import Request, Response

PATH, SENT = "/recover", "/recover/sent"
EMPTY = N_("Enter your email address")
TOO_MANY = N_("New passwords were asked for too often from where you are. Please try again in a few minutes")
_PURPOSE = "recover"


def show(server: FlowServer, request: Request) -> Response:
    """Answer the form."""
    return _page(server, request, None, [])


def submit(server: FlowServer, request: Request) -> Response:
    """Take the request and answer the same whatever becomes of it."""
    interaction = _interaction(request)
    plain_forms.check(server, request, _PURPOSE, interaction)
    username = plain_forms.field(request, "username")
    if not username.strip():
        return _page(server, request, None, [("username", gettext(EMPTY))], 400)
    asked = recovery.Request(username, request.remote_addr, request.correlation_id, interaction or None)
    try:
        recovery.ask(server, asked)
    except TooManyRequests as error:
        server.services.spool.refusal(
            server.tenant.id,
            request.correlation_id,
            error.code,
            refusal_of(error),
            request.method,
            request.path,
            source=request.remote_addr,
        )
        answer = _page(server, request, username[:LONGEST_USERNAME], [(None, gettext(TOO_MANY))], error.status)
        answer.set("retry-after", str(error.retry_after))
        return answer
    server.services.spool.touch(server.tenant.id)
    return redirect(303, _address(server, SENT, interaction))


def sent(server: FlowServer, request: Request) -> Response:
    """Answer the one page that follows every request."""
    found = plain_forms.onward(server, request, _interaction(request))
    return pages.page(
        server,
        request,
        "recovery_sent.html",
        minutes=server.tenant.settings.recovery_lifetime // 60,
        wait_minutes=lockout.minutes(server.tenant.settings),
        again_url=_address(server, PATH, _interaction(request)),
        **found,
    )


def _page(
    server: FlowServer, request: Request, username: str | None, errors: list[tuple[str | None, str]], status: int = 200
) -> Response:
    interaction = _interaction(request)
    return plain_forms.page(
        server,
        request,
        "recover.html",
        _PURPOSE,
        interaction,
        status=status,
        action=_address(server, PATH, interaction),
        username=username,
        errors=errors,
        **plain_forms.onward(server, request, interaction),
    )


def _interaction(request: Request) -> str:
    """Return the id that the address names, if it looks like one."""
    found = plain_forms.argument(request, PARAMETER)
    return found if len(found) == 32 and found.isascii() and found.isalnum() else ""


def _address(server: FlowServer, path: str, interaction: str) -> str:
    query = f"?{PARAMETER}={interaction}" if interaction else ""
    return f"{server.tenant.base_path}{path}{query}"
