"""The mint: turns an `Authorization` into an access token (RFC 9068) and an ID token (OpenID Connect Core §2).

Audience, claims, lifetimes and revocation ids are decided here and nowhere else.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from idp.clock import now
from idp.keys.algorithms import left_half_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.keys.signer import TenantKeys
    from idp.tenancy.tenant import Tenant
    from idp.tokens.authorization import Authorization

ACCESS_TOKEN_TYPE = "at+jwt"
ID_TOKEN_TYPE = "JWT"


def _audience(of: Sequence[str]) -> str | list[str] | None:
    """Return the claim ``aud`` (RFC 7519 §4.1.3): a text where there is one value only."""
    return of[0] if len(of) == 1 else list(of) or None


class Mint:
    """Makes the tokens of one tenant at one revision of its configuration."""

    def __init__(self, tenant: Tenant, keys: TenantKeys) -> None:
        """Keep what every token needs as plain attributes: this is the hot path."""
        settings = tenant.settings
        self.issuer = tenant.issuer
        self.keys = keys
        self.access_token_alg = settings.access_token_signing_alg
        self.access_token_lifetime = settings.access_token_lifetime
        self.id_token_lifetime = settings.id_token_lifetime

    def token_response(self, authorization: Authorization) -> dict[str, Any]:
        """Return the members of a token response (RFC 6749 §5.1) without a refresh token."""
        access_token = self.access_token(authorization)
        response: dict[str, Any] = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": self._lifetime(authorization, now()),
        }
        if authorization.scope:
            response["scope"] = authorization.scope
        if authorization.id_token_alg is not None:
            response["id_token"] = self.id_token(authorization, access_token)
        return response

    def _lifetime(self, authorization: Authorization, at: int) -> int:
        if authorization.expires_at is None:
            return self.access_token_lifetime
        return min(self.access_token_lifetime, authorization.expires_at - at)

    def access_token(self, authorization: Authorization) -> str:
        """Return a signed JWT access token (RFC 9068 §2)."""
        at = now()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": authorization.subject,
            # RFC 9068 §3: without a resource indicator the audience is a default the server chooses; here its own endpoints.
            "aud": _audience(authorization.audience) or self.issuer,
            "client_id": authorization.client_id,
            "iat": at,
            "exp": at + self._lifetime(authorization, at),
            "jti": urlsafe_b64encode(os.urandom(18)).decode(),
        }
        if authorization.scope:
            claims["scope"] = authorization.scope
        if authorization.grant_id is not None:
            # RFC 9068 §2.2.1: how the person was authenticated when the grant was made.
            claims["grant_id"] = authorization.grant_id
            if authorization.auth_time is not None:
                claims["auth_time"] = authorization.auth_time
            if authorization.acr:  # nobody was authenticated for a token that an operator makes
                claims["acr"] = authorization.acr
                claims["amr"] = list(authorization.amr)
        if authorization.access_claims:
            claims = {**authorization.access_claims, **claims}
        return self.keys.sign(claims, alg=self.access_token_alg, typ=ACCESS_TOKEN_TYPE)

    def id_token(
        self,
        authorization: Authorization,
        access_token: str | None,
        *,
        code: str | None = None,
        state: str | None = None,
    ) -> str:
        """Return a signed ID token, encrypted to the client where it registered that.

        ``at_hash``, ``c_hash`` and ``s_hash`` bind it to what is sent beside it (OpenID Connect Core §3.1.3.6, §3.3.2.11;
        FAPI 1.0 Advanced §5.1.1).
        """
        at = now()
        alg = authorization.id_token_alg or "RS256"
        claims: dict[str, Any] = {
            **authorization.id_token_claims,
            "iss": self.issuer,
            "sub": authorization.subject,
            "aud": authorization.client_id,
            "azp": authorization.client_id,
            "iat": at,
            "exp": at + self.id_token_lifetime,
            "auth_time": authorization.auth_time,
            "acr": authorization.acr,
            "amr": list(authorization.amr),
        }
        if authorization.nonce is not None:
            claims["nonce"] = authorization.nonce
        if authorization.session_id is not None:
            claims["sid"] = authorization.session_id
        for name, value in (("at_hash", access_token), ("c_hash", code), ("s_hash", state)):
            if value is not None:
                claims[name] = left_half_hash(alg, value)
        signed = self.keys.sign(claims, alg=alg, typ=ID_TOKEN_TYPE)
        # OpenID Connect Core §2: signed, then encrypted, for the client that registered it.
        to = authorization.id_token_recipient
        return signed if to is None else to.encrypt(signed, content_type="JWT")
