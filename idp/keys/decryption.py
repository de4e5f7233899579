"""What is encrypted to a tenant: its keys for encryption at work (RFC 7516 §5.2; RFC 7518 §4.3, §4.6).

Only the active key of each algorithm is published; those before it still open what was encrypted to them, as long as they are
retired. Whatever is wrong with what is presented, the refusal is the same, and a key that cannot be unwrapped is replaced by a
random one, so that the answer does not tell which step failed (RFC 7516 §11.5).
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc.errors import JoseError
from joserfc.jwe import CompactEncryption, JWERegistry, Recipient
from joserfc.jwk import ECKey, RSAKey

from idp.keys.compact import InvalidToken, decode, json_object
from idp.keys.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.store.rows import Row

OPENS = ("active", "retired", "next")  # the states whose private parts are there
_REFUSED = "it cannot be decrypted"
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_MAX_HEADER = 1024  # characters
# No zip, no crit, no key of its own (RFC 8725 §3.6, §3.10).
_HEADER = frozenset({"alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv"})
_EPK = frozenset({"kty", "crv", "x", "y"})


class DecryptionKeys:
    """The keys for encryption of one tenant as of one moment; safe to share between threads."""

    def __init__(self, rows: Sequence[Row[Any]], private_part: Callable[[Row[Any]], bytes]) -> None:
        """Take the rows of the table ``signing_keys``; ``private_part`` unseals one, on first use."""
        self._private_part = private_part
        known = [row for row in rows if row.alg in KEY_ALGORITHMS and row.state in OPENS and row.sealed_private]
        self._rows = sorted(known, key=lambda row: (OPENS.index(row.state), -row.created_at))
        active = [row for row in self._rows if row.state == "active"]
        self.public_jwks: tuple[dict[str, Any], ...] = tuple(row.public_jwk for row in active)
        self.algorithms: tuple[str, ...] = tuple(alg for alg in KEY_ALGORITHMS if any(row.alg == alg for row in active))
        self._keys: dict[str, RSAKey | ECKey] = {}

    def decrypt(self, token: str, *, max_length: int) -> str:
        """Return the text inside a compact JWE; raises :class:`InvalidToken`, with one reason whatever is wrong."""
        match = _COMPACT.fullmatch(token) if len(token) <= max_length else None
        if match is None or len(match[1]) > _MAX_HEADER:
            raise InvalidToken(_REFUSED)
        try:
            header = json_object(decode(match[1]))
            parts = [decode(segment) for segment in match.groups()[1:]]
            for row in self._candidates(header):
                found = self._opened(row, header, parts, match[1])
                if found is not None:
                    return found.decode("ascii")
        except (InvalidToken, UnicodeDecodeError):
            pass
        raise InvalidToken(_REFUSED)

    def _candidates(self, header: dict[str, Any]) -> list[Row[Any]]:
        """Return the keys that may open what has this header; none when the header is not one that is served."""
        kid = header.get("kid")
        content_type = header.get("cty", "JWT")
        if not header.keys() <= _HEADER or header.get("enc") not in CONTENT_ALGORITHMS:
            return []
        # RFC 7519 §5.2: what is inside is a JWT.
        if not isinstance(content_type, str) or content_type.lower().removeprefix("application/") != "jwt":
            return []
        # RFC 8725 §3.1: a key opens by its own algorithm only.
        return [row for row in self._rows if row.alg == header.get("alg") and kid in (None, row.kid)]

    def _opened(self, row: Row[Any], header: dict[str, Any], parts: list[bytes], aad: str) -> bytes | None:
        encrypted_key, iv, ciphertext, tag = parts
        recipient: Recipient[Any] = Recipient(CompactEncryption(header))
        recipient.recipient_key = self._key(row)
        recipient.encrypted_key = encrypted_key
        content = JWERegistry.algorithms["enc"][header["enc"]]
        method: Any = JWERegistry.algorithms["alg"][row.alg]
        size = content.cek_size // 8
        try:
            content.check_iv(iv)
            if row.alg == "ECDH-ES":
                # RFC 7516 §5.2 (10): with an agreed key the encrypted key is empty.
                if encrypted_key or not _is_point(header.get("epk")):
                    return None
                key = method.decrypt_agreed_upon_key(content, recipient)
            else:
                key = _unwrapped(method, recipient, size)
            return content.decrypt(ciphertext, tag, key, iv, aad.encode("ascii"))
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _key(self, row: Row[Any]) -> RSAKey | ECKey:
        found = self._keys.get(row.kid)
        if found is None:
            native: Any = load_der_private_key(self._private_part(row), None, unsafe_skip_rsa_key_validation=True)
            kind: type[RSAKey | ECKey] = ECKey if row.alg == "ECDH-ES" else RSAKey
            found = self._keys[row.kid] = kind.import_key(native)
        return found


def _unwrapped(method: Any, recipient: Recipient[Any], size: int) -> bytes:
    """Return the content key; a random one where there is none, so that the next step fails instead (RFC 7516 §11.5)."""
    instead = secrets.token_bytes(size)
    try:
        key: bytes = method.decrypt_cek(recipient)
    except (JoseError, ValueError):
        return instead
    return key if len(key) == size else instead


def _is_point(epk: Any) -> bool:
    """Say whether this is a public key of the tenant's curve and nothing more; whether it lies on it is checked on import."""
    return (
        isinstance(epk, dict)
        and epk.keys() == _EPK
        and (epk["kty"], epk["crv"]) == ("EC", "P-256")
        and all(isinstance(epk[name], str) and len(epk[name]) == 43 for name in ("x", "y"))
    )
