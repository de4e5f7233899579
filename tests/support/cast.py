"""The cast of the protocol tests: two tenants alike in everything, with a client of each kind, and keys that clients sign with.

Made once a module: a test leaves what others need as it found it.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from databases import environment
from house import House, RelyingParty

from idp import audit
from idp.clock import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from house import Browser

    from idp.tenancy.tenant import Tenant

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def segment(value: Any) -> str:
    """Base64url of JSON, of text or of bytes."""
    raw = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class SigningKey:
    """A client's key, used by hand so that what it signs can be wrong in one way at a time."""

    alg: str
    kid: str
    private: Any

    @classmethod
    def new(cls, alg: str, kid: str | None = None) -> SigningKey:
        made: Any = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "PS256": lambda: rsa.generate_private_key(65537, 2048),
        }[alg]()
        return cls(alg, kid or secrets.token_urlsafe(8), made)

    @property
    def public_jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        named = {"kid": self.kid, "use": "sig", "alg": self.alg}
        if self.alg == "ES256":
            numbers = public.public_numbers()
            return {
                "kty": "EC",
                "crv": "P-256",
                "x": segment(numbers.x.to_bytes(32, "big")),
                "y": segment(numbers.y.to_bytes(32, "big")),
                **named,
            }
        if self.alg == "EdDSA":
            return {"kty": "OKP", "crv": "Ed25519", "x": segment(public.public_bytes_raw()), **named}
        numbers = public.public_numbers()
        return {
            "kty": "RSA",
            "n": segment(numbers.n.to_bytes(256, "big")),
            "e": segment(numbers.e.to_bytes(3, "big")),
            **named,
        }

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def signature(self, message: bytes) -> bytes:
        if self.alg == "ES256":
            r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if self.alg == "EdDSA":
            return self.private.sign(message)
        if self.alg == "PS256":
            return self.private.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def sign(self, claims: Any, **header: Any) -> str:
        """A compact JWS of any payload; the header's members by keyword, None leaves one out."""
        members = {"alg": self.alg, "kid": self.kid, "typ": "JWT", **header}
        text = f"{segment({name: value for name, value in members.items() if value is not None})}.{segment(claims)}"
        return f"{text}.{segment(self.signature(text.encode()))}"


def assertion_claims(client: RelyingParty, **claims: Any) -> dict[str, Any]:
    """The claims of a good client assertion, with changes; None leaves one out."""
    at = now()
    made = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": client.tenant.issuer,
        "iat": at,
        "exp": at + 60,
        "jti": secrets.token_urlsafe(12),
        **claims,
    }
    return {name: value for name, value in made.items() if value is not None}


def asserted(client: RelyingParty, key: SigningKey, **claims: Any) -> dict[str, str]:
    """The form fields of private_key_jwt."""
    return {"client_assertion_type": JWT_BEARER, "client_assertion": key.sign(assertion_claims(client, **claims))}


@dataclass
class Cast:
    """Two tenants and their clients; ``globex`` has clients of the same names."""

    house: House
    acme: Tenant
    globex: Tenant
    basic: RelyingParty  # client_secret_basic, profile strict
    post: RelyingParty  # client_secret_post
    public: RelyingParty  # none
    signed: RelyingParty  # private_key_jwt, ES256
    lax: RelyingParty  # client_secret_basic, profile oidc
    lax_signed: RelyingParty  # private_key_jwt, profile oidc
    foreign: RelyingParty  # globex's client_secret_basic, by the same client_id as `basic`
    key: SigningKey

    def browser(self, tenant: Tenant | None = None) -> Browser:
        """A fresh browser."""
        return self.house.browser(tenant or self.acme)

    def grant(self, client: RelyingParty, **params: str | None) -> Any:
        """A fresh code of ada at a client."""
        return self.browser(client.tenant).sign_in(client, **params)

    def tokens(self, client: RelyingParty, **params: str | None) -> dict[str, Any]:
        """Fresh tokens of ada at a client, which authenticates as it should."""
        grant = self.grant(client, **params)
        extra = asserted(client, self.key) if client.metadata["token_endpoint_auth_method"] == "private_key_jwt" else {}
        answer = client.redeem(grant, **extra)
        assert answer.status == 200, answer.text
        return answer.json


def make_cast(house: House) -> Cast:
    """Furnish a house."""
    # A module sends more requests a minute than anybody may; the limits have tests of their own.
    kept = {"allowed_client_profiles": "strict,oidc", "rate_limits": "off"}
    acme, globex = house.tenant("acme", **kept), house.tenant("globex", **kept)
    key = SigningKey.new("ES256", "the-key")
    jwks = {"keys": [key.public_jwk]}
    return Cast(
        house,
        acme,
        globex,
        basic=house.client(acme, "basic"),
        post=house.client(acme, "post", token_endpoint_auth_method="client_secret_post"),
        public=house.client(acme, "public", token_endpoint_auth_method="none"),
        signed=house.client(acme, "signed", token_endpoint_auth_method="private_key_jwt", jwks=jwks),
        lax=house.client(acme, "lax", profile="oidc"),
        lax_signed=house.client(
            acme, "lax-signed", profile="oidc", token_endpoint_auth_method="private_key_jwt", jwks=jwks
        ),
        foreign=house.client(globex, "basic"),
        key=key,
    )


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """The cast on SQLite."""
    house = House(tmp_path_factory.mktemp("cast") / "var")
    yield make_cast(house)
    house.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def any_cast(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """The cast on each kind of database."""
    with environment(request.param) as environ:
        house = House(tmp_path_factory.mktemp("cast") / "var", **environ)
        yield make_cast(house)
        house.close()


@pytest.fixture(autouse=True)
def every_refusal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test refuses faster than attackers are recorded; each of its refusals shall leave its record."""
    monkeypatch.setattr(audit, "REFUSALS_A_SECOND", 10**6)
    monkeypatch.setattr(audit, "REFUSALS_A_SECOND_AND_TENANT", 10**6)


def without(monkeypatch: pytest.MonkeyPatch, house: House, *names: str) -> None:
    """Restart a house without some rows of the table of features."""
    from idp import features

    kept = tuple(feature for feature in features.FEATURES if feature.name not in names)
    assert len(kept) == len(features.FEATURES) - len(names)
    monkeypatch.setattr(features, "FEATURES", kept)
    house.restart()


def discovery(house: House, tenant: Tenant) -> dict[str, Any]:
    """The tenant's discovery document."""
    found: dict[str, Any] = house.get(tenant, "/.well-known/openid-configuration").json
    return found
