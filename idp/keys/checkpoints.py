"""Seals of the audit chain: a tenant's signature over bytes that must stay verifiable when the key no longer signs tokens.

Unlike :class:`~idp.keys.signer.TenantKeys` it accepts the keys that are gone, whose public parts are kept for ever; a revoked
key is believed no more (RFC 7515 §5 for the form). It must not know what is sealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.clock import now
from idp.keys.algorithms import ALGORITHMS
from idp.keys.compact import InvalidToken, json_object, parse
from idp.keys.signer import TenantKeys, normal_typ
from idp.store.tenant import signing_keys

if TYPE_CHECKING:
    from idp.keys.envelope import Envelope
    from idp.store.rows import Connection

TYP = "audit-checkpoint+jwt"
ALG = "ES256"


class CheckpointKeys:
    """Signs and verifies the checkpoints of one tenant, with the keys as of one moment."""

    def __init__(self, conn: Connection, envelope: Envelope, tenant_id: str) -> None:
        """Read the keys of the tenant whose database ``conn`` reads."""
        rows = signing_keys.list_all(conn)
        self._keys = TenantKeys(rows, envelope, tenant_id)
        # Not the address of the tenant, which may change: a seal must outlive it.
        self._issuer = f"urn:authsec:audit:{tenant_id}"
        self._public = {row.kid: row.public_jwk for row in rows if row.state != "revoked" and row.alg in ALGORITHMS}

    def sign(self, payload: bytes) -> str:
        """Return a JWS that contains ``payload`` (ASCII); raises :class:`~idp.keys.signer.NoSigningKey`."""
        at = now()
        claims = {"iss": self._issuer, "iat": at, "exp": at, "sealed": payload.decode("ascii")}
        return self._keys.sign(claims, alg=ALG, typ=TYP)

    def verify(self, seal: str) -> bytes:
        """Return what was sealed; raises :class:`InvalidToken`."""
        parts = parse(seal)
        jwk = self._public.get(str(parts.header.get("kid")))
        if jwk is None or parts.header.get("alg") != jwk["alg"] or normal_typ(str(parts.header.get("typ"))) != TYP:
            raise InvalidToken("no key of this tenant, or another kind of token")
        algorithm = ALGORITHMS[jwk["alg"]]
        if not algorithm.jws.verify(parts.signing_input, parts.signature, algorithm.load_public(jwk)):
            raise InvalidToken("the signature does not match")
        claims = json_object(parts.payload)
        if claims.get("iss") != self._issuer:
            raise InvalidToken("another issuer")
        return str(claims.get("sealed")).encode("ascii", "replace")
