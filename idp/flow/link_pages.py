"""The pages behind one-time links: a new password, an invitation, the way out of a lock, and what says that a link is gone.

A GET shows and uses nothing up, for mail scanners open links; the form does. The token stands in the address of that GET alone:
the form carries it in its body, and no address that the browser is told as a referrer has it. Every token that does not work
is answered alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.errors import Invalid, Refusal, Unavailable
from idp.flow import pages, plain_forms
from idp.flow.preamble import PARAMETER
from idp.identity import invitations, link_use, lockout, password_history, recovery, unlocking
from idp.identity.accounts import By
from idp.identity.link_use import Gone, Opened
from idp.identity.password_rules import names_of
from idp.identity.passwords import check_new_password, normalised
from idp.language import N_, gettext
from idp.web.http import redirect

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.flow.services import FlowServer
    from idp.web.http import Request, Response

    Handle = Callable[[FlowServer, Request], Response]

DONE = "/done"
NOT_THE_SAME = N_("The two passwords are not the same")
BUSY = N_("The service is busy. Please try again in a moment")

_Errors = list[tuple[str | None, str]]


class LinkPage:
    """The pages of one kind of link: the form, and where it ends."""

    def __init__(self, kind: str, path: str, template: str) -> None:
        self.kind, self.path, self._template = kind, path, template

    def show(self, server: FlowServer, request: Request) -> Response:
        """Answer the form of a link that works."""
        return self._guarded(server, request, plain_forms.argument(request, "token"), self._show)

    def submit(self, server: FlowServer, request: Request) -> Response:
        """Judge the form, and use the link up."""
        token = plain_forms.field(request, "token")
        plain_forms.check(server, request, self.kind, opaque.digest(token))
        return self._guarded(server, request, token, self._judge)

    def done(self, server: FlowServer, request: Request) -> Response:
        """Answer the page that says that it is done; opened by itself it says no more than that."""
        found = plain_forms.onward(server, request, plain_forms.argument(request, PARAMETER))
        return pages.page(server, request, "link_done.html", kind=self.kind, **found)

    def _guarded(
        self,
        server: FlowServer,
        request: Request,
        token: str,
        work: Callable[[FlowServer, Request, str, Opened], Response],
    ) -> Response:
        try:
            return work(server, request, token, link_use.opened(server.database, self.kind, token))
        except Gone as error:
            return self._gone(server, request, error)

    def _show(self, server: FlowServer, request: Request, token: str, opened: Opened) -> Response:
        return self._page(server, request, token, opened, [])

    def _judge(self, server: FlowServer, request: Request, token: str, opened: Opened) -> Response:
        by = By(opened.user.id, request.remote_addr, request.correlation_id)
        if self.kind == unlocking.KIND:
            unlocking.complete(server.database, opened, by=by)
            return self._finished(server, opened)
        new = plain_forms.field(request, "new_password")
        user = opened.user
        names = names_of(server.tenant.name, user.username, user.email, user.claims or {})
        problems = check_new_password(new, server.tenant.settings, names)
        errors: _Errors = [("new_password", sentence) for sentence in problems]
        if not problems and normalised(plain_forms.field(request, "confirm_password")) != normalised(new):
            errors.append(("confirm_password", gettext(NOT_THE_SAME)))
        if errors:
            return self._page(server, request, token, opened, errors, 400)
        try:
            password_history.check(server.database, server.services.hasher, server.tenant.settings, user, new)
            hashed = server.services.hasher.hash(new)
        except Invalid as refused:  # it was one before
            errors = [("new_password", refused.errors.get("password", refused.title))]
            return self._page(server, request, token, opened, errors, 400)
        except Unavailable as busy:
            page = self._page(server, request, token, opened, [(None, gettext(BUSY))], 503)
            page.set("retry-after", str(busy.retry_after))
            return page
        if self.kind == invitations.KIND:
            invitations.accept(server.database, server.tenant, opened, hashed, by=by)
        else:
            agent = request.headers.get("user-agent")
            recovery.complete(server, server.services.mailer, opened, hashed, by=by, user_agent=agent)
        return self._finished(server, opened)

    def _finished(self, server: FlowServer, opened: Opened) -> Response:
        server.services.spool.touch(server.tenant.id)
        interaction = opened.link.payload.get("interaction")
        query = f"?{PARAMETER}={interaction}" if interaction else ""
        return redirect(303, f"{server.tenant.base_path}{self.path}{DONE}{query}")

    def _page(
        self, server: FlowServer, request: Request, token: str, opened: Opened, errors: _Errors, status: int = 200
    ) -> Response:
        words: dict[str, Any] = {"username": opened.user.username, "token": token, "kind": self.kind}
        if self.kind != unlocking.KIND:
            words |= {
                "inviter": opened.link.payload.get("inviter"),
                "min_length": server.tenant.settings.password_min_length,
                "errors": errors,
            }
        action = f"{server.tenant.base_path}{self.path}"
        return plain_forms.page(
            server,
            request,
            self._template,
            self.kind,
            opaque.digest(token),
            status=status,
            action=action,
            has_switch=False,  # a form that was refused could not be shown again by the switch
            **words,
        )

    def _gone(self, server: FlowServer, request: Request, error: Gone) -> Response:
        server.services.spool.refusal(
            server.tenant.id,
            request.correlation_id,
            error.code,
            Refusal(
                "one_time_link",
                "OWASP ASVS 6.4.1",
                "the link is unknown, expired, used, replaced by a newer one or revoked",
                "Let the person ask for another, or send it again: idp user resend-invitation TENANT EMAIL",
            ),
            request.method,
            request.path,
            source=request.remote_addr,
        )
        return pages.page(
            server,
            request,
            "link_gone.html",
            status=error.status,
            kind=self.kind,
            wait_minutes=lockout.minutes(server.tenant.settings),
            recover_url=f"{server.tenant.base_path}/recover",
            applications_url=f"{server.tenant.base_path}/start",
        )


RECOVERY = LinkPage(recovery.KIND, recovery.PATH, "new_password.html")
INVITATION = LinkPage(invitations.KIND, invitations.PATH, "new_password.html")
UNLOCK = LinkPage(unlocking.KIND, unlocking.PATH, "unlock.html")


def rows() -> tuple[tuple[str, str, Handle], ...]:
    """Return the addresses of every kind of link."""
    found: list[tuple[str, str, Handle]] = []
    for page in (RECOVERY, INVITATION, UNLOCK):
        found += [
            ("GET", page.path, page.show),
            ("POST", page.path, page.submit),
            ("GET", f"{page.path}{DONE}", page.done),
        ]
    return tuple(found)
