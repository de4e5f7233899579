"""The refresh token grant (RFC 6749 §6; RFC 9700 §4.14.2): rotation, reuse detection, and a grace for a lost answer.

Within ten seconds the same refresh token gets the same successor again, for the same client; after that its reuse means that two
parties hold it, and the family dies. Never are there two live heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from idp import audit, opaque
from idp.clock import now
from idp.errors import Unavailable
from idp.oauth import authorizations, scopes
from idp.oauth.grants.base import TenantGrant, invalid_grant
from idp.store.tenant import grants, refresh_tokens
from idp.tokens.refresh import GRACE, Successor, new_refresh_token, seal, unseal

if TYPE_CHECKING:
    from idp.store.rows import Connection, Row


class RefreshToken(TenantGrant, RefreshTokenGrant):
    """Authlib's grant with an atomic rotation."""

    INCLUDE_NEW_REFRESH_TOKEN = True

    def validate_token_request(self) -> None:
        """Authenticate the client and find the token; what comes back again within the grace is noted."""
        client = self.request.client = self._validate_request_client()
        token = self.request.payload.data.get("refresh_token")
        if token is None:
            self._validate_request_token(client)  # Authlib's error for the missing parameter
            return
        self._row, self._again = self._find(token)
        if self._again is None:
            self._scope_granted = scopes.narrowed(scopes.split(self.request.payload.scope), self._row.scope)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Rotate: make the tokens, then consume the old one and store the new one in one transaction."""
        response = self._rotate() if self._again is None else None
        if response is None:
            # It comes again, or somebody else was faster: their successor is ours too.
            again = self._again or self._find(self.request.payload.data["refresh_token"])[1]
            if again is None:  # a token that was used a moment ago is not unused now, unless its database was put back
                raise Unavailable(retry_after=1)
            response = self._response(*again)
        return 200, response, self.TOKEN_RESPONSE_HEADER

    def _find(self, token: str) -> tuple[Row[Any], Successor | None]:
        """Return the token's row, and its successor when it comes back within the grace."""
        client = self.request.client
        with self.server.database.reading() as conn:
            row = refresh_tokens.find(conn, opaque.digest(token))
        if row is None:
            raise invalid_grant(
                "refresh_token",
                "there is no such refresh token at this tenant",
                "Use the newest refresh token, at the issuer that sent it.",
            )
        self.check_source(row, client)
        at = now()
        again = None
        if row.used_at is not None:
            again = unseal(token, row.sealed_successor) if row.sealed_successor and at - row.used_at <= GRACE else None
            if again is None:
                error = _reuse(row)
                self.server.database.writing(error.defence)
                raise error
        if (again is None and at >= row.expires_at) or at >= row.grant_expires_at:
            raise invalid_grant(
                "refresh_token",
                "the refresh token has expired",
                "Begin a new authorization request.",
                received=f"expired at {min(row.expires_at, row.grant_expires_at)}, now {at}",
            )
        return row, again

    def _response(self, refresh_token: str, scope: str) -> dict[str, Any]:
        row, client = self._row, self.request.client
        # OpenID Connect Core §12.2: a refreshed ID token keeps auth_time and has no new nonce.
        authorization = authorizations.for_user(
            self.server, client, row, scope, audience=self.audience(row.resources), allowed=row.scope
        )
        return {**self.generate_token(authorization), "refresh_token": refresh_token}

    def _rotate(self) -> dict[str, Any] | None:
        row, client = self._row, self.request.client
        successor = Successor(new_refresh_token(), self._scope_granted)
        response = self._response(*successor)
        sealed = seal(self.request.payload.data["refresh_token"], successor)
        http, settings = self.request.http, self.server.tenant.settings
        # The family's own end is not moved by rotation.
        expires_at = min(now() + settings.refresh_token_idle_lifetime, row.grant_expires_at)

        def work(conn: Connection) -> bool:
            if not refresh_tokens.consume(conn, row.token_hash, sealed):
                return False
            refresh_tokens.create(conn, opaque.digest(successor.refresh_token), row.grant_id, expires_at)
            audit.record(
                conn,
                "token.refreshed",
                outcome="success",
                actor=f"client:{client.client_id}",
                client_id=client.client_id,
                subject=row.user_id,
                grant_id=row.grant_id,
                source=http.remote_addr,
                correlation_id=http.correlation_id,
            )
            return True

        return response if self.server.write(work) else None


def _reuse(row: Row[Any]) -> Any:
    def revoke(conn: Connection) -> None:
        if grants.revoke(conn, row.grant_id, "refresh_token_reuse"):
            audit.record(
                conn,
                "refresh_token.reused",
                outcome="failure",
                actor=f"client:{row.client_id}",
                client_id=row.client_id,
                subject=row.user_id,
                grant_id=row.grant_id,
            )

    return invalid_grant(
        "refresh_token",
        "the refresh token was rotated before; its whole family is revoked",
        "Keep the newest refresh token only. If the client did, somebody else has had a copy.",
        spec="RFC 9700 §4.14.2",
        defence=revoke,
    )
