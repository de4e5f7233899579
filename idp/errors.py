"""Errors that know how to be answered, and the refusal record that travels with them.

An :class:`IdpError` becomes a problem document (RFC 9457) for a program and an error page for a person. An OAuth error is
Authlib's ``OAuth2Error``. Either may carry a :class:`Refusal`: what was checked, by which section, the private reason and
the fix. The public answer shows only the correlation id; ``idp explain`` shows the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from idp.language import N_

E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was refused, for the people who run the tenant."""

    check: str
    spec: str
    reason: str
    fix: str
    received: str | None = None
    registered: tuple[str, ...] = ()


def refused(
    error: E,
    *,
    check: str,
    spec: str,
    reason: str,
    fix: str,
    received: str | None = None,
    registered: tuple[str, ...] = (),
) -> E:
    """Attach a :class:`Refusal` to an error and return the error, ready to raise."""
    error.refusal = Refusal(check, spec, reason, fix, received, registered)  # type: ignore[attr-defined]
    return error


def refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal record an error carries, if any."""
    found: Any = getattr(error, "refusal", None)
    return found if isinstance(found, Refusal) else None


class IdpError(Exception):
    """An error with a stable code, an HTTP status and a sentence that a person can act on."""

    code = "invalid_request"
    status = 400
    title = N_("The request could not be understood.")

    def __init__(
        self,
        title: str | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after: int | None = None,
        errors: dict[str, str] | None = None,
    ) -> None:
        """Keep the class's defaults for what is not given; ``retry_after`` is in seconds."""
        self.title = title or type(self).title
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.retry_after = retry_after
        self.errors = errors or {}
        super().__init__(self.title)


class Invalid(IdpError):
    """The caller's input cannot be accepted."""


class Forbidden(IdpError):
    """Who asks is known, and may not do this."""

    code, status, title = "forbidden", 403, N_("You may not do this.")


class NotFound(IdpError):
    """There is no such thing here; also the answer for a thing of another tenant."""

    code, status, title = "not_found", 404, N_("There is nothing at this address.")


class Conflict(IdpError):
    """The change collides with what exists."""

    code, status, title = "conflict", 409, N_("This already exists.")


class TooManyRequests(IdpError):
    """A rate limit or a full queue; carries ``retry_after``."""

    code, status, title = "too_many_requests", 429, N_("Too many requests. Please wait a moment and try again.")


class Unavailable(IdpError):
    """The service cannot answer at the moment; carries ``retry_after``."""

    code, status, title = "temporarily_unavailable", 503, N_("The service is busy. Please try again in a moment.")

    def __init__(self, title: str | None = None, *, retry_after: int = 2, **more: Any) -> None:
        """Say when to try again, in seconds."""
        super().__init__(title, retry_after=retry_after, **more)


class StorageUnavailable(Unavailable):
    """The database is locked, full, read-only or lost; nothing was written."""


class NoCurrentTenant(RuntimeError):
    """A tenant's data was asked for outside a tenant: a defect, never an answer."""


class SettingError(ValueError):
    """A setting is wrong; the message names it and says what to do."""
