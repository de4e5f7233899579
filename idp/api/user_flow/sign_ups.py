"""Signing up by a program that shows its own forms: the functions, limits and answers of the pages (:mod:`idp.identity.signup`).

Which addresses there are is told to nobody: an address that has an account is answered like any other (security rule 7). A sign-up
belongs to the caller that began it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from idp import opaque
from idp.api.errors import InvalidFields, SignUpOff, nothing_here, pointer
from idp.api.moments import Moment, moment
from idp.api.operations import Given, Operation, Reply, Shown
from idp.api.user_flow import user_examples as examples
from idp.api.user_flow.user_models import Claims, Email, User
from idp.api.user_flow.user_reading import made
from idp.clock import now
from idp.errors import Conflict, TooManyRequests
from idp.identity import profile, signup
from idp.identity.passwords import LONGEST
from idp.jobs.outbox import announced
from idp.store.tenant import signups, users

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Sign-ups"
_PATH = "/tenants/{tenant_id}/sign-ups"
_ONE = _PATH + "/{sign_up_id}"
_BY_PROGRAM = "program"  # stands for the interaction of the pages, whose ids are longer


class NewSignUp(Given):
    """What somebody typed who wants an account."""

    email: Annotated[Email, Field(description="The address, which is to be the name to sign in with.")]
    password: Annotated[
        str,
        Field(
            min_length=1,
            max_length=LONGEST,
            description="The password, by the tenant's rules; it is shown nowhere.",
            json_schema_extra={"writeOnly": True},
        ),
    ]
    claims: Annotated[Claims, Field(default_factory=dict)]
    terms_version: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="The version of the tenant's terms that was accepted, where there are any.",
        ),
    ] = None
    language: Annotated[
        str | None,
        Field(
            max_length=35,
            pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$",
            description="The language of the mails; left out, the tenant's.",
        ),
    ] = None


class SignUp(Shown):
    """A sign-up that waits for its code."""

    id: Annotated[str, Field(description="Its id.")]
    email: Annotated[str, Field(description="The address in its normal form.")]
    code_expires_at: Annotated[Moment, Field(description="Until when the code can be used.")]
    expires_at: Annotated[Moment, Field(description="Until when codes can be sent and used.")]


class SignUpCode(Given):
    """The code from the mail."""

    code: Annotated[
        str,
        Field(min_length=1, max_length=64, description="The digits as people type them, spaces and hyphens between."),
    ]


def begin(call: Call) -> Reply:
    """Begin a sign-up: the code is mailed."""
    _require_open(call)
    body: NewSignUp = call.body
    server, settings, source = call.server, call.tenant.settings, call.http.remote_addr
    address, clean = _checked(call, body)
    if not server.database.writing(lambda conn: signup.count(conn, address, source, settings)):
        raise TooManyRequests(retry_after=signup.WINDOW)
    wanted = signup.Wanted(
        id=opaque.new_id(),
        interaction_id=_BY_PROGRAM,
        browser_hash=_caller(call),
        address=address,
        password_hash=server.services.hasher.hash(body.password),
        claims=clean,
        terms_version=body.terms_version,
        language=body.language,
        source=source,
        correlation_id=call.http.correlation_id,
        client_id=call.caller.client_id,
    )
    at = now()
    shown = {
        "id": wanted.id,
        "email": address,
        "code_expires_at": moment(at + signup.CODE_LIFETIME),
        "expires_at": moment(at + signup.LIFETIME),
    }
    reply = Reply(shown)

    def work(conn: Connection) -> None:
        signup.begin(conn, server, wanted)
        call.keep(conn, reply)

    with announced(server.database):
        server.database.writing(work)
    return reply


def _checked(call: Call, body: NewSignUp) -> tuple[str, dict[str, Any]]:
    """Return the address in its normal form and the claims to store; raises :class:`InvalidFields` that names all that is wrong."""
    server, terms = call.server, call.server.terms
    address, problem = signup.check_address(body.email, call.tenant.settings)
    errors = {pointer("email"): problem} if problem is not None else {}
    clean, wrong = profile.check(server.profile, body.claims, "signup")
    errors |= {pointer("claims", name): sentence for name, sentence in wrong.items()}
    problems = signup.check_password(body.password, call.tenant, address, clean)
    if problems:
        errors[pointer("password")] = problems[0]
    if (terms.version if terms is not None else None) != body.terms_version:
        errors[pointer("terms_version")] = "must be the version of the terms that is in force, where there are any"
    if errors:
        raise InvalidFields(errors=errors)
    return address, {name: value for name, value in clean.items() if value is not None}


def verify(call: Call) -> Reply:
    """Judge a code; the right one makes the account."""
    _require_open(call)
    row, server = _pending(call), call.server
    code = signup.typed_code(call.body.code)
    if code is None:
        raise InvalidFields(errors={pointer("code"): f"must be the {signup.DIGITS} digits of the mail"})
    answer: list[Reply] = []

    def and_then(conn: Connection, user_id: str) -> None:
        user = users.find(conn, user_id)
        if user is not None:
            answer.append(made(call, conn, user))
            call.keep(conn, answer[-1])

    verdict, left = server.database.writing(
        lambda conn: signup.guess(
            conn,
            server,
            row.id,
            code,
            source=call.http.remote_addr,
            correlation_id=call.http.correlation_id,
            client_id=call.caller.client_id,
            and_then=and_then,
        )
    )
    if verdict == "right":
        return answer[-1]
    if verdict == "taken":
        raise Conflict("There is an account with this address by now.")
    if verdict == "over" or left == 0:
        raise Conflict("This code cannot be used any more. Begin the sign-up again to get a new one.")
    raise InvalidFields(errors={pointer("code"): f"is not right; guesses left: {left}"})


def send_again(call: Call) -> Reply:
    """Mail another code."""
    _require_open(call)
    row, server = _pending(call), call.server
    with announced(server.database):
        is_sent = server.database.writing(lambda conn: signup.send_again(conn, server, row))
    if not is_sent:
        is_early = row.sendings < signup.SENDINGS and row.sent_at > now() - signup.PAUSE
        raise TooManyRequests(retry_after=row.sent_at + signup.PAUSE - now() if is_early else signup.WINDOW)
    return Reply()


def _require_open(call: Call) -> None:
    if call.tenant.settings.signup != "on":
        raise SignUpOff


def _caller(call: Call) -> str:
    who = call.caller
    return opaque.digest(f"{who.home.tenant.id}\n{who.subject.type}\n{who.subject.id}\n{who.client_id}")


def _pending(call: Call) -> Row[Any]:
    """Return the sign-up of the path, if the caller has begun it and something can come of it."""
    with call.server.database.reading() as conn:
        row = signups.find(conn, call.path["sign_up_id"])
    is_mine = row is not None and row.interaction_id == _BY_PROGRAM and opaque.same(row.browser_hash, _caller(call))
    if row is None or not is_mine or row.used_at is not None or row.expires_at <= now():
        raise nothing_here()
    return row


OPERATIONS = (
    Operation(
        name="begin_sign_up",
        method="POST",
        path=_PATH,
        permission="users:write",
        summary="Begin a sign-up",
        description="Mails a code to the address; an address that has an account is answered alike, and its owner is told by mail. Where the "
        "tenant lets people sign up, by its rules for domains, attributes, terms and passwords, and within its `signup_source_limit`.",
        tag=TAG,
        handle=begin,
        body=NewSignUp,
        answer=SignUp,
        status=201,
        errors=("signup_off",),
        body_example=examples.NEW_SIGN_UP,
        answer_example=examples.SIGN_UP,
        is_repeatable=True,
    ),
    Operation(
        name="verify_sign_up",
        method="POST",
        path=f"{_ONE}/verify",
        permission="users:write",
        summary="End a sign-up with the code",
        description="The right code makes the account, whose address counts as verified. Five guesses, however many codes are sent. Only the "
        "caller that began the sign-up can end it.",
        tag=TAG,
        handle=verify,
        body=SignUpCode,
        answer=User,
        status=201,
        errors=("conflict", "signup_off"),
        body_example=examples.CODE,
        answer_example=examples.USER,
        has_etag=True,
        is_repeatable=True,
    ),
    Operation(
        name="resend_sign_up",
        method="POST",
        path=f"{_ONE}/resend",
        permission="users:write",
        summary="Mail another code",
        description="The code before it does not count any more, its guesses do. A minute after the last one at the earliest, three times at "
        "most.",
        tag=TAG,
        handle=send_again,
        status=204,
        errors=("signup_off",),
    ),
)
