"""The JWK set a tenant publishes (RFC 7517 §5, OIDC Core §10.1.1): public parts of the keys that sign, will sign or have signed.

Of the keys for encryption only those that are to be encrypted to now.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.keys.signer import TenantKeys

JWKS_MAX_AGE = 300  # seconds a relying party may cache the set (Cache-Control: max-age)
# Named one by one: a private member (d, p, q, k …) has no way out, whatever a row holds.
PUBLIC_MEMBERS = ("kty", "use", "alg", "kid", "crv", "x", "y", "n", "e")


def jwks_document(keys: TenantKeys) -> tuple[bytes, str]:
    """Return the set as JSON and its strong entity tag, quoted; the same keys give the same bytes."""
    published = (*keys.public_jwks, *keys.decryption.public_jwks)
    members = [public_of(jwk) for jwk in published]
    body = json.dumps({"keys": members}, separators=(",", ":")).encode("ascii")
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def public_of(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public part of a key."""
    return {name: jwk[name] for name in PUBLIC_MEMBERS if name in jwk}
