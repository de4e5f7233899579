"""A visit: one request for an account page by somebody who is signed in, and freshly where the page is sensitive.

Owns the guard in front of every page and what pages have in common: navigation, form tokens, who acts, times in the person's time zone.
A form is judged first of all: another site's changes nothing, whoever is signed in. Must not know any page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from idp import opaque
from idp.account import protocol
from idp.flow import interaction as interactions
from idp.flow import pages, session
from idp.identity.accounts import By
from idp.identity.notices import Origin
from idp.language import N_, gettext
from idp.store.tenant import users
from idp.web import csrf
from idp.web.http import redirect

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.oauth.server import TenantServer
    from idp.store.rows import Row
    from idp.web.http import Request, Response

    Page = Callable[["Visit"], Response]

LONGEST_TYPED = 8000  # characters of a form that survive a sign-in; a longer one is no person's
DONE = "done"  # the parameter that says what has just been done
# The pages in the order of the navigation: path, words.
_NAVIGATION = (
    ("", N_("Overview")),
    ("/profile", N_("Profile")),
    ("/email", N_("Email address")),
    ("/password", N_("Password")),
    ("/sessions", N_("Signed-in devices")),
    ("/applications", N_("Applications")),
    ("/history", N_("Activity")),
    ("/data", N_("Your data")),
    ("/delete", N_("Delete account")),
)


@dataclass
class Visit:
    """One request of a person who is signed in; ``session`` has the columns of ``sessions.find_live``."""

    server: TenantServer
    request: Request
    path: str
    session: Row[Any]
    user: Row[Any]
    browser: str
    set_cookies: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of this page."""
        return f"{self.server.tenant.base_path}{self.path}"

    @property
    def by(self) -> By:
        """Who changes something here, for the audit trail."""
        return By(self.user.id, self.request.remote_addr, self.request.correlation_id)

    @property
    def origin(self) -> Origin:
        """Where it is changed from, for a notice."""
        return Origin(self.request.remote_addr, self.request.headers.get("user-agent"))

    @cached_property
    def typed(self) -> dict[str, str]:
        """What this browser sent to this page before it had to sign in again; empty for everybody else's."""
        given = [value for name, value in self.request.args if name == protocol.AGAIN]
        found = interactions.find(self.server.database, given[0]) if len(given) == 1 else None
        if found is None or found.protocol != protocol.AccountProtocol.name or not found.is_bound_to(self.browser):
            return {}
        is_mine = found.session_id == self.session.id and found.request.get("goal") == self.path
        return dict(found.request.get("typed") or {}) if is_mine else {}

    def field(self, name: str) -> str:
        """Return a field of the form that was sent exactly once, else an empty text."""
        given = [value for key, value in self.request.form if key == name]
        return given[0] if len(given) == 1 else ""

    def moment(self, at: int) -> dict[str, str]:
        """Return a time as a page shows it, in the person's own time zone where that is known."""
        local = datetime.fromtimestamp(at, UTC).astimezone(self._zone)
        iso = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"iso": iso, "text": f"{local:%Y-%m-%d %H:%M} {local.tzname() or 'UTC'}"}

    @cached_property
    def _zone(self) -> tzinfo:
        name = (self.user.claims or {}).get("zoneinfo")
        try:
            return ZoneInfo(name) if isinstance(name, str) and name else UTC
        except (LookupError, OSError, ValueError):  # no such zone, or none that this machine knows
            return UTC

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Answer one of the pages."""
        base, settings = self.server.tenant.base_path, self.server.tenant.settings
        navigation = [
            {
                "url": f"{base}{protocol.ROOT}{path}",
                "words": gettext(words),
                "is_current": self.path.removesuffix("/sent") == f"{protocol.ROOT}{path}",
            }
            for path, words in _NAVIGATION
            if path != "/delete" or settings.account_self_deletion
        ]
        given = [value for name, value in self.request.args if name == DONE]
        done = _DONE.get(given[0]) if len(given) == 1 else None
        answer = pages.page(
            self.server,
            self.request,
            template,
            status=status,
            navigation=navigation,
            sign_out_url=f"{base}/logout",
            done=gettext(done) if done is not None else None,
            action=self.url,
            csrf=form_token(self.server, self.browser, self.session, self.path),
            **context,
        )
        answer.headers += self.set_cookies
        return answer

    def leading_to(self, path: str, **typed: str) -> Response:
        """Answer a form that was followed: on to a page that shows some of what was typed, which no address has to carry."""
        server = self.server
        asked = protocol.asked(path, max_age=None, user=self.session, typed=typed)
        made = interactions.new(protocol.AccountProtocol.name, "", asked)
        lifetime = server.tenant.settings.interaction_lifetime
        made = interactions.store(server.database, made, browser=self.browser, lifetime=lifetime)
        server.database.writing(lambda conn: interactions.finish(conn, made, self.session.id))
        server.services.spool.touch(server.tenant.id)
        return redirect(303, f"{server.tenant.base_path}{path}?{protocol.AGAIN}={made.id}", self.set_cookies)

    def done(self, what: str, path: str | None = None) -> Response:
        """Answer a form that was followed: back to a page, which says what was done."""
        self.server.services.spool.touch(self.server.tenant.id)
        return redirect(303, f"{self.server.tenant.base_path}{path or self.path}?{DONE}={what}", self.set_cookies)


_DONE = {
    "profile": N_("Your profile is saved."),
    "email": N_("Your email address is changed."),
    "password": N_("Your password is changed."),
    "session": N_("That device is signed out."),
    "sessions": N_("All other devices are signed out."),
    "application": N_("The application no longer has access to your account."),
}


def guarded(path: str, show: Page, submit: Page | None = None, *, is_sensitive: bool = False) -> Any:
    """Return the handler of a page and its form: only for who is signed in, and lately where it ``is_sensitive``."""

    def handle(server: TenantServer, request: Request) -> Response:
        is_form = request.method == "POST" and submit is not None
        live = session.current(server, request)
        browser = session.browser_of(server.tenant, request)
        if is_form:
            if live is None:
                csrf.check_origin(request, request.origin)
            else:
                csrf.require(request, server.services.csrf_key, browser, _purpose(path), live.id)
        max_age = server.tenant.settings.sensitive_fresh_seconds if is_sensitive else None
        wanted = protocol.asked(path, max_age=max_age, user=live, typed=_typed(request) if is_form else {})
        with server.database.reading() as conn:
            user = users.find(conn, live.user_id) if live is not None else None
        if live is None or user is None or protocol.needs_step(server, request, live, wanted):
            return protocol.begin(server, request, wanted)
        cookies = []
        if browser is None:
            browser = opaque.new_secret("b")
            cookies = [session.browser_cookie(server.tenant, browser)]
        visit = Visit(server, request, path, live, user, browser, cookies)
        return submit(visit) if is_form and submit is not None else show(visit)

    return handle


def form_token(server: TenantServer, browser: str, live: Row[Any], path: str) -> str:
    """Return the token of a page's form: of this browser, this session and this page."""
    return csrf.token(server.services.csrf_key, browser, _purpose(path), live.id)


def require_form(server: TenantServer, request: Request, live: Row[Any], path: str) -> None:
    """Refuse a form that is not this page's in this browser and session; raises :class:`idp.web.csrf.ForeignForm`."""
    browser = session.browser_of(server.tenant, request)
    csrf.require(request, server.services.csrf_key, browser, _purpose(path), live.id)


def _purpose(path: str) -> str:
    return f"account {path}"


def _typed(request: Request) -> dict[str, str]:
    """Return the texts of a form that may be kept: nothing secret, nothing endless."""
    kept = [(name, value) for name, value in request.form if name != csrf.FIELD and "password" not in name]
    if sum(len(name) + len(value) for name, value in kept) > LONGEST_TYPED:
        return {}
    return dict(kept) if len({name for name, _ in kept}) == len(kept) else {}
