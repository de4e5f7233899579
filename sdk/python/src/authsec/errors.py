"""What can go wrong, as exceptions; all of them are an :class:`AuthSecError`.

Decide by the class, or by :attr:`ApiError.code`, which is stable; show :attr:`ApiError.detail` to people; give
:attr:`ApiError.request_id` to the operators of the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from authsec.types import ErrorCode, ProblemErrorsItem


def dictionaries(value: object) -> tuple[Any, ...]:
    """Return the dictionaries of a list; something between us and the server may answer with anything."""
    return tuple(each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


class AuthSecError(Exception):
    """Whatever this package raises by itself."""


class ConnectionFailed(AuthSecError):
    """The server was not reached, or did not answer in time; the reason is the ``__cause__``."""


class UnexpectedAnswer(AuthSecError):
    """The server, or something in between, answered what is not part of the protocol."""


# -- the services ---------------------------------------------------------------------------------------------------------


class ApiError(AuthSecError):
    """A service refused a request; carries the problem document (RFC 9457)."""

    def __init__(self, status: int, document: Mapping[str, Any], retry_after: float | None = None) -> None:
        """Keep the document; members that are missing are empty."""
        self.status = status
        self.document: Mapping[str, Any] = document
        self.code: ErrorCode | str = str(document.get("code") or "")
        self.title = str(document.get("title") or "")
        self.detail = str(document.get("detail") or self.title or f"The server answered {status}.")
        self.request_id = str(document.get("request_id") or "")
        self.doc_url = str(document.get("doc_url") or "")
        self.errors: Sequence[ProblemErrorsItem] = dictionaries(document.get("errors"))
        """Each wrong value, with its `pointer` into the body or its `parameter`, and the `detail`."""
        self.retry_after = retry_after
        """Seconds after which to try again, where the server says so."""
        about = ", ".join(part for part in (str(status), self.code, self.request_id) if part)
        faults = "".join(
            f"\n  {each.get('pointer') or each.get('parameter') or ''}: {each.get('detail', '')}"
            for each in self.errors
        )
        super().__init__(f"{self.detail} ({about}){faults}")


class InvalidRequest(ApiError):
    """400, 405, 413, 415: the request cannot be read."""


class NotAuthenticated(ApiError):
    """401: the access token is missing or no longer accepted."""


class PermissionRequired(ApiError):
    """403: the caller may not do this."""

    @property
    def permission(self) -> str | None:
        """The permission that is missing, where one is."""
        found = self.document.get("permission")
        return found if isinstance(found, str) else None


class NotFound(ApiError):
    """404: there is no such thing in this tenant."""


class Conflict(ApiError):
    """409: it contradicts what is there."""


class PreconditionFailed(ApiError):
    """412: somebody else changed it since it was read; read it again."""


class InvalidFields(ApiError):
    """422: values that cannot be accepted; see :attr:`ApiError.errors`."""


class TooManyRequests(ApiError):
    """429: more often than is allowed, and still so after the retries."""


class ServerError(ApiError):
    """5xx: the server failed, or is not there for the moment."""


_OF_STATUS: dict[int, type[ApiError]] = {
    401: NotAuthenticated,
    403: PermissionRequired,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    422: InvalidFields,
    429: TooManyRequests,
}


def api_error(status: int, document: Mapping[str, Any], retry_after: float | None = None) -> ApiError:
    """Return the exception for a refusal."""
    kind = _OF_STATUS.get(status, ServerError if status >= 500 else InvalidRequest)
    return kind(status, document, retry_after)


# -- signing in -----------------------------------------------------------------------------------------------------------


class NotSignedIn(AuthSecError):
    """There is no access token: call ``login`` first, or give one."""


class SessionEnded(NotSignedIn):
    """The tokens can no longer be renewed: sign in again."""


class SignInError(AuthSecError):
    """The sign-in did not succeed."""


class AuthenticationFailed(SignInError):
    """The credentials were not accepted. Which part was wrong, and whether there is such an account, is not said."""


class SignInRefused(SignInError):
    """The server refused the sign-in itself: `error` and `description` are those of OAuth (RFC 6749 §5.2)."""

    def __init__(self, error: str, description: str, status: int, retry_after: float | None = None) -> None:
        """Keep what the server said."""
        super().__init__(f"{description or 'The sign-in was refused.'} ({status}, {error})")
        self.error, self.description, self.status, self.retry_after = error, description, status, retry_after


class StepRequired(SignInError):
    """The sign-in needs one more step: send its `fields` with ``continue_login``."""

    def __init__(self, auth_session: str, document: Mapping[str, Any]) -> None:
        """Keep what the server said of the step."""
        self.auth_session, self.document = auth_session, document
        self.step = str(document.get("step") or "")
        self.fields: Sequence[str] = tuple(document.get("fields") or ())
        """What to send; the server may tell more of it in `document`."""
        self.errors: Sequence[Mapping[str, str]] = dictionaries(document.get("errors"))
        """What was wrong with what was sent: `field` and `detail`."""
        self.methods: Sequence[str] = tuple(document.get("methods") or ())
        said = "; ".join(str(each.get("detail", "")) for each in self.errors)
        super().__init__(said or f"The sign-in needs a further step: {self.step} ({', '.join(self.fields)}).")


class MfaRequired(StepRequired):
    """The sign-in needs a second factor, by one of the `methods`."""


class WebSignInRequired(SignInError):
    """The person must go on in a browser; `uri` is where, when the server says so."""

    def __init__(self, uri: str | None) -> None:
        """Keep the address."""
        super().__init__("This sign-in can only be finished in a browser.")
        self.uri = uri


# -- relying parties ------------------------------------------------------------------------------------------------------


class InvalidToken(AuthSecError):
    """An access token that is not to be accepted. The text says why; it is for logs, not for who sent the token."""


class InsufficientScope(AuthSecError):
    """A valid access token that does not suffice for what is asked."""

    def __init__(self, *, scope: str | None = None, permission: str | None = None) -> None:
        """Keep what is missing."""
        super().__init__(f"The access token lacks the {'scope' if scope else 'permission'} {scope or permission}.")
        self.scope, self.permission = scope, permission


class KeysUnavailable(AuthSecError):
    """The issuer's keys could not be fetched, so that no token can be judged for the moment."""


class InvalidWebhook(AuthSecError):
    """A webhook that is not to be trusted: not signed with the secret, or too old."""
