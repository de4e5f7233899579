"""What every grant shares: the client authentication methods, and tokens that come from the mint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidGrantError, UnauthorizedClientError

from idp.errors import refused
from idp.oauth import resource_indicators
from idp.oauth.client_auth import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.oauth.client import Client
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection, Row
    from idp.tokens.authorization import Authorization


class TenantGrant:
    """Mixed into Authlib's grants, before them."""

    TOKEN_ENDPOINT_AUTH_METHODS: tuple[str, ...] = METHODS
    server: TenantServer
    request: TenantRequest

    GRANT_TYPE: str

    def authenticate_token_endpoint_client(self) -> Client:
        """Return the authenticated client, if it is registered for this grant type."""
        client: Client = self.server.authenticate_client(self.request, self.TOKEN_ENDPOINT_AUTH_METHODS, "token")
        if not client.check_grant_type(self.GRANT_TYPE):
            raise _unauthorized_client(self.GRANT_TYPE, client.grant_types)
        return client

    def generate_token(self, authorization: Authorization) -> dict[str, Any]:
        """Return the token response of the one mint."""
        return self.server.mint.token_response(authorization)

    def audience(self, granted: Sequence[str] | None) -> tuple[str, ...]:
        """Return the audience of the access token; raises ``invalid_target`` for one that was not granted."""
        return resource_indicators.narrowed(self.request, granted, self.server.tenant.issuer)

    def check_source(self, source: Row[Any], client: Client) -> None:
        """Refuse a code or refresh token whose grant, user or owner is not (or no longer) right."""
        if source.client_id != client.client_id:
            # RFC 6749 §5.2: issued to another client. Its owner may still use it.
            raise invalid_grant(
                "owner",
                "it was issued to another client",
                "Let the client that received it redeem it.",
                received=client.client_id,
                registered=(source.client_id,),
            )
        if source.revoked_at is not None:
            raise invalid_grant("revoked", "its grant was revoked", "Begin a new authorization request.")
        if source.user_state != "active":
            raise invalid_grant("user", "the user is disabled or gone", "Enable the user, or begin again with another.")


def invalid_grant(
    check: str,
    reason: str,
    fix: str,
    *,
    spec: str = "RFC 6749 §5.2",
    received: str | None = None,
    registered: tuple[str, ...] = (),
    defence: Callable[[Connection], object] | None = None,
) -> InvalidGrantError:
    """Return ``invalid_grant`` with one public text, its private reason, and what must be committed although it is refused."""
    error: InvalidGrantError = refused(
        InvalidGrantError("The grant is invalid, expired, revoked, or was issued to another client."),
        check=check,
        spec=spec,
        reason=reason,
        fix=fix,
        received=received,
        registered=registered,
    )
    if defence is not None:
        error.defence = defence
    return error


def _unauthorized_client(grant_type: str, registered: frozenset[str]) -> UnauthorizedClientError:
    """Return the error for a grant type the client did not register."""
    return refused(
        UnauthorizedClientError("The client is not registered for this grant type."),
        check="grant_type",
        spec="RFC 6749 §5.2",
        reason="the client did not register this grant type",
        fix="Add it to the client's grant_types: idp client update TENANT CLIENT_ID",
        received=grant_type,
        registered=tuple(sorted(registered)),
    )
