"""The client credentials grant (RFC 6749 §4.4): a client for itself. Changes no row, so it reads and writes none."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant

from idp.oauth import scopes
from idp.oauth.grants.base import TenantGrant
from idp.tokens.authorization import Authorization


class ClientCredentials(TenantGrant, ClientCredentialsGrant):
    """Authlib's grant; the event goes to the worker's spool."""

    def validate_token_request(self) -> None:
        """Authenticate the client and decide the scope."""
        client = self.request.client = self.authenticate_token_endpoint_client()
        requested = scopes.split(self.request.payload.scope)
        granted = scopes.for_client(requested, client.scopes, self.server.profile.own_scopes)
        self.request.scope = " ".join(granted)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Mint the access token; there is no refresh token (RFC 6749 §4.4.3)."""
        client_id, http = self.request.client.client_id, self.request.http
        scope, audience = self.request.scope, tuple(self.request.resources)
        response = self.generate_token(
            Authorization(client_id=client_id, subject=client_id, scope=scope, audience=audience)
        )
        self.server.services.spool.audit(
            self.server.tenant.id,
            "token.issued",
            outcome="success",
            actor=f"client:{client_id}",
            client_id=client_id,
            source=http.remote_addr,
            correlation_id=http.correlation_id,
        )
        return 200, response, self.TOKEN_RESPONSE_HEADER
