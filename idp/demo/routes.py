"""The demo's addresses. A form's POST does something and leads to a page; reloading a page repeats nothing.

Whatever the identity provider answers, or does not, ends in a page that says how to go on: the errors that the protocol and
its libraries raise become a `Problem`, which is shown at /problem with the id that `idp explain` reads.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests
from authlib.common.errors import AuthlibBaseError
from flask import Blueprint, Response, redirect, request
from joserfc.errors import JoseError
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as HTTPNotFound

from idp.demo import problems, views
from idp.demo.visits import Notice, Tokens, Visit, current
from idp.web import pages
from idp.web.branding import Brand, brand_css
from idp.web.headers import origin_source, page_csp, page_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response as AnyResponse

    from idp.demo.application import Application

BRAND = Brand("Demo application", primary="#0f766e")
# What a strange or hostile answer makes the libraries raise.
_FAILURES = (
    problems.Problem,
    requests.RequestException,
    AuthlibBaseError,
    JoseError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
)
_PROMPTS = ("login", "none")
_GONE = "You are not signed in any more. The demo keeps its memory only as long as it runs."
_REVOKED = {
    "access": "The access token is revoked. Call userinfo or introspect it, and see that it is refused.",
    "refresh": "The refresh token is revoked, and the access token with it. Try to refresh, and see that it is refused.",
}
_LOST = {404: "There is nothing here", 405: "This address is for a button", 403: "That came from somewhere else"}


class Site:
    """The pages and actions of one application."""

    def __init__(self, application: Application, hint: str | None) -> None:
        """Take the application; ``hint`` is a sentence for the person who is about to sign in."""
        self.application, self.hint = application, hint
        issuer = origin_source(application.issuer)
        # Chromium applies form-action to the redirect after a form too: signing out ends at the identity provider.
        self._headers = [*page_headers(page_csp(form_action=[issuer] if issuer else [])), ("vary", "cookie")]

    def blueprint(self) -> Blueprint:
        """Return the routes for Flask."""
        routes = Blueprint("demo", __name__)
        for method, path, view in (
            ("GET", "/", self.home),
            ("GET", "/sign-in", self.sign_in),
            ("GET", "/callback", self.callback),
            ("POST", "/userinfo", self.userinfo),
            ("POST", "/refresh", self.refresh),
            ("POST", "/introspect", self.introspect),
            ("POST", "/revoke", self.revoke),
            ("POST", "/sign-out", self.sign_out),
            ("GET", "/signed-out", self.signed_out),
            ("GET", "/problem", self.problem),
            ("GET", "/brand.css", _colours),
            ("GET", "/static/<path:name>", _static),
        ):
            routes.add_url_rule(path, view_func=view, methods=[method], provide_automatic_options=False)
        routes.app_errorhandler(HTTPException)(self.lost)
        return routes

    def home(self) -> Response:
        """Show the tokens, or the button to get some."""
        visit = current()
        notice, visit.notice = visit.notice, None
        if visit.tokens is None:
            return self._page("start.html", hint=self.hint, notice=notice)
        return self._page(
            "tokens.html",
            person=views.person(visit.tokens),
            cards=views.cards(visit.tokens),
            scope=visit.tokens.scope,
            trace=visit.trace,
            notice=notice,
        )

    def sign_in(self) -> AnyResponse:
        """Begin a sign-in, with the prompt that was asked for."""
        visit, prompt = current(), request.args.get("prompt")
        if visit.tokens is None:
            visit.trace.clear()
        visit.trace.begin_act()
        try:
            return self.application.begin(visit, prompt if prompt in _PROMPTS else None)
        except _FAILURES as error:
            return self._failed(visit, error)

    def callback(self) -> AnyResponse:
        """End a sign-in."""
        visit = current()
        try:
            tokens = self.application.finish(visit, request.args)
        except _FAILURES as error:
            return self._failed(visit, error)
        visit.problem = None
        try:
            self.application.fetch_userinfo(visit, tokens)
        except _FAILURES as error:  # the person is signed in all the same
            told = problems.from_error(error, self.application.issuer, None)
            visit.notice = Notice(f"You are signed in, but not all went well. {told.title}.", visit.trace.count)
        return redirect("/", 303)

    def userinfo(self) -> AnyResponse:
        """Ask userinfo."""

        def work(visit: Visit, tokens: Tokens) -> str:
            self.application.fetch_userinfo(visit, tokens)
            return "Userinfo answered."

        return self._act(work, "#userinfo")

    def refresh(self) -> AnyResponse:
        """Use the refresh token."""

        def work(visit: Visit, tokens: Tokens) -> str:
            self.application.refresh(visit, tokens)
            return "The tokens are new, and the refresh token was replaced as well."

        return self._act(work)

    def introspect(self) -> AnyResponse:
        """Ask about a token."""
        kind = _kind()

        def work(visit: Visit, tokens: Tokens) -> str:
            is_active = self.application.introspect(visit, tokens, kind)
            return f"The identity provider says that the {kind} token is {'active' if is_active else 'not active'}."

        return self._act(work, f"#{kind}-token")

    def revoke(self) -> AnyResponse:
        """Give a token back."""
        kind = _kind()

        def work(visit: Visit, tokens: Tokens) -> str:
            self.application.revoke(visit, tokens, kind)
            return _REVOKED[kind]

        return self._act(work)

    def sign_out(self) -> AnyResponse:
        """End the session here and at the identity provider."""
        visit = current()
        if visit.tokens is None:
            return redirect("/signed-out", 303)
        visit.trace.begin_act()
        try:
            return self.application.sign_out(visit, visit.tokens)
        except _FAILURES as error:
            return self._failed(visit, error)

    def signed_out(self) -> AnyResponse:
        """Show that nobody is signed in; note the return from the identity provider when it is ours."""
        visit = current()
        if visit.tokens is not None:
            return redirect("/", 303)
        if request.args:
            with suppress(*_FAILURES):  # nobody here asked for it: nothing is noted
                self.application.returned_from_sign_out(visit, request.args)
            return redirect("/signed-out", 303)
        return self._page("signed_out.html", trace=visit.trace)

    def problem(self) -> AnyResponse:
        """Show what went wrong last."""
        visit = current()
        if visit.problem is None:
            return redirect("/", 303)
        return self._page(
            "problem.html",
            visit.problem.status,
            problem=visit.problem,
            trace=visit.trace,
            is_signed_in=visit.tokens is not None,
        )

    def lost(self, error: HTTPException) -> Response:
        """Answer what leads nowhere, and a defect of the demo itself, with a page that says how to go on."""
        status = error.code or 500
        told = problems.Problem(_LOST.get(status, "This did not work"), "Nothing was changed.", status=status)
        return self._page("problem.html", status, problem=told, trace=None, is_signed_in=current().tokens is not None)

    def _page(self, template: str, status: int = 200, **context: Any) -> Response:
        html = pages.render(f"demo/{template}", BRAND, "", application=self.application, **context)
        return Response(html, status, self._headers, content_type="text/html; charset=utf-8")

    def _failed(self, visit: Visit, error: Exception) -> AnyResponse:
        latest = visit.trace.exchanges[-1] if visit.trace.exchanges else None
        reference = latest.reference if latest is not None and not latest.is_good else None
        visit.problem = problems.from_error(error, self.application.issuer, reference)
        return redirect("/problem", 303)

    def _act(self, work: Callable[[Visit, Tokens], str], anchor: str = "") -> AnyResponse:
        """Do something with the visit's tokens; ``work`` returns the sentence that says how it went."""
        visit = current()
        if visit.tokens is None:
            visit.notice = Notice(_GONE)
            return redirect("/", 303)
        visit.trace.begin_act()
        try:
            visit.notice = Notice(work(visit, visit.tokens), visit.trace.count)
        except _FAILURES as error:
            return self._failed(visit, error)
        return redirect(f"/{anchor}", 303)


def _static(name: str) -> Response:
    found = pages.static_file(name)
    if found is None:
        raise HTTPNotFound
    fields = [("cache-control", "public, max-age=300"), ("etag", found.etag), ("x-content-type-options", "nosniff")]
    return Response(found.body, 200, fields, content_type=found.content_type)


def _colours() -> Response:
    fields = [("cache-control", "public, max-age=300"), ("x-content-type-options", "nosniff")]
    return Response(brand_css(BRAND), 200, fields, content_type="text/css; charset=utf-8")


def _kind() -> str:
    return "refresh" if request.form.get("token") == "refresh" else "access"
