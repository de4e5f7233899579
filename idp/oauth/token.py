"""The token endpoint (RFC 6749 §3.2): checks in the order of the table, then Authlib's grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import OAuth2Error

from idp.feature import Endpoint, Feature
from idp.oauth.client_auth import METHODS, claimed_id
from idp.oauth.grants.authorization_code import AuthorizationCode
from idp.oauth.grants.client_credentials import ClientCredentials
from idp.oauth.grants.refresh_token import RefreshToken
from idp.oauth.pkce import S256CodeChallenge
from idp.oauth.profiles import PROFILES
from idp.oauth.request import fields_without_assertion, from_body

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.web.http import Request, Response


def handle(server: TenantServer, http: Request) -> Response:
    """Answer a token request."""
    request = from_body(http, "token")
    try:
        server.check("token", request)
    except OAuth2Error as error:
        return server.handle_error_response(request, error)
    return server.create_token_response(request)


def may_run_inline(server: TenantServer, http: Request) -> bool:
    """Say whether a request surely waits for nothing: client credentials of a client at hand, with a secret."""
    sent = fields_without_assertion(server, http)
    if sent is None or [value for name, value in sent if name == "grant_type"] != ["client_credentials"]:
        return False
    return not server.database.blocking or server.knows_client(claimed_id(from_body(http, "token")) or "")


def signing_algorithms(server: TenantServer) -> list[str]:
    """Return the algorithms that client assertions may be signed with: the union over the tenant's allowed profiles."""
    profiles = [PROFILES[name] for name in server.tenant.settings.allowed_client_profiles]
    return list(dict.fromkeys(alg for profile in profiles for alg in profile.signing_algorithms))


def _metadata(server: TenantServer) -> dict[str, Any]:
    return {
        "token_endpoint": f"{server.tenant.issuer}/token",
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": signing_algorithms(server),
    }


TOKEN = Feature(
    name="token",
    spec="RFC 6749 §3.2",
    endpoints=(Endpoint("token", "/token", ("POST",), handle, cors="registered", is_hot=True, inline=may_run_inline),),
    metadata=_metadata,
)
CLIENT_CREDENTIALS = Feature(
    name="client_credentials",
    spec="RFC 6749 §4.4",
    grants=((ClientCredentials, ()),),
    metadata=lambda _server: {"grant_types_supported": ["client_credentials"]},
)
AUTHORIZATION_CODE = Feature(
    name="authorization_code",
    spec="RFC 6749 §4.1",
    grants=((AuthorizationCode, (S256CodeChallenge(),)),),
    metadata=lambda _server: {"grant_types_supported": ["authorization_code"]},
)
REFRESH_TOKEN = Feature(
    name="refresh_token",
    spec="RFC 6749 §6",
    grants=((RefreshToken, ()),),
    metadata=lambda _server: {"grant_types_supported": ["refresh_token"]},
)
PKCE = Feature(name="pkce", spec="RFC 7636", metadata=lambda _server: {"code_challenge_methods_supported": ["S256"]})
