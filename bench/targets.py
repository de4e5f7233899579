"""Who is measured: the clients, the user and the addresses of a running server, as every workload sees them."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

REDIRECT_URI = "https://rp.bench.example/cb"
SIGN_IN_SCOPE = "openid profile email"
HYBRID = "code id_token"
REFRESH_SCOPE = "openid offline_access"


@dataclass(frozen=True, slots=True)
class Client:
    """A confidential client that authenticates with client_secret_basic."""

    client_id: str
    client_secret: str
    redirect_uri: str = REDIRECT_URI
    response_type: str = "code"

    @property
    def basic(self) -> str:
        """The value of its Authorization header (RFC 6749 §2.3.1)."""
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    @property
    def basic_line(self) -> str:
        """The whole header line."""
        return f"Authorization: {self.basic}\r\n"


@dataclass(frozen=True, slots=True)
class User:
    """The person who signs in."""

    username: str
    password: str
    name: str = "Bench"


@dataclass(frozen=True, slots=True)
class Target:
    """A running server: where it listens, what it calls itself and what its discovery document says."""

    issuer: str
    addresses: tuple[tuple[str, int], ...]
    endpoints: dict[str, str]
    hybrid: Target | None = None  # where the hybrid flow is offered, when that is another issuer of the same server

    @property
    def host(self) -> str:
        """The Host that every request carries, whichever process it goes to."""
        return urlsplit(self.issuer).netloc

    def path(self, endpoint: str) -> str:
        """Return the path of an endpoint of the discovery document."""
        return urlsplit(self.endpoints[endpoint]).path


def service_metadata(client_id: str, secret: str) -> dict[str, object]:
    """Return RFC 7591 metadata of a client that only uses client_credentials."""
    return {
        "client_id": client_id,
        "client_secret": secret,
        "client_name": client_id,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "token_endpoint_auth_method": "client_secret_basic",
    }


def web_metadata(client_id: str, secret: str) -> dict[str, object]:
    """Return RFC 7591 metadata of a web application that signs users in and refreshes."""
    return {
        "client_id": client_id,
        "client_secret": secret,
        "client_name": client_id,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "client_secret_basic",
        "id_token_signed_response_alg": "ES256",
        "scope": "openid profile email offline_access",
    }


def hybrid_metadata(client_id: str, secret: str) -> dict[str, object]:
    """Return the metadata of the same web application as one of OpenID Connect's hybrid flow."""
    return web_metadata(client_id, secret) | {
        "client_profile": "oidc",
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "response_types": [HYBRID],
    }


def fresh_secret() -> str:
    """Return a random secret for a client, a user or a cookie key."""
    return secrets.token_urlsafe(33)
