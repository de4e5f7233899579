"""A served installation with a tenant and a client for each way to authenticate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey
from person import Person

if TYPE_CHECKING:
    from running import Running

    from idp.tenancy.tenant import Tenant

RP = "https://rp.example"
SCOPE = "openid profile email offline_access"
KID = "client-key"


@dataclass
class World:
    """A served installation, its tenant acme, and how each client is registered, by the name of the method."""

    running: Running
    tenant: Tenant
    given: dict[str, dict[str, Any]]

    def person(self) -> Person:
        """Somebody with a fresh browser."""
        return Person(self.running.authority.file)


def new_key() -> tuple[str, dict[str, Any]]:
    """A client's key for ES256: the private part in PEM, the public one as JWK."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, {**ECKey.import_key(public).as_dict(private=False), "kid": KID, "alg": "ES256", "use": "sig"}


def furnish(running: Running, slug: str = "acme") -> World:
    """Make a tenant with a client of each kind."""
    tenant = running.tenant(slug, allowed_client_profiles="strict,oidc")
    pem, jwk = new_key()
    given = {}
    for kind, method, profile in (
        ("basic", "client_secret_basic", "strict"),
        ("post", "client_secret_post", "strict"),
        ("private_key_jwt", "private_key_jwt", "strict"),
        ("private_key_jwt_oidc", "private_key_jwt", "oidc"),
        ("public", "none", "strict"),
        ("exchange", "client_secret_basic", "strict"),
    ):
        grants = ["authorization_code", "refresh_token", *(["client_credentials"] if method != "none" else [])]
        exchanging = {"token_exchange_audiences": ["https://api.example"]} if kind == "exchange" else {}
        document = running.client(
            tenant,
            kind,
            client_name="A relying party",
            client_profile=profile,
            redirect_uris=[f"{RP}/cb"],
            post_logout_redirect_uris=[f"{RP}/bye"],
            grant_types=[*grants, *(["urn:ietf:params:oauth:grant-type:token-exchange"] if exchanging else [])],
            **exchanging,
            scope=f"{SCOPE} api",
            token_endpoint_auth_method=method,
            **({"jwks": {"keys": [jwk]}} if method == "private_key_jwt" else {}),
        )
        given[kind] = {
            "issuer": tenant.issuer,
            "client_id": kind,
            "method": method,
            "redirect_uri": f"{RP}/cb",
            "kid": KID,
        }
        given[kind] |= {"key": pem} if method == "private_key_jwt" else {"secret": document.get("client_secret")}
    return World(running, tenant, given)


def publish_successors(running: Running, tenant: Tenant) -> None:
    """Rotate once, so that the keys that sign next are published, and wait until both web workers publish them."""
    running.idp("keys", "rotate", tenant.slug, "--now")
    until, seen = time.monotonic() + 10, 0
    while seen < 6:  # in a row, so that each of the two processes has answered
        assert time.monotonic() < until, "the keys that come next are not published"
        keys = requests.get(f"{tenant.issuer}/jwks", verify=str(running.authority.file), timeout=10).json()["keys"]
        signing = [key for key in keys if key["use"] == "sig"]
        seen = seen + 1 if len(signing) == 6 else 0  # retired, active and next of two algorithms
        time.sleep(0.1)
