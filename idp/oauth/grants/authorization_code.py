"""The authorization code grant (RFC 6749 §4.1.3; OpenID Connect Core §3.1.3): consume first, once; a reuse kills the family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant

from idp import audit, opaque
from idp.clock import now
from idp.oauth import authorizations
from idp.oauth.grants.base import TenantGrant, invalid_grant
from idp.store.tenant import authorization_codes, grants, refresh_tokens
from idp.tokens.refresh import new_refresh_token

if TYPE_CHECKING:
    from idp.oauth.client import Client
    from idp.store.rows import Connection, Row


class Code:
    """A stored code as Authlib reads it."""

    __slots__ = ("code_challenge", "row")

    def __init__(self, row: Row[Any]) -> None:
        """Wrap the row of the code, its grant and its user."""
        self.row = row
        self.code_challenge: str | None = row.code_challenge

    def get_redirect_uri(self) -> str | None:
        """Return the redirect URI that the token request must repeat; None when the authorization request had none."""
        given: bool = self.row.request.get("redirect_uri_given", True)
        return self.row.redirect_uri if given else None

    def get_scope(self) -> str:
        """Return the granted scope."""
        return str(self.row.scope)


class AuthorizationCode(TenantGrant, AuthorizationCodeGrant):
    """Authlib's grant, with an atomic gate before any token is made valid."""

    def query_authorization_code(self, code: str, client: Client) -> Code:
        """Return the code if it may be redeemed by this client."""
        with self.server.database.reading() as conn:
            row = authorization_codes.find(conn, opaque.digest(code))
        if row is None:
            raise invalid_grant(
                "code", "there is no such code at this tenant", "Redeem each code once, at the issuer that sent it."
            )
        if row.used_at is not None and row.client_id == client.client_id:
            error = _reuse(row)
            self.server.database.writing(error.defence)
            raise error
        self.check_source(row, client)
        if now() >= row.expires_at:
            raise invalid_grant(
                "code",
                "the code has expired",
                "Redeem a code within a minute; check the client's queue and clock.",
                received=f"issued at {row.issued_at}, now {now()}",
            )
        sent = self.request.payload.redirect_uri
        if row.request.get("redirect_uri_given", True) and sent != row.redirect_uri:
            # RFC 6749 §4.1.3: redirect_uri must be present and identical when it was in the authorization request.
            raise invalid_grant(
                "redirect_uri",
                "redirect_uri is not the one of the authorization request",
                "Send the same redirect_uri to the token endpoint.",
                spec="RFC 6749 §4.1.3",
                received=sent or "none",
                registered=(row.redirect_uri,),
            )
        return Code(row)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Make the tokens, then consume the code and store what belongs to them in one transaction."""
        row, client = self.request.authorization_code.row, self.request.client
        response = self.generate_token(
            authorizations.for_user(
                self.server, client, row, row.scope, nonce=row.nonce, audience=self.audience(row.resources)
            )
        )
        refresh_token = new_refresh_token() if client.check_grant_type("refresh_token") else None
        if refresh_token is not None:
            response["refresh_token"] = refresh_token
        http, settings = self.request.http, self.server.tenant.settings

        def work(conn: Connection) -> None:
            # RFC 6749 §4.1.2: a code is used once; who comes second revokes what the first got.
            if not authorization_codes.consume(conn, row.code_hash):
                raise _reuse(row)
            if refresh_token is not None:
                expires_at = min(now() + settings.refresh_token_idle_lifetime, row.grant_expires_at)
                refresh_tokens.create(conn, opaque.digest(refresh_token), row.grant_id, expires_at)
            audit.record(
                conn,
                "token.issued",
                outcome="success",
                actor=f"client:{client.client_id}",
                client_id=client.client_id,
                subject=row.user_id,
                session_id=row.session_id,
                grant_id=row.grant_id,
                source=http.remote_addr,
                correlation_id=http.correlation_id,
                details={"grant_type": "authorization_code", "scope": row.scope},
            )

        self.server.write(work)
        return 200, response, self.TOKEN_RESPONSE_HEADER

    # Consumed above, in the transaction; Authlib's own moment would be after the answer.
    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Do nothing."""

    def authenticate_user(self, authorization_code: Code) -> str:
        """Return the user; it was read with the code."""
        return str(authorization_code.row.user_id)


def _reuse(row: Row[Any]) -> Any:
    def revoke(conn: Connection) -> None:
        if grants.revoke(conn, row.grant_id, "code_reuse"):
            audit.record(
                conn,
                "code.reused",
                outcome="failure",
                actor=f"client:{row.client_id}",
                client_id=row.client_id,
                subject=row.user_id,
                grant_id=row.grant_id,
            )

    return invalid_grant(
        "code",
        "the code was used before; every token that came of it is revoked",
        "Redeem each code once. If the client did, somebody else has had the code.",
        spec="RFC 6749 §4.1.2",
        defence=revoke,
    )
