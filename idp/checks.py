"""The table of checks: which check runs, in which order, at which endpoint. Show this file to a visitor first.

Rows are checks in order, columns the endpoints they guard:

    A  authorize      T  token      I  introspect      R  revoke      C  challenge, every request      B  the one that begins

A check is ``check(server, request) -> None``; it raises an ``OAuth2Error`` or does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.oauth import (
    authorization_challenge,
    authorization_request,
    pkce,
    request_checks,
    request_object,
    resource_indicators,
)
from idp.oidc import authentication_request, claims_parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

    Check = Callable[[TenantServer, TenantRequest], None]

A, T, I, R, C, B = "authorize", "token", "introspect", "revoke", "challenge", "challenge_request"  # noqa: E741 - the columns of the table

CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (request_checks.check_rate,                     (A, T, I, R, C  )),
    (request_checks.check_body_only,                (   T, I, R, C  )),
    (request_checks.check_characters,               (A, T, I, R, C  )),
    (request_checks.check_no_repeated_address,      (A,              )),
    (authorization_request.check_client,            (A,              )),
    (request_object.check_request_object,           (A,             B)),
    # What a request object says has replaced what was sent beside it.
    (authorization_request.check_redirect_uri,      (A,              )),
    # From here on an error of the authorization endpoint is sent to the redirect URI.
    (authorization_request.check_response_mode,     (A,              )),
    (request_checks.check_no_repeats,               (A, T, I, R, C, B)),
    (authentication_request.check_not_supported,    (A,             B)),
    (authorization_challenge.check_code_only,       (               B,)),
    (authorization_request.check_response_type,     (A,             B)),
    (authorization_request.check_scope,             (A,             B)),
    (resource_indicators.check_resource,            (A, T,          B)),
    (pkce.check_challenge,                          (A,             B)),
    (authentication_request.check_prompt,           (A,             B)),
    (authentication_request.check_max_age,          (A,             B)),
    (authentication_request.check_display,          (A,             B)),
    (authentication_request.check_id_token_hint,    (A,             B)),
    (claims_parameter.check_claims,                 (A,             B)),
    (request_checks.check_basic_header,             (   T, I, R, C  )),
)  # fmt: skip


def by_endpoint() -> dict[str, tuple[Check, ...]]:
    """Return the table's columns: the checks of each endpoint, in order."""
    return {
        endpoint: tuple(check for check, endpoints in CHECKS if endpoint in endpoints)
        for endpoint in (A, T, I, R, C, B)
    }
