"""The signature algorithms a tenant may sign with: how a key is made, loaded and used (RFC 7518 §3, RFC 8037 §3.1).

One table; nothing outside it signs or verifies (RFC 8725 §3.1: an explicit allow-list). A key serves one algorithm only.
Signing and verifying are joserfc's, handed native key objects that were loaded once.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from joserfc.jwa import JWSAlgModel

JwkClass = type[ECKey] | type[RSAKey] | type[OKPKey]


class PreparedKey:
    """A native key as joserfc's algorithms ask for it, without its checks of the JWK's members on each call."""

    __slots__ = ("_native", "curve_key_size")

    def __init__(self, native: Any) -> None:
        """Wrap a private key for signing or a public key for verifying."""
        self._native = native
        self.curve_key_size: int = getattr(native, "key_size", 0)

    def get_op_key(self, _operation: str) -> Any:
        """Return the native key, whatever it is for."""
        return self._native


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One row of the table."""

    name: str
    jwk: JwkClass
    size: Any  # the curve's name, or the bits of an RSA modulus
    digest: Literal["sha256", "sha512"]

    @property
    def jws(self) -> JWSAlgModel:
        """Joserfc's implementation."""
        return JWSRegistry.algorithms[self.name]

    def generate(self) -> tuple[dict[str, Any], bytes]:
        """Return a new key: its public JWK and its private part as PKCS #8. RSA takes 10 to 200 ms.

        The kid is the key's RFC 7638 thumbprint: no two keys share one, in whatever tenant, and none is used again.
        """
        key = self.jwk.generate_key(self.size)
        public: dict[str, Any] = dict(key.as_dict(private=False))
        public |= {"kid": key.thumbprint(), "use": "sig", "alg": self.name}
        return public, key.as_bytes("DER", private=True)

    def load_private(self, pkcs8: bytes) -> PreparedKey:
        """Load a private part that the envelope has authenticated (so RSA's slow self-test proves nothing more)."""
        return PreparedKey(load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True))

    def load_public(self, public_jwk: Mapping[str, Any]) -> PreparedKey:
        """Load a public JWK of the tenant's own table."""
        return PreparedKey(self.jwk.import_key(dict(public_jwk)).public_key)


ALGORITHMS: Mapping[str, Algorithm] = {
    row.name: row
    for row in (
        Algorithm("ES256", ECKey, "P-256", "sha256"),
        Algorithm("RS256", RSAKey, 2048, "sha256"),
        Algorithm("EdDSA", OKPKey, "Ed25519", "sha512"),
        Algorithm("PS256", RSAKey, 2048, "sha256"),
    )
}
ALWAYS = ("ES256", "RS256")  # every tenant has these two; OIDC Core §15.1 requires RS256


def left_half_hash(alg: str, value: str) -> str:
    """Return ``at_hash``, ``c_hash`` or ``s_hash`` of a value (OIDC Core §3.1.3.6, §3.3.2.11).

    Raises ValueError for an algorithm outside the table, so that no hash is ever guessed.
    """
    row = ALGORITHMS.get(alg)
    if row is None:
        raise ValueError("no hash is defined for this algorithm")
    make: Callable[[bytes], Any] = getattr(hashlib, row.digest)
    digest: bytes = make(value.encode("utf-8")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
