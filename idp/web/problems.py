"""Errors as problem documents for programs (RFC 9457).

Owns the shape of the document: the standard members plus `code`, `request_id` (what `idp explain` takes) and `errors`
by field. Must not know an endpoint; never shows an exception's text that is not an IdpError's own title.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from idp.errors import IdpError
from idp.language import N_
from idp.web.http import Response, json_response
from idp.web.logs import get_logger

# Told of a refusal's correlation id, the error and the headers Accept and Accept-Language; may return a page to send instead.
OnRefusal = Callable[[str, IdpError, str | None, str | None], Response | None]


class InternalError(IdpError):
    """A defect of ours; says nothing but the correlation id."""

    code, status, title = "internal_error", 500, N_("Something went wrong on our side.")


def problem(error: IdpError, correlation_id: str, more: Mapping[str, object] | None = None) -> Response:
    """Answer an IdpError as `application/problem+json`, with Retry-After when it carries one; `more` are further members."""
    document: dict[str, object] = {
        # RFC 9457 §4.2.1: without a type the title is the status's own phrase and the sentence is the detail.
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.title,
        "code": error.code,
        "request_id": correlation_id,
        **(more or {}),
    }
    if error.errors:
        document["errors"] = error.errors
    headers = [("content-type", "application/problem+json")]
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, error.retry_after))))
    return json_response(error.status, document, headers)


def refusal(
    on_refusal: OnRefusal | None, correlation_id: str, error: IdpError, accept: str | None, accept_language: str | None
) -> Response:
    """Have a refusal recorded, and answer it by the page that is made for it or by a problem document."""
    page = None
    if on_refusal is not None:
        try:
            page = on_refusal(correlation_id, error, accept, accept_language)
        except Exception:  # noqa: BLE001 - the record of a refusal must never turn the refusal into a failure
            get_logger(__name__).exception("refusal_not_recorded", request_id=correlation_id)
    return page or problem(error, correlation_id)
