"""A tenant's keys at work: signing and verifying its own tokens (RFC 7515 §5, RFC 7519 §7, RFC 8725 §3).

A :class:`TenantKeys` is made from the table's rows once per revision and never changes. Keys are unsealed and loaded on
first use, so that a thousand idle tenants cost little. An access token is presented many times in its life: the verdict on
its signature is remembered, while its time, issuer and audience are judged anew each time.

It must not know what kinds of token there are, nor whether one was revoked.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from idp.clock import now
from idp.errors import Unavailable
from idp.keys.algorithms import ALGORITHMS, PreparedKey
from idp.keys.claims import check_types, check_validity
from idp.keys.compact import MAX_TOKEN, InvalidToken, decode, json_object, read_header, split
from idp.keys.decryption import DecryptionKeys
from idp.store.tenant import signing_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from idp.keys.algorithms import Algorithm
    from idp.keys.envelope import Envelope
    from idp.store.rows import Connection, Row

PUBLISHED = ("active", "next", "retired")  # the states in the JWKS, in this order, whose signatures are accepted
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_serials = itertools.count()


class NoSigningKey(Unavailable):
    """The tenant has no active key for an algorithm."""


class _Verdict(NamedTuple):
    typ: str
    alg: str
    claims: str  # as JSON: each caller gets objects of its own


class _Header(NamedTuple):
    typ: str
    algorithm: Algorithm
    key: PreparedKey


class VerifiedTokens:
    """Remembers the verdicts on at least the last ``capacity`` tokens and at most twice as many, for all tenants of a process."""

    def __init__(self, capacity: int) -> None:
        """Start empty; a verdict takes about 1 KiB."""
        self._capacity = capacity
        self._young: dict[tuple[int, bytes], _Verdict] = {}
        self._old: dict[tuple[int, bytes], _Verdict] = {}

    def get(self, key: tuple[int, bytes]) -> _Verdict | None:
        """Return a verdict; one that is asked for again stays."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: tuple[int, bytes], verdict: _Verdict) -> None:
        """Remember a verdict; each step is atomic, so threads need no lock."""
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[key] = verdict

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


_verified = VerifiedTokens(4096)


class _Signer:
    """An active key, loaded, with the header segment of each ``typ`` it has signed."""

    __slots__ = ("alg", "headers", "key", "kid")

    def __init__(self, alg: str, kid: str, key: PreparedKey) -> None:
        self.alg, self.kid, self.key = alg, kid, key
        self.headers: dict[str, bytes] = {}

    def header(self, typ: str) -> bytes:
        found = self.headers.get(typ)
        if found is None:
            found = _base64url(_encode({"alg": self.alg, "kid": self.kid, "typ": typ}).encode("ascii")) + b"."
            self.headers[typ] = found
        return found


class TenantKeys:
    """The signing keys of one tenant as of one moment; immutable, safe to share between threads."""

    def __init__(self, rows: Sequence[Row[Any]], envelope: Envelope, tenant_id: str) -> None:
        """Take the rows of the table ``signing_keys``; those that are revoked or gone are unknown here."""
        self.tenant_id = tenant_id
        self._envelope = envelope
        known = sorted((row for row in rows if row.state in PUBLISHED and row.alg in ALGORITHMS), key=_order)
        self.public_jwks: tuple[dict[str, Any], ...] = tuple(row.public_jwk for row in known)
        self._active = {row.alg: (row.kid, row.sealed_private) for row in known if row.state == "active"}
        self.algorithms: tuple[str, ...] = tuple(alg for alg in ALGORITHMS if alg in self._active)
        self._jwks = {row.kid: row.public_jwk for row in known}
        self._signers: dict[str, _Signer] = {}
        self._public: dict[str, PreparedKey] = {}
        self._headers: dict[str, _Header] = {}
        # What is encrypted to the tenant; these keys sign and verify nothing.
        self.decryption = DecryptionKeys(
            rows, lambda row: envelope.unseal(row.sealed_private, sealing_purpose(tenant_id, row.kid))
        )
        self._serial = next(_serials)  # no verdict of former keys is found again

    @classmethod
    def load(cls, conn: Connection, envelope: Envelope, tenant_id: str) -> Self:
        """Read the tenant's keys from its database."""
        return cls(signing_keys.list_all(conn), envelope, tenant_id)

    def active_kid(self, alg: str) -> str:
        """Return the kid of the key that signs with ``alg`` now; raises :class:`NoSigningKey`."""
        return self._signer(alg).kid

    def sign(self, claims: Mapping[str, Any], *, alg: str, typ: str) -> str:
        """Return the claims as a signed JWT; raises :class:`NoSigningKey` when the tenant does not sign with ``alg``."""
        signer = self._signers.get(alg) or self._signer(alg)
        signing_input = signer.header(typ) + _base64url(_encode(claims).encode("ascii"))
        signature = ALGORITHMS[alg].jws.sign(signing_input, signer.key)
        return (signing_input + b"." + _base64url(signature)).decode("ascii")

    def verify(
        self,
        token: str,
        *,
        typ: str,
        issuer: str,
        audience: str | Collection[str] | None = None,
        algorithms: Collection[str] | None = None,
        leeway: int = 0,
        allow_expired: bool = False,
    ) -> dict[str, Any]:
        """Return the claims of a token this tenant signed; raises :class:`InvalidToken` and nothing else.

        ``typ`` is compared as RFC 7515 §4.1.9 says; ``audience`` must be among the token's (any one of several);
        ``algorithms`` narrows what the tenant's keys allow already; ``leeway`` is in seconds.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN or not token.isascii():
            raise InvalidToken("not the text of a token")
        key = (self._serial, hashlib.sha256(token.encode("ascii")).digest())
        verdict = _verified.get(key)
        if verdict is None:
            verdict = self._judge(token)
            _verified.put(key, verdict)
        # RFC 8725 §3.11: explicit typing keeps one kind of token from being taken for another.
        if verdict.typ != normal_typ(typ):
            raise InvalidToken("another kind of token")
        if algorithms is not None and verdict.alg not in algorithms:
            raise InvalidToken("an algorithm that is not accepted here")
        claims: dict[str, Any] = json.loads(verdict.claims)
        check_validity(claims, now=now(), issuer=issuer, audience=audience, leeway=leeway, allow_expired=allow_expired)
        return claims

    def _judge(self, token: str) -> _Verdict:
        head, body, tail = split(token)
        known = self._headers.get(head) or self._read_header(head)
        signing_input = token[: len(head) + 1 + len(body)].encode("ascii")
        if not known.algorithm.jws.verify(signing_input, decode(tail), known.key):
            raise InvalidToken("the signature does not match")
        self._headers[head] = known  # only what we have signed is kept, so there are few
        payload = decode(body)
        check_types(json_object(payload))
        return _Verdict(known.typ, known.algorithm.name, payload.decode("utf-8"))

    def _read_header(self, segment: str) -> _Header:
        header = read_header(segment)
        kid, alg, typ = header.get("kid"), header.get("alg"), header.get("typ")
        if not isinstance(kid, str) or not isinstance(alg, str) or not isinstance(typ, str):
            raise InvalidToken("the header lacks kid, alg or typ")
        jwk = self._jwks.get(kid)
        if jwk is None:
            raise InvalidToken("no key of this tenant")
        # RFC 8725 §3.1: a key is used with its own algorithm only, whatever the header says.
        if alg != jwk["alg"]:
            raise InvalidToken("the key is for another algorithm")
        if kid not in self._public:
            self._public[kid] = ALGORITHMS[alg].load_public(jwk)
        return _Header(normal_typ(typ), ALGORITHMS[alg], self._public[kid])

    def _signer(self, alg: str) -> _Signer:
        found = self._signers.get(alg)
        if found is None:
            if alg not in self._active:
                raise NoSigningKey
            kid, sealed = self._active[alg]
            private = self._envelope.unseal(sealed, sealing_purpose(self.tenant_id, kid))
            found = self._signers[alg] = _Signer(alg, kid, ALGORITHMS[alg].load_private(private))
        return found


def sealing_purpose(tenant_id: str, kid: str) -> str:
    """Return what binds a sealed private part to its tenant and key."""
    return f"signing-key/{tenant_id}/{kid}"


def normal_typ(typ: str) -> str:
    """Return a ``typ`` in the form that compares (RFC 7515 §4.1.9: a media type, ``application/`` may be left out)."""
    return typ.lower().removeprefix("application/")


def _order(row: Row[Any]) -> tuple[int, int, str]:
    return PUBLISHED.index(row.state), -row.created_at, row.kid


def _base64url(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
