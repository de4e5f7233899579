"""Errors of the services as problem documents (RFC 9457), each with its code's page; and what a challenge says (RFC 6750 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from idp.api.codes import CODES, doc_url
from idp.errors import Conflict, Forbidden, IdpError, Invalid, NotFound, TooManyRequests
from idp.web.problems import problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from idp.web.http import Response


class ApiError(IdpError):
    """An error that brings headers of its own, or further members of the document."""

    def __init__(
        self,
        title: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        more: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        """Keep what the answer has beside the usual."""
        super().__init__(title, **rest)
        self.headers, self.more = list(headers), dict(more or {})


class TokenMissing(ApiError):
    """No access token was presented, or more than one."""

    code, status, title = "token_missing", 401, "Send an access token, once, as Authorization: Bearer."


class TokenRefused(ApiError):
    """The access token is not accepted; the answer does not say why."""

    code, status, title = "invalid_token", 401, "The access token is not accepted by this service for this tenant."


class PermissionRequired(ApiError, Forbidden):
    """The caller lacks the operation's permission."""

    code = "permission_required"


class MethodNotAllowed(ApiError):
    """RFC 9110 §15.5.6."""

    code, status, title = "method_not_allowed", 405, "This address does not take requests of this method."


class TooOften(ApiError, TooManyRequests):
    """A limit of rate; the answer says which, and when there is room again."""


class OwnClient(Conflict):
    """The caller would lock itself out."""

    code, title = "own_client", "This is the application that you are using. Let another one do it."


class OwnAccount(Conflict):
    """The caller would lock itself out, or get round the proof that its own account page asks for."""

    code, title = "own_account", "This is your own account. Let another administrator do it, or use your account page."


class SignUpOff(Conflict):
    """The tenant lets nobody sign up."""

    code, title = "signup_off", "Nobody can sign up at this tenant: its setting signup is off."


class PreconditionFailed(IdpError):
    """RFC 9110 §13.1.1: the thing has changed since the caller read it."""

    code, status, title = "precondition_failed", 412, "It has been changed since you read it."


class UnsupportedMediaType(ApiError):
    """RFC 9110 §15.5.16."""

    code, status, title = "unsupported_media_type", 415, "The body is of a type that this operation does not read."


class InvalidFields(IdpError):
    """Values that cannot be accepted; `errors` by JSON Pointer (`#/name`) or parameter (`?name`)."""

    code, status, title = "invalid_fields", 422, "Some values cannot be accepted; see errors."


class KeyReused(IdpError):
    """The same Idempotency-Key with another request."""

    code, status, title = "idempotency_key_reused", 422, "This Idempotency-Key was used for another request."


class AnswerUnreadable(Conflict):
    """The repeated request was done, and its answer can no longer be opened."""

    code, title = "answer_unreadable", "This request was done before; what it answered can no longer be read."


def pointer(*parts: str | int) -> str:
    """Return a JSON Pointer into the body as a URI fragment (RFC 6901 §6)."""
    # Half of a surrogate pair, which JSON can spell, has no UTF-8.
    escaped = (quote(str(part).replace("~", "~0").replace("/", "~1"), safe="~", errors="replace") for part in parts)
    return "#" + "".join(f"/{part}" for part in escaped)


def answered(error: IdpError, correlation_id: str, public_url: str) -> Response:
    """Return an error as its problem document."""
    code, status = error.code, error.status
    if isinstance(error, Invalid) and (error.errors or code in _OF_METADATA):
        # RFC 7591 §3.2.2 answers 400 at the registration endpoint; here a value that cannot be accepted is a 422.
        code, status = code if code in _OF_METADATA else InvalidFields.code, 422
    known = CODES.get(code)
    address = doc_url(public_url, code)
    more: dict[str, object] = {}
    if known is not None:
        # RFC 9457 §3.1.1: the type is an address that explains it; §3.1.3: its title is the same each time.
        more = {"type": address, "title": known.title, "doc_url": address}
    if isinstance(error, ApiError):
        more |= error.more
    if error.errors:
        more["errors"] = [_shown(where, what) for where, what in error.errors.items()]
    plain = IdpError(error.title, code=code, status=status, retry_after=error.retry_after)
    response = problem(plain, correlation_id, more)
    for name, value in getattr(error, "headers", ()):
        response.set(name, value)
    return response


_OF_METADATA = ("invalid_client_metadata", "invalid_redirect_uri")


def _shown(where: str, what: str) -> dict[str, str]:
    if where.startswith("?"):
        return {"parameter": where[1:], "detail": what}
    return {"pointer": where if where.startswith("#") else pointer(*where.split(".")), "detail": what}


def nothing_here() -> NotFound:
    """Return the one answer for what is not there, and for what is another tenant's."""
    return NotFound("There is no such thing here.")
