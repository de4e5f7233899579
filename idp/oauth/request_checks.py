"""Checks that every protocol endpoint shares: rate, legal characters, no repeats, and the place parameters may come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749 import InvalidRequestError

from idp.errors import refused
from idp.language import N_
from idp.oauth import resource_indicators
from idp.oauth.client_auth import check_basic
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# A secret is only hashed and compared: whatever it contains, the answer is that it is wrong. Only where it is one: the authorization
# endpoint keeps what it does not know, to begin again with.
_SECRETS = {
    "authorize": frozenset[str](),
    "challenge": frozenset({"client_secret", "password", "new_password"}),
}
_CLIENT_SECRET = frozenset({"client_secret"})
MAX_VALUE = 16_384
RULES = {
    "authorize": Rule("authorize", 600, 60),
    "token": Rule("token", 6000, 60),
    "introspect": Rule("introspect", 12000, 60),
    "revoke": Rule("revoke", 3000, 60),
    "challenge": Rule("challenge", 600, 60),
}


def check_rate(server: TenantServer, request: TenantRequest) -> None:
    """Limit the requests of one client from one source to an endpoint; clients that nobody knows count as one."""
    if server.tenant.settings.rate_limits == "off":
        return
    named = request.payload.client_id or ""
    # A new name for each request would be a new counter for each.
    key = f"{server.tenant.id} {request.http.remote_addr} {named if server.knows_client(named) else ''}"
    server.limiter.hit(key, RULES[request.endpoint]).require()


def check_body_only(_server: TenantServer, request: TenantRequest) -> None:
    """Refuse parameters in the query string (RFC 6749 §2.3.1, §3.2: they would be logged)."""
    if request.http.query:
        raise _invalid(
            "query",
            "Parameters belong into the form body.",
            "parameters in the query string",
            "Send all parameters in the form body.",
            "RFC 6749 §3.2",
        )


def check_characters(_server: TenantServer, request: TenantRequest) -> None:
    """Refuse control characters and endless values; no grammar of RFC 6749 Appendix A has them."""
    secrets = _SECRETS.get(request.endpoint, _CLIENT_SECRET)
    for name, value in request.payload.pairs:
        if name in secrets:
            continue
        if len(value) > MAX_VALUE or _CONTROL.search(name) or _CONTROL.search(value):
            raise _invalid(
                "characters",
                N_("A parameter has illegal characters or is too long."),
                f"the parameter {name[:50]!r} has control characters or is too long",
                "Send printable characters only.",
                "RFC 6749 Appendix A",
            )


def check_no_repeats(_server: TenantServer, request: TenantRequest) -> None:
    """Refuse a parameter that is sent twice (RFC 6749 §3.1, §3.2)."""
    names = [name for name, _ in request.payload.pairs if not resource_indicators.may_repeat(request, name)]
    _refuse_repeats(request, names)


def check_no_repeated_address(_server: TenantServer, request: TenantRequest) -> None:
    """Refuse a repeated client_id or redirect_uri before either is believed; other repeats are told to the redirect URI."""
    _refuse_repeats(
        request,
        [name for name, _ in request.payload.pairs if name in ("client_id", "redirect_uri", "response_mode", "state")],
    )


def check_basic_header(_server: TenantServer, request: TenantRequest) -> None:
    """Refuse an Authorization header that is no well-formed Basic (RFC 6749 §2.3.1)."""
    check_basic(request)


def _refuse_repeats(_request: TenantRequest, names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _invalid(
            "repeats",
            N_("A parameter is repeated."),
            f"the parameter {twice[:50]!r} is sent more than once",
            "Send each parameter once.",
            "RFC 6749 §3.1",
        )


def _invalid(check: str, text: str, reason: str, fix: str, spec: str) -> InvalidRequestError:
    return refused(InvalidRequestError(text), check=check, spec=spec, reason=reason, fix=fix)
