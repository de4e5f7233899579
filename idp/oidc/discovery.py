"""Discovery (OpenID Connect Discovery §4, RFC 8414 §3) and the JWK set (OpenID Connect Core §10.1.1).

The documents are built once per revision of the tenant and served from memory.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from idp.feature import Endpoint, Feature
from idp.flow.session import ACR_PASSWORD
from idp.identity.claims import CLAIMS_SUPPORTED, STANDARD_SCOPES
from idp.keys.jwks import JWKS_MAX_AGE, jwks_document
from idp.oauth.response_protection import encryption_metadata
from idp.web.http import Response

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.web.http import Request

DISCOVERY_MAX_AGE = 300  # seconds


def handle_discovery(server: TenantServer, http: Request) -> Response:
    """Answer the discovery document; the same at both well-known addresses."""
    return _cached(server, http, "discovery", DISCOVERY_MAX_AGE)


def handle_jwks(server: TenantServer, http: Request) -> Response:
    """Answer the JWK set."""
    return _cached(server, http, "jwks", JWKS_MAX_AGE)


def always_inline(_server: TenantServer, _http: Request) -> bool:
    """Say yes: the answer is in memory."""
    return True


def _cached(server: TenantServer, http: Request, name: str, max_age: int) -> Response:
    found: tuple[bytes, list[tuple[str, str]]] | None = server.documents.get(name)
    if found is None:
        found = server.documents[name] = _build(server, name, max_age)
    body, headers = found
    # RFC 9110 §13.1.2: a list of entity tags, weak ones too, or any.
    wanted = http.headers.get("if-none-match")
    if wanted is not None and (headers[2][1] in wanted or wanted == "*"):
        return Response(304, headers[1:], b"")
    return Response(200, headers, body)


def _build(server: TenantServer, name: str, max_age: int) -> tuple[bytes, list[tuple[str, str]]]:
    if name == "jwks":
        body, etag = jwks_document(server.keys)
    else:
        body = json.dumps(server.discovery, separators=(",", ":")).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = [
        ("content-type", "application/json"),
        ("cache-control", f"public, max-age={max_age}"),
        ("etag", etag),
        ("x-content-type-options", "nosniff"),
    ]
    return body, headers


def _metadata(server: TenantServer) -> dict[str, Any]:
    settings = server.tenant.settings
    return {
        "jwks_uri": f"{server.tenant.issuer}/jwks",
        "scopes_supported": [*STANDARD_SCOPES, *server.profile.own_scopes],
        "claims_supported": [*CLAIMS_SUPPORTED, *server.profile.own_claims, "auth_time", "acr", "amr"],
        "claim_types_supported": ["normal"],
        "subject_types_supported": ["public", "pairwise"],
        "acr_values_supported": [ACR_PASSWORD],
        "id_token_signing_alg_values_supported": list(
            dict.fromkeys([settings.id_token_signing_alg, *server.keys.algorithms])
        ),
        **encryption_metadata("id_token"),
    }


DISCOVERY = Feature(
    name="discovery",
    spec="OpenID Connect Discovery 1.0, RFC 8414",
    endpoints=(
        Endpoint(
            "discovery",
            "/.well-known/openid-configuration",
            ("GET",),
            handle_discovery,
            cors="all",
            is_hot=True,
            inline=always_inline,
        ),
        Endpoint(
            "discovery",
            "/.well-known/oauth-authorization-server",
            ("GET",),
            handle_discovery,
            cors="all",
            is_hot=True,
            inline=always_inline,
        ),
        Endpoint("jwks", "/jwks", ("GET",), handle_jwks, cors="all", is_hot=True, inline=always_inline),
    ),
    metadata=_metadata,
)
