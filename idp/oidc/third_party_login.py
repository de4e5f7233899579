"""Login that the provider initiates (OpenID Connect Core §4): people are sent to an application's ``initiate_login_uri``.

The application begins a sign-in there, so nothing of ours is trusted on the way: ``iss`` says who asks, ``login_hint`` and
``target_link_uri`` are passed on as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from idp.errors import IdpError, refused
from idp.feature import Endpoint, Feature
from idp.flow import applications, pages
from idp.flow.landing import prefers_json
from idp.language import N_
from idp.oauth.request import one_of_each
from idp.web.http import json_response, redirect
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.web.http import Request, Response

PATH = applications.PATH
LONGEST_HINT = 254
_RATE = Rule("start", 300, 60)
_PARAMETERS = ("client_id", "login_hint", "target_link_uri")


def handle(server: TenantServer, http: Request) -> Response:
    """Send a person to an application; without ``client_id`` show those there are, as a page or as JSON."""
    if server.tenant.settings.rate_limits != "off":
        server.limiter.hit(f"{server.tenant.id} {http.remote_addr}", _RATE).require()
    given = one_of_each(http.args, _PARAMETERS)
    if "client_id" not in given:
        return _overview(server, http)
    client = server.query_client(given["client_id"])
    address = client.metadata.get("initiate_login_uri") if client is not None else None
    if address is None:
        raise _refusal("client_id", "the client is unknown, disabled, or has no initiate_login_uri", given["client_id"])
    target = given.get("target_link_uri")
    if target is not None and not _is_web_address(target):
        raise _refusal("target_link_uri", "target_link_uri is no https address", target)
    if len(given.get("login_hint", "")) > LONGEST_HINT:
        raise _refusal("login_hint", "login_hint is too long", given["login_hint"][:LONGEST_HINT])
    passed: dict[str, str] = {name: given[name] for name in ("login_hint", "target_link_uri") if name in given}
    return redirect(303, applications.with_query(address, {"iss": server.tenant.issuer, **passed}))


def _overview(server: TenantServer, http: Request) -> Response:
    listed = applications.listed(server)
    if prefers_json(http.headers.get("accept")):
        answer = json_response(200, {"applications": listed})
    else:
        answer = pages.page(
            server,
            http,
            "applications.html",
            reviewed=[each for each in listed if each["is_reviewed"]],
            others=[each for each in listed if not each["is_reviewed"]],
            logos=tuple(each["logo_uri"] for each in listed if each["is_reviewed"]),
        )
    answer.vary("accept")
    return answer


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and len(text) <= 2000
    except ValueError:
        return False


def _refusal(check: str, reason: str, received: str) -> IdpError:
    return refused(
        IdpError(N_("This address leads to no application."), code="invalid_request"),
        check=check,
        spec="OpenID Connect Core §4",
        reason=reason,
        fix="Register initiate_login_uri for the client: idp client update TENANT CLIENT_ID",
        received=received[:500],
    )


THIRD_PARTY_LOGIN = Feature(
    name="third_party_initiated_login",
    spec="OpenID Connect Core §4",
    endpoints=(Endpoint("start", PATH, ("GET",), handle, is_hot=True, audience="person"),),
)
