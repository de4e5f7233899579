"""Encrypting to a client's public key (RFC 7516 §5.1; RFC 7518 §4.3, §4.6, §5), the algorithms, and how a tenant's key is made.

One explicit table: RSA1_5, `dir`, key wrapping by shared keys and compression are not in it (RFC 8725 §3.1, §3.6). Must not know
what is encrypted, nor where the key comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from idp.errors import Invalid, refused
from idp.language import N_

KEY_ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES")
CONTENT_ALGORITHMS = ("A128CBC-HS256", "A256GCM")
DEFAULT_CONTENT_ALGORITHM = "A128CBC-HS256"  # OpenID Registration §2
_EXCHANGES = ("X25519", "X448")  # the curves of key type OKP that agree on keys (RFC 8037 §3.2)
_OPERATIONS = {"RSA-OAEP-256": {"wrapKey", "encrypt"}, "ECDH-ES": {"deriveKey", "deriveBits"}}
_PUBLIC_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
_REGISTRIES = {(alg, enc): JWERegistry(algorithms=[alg, enc]) for alg in KEY_ALGORITHMS for enc in CONTENT_ALGORITHMS}


# What a tenant's own key for an algorithm is made as.
_KINDS: dict[str, tuple[type[RSAKey | ECKey], Any]] = {"RSA-OAEP-256": (RSAKey, 2048), "ECDH-ES": (ECKey, "P-256")}


def generate(alg: str) -> tuple[dict[str, Any], bytes]:
    """Return a new key of a tenant for an algorithm: its public JWK and its private part as PKCS #8."""
    kind, size = _KINDS[alg]
    key = kind.generate_key(size)
    public: dict[str, Any] = {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "enc", "alg": alg}
    return public, key.as_bytes("DER", private=True)


class CannotEncrypt(Invalid):
    """There is no key, or none that anything can be encrypted to; nothing is sent in clear instead."""

    title = N_("No key of the client can be had that its answers could be encrypted to.")


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key, and how to encrypt to it."""

    alg: str
    enc: str
    key: Any
    kid: str | None

    def encrypt(self, plaintext: str, *, content_type: str | None = None) -> str:
        """Return a compact JWE; ``content_type`` says what is inside (RFC 7519 §5.2: JWT). Raises :class:`CannotEncrypt`."""
        header = {"alg": self.alg, "enc": self.enc, "cty": content_type, "kid": self.kid}
        named = {name: value for name, value in header.items() if value is not None}
        try:
            return jwe.encrypt_compact(named, plaintext, self.key, registry=_REGISTRIES[self.alg, self.enc])
        except (JoseError, ValueError, TypeError):
            raise cannot_encrypt("the client's key cannot be encrypted to") from None


def cannot_encrypt(reason: str) -> CannotEncrypt:
    """Return the error with its private reason."""
    return refused(
        CannotEncrypt(),
        check="encryption_key",
        spec="OpenID Connect Core §10.2",
        reason=reason,
        fix="Publish a public key for encryption (`use`: `enc`) in the client's jwks or at its jwks_uri.",
    )


def fits(key: Any, alg: str) -> bool:
    """Say whether a public key may be encrypted to with an algorithm (RFC 7517 §4.2, §4.3, §4.4)."""
    if isinstance(key, RSAKey):
        is_right_kind = alg == "RSA-OAEP-256"
    else:
        is_right_kind = alg == "ECDH-ES" and (
            isinstance(key, ECKey) or (isinstance(key, OKPKey) and key.get("crv") in _EXCHANGES)
        )
    operations = key.get("key_ops")
    # A public key for key agreement has no operation of its own: an empty list says so.
    is_meant = operations is None or (alg == "ECDH-ES" and not operations) or bool(_OPERATIONS[alg] & set(operations))
    return is_right_kind and is_meant and key.get("use") in (None, "enc") and key.alg in (None, alg)


def choose(keys: list[tuple[str | None, Any]], alg: str, enc: str) -> Recipient | None:
    """Return the recipient among a client's keys with their names: one that says `use: enc` before one that says nothing."""
    found = [(name, key) for name, key in keys if fits(key, alg)]
    if not found:
        return None
    name, key = next(((name, key) for name, key in found if key.get("use") == "enc"), found[0])
    if key.get("key_ops") is not None:  # joserfc reads them for one operation by name
        members = key.as_dict(private=False)
        key = JWKRegistry.import_key({each: members[each] for each in _PUBLIC_MEMBERS if each in members})
    return Recipient(alg, enc, key, name)
