"""An issuer's public keys: from JWK (RFC 7517, RFC 8037) to what verifies a signature, and how they are fetched and kept."""

from __future__ import annotations

import base64
import binascii
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from authsec.calls import Call, answer_of, perform
from authsec.errors import AuthSecError, KeysUnavailable, UnexpectedAnswer
from authsec.flow import checked_url
from authsec.signin import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from authsec.flow import Flow
    from authsec.retries import Retries

ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA")
_SHA256 = hashes.SHA256()
_ECDSA = ec.ECDSA(_SHA256)
_PKCS1 = padding.PKCS1v15()
_PSS = padding.PSS(padding.MGF1(_SHA256), 32)
_SMALLEST_RSA = 2048
FRESH, STALE, PAUSE = 300.0, 3600.0, 10.0  # seconds: kept, kept while the issuer is away, at least between two fetches


# By the length modulo 4: the last characters whose spare bits are zero, so that a value is written in one way only (RFC 4648 §3.5).
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])


def decoded(text: str) -> bytes:
    """Return base64url without padding, as JOSE has it; anything else is refused."""
    if "=" in text or "+" in text or "/" in text:
        raise ValueError("that is base64, not base64url without padding")
    if text and text[-1] not in _LAST[len(text) % 4]:
        raise ValueError("its last character has bits that are none of the value's")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One key for one algorithm; `verify(signature, message)` raises ValueError when it does not fit."""

    kid: str
    algorithm: str
    verify: Callable[[bytes, bytes], None]


def keys_of(document: Mapping[str, Any], algorithms: tuple[str, ...]) -> dict[tuple[str, str], VerificationKey]:
    """Return the keys of a JWK set that sign, by id and algorithm; what is unknown among them is passed over (RFC 7517 §5)."""
    found = {}
    for jwk in document.get("keys") or ():
        try:
            key = _key(jwk)
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
            continue
        for algorithm, verify in key.items():
            kid = jwk.get("kid")
            if algorithm in algorithms and isinstance(kid, str):
                found[kid, algorithm] = VerificationKey(kid, algorithm, verify)
    return found


def _key(jwk: Mapping[str, Any]) -> dict[str, Callable[[bytes, bytes], None]]:
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return {}
    made: dict[str, Callable[[bytes, bytes], None]] = {}
    if jwk["kty"] == "EC" and jwk["crv"] == "P-256":
        numbers = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), ec.SECP256R1())
        made = {"ES256": _es256(numbers.public_key())}
    elif jwk["kty"] == "OKP" and jwk["crv"] == "Ed25519":
        made = {"EdDSA": _checked(ed25519.Ed25519PublicKey.from_public_bytes(decoded(jwk["x"])).verify)}
    elif jwk["kty"] == "RSA":
        public = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
        if public.key_size < _SMALLEST_RSA:
            return {}
        made = {
            "RS256": _checked(lambda signature, message: public.verify(signature, message, _PKCS1, _SHA256)),
            "PS256": _checked(lambda signature, message: public.verify(signature, message, _PSS, _SHA256)),
        }
    only = jwk.get("alg")
    return {name: verify for name, verify in made.items() if only in (None, name)}


def _number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")


def _es256(public: ec.EllipticCurvePublicKey) -> Callable[[bytes, bytes], None]:
    def verify(signature: bytes, message: bytes) -> None:
        if len(signature) != 64:
            raise ValueError("the signature is not one of ES256")
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        public.verify(encode_dss_signature(r, s), message, _ECDSA)

    return _checked(verify)


def _checked(verify: Callable[[bytes, bytes], None]) -> Callable[[bytes, bytes], None]:
    def checked(signature: bytes, message: bytes) -> None:
        try:
            verify(signature, message)
        except InvalidSignature:
            raise ValueError("the signature does not fit") from None

    return checked


def fetch(issuer: str, jwks_uri: str | None, retries: Retries) -> Flow[dict[str, Any]]:
    """Return an issuer's key set."""
    if jwks_uri is None:
        document = yield from metadata(issuer, retries)
        jwks_uri = checked_url(str(document.get("jwks_uri")), "jwks_uri")
    found = answer_of((yield from perform(Call("GET", "", is_public=True), jwks_uri, retries)))
    if not isinstance(found.get("keys"), list):
        raise UnexpectedAnswer(f"{jwks_uri} is no key set.")
    return found


class KeyCache:
    """An issuer's keys for as long as they may be kept.

    A key that is not there is looked for once more, because keys change; but however many tokens name keys that never were, the
    issuer is asked at most once in ten seconds. While it is away the last keys do, for an hour.
    """

    def __init__(self, algorithms: tuple[str, ...]) -> None:
        self._algorithms = algorithms
        self._keys: dict[tuple[str, str], VerificationKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failure: AuthSecError | None = None

    def find(self, kid: str, algorithm: str) -> VerificationKey | None:
        """Return a key that is known and fresh."""
        return self._keys.get((kid, algorithm)) if self._is_younger_than(FRESH) else None

    def last(self, kid: str, algorithm: str) -> VerificationKey | None:
        """Return a key that was known when the issuer was last reached, no longer than an hour ago."""
        return self._keys.get((kid, algorithm)) if self._is_younger_than(STALE) else None

    def now(self, kid: str, algorithm: str) -> VerificationKey | None:
        """Return a key after it was looked for; raises when there is no key set that may still be used."""
        if not self._is_younger_than(STALE):
            raise KeysUnavailable("The issuer's keys could not be fetched.") from self._failure
        return self._keys.get((kid, algorithm))

    def may_fetch(self) -> bool:
        """Say whether the issuer may be asked now, and note that it is."""
        at = time.monotonic()
        if self._tried_at is not None and at - self._tried_at < PAUSE:
            return False
        self._tried_at = at
        return True

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Note a failure to fetch instead of raising it: older keys may do."""
        try:
            yield
        except AuthSecError as error:
            self._failure = error

    def keep(self, document: Mapping[str, Any]) -> None:
        """Take over a key set; what is no longer in it is not accepted any more."""
        self._keys, self._fetched_at = keys_of(document, self._algorithms), time.monotonic()

    def _is_younger_than(self, seconds: float) -> bool:
        return self._fetched_at is not None and time.monotonic() - self._fetched_at < seconds
