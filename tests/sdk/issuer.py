"""An issuer on loopback whose keys and tokens a test makes as it likes, good ones and bad ones."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, OKPKey, RSAKey
from scripted import Says, Scripted

AUDIENCE = "https://orders.example.com"
_SHA256 = hashes.SHA256()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def part(document: Any) -> str:
    return encoded(json.dumps(document).encode())


class Key:
    """A key that signs with one algorithm."""

    def __init__(self, kid: str, algorithm: str = "ES256", bits: int = 2048) -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: Any
        if algorithm == "ES256":
            self.private, kind = ec.generate_private_key(ec.SECP256R1()), ECKey
        elif algorithm == "EdDSA":
            self.private, kind = ed25519.Ed25519PrivateKey.generate(), OKPKey
        else:
            self.private, kind = rsa.generate_private_key(65537, bits), RSAKey
        public = kind(self.private, self.private).as_dict(private=False)
        self.jwk = {**public, "kid": kid, "alg": algorithm, "use": "sig"}

    def sign(self, message: bytes) -> bytes:
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(_SHA256)))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if self.algorithm == "EdDSA":
            return bytes(self.private.sign(message))
        pss = padding.PSS(padding.MGF1(_SHA256), 32)
        return bytes(self.private.sign(message, pss if self.algorithm == "PS256" else padding.PKCS1v15(), _SHA256))


class Issuer:
    """The issuer: publishes keys, signs tokens."""

    def __init__(self, server: Scripted) -> None:
        self.server, self.url = server, server.is_issuer()
        self.jwks = "/t/acme/jwks"
        self.key = Key("k1")
        self.publish(self.key)

    def publish(self, *keys: Key | dict[str, Any]) -> None:
        listed = [key.jwk if isinstance(key, Key) else key for key in keys]
        self.server.says(self.jwks, Says(body={"keys": listed}))

    def token(self, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A good token with changes; a claim that is None is left out."""
        key = key or self.key
        at = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "ada",
            "aud": [AUDIENCE],
            "client_id": "orders-web",
            "iat": at,
            "exp": at + 300,
            "jti": "1",
            "scope": "openid orders:read",
            "permissions": ["orders:delete"],
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        top = {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt", **(header or {})}
        top = {name: value for name, value in top.items() if value is not None}
        signed = f"{part(top)}.{part(claims)}"
        return f"{signed}.{encoded(key.sign(signed.encode()))}"
