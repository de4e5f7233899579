"""Access tokens at a resource server: whether one is to be accepted (RFC 9068 §4), and what it allows."""

from __future__ import annotations

import asyncio
import binascii
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

import httpx

from authsec.driving import drive, drive_async
from authsec.errors import InsufficientScope, InvalidToken
from authsec.flow import checked_url
from authsec.keys import ALGORITHMS, KeyCache, decoded, fetch
from authsec.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from authsec.keys import VerificationKey

_LONGEST = 16_384  # characters
_LATEST = 253_402_300_799  # the last second of the year 9999
_RETRIES = Retries(times=1, longest=1.0)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that was accepted."""

    claims: Mapping[str, Any] = field(repr=False)
    subject: str
    client_id: str
    scopes: frozenset[str]
    expires_at: int

    @property
    def permissions(self) -> frozenset[str]:
        """What its holder may do, as far as the token says it (scope `permissions`)."""
        return _names(self.claims.get("permissions"))

    @property
    def roles(self) -> frozenset[str]:
        """The roles of its holder (scope `roles`)."""
        return _names(self.claims.get("roles"))

    @property
    def groups(self) -> frozenset[str]:
        """The groups of its holder (scope `groups`)."""
        return _names(self.claims.get("groups"))

    def require(self, *, scope: str | None = None, permission: str | None = None) -> None:
        """Demand scopes (several separated by spaces) and a permission; raises :class:`InsufficientScope`."""
        if scope is not None and not self.scopes.issuperset(scope.split()):
            raise InsufficientScope(scope=scope)
        if permission is not None and permission not in self.permissions:
            raise InsufficientScope(permission=permission)


def _names(value: object) -> frozenset[str]:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()


class _Rules:
    """What is checked, without the keys."""

    def __init__(
        self,
        issuer: str,
        audience: str | Collection[str],
        algorithms: Collection[str],
        leeway: float,
        jwks_uri: str | None,
    ) -> None:
        self.issuer = checked_url(issuer, "issuer")
        self.audiences = frozenset([audience] if isinstance(audience, str) else audience)
        if not self.audiences:
            raise ValueError("audience must be named: a token for somebody else is not one for you")
        self.algorithms = tuple(algorithms)
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
        self.leeway = leeway
        self.jwks_uri = checked_url(jwks_uri, "jwks_uri") if jwks_uri is not None else None
        self.keys = KeyCache(self.algorithms)
        self._headers: dict[str, tuple[str, str]] = {}  # an issuer's tokens have few different ones

    def opened(self, token: str) -> tuple[str, str, dict[str, Any], bytes, bytes]:
        """Return key id, algorithm, claims, signature and what is signed, of a token that would be for us."""
        parts = token.split(".") if isinstance(token, str) and len(token) <= _LONGEST else []
        if len(parts) != 3:
            raise InvalidToken("it is no JWT in compact form")
        header, payload, signature = parts
        kid, algorithm = self._headers.get(header) or self._header(header)
        try:
            claims = json.loads(decoded(payload))
            raw = decoded(signature)
            message = token[: len(header) + 1 + len(payload)].encode("ascii")
        except (ValueError, binascii.Error, RecursionError):
            raise InvalidToken("it cannot be read") from None
        if not isinstance(claims, dict):
            raise InvalidToken("its claims are no object")
        if claims.get("iss") != self.issuer:
            # Before any key is looked for: a stranger's token makes us fetch nothing.
            raise InvalidToken("another issuer made it")
        return kid, algorithm, claims, raw, message

    def _header(self, text: str) -> tuple[str, str]:
        try:
            header = json.loads(decoded(text))
        except (ValueError, binascii.Error, RecursionError):
            raise InvalidToken("its header cannot be read") from None
        if not isinstance(header, dict) or "crit" in header or "b64" in header:
            raise InvalidToken("its header asks for what is not known here")
        # RFC 9068 §4: an ID token, or whatever else the issuer signs, is no access token.
        if str(header.get("typ")).lower().removeprefix("application/") != "at+jwt":
            raise InvalidToken("it is no access token: its type is not at+jwt")
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self.algorithms:
            raise InvalidToken(f"its algorithm is not accepted: {algorithm!r:.40}")
        if not isinstance(kid, str):
            raise InvalidToken("it names no key")
        return kid, algorithm

    def judged(
        self, key: VerificationKey | None, header: str, claims: dict[str, Any], raw: bytes, message: bytes
    ) -> AccessToken:
        """Return the token when key and claims are right."""
        if key is None:
            raise InvalidToken("its key is none of the issuer's")
        try:
            key.verify(raw, message)
        except ValueError as error:
            raise InvalidToken(str(error)) from None
        if len(self._headers) < 64:
            self._headers.setdefault(header, (key.kid, key.algorithm))
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(each, str) and each in self.audiences for each in audiences):
            raise InvalidToken("it is for another audience")
        at, expires_at, begins_at = time.time(), claims.get("exp"), claims.get("nbf")
        if not _is_moment(expires_at) or at >= expires_at + self.leeway:
            raise InvalidToken("it has expired")
        if begins_at is not None and (not _is_moment(begins_at) or at < begins_at - self.leeway):
            raise InvalidToken("it is not valid yet")
        subject, client_id, scope = claims.get("sub"), claims.get("client_id"), claims.get("scope", "")
        if not isinstance(subject, str) or not isinstance(client_id, str) or not isinstance(scope, str):
            raise InvalidToken("it lacks what every access token has")
        if "cnf" in claims:
            # RFC 9449 §7.2, RFC 8705 §3: bound to a key whose proof is not looked at here, so not good as a bearer token.
            raise InvalidToken("it is bound to a key of its holder")
        return AccessToken(claims, subject, client_id, frozenset(scope.split()), int(expires_at))


def _header_of(token: str) -> str:
    return token.partition(".")[0]


def _is_moment(value: object) -> TypeGuard[float]:
    # Python's JSON also knows NaN, which is neither before nor after anything, and Infinity.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LATEST <= value <= _LATEST


class AccessTokenValidator:
    """Accepts the access tokens of one issuer for one audience; may be used by several threads.

    The keys come from the issuer's metadata, or from `jwks_uri`. `leeway` is how far the clocks may be apart, in seconds.
    """

    def __init__(
        self,
        issuer: str,
        audience: str | Collection[str],
        *,
        algorithms: Collection[str] = ALGORITHMS,
        leeway: float = 5.0,
        jwks_uri: str | None = None,
        timeout: float = 5.0,
        http_client: httpx.Client | None = None,
    ) -> None:
        """Fetch nothing yet."""
        self._rules = _Rules(issuer, audience, algorithms, leeway, jwks_uri)
        self._http = http_client or httpx.Client(timeout=timeout)
        self._fetching = threading.Lock()

    def validate(self, token: str) -> AccessToken:
        """Return what a token says; raises :class:`InvalidToken`, or :class:`KeysUnavailable` when nothing can be said."""
        kid, algorithm, claims, raw, message = self._rules.opened(token)
        key = self._rules.keys.find(kid, algorithm) or self._looked_for(kid, algorithm)
        return self._rules.judged(key, _header_of(token), claims, raw, message)

    def _looked_for(self, kid: str, algorithm: str) -> VerificationKey | None:
        keys = self._rules.keys
        known = keys.last(kid, algorithm)
        # Who has a key that was good a moment ago does not wait for who fetches.
        if not self._fetching.acquire(blocking=known is None):
            return known
        try:
            found = keys.find(kid, algorithm)
            if found is None and keys.may_fetch():
                with keys.taking():
                    keys.keep(drive(fetch(self._rules.issuer, self._rules.jwks_uri, _RETRIES), self._http))
            return keys.now(kid, algorithm)
        finally:
            self._fetching.release()


class AsyncAccessTokenValidator:
    """Like :class:`AccessTokenValidator`, for asyncio."""

    def __init__(
        self,
        issuer: str,
        audience: str | Collection[str],
        *,
        algorithms: Collection[str] = ALGORITHMS,
        leeway: float = 5.0,
        jwks_uri: str | None = None,
        timeout: float = 5.0,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        """Fetch nothing yet."""
        self._rules = _Rules(issuer, audience, algorithms, leeway, jwks_uri)
        self._http = http_client or httpx.AsyncClient(timeout=timeout)
        self._fetching = asyncio.Lock()

    async def validate(self, token: str) -> AccessToken:
        """Return what a token says; raises :class:`InvalidToken`, or :class:`KeysUnavailable` when nothing can be said."""
        kid, algorithm, claims, raw, message = self._rules.opened(token)
        key = self._rules.keys.find(kid, algorithm) or await self._looked_for(kid, algorithm)
        return self._rules.judged(key, _header_of(token), claims, raw, message)

    async def _looked_for(self, kid: str, algorithm: str) -> VerificationKey | None:
        keys = self._rules.keys
        known = keys.last(kid, algorithm)
        if known is not None and self._fetching.locked():
            return known
        async with self._fetching:
            found = keys.find(kid, algorithm)
            if found is None and keys.may_fetch():
                with keys.taking():
                    flow = fetch(self._rules.issuer, self._rules.jwks_uri, _RETRIES)
                    keys.keep(await drive_async(flow, self._http))
            return keys.now(kid, algorithm)
