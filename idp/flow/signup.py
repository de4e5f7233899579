"""The pages on which a person makes an account: the form, and the code that was sent to the address.

Reached from the sign-in page, by ``prompt=create`` (Initiating User Registration via OpenID Connect 1.0 §4) and from the tenant's
front page. Owns the forms; what was typed survives every error, passwords excepted. Which addresses there are is told to nobody:
an address that has an account is answered like any other (security rule 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import language, opaque
from idp.clock import now
from idp.errors import IdpError, Unavailable
from idp.flow import browser_state, own_sign_in, pages, session, step_pages
from idp.flow import interaction as interactions
from idp.flow.dispatcher import proceed
from idp.flow.login import LOGIN
from idp.flow.preamble import PARAMETER, form_token, load_step
from idp.flow.signup_offer import PATH, is_offered, may_sign_up
from idp.identity import profile, signup
from idp.identity.passwords import normalised
from idp.jobs.outbox import announced
from idp.language import N_, filled, gettext
from idp.store.tenant import signups
from idp.web.http import Response, redirect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.flow.dispatcher import Context
    from idp.flow.services import FlowServer
    from idp.flow.step_pages import Handle
    from idp.store.rows import Connection, Row
    from idp.web.http import Request

CODE_PATH = f"{PATH}/code"
SENT = "sent"  # the parameter that says that another mail has just been sent
_LONGEST_EMAIL = 254
_BUSY = N_("Too many people are signing up. Please try again in a moment")
_TOO_MANY = N_("There were too many sign-ups from here or for this address. Please try again in an hour")
_TERMS = N_("Accept the terms to go on")
_MISMATCH = N_("The two passwords are not the same")
_NO_CODE = N_("Enter the %(digits)s digits of the code from the mail")
_WRONG_CODE = N_("This code is not right. Compare it with the newest mail; you can try %(left)s more times")
_WRONG_CODE_LAST = N_("This code is not right. Compare it with the newest mail; you can try once more")
_OVER = N_("This code cannot be used any more. Begin the sign-up again to get a new one")
_TAKEN = N_("There is an account with this address by now. Sign in with it")
_WAIT = N_("A code was sent less than a minute ago. Wait a little, and look into the folder for spam too")
_SENT_ENOUGH = N_("No more codes can be sent now. Begin the sign-up again, later if need be")

_Errors = list[tuple[str | None, str]]


class NoSignUp(IdpError):
    """The tenant lets nobody sign up."""

    code, status = "signup_off", 404
    title = N_("Nobody can make an account here. Ask whoever runs this service for one.")


class SignUp:
    """The form; a step of its own only where the application asked for it."""

    name = "signup"
    path = PATH
    refusal = "login_required"

    def is_needed(self, context: Context) -> bool:
        """Say whether the request wants an account to be made, and the person has not said that there is one."""
        is_wanted = "create" in context.interaction.prompt and not context.interaction.state.get("has_account")
        return is_wanted and may_sign_up(context)

    def shows(self, context: Context) -> str:  # noqa: ARG002
        """Promise nothing: the terms' version stands in the form."""
        return ""

    def show(self, context: Context) -> Response:
        """Answer the form; who comes back from the code finds what was typed."""
        row = _pending(context)
        hint = context.interaction.request.get("login_hint")
        known = hint if isinstance(hint, str) and len(hint) <= _LONGEST_EMAIL and hint.isprintable() else ""
        return self._page(context, row.address if row else known, dict(row.claims) if row else {}, [])

    def submit(self, context: Context) -> Response:
        """Judge the form and send the code; or go to the sign-in."""
        if not is_open(context):
            return proceed(context)
        if context.field("action") == "sign_in":
            return sign_in_instead(context)
        server, settings = context.server, context.server.tenant.settings
        typed = profile.from_form(server.profile, "signup", context.request.form)
        email = context.field("email")[: 2 * _LONGEST_EMAIL]
        address, problem = signup.check_address(email, settings)
        errors: _Errors = [("email", problem)] if problem is not None else []
        clean, wrong = profile.check(server.profile, typed, "signup", language=language.current().tag)
        errors += [(f"{profile.PREFIX}{name}", sentence) for name, sentence in wrong.items()]
        errors += self._password_errors(context, address, clean)
        terms = server.terms
        if terms is not None and context.field("terms") != terms.version:
            errors.append(("terms", gettext(_TERMS)))
        if errors:
            return self._page(context, email, typed, errors, 400)
        source = context.request.remote_addr
        if not server.database.writing(lambda conn: signup.count(conn, address, source, settings)):
            answer = self._page(context, email, typed, [(None, gettext(_TOO_MANY))], 429)
            answer.set("retry-after", str(signup.WINDOW))
            return answer
        try:
            password_hash = server.services.hasher.hash(context.field("password"))
        except Unavailable as busy:
            answer = self._page(context, email, typed, [(None, gettext(_BUSY))], 503)
            answer.set("retry-after", str(busy.retry_after))
            return answer
        wanted = signup.Wanted(
            id=opaque.new_id(),
            interaction_id=context.interaction.id,
            browser_hash=opaque.digest(context.browser or ""),
            address=address,
            password_hash=password_hash,
            claims={name: value for name, value in clean.items() if value is not None},
            terms_version=terms.version if terms is not None else None,
            language=language.current().tag,
            source=source,
            correlation_id=context.request.correlation_id,
            client_id=context.interaction.client_id or None,
        )

        def work(conn: Connection) -> None:
            context.interaction = interactions.note(conn, context.interaction, signup=wanted.id)
            signup.begin(conn, server, wanted)

        with announced(server.database):
            context.write(work)
        return redirect(303, context.url_of(CODE_PATH), context.set_cookies)

    def _password_errors(self, context: Context, address: str, clean: Mapping[str, Any]) -> _Errors:
        server, new = context.server, context.field("password")
        problems = signup.check_password(new, server.tenant, address, clean)
        errors: _Errors = [("password", sentence) for sentence in problems]
        if not problems and normalised(context.field("confirm_password")) != normalised(new):
            errors.append(("confirm_password", gettext(_MISMATCH)))
        return errors

    def _page(
        self, context: Context, email: str, values: Mapping[str, Any], errors: _Errors, status: int = 200
    ) -> Response:
        server, tag, terms = context.server, language.current().tag, context.server.terms
        return pages.interaction_page(
            server,
            context.request,
            context.interaction,
            "signup.html",
            status=status,
            action=context.url_of(self.path),
            csrf=form_token(context, self),
            email=email or None,
            fields=profile.fields_for(server.profile, "signup", tag, values),
            terms={"version": terms.version, "url": terms.url_for(tag)} if terms is not None else None,
            has_accepted=terms is not None and context.field("terms") == terms.version,
            min_length=server.tenant.settings.password_min_length,
            errors=errors,
        )


class SignUpCode:
    """The code's page; it is no step that the dispatcher asks for, the form leads to it."""

    name = "signup_code"
    path = CODE_PATH
    refusal = "login_required"

    def is_needed(self, context: Context) -> bool:  # noqa: ARG002
        """Say no: who leaves it for the sign-in is not brought back."""
        return False

    def shows(self, context: Context) -> str:
        """Promise that the code is judged for the sign-up whose address the page shows."""
        return str(context.interaction.state.get("signup") or "")

    def show(self, context: Context) -> Response:
        """Answer the form for the code."""
        row = _pending(context)
        if row is None:
            return redirect(303, context.url_of(PATH))
        return self._page(context, row, [], is_sent=(SENT, "yes") in context.request.args)

    def submit(self, context: Context) -> Response:
        """Judge the code, send another, or go to the sign-in."""
        action = context.field("action")
        if not is_open(context):  # a double click of the right code too: the first one has gone on
            return proceed(context)
        if action == "sign_in":
            return sign_in_instead(context)
        row = _pending(context)
        if row is None:
            return redirect(303, context.url_of(PATH))
        if action == "resend":
            return self._send_again(context, row)
        code = signup.typed_code(context.field("code"))
        if code is None:
            sentence = filled(gettext(_NO_CODE), {"digits": signup.DIGITS})
            return self._page(context, row, [("code", sentence)], status=400)
        return self._judge(context, row, code)

    def _judge(self, context: Context, row: Row[Any], code: str) -> Response:
        server, request = context.server, context.request
        begun: list[session.Begun] = []

        def and_then(conn: Connection, user_id: str) -> str:
            made = session.begin(conn, server, request, user_id)
            context.interaction = interactions.note(conn, context.interaction, signed_in=made.id, signed_up=True)
            begun.append(made)
            return made.id

        with session.replacing(server, context.here, row.address):
            verdict, left = context.write(
                lambda conn: signup.guess(
                    conn,
                    server,
                    row.id,
                    code,
                    source=request.remote_addr,
                    correlation_id=request.correlation_id,
                    client_id=context.interaction.client_id or None,
                    and_then=and_then,
                )
            )
        if verdict == "right":
            context.go_on_as(begun[0])
            browser_state.show(context)
            return proceed(context)
        if verdict == "taken":
            return self._page(context, row, [(None, gettext(_TAKEN))], status=409, is_over=True)
        if verdict == "over" or left == 0:
            with server.database.reading() as conn:
                found = signups.find(conn, row.id)
            if found is not None and found.used_at is not None:  # a double click: the first one has gone on
                return redirect(303, context.url_of("/continue"))
            return self._page(context, row, [(None, gettext(_OVER))], status=400, is_over=True)
        words = filled(gettext(_WRONG_CODE), {"left": left}) if left > 1 else gettext(_WRONG_CODE_LAST)
        return self._page(context, row, [("code", words)], status=400)

    def _send_again(self, context: Context, row: Row[Any]) -> Response:
        server = context.server
        with announced(server.database):
            is_sent = context.write(lambda conn: signup.send_again(conn, server, row))
        if is_sent:
            return redirect(303, f"{context.url_of(CODE_PATH)}&{SENT}=yes", context.set_cookies)
        is_early = row.sendings < signup.SENDINGS and row.sent_at > now() - signup.PAUSE
        return self._page(context, row, [(None, gettext(_WAIT if is_early else _SENT_ENOUGH))], status=429)

    def _page(
        self,
        context: Context,
        row: Row[Any],
        errors: _Errors,
        *,
        status: int = 200,
        is_sent: bool = False,
        is_over: bool = False,
    ) -> Response:
        return pages.interaction_page(
            context.server,
            context.request,
            context.interaction,
            "signup_code.html",
            status=status,
            action=context.url_of(self.path),
            again_url=context.url_of(PATH),
            csrf=form_token(context, self),
            address=row.address,
            minutes=signup.CODE_LIFETIME // 60,
            digits=signup.DIGITS,
            is_sent=is_sent,
            is_over=is_over,
            errors=errors,
        )


SIGN_UP, SIGN_UP_CODE = SignUp(), SignUpCode()


def page_of(step: SignUp | SignUpCode) -> Handle:
    """Return the handler of GET: shown as long as the person could sign in instead, whatever step is next."""

    def handle(server: FlowServer, request: Request) -> Response:
        if step is SIGN_UP and not any(name == PARAMETER for name, _ in request.args):
            return _begin_here(server, request)
        context = load_step(server, request)
        if isinstance(context, Response):
            return context
        return step.show(context) if is_open(context) else proceed(context)

    return step_pages.answered(handle)


def is_open(context: Context) -> bool:
    """Say whether an account may be made within this sign-in now."""
    if "none" in context.interaction.prompt or not may_sign_up(context):
        return False
    return SIGN_UP.is_needed(context) or LOGIN.is_needed(context)


def sign_in_instead(context: Context) -> Response:
    """Go on with an account that there is."""
    if SIGN_UP.is_needed(context):
        context.interaction = context.write(lambda conn: interactions.note(conn, context.interaction, has_account=True))
    return proceed(context)


def _begin_here(server: FlowServer, request: Request) -> Response:
    """Begin a sign-up that no application asked for; it ends at the tenant's front page."""
    if not is_offered(server):
        raise NoSignUp
    return own_sign_in.start(server, request, own_sign_in.START, PATH, ["create"])


def _pending(context: Context) -> Row[Any] | None:
    """Return the sign-up of this browser's interaction, as long as something can come of it."""
    signup_id = context.interaction.state.get("signup")
    if not signup_id:
        return None
    with context.server.database.reading() as conn:
        row = signups.find(conn, signup_id)
    is_ours = (
        row is not None
        and row.interaction_id == context.interaction.id
        and opaque.same(row.browser_hash, opaque.digest(context.browser or ""))
    )
    return row if row is not None and is_ours and row.used_at is None and row.expires_at > now() else None
