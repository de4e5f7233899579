"""Client authentication by a signed assertion: `private_key_jwt` (RFC 7523 §2.2, §3; OpenID Connect Core §9).

The audience is as strict as the client's profile says; the `jti` is spent in the database before the client is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.errors import JoseError

from idp import opaque
from idp.clock import now
from idp.keys.compact import InvalidToken, json_object, parse
from idp.oauth.client_auth import ASSERTION_TYPE, failure
from idp.oauth.client_keys import KeysUnavailable
from idp.store.tenant import replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.oauth.client import Client
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

LEEWAY = 60  # seconds that clocks may differ
MAX_LIFETIME = 3600  # seconds an assertion may have left to live
MAX_LENGTH = 8192
_HEADER = frozenset({"alg", "kid", "typ", "cty", "x5t", "x5t#S256"})
_SPEC = "RFC 7523 §3"


class PrivateKeyJwt(JWTBearerClientAssertion):
    """Authlib's client assertion, with our keys, audiences and memory."""

    CLIENT_ASSERTION_TYPE = ASSERTION_TYPE
    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, server: TenantServer) -> None:
        """Work for one tenant."""
        super().__init__(leeway=LEEWAY)
        self._server = server

    def __call__(self, query_client: Callable[[str], Client | None], request: TenantRequest) -> Client:
        """Return the client that signed the assertion, or raise the one answer."""
        data = request.payload.data
        if data.get("client_assertion_type") != ASSERTION_TYPE:
            raise failure(
                "client_assertion_type is missing or unknown",
                f"Send client_assertion_type={ASSERTION_TYPE}",
                spec="RFC 7523 §2.2",
            )
        headers, claims = self._read(data.get("client_assertion", ""))
        client_id = claims.get("sub")
        client = query_client(client_id) if isinstance(client_id, str) else None
        if client is None:
            raise failure(
                "sub names no client of this tenant",
                "Set iss and sub to the client_id.",
                spec=_SPEC,
                received=str(client_id)[:200],
            )
        request.named_client_id = client.client_id  # not yet believed; the refusal's record says whom it concerns
        named = data.get("client_id")
        if named is not None and named != client_id:
            raise failure(
                "client_id in the body is not the assertion's sub",
                "Leave client_id out, or send the same one.",
                spec="RFC 7521 §4.2",
                received=named,
            )
        if client.auth_method != self.CLIENT_AUTH_METHOD:
            raise failure(
                "the client did not register private_key_jwt",
                "Use the registered method.",
                received="private_key_jwt",
                registered=(client.auth_method,),
            )
        self._verify_signature(client, headers, data["client_assertion"])
        self._verify_claims(client, claims, request)
        return client

    def _read(self, assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims, not yet believed."""
        try:
            # RFC 8725 §3.10: a header that names a key of its own is refused, like every member that is not listed.
            compact = parse(assertion, header_members=_HEADER, max_length=MAX_LENGTH)
            return compact.header, json_object(compact.payload)
        except InvalidToken as error:
            reason = f"client_assertion: {error.reason}"
            fix = "Send a compact JWS signed with the registered key, named by kid only."
            raise failure(reason, fix, spec=_SPEC) from None

    def _verify_signature(self, client: Client, headers: dict[str, Any], assertion: str) -> None:
        registered = client.metadata.get("token_endpoint_auth_signing_alg")
        allowed = [registered] if registered else list(client.profile.signing_algorithms)
        kid = headers.get("kid")
        try:
            known = self._server.client_keys.of(client, kid if isinstance(kid, str) else None)
        except KeysUnavailable as error:
            raise failure(
                str(error),
                "Serve the key set over https at the registered jwks_uri, quickly and without redirects.",
                spec="OpenID Connect Registration §2",
                registered=(str(client.metadata.get("jwks_uri")),),
            ) from None
        # RFC 7515 §4.1.4: a kid names the key; only one that was registered without a kid may be called anything.
        for key in [key for name, key in known if kid is None or name in (None, kid)]:
            try:
                jwt.decode(assertion, key, algorithms=allowed)
            except (JoseError, ValueError, TypeError):
                continue
            return
        raise failure(
            "no registered key of the client verifies the assertion's signature",
            "Sign with a key of the client's jwks and an algorithm it allows.",
            spec=_SPEC,
            received=f"alg {str(headers.get('alg'))[:20]}, kid {str(kid)[:100]}",
            registered=tuple(f"alg {alg}" for alg in allowed) + tuple(f"kid {name or key.kid}" for name, key in known),
        )

    def _verify_claims(self, client: Client, claims: dict[str, Any], request: TenantRequest) -> None:
        at = now()
        # RFC 7523 §3 (1) and (2): iss and sub are the client.
        if claims.get("iss") != client.client_id:
            raise failure(
                "iss is not the client_id",
                "Set iss and sub to the client_id.",
                spec=_SPEC,
                received=str(claims.get("iss"))[:200],
                registered=(client.client_id,),
            )
        self._verify_audience(client, claims.get("aud"), request)
        # RFC 7523 §3 (4): exp is required; one far in the future could be kept and used for long.
        exp = claims.get("exp")
        if exp is None or not _is_moment(exp) or not at - LEEWAY < exp <= at + MAX_LIFETIME + LEEWAY:
            raise failure(
                "exp is missing, past, or too far ahead",
                "Let an assertion live for a minute; check the clock.",
                spec=_SPEC,
                received=f"exp {str(exp)[:30]}, now {at}",
            )
        for name in ("iat", "nbf"):
            moment = claims.get(name)
            if moment is not None and (not _is_moment(moment) or moment > at + LEEWAY):
                raise failure(
                    f"{name} lies in the future",
                    "Check the client's clock.",
                    spec=_SPEC,
                    received=f"{name} {str(moment)[:30]}, now {at}",
                )
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 255:
            raise failure("jti is missing or no text", "Give each assertion a new random jti.", spec=_SPEC)
        # RFC 7523 §3 (7): an assertion works once; spent before the client is believed, whatever follows.
        value = opaque.digest(f"{client.client_id} {jti}")
        if not self._server.database.writing(
            lambda conn: replays.consume(conn, "client_assertion", value, int(exp) + 2 * LEEWAY)
        ):
            raise failure(
                "this assertion was used before",
                "Make a new assertion with a new jti for each request.",
                spec=_SPEC,
                received="a jti seen before",
            )

    def _verify_audience(self, client: Client, audience: Any, request: TenantRequest) -> None:
        issuer = self._server.tenant.issuer
        accepted = [issuer]
        if client.profile.accepts_endpoint_as_audience:
            accepted += [f"{issuer}/token", f"{issuer}{request.http.path.removeprefix(self._server.tenant.base_path)}"]
            audiences = audience if isinstance(audience, list) else [audience]
            is_right = any(isinstance(value, str) and value in accepted for value in audiences)
        else:
            is_right = (
                isinstance(audience, str) and audience == issuer
            )  # one string, the issuer: RFC 7523bis, profile strict
        if not is_right:
            raise failure(
                "aud does not name this server as the client's profile asks",
                "Set aud to the issuer, as one string.",
                spec=_SPEC,
                received=str(audience)[:300],
                registered=tuple(accepted),
            )


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
