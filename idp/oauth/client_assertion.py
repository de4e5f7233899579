"""Client authentication by a signed assertion: `private_key_jwt` (RFC 7523 §2.2, §3; OpenID Connect Core §9).

The audience is as strict as the client's profile says; the `jti` is spent in the database before the client is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc7523 import JWTBearerClientAssertion

from idp import opaque
from idp.clock import now
from idp.keys.compact import InvalidToken
from idp.keys.signer import normal_typ
from idp.oauth import client_jws
from idp.oauth.client_auth import ASSERTION_TYPE, failure
from idp.oauth.client_jws import REQUEST_OBJECT_TYPE, NotVerified, is_moment
from idp.store.tenant import replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.oauth.client import Client
    from idp.oauth.client_jws import Signed
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

LEEWAY = 60  # seconds that clocks may differ
MAX_LIFETIME = 3600  # seconds an assertion may have left to live
MAX_LENGTH = 8192
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
        signed = self._read(data.get("client_assertion", ""))
        claims = signed.claims
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
        self._verify_signature(client, signed)
        self._verify_claims(client, claims, request)
        return client

    def _read(self, assertion: str) -> Signed:
        """Return the assertion taken apart, not yet believed."""
        fix = "Send a compact JWS signed with the registered key, named by kid only."
        try:
            signed = client_jws.read(assertion, max_length=MAX_LENGTH)
        except InvalidToken as error:
            raise failure(f"client_assertion: {error.reason}", fix, spec=_SPEC) from None
        if normal_typ(str(signed.header.get("typ"))) == REQUEST_OBJECT_TYPE:
            # RFC 8725 §3.11, RFC 9101 §10.8: a request object passes through the browser and authenticates nobody.
            raise failure("client_assertion is a request object", fix, spec="RFC 8725 §3.11")
        return signed

    def _verify_signature(self, client: Client, signed: Signed) -> None:
        allowed = client_jws.allowed_algorithms(client, "token_endpoint_auth_signing_alg")
        try:
            client_jws.verify(signed, client, self._server.client_keys, allowed, spec=_SPEC)
        except NotVerified as error:
            raise failure(
                error.reason, error.fix, spec=error.spec, received=error.received, registered=error.registered
            ) from None

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
        if exp is None or not is_moment(exp) or not at - LEEWAY < exp <= at + MAX_LIFETIME + LEEWAY:
            raise failure(
                "exp is missing, past, or too far ahead",
                "Let an assertion live for a minute; check the clock.",
                spec=_SPEC,
                received=f"exp {str(exp)[:30]}, now {at}",
            )
        for name in ("iat", "nbf"):
            moment = claims.get(name)
            if moment is not None and (not is_moment(moment) or moment > at + LEEWAY):
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
