"""Tokens that an administrator withdraws: one by its text, one by its `jti`, or all that a person's applications have.

Nobody withdraws the tokens of who may do more. Must not know HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.errors import NotFound
from idp.keys.compact import InvalidToken
from idp.store.tenant import grants, refresh_tokens, revoked_tokens, users
from idp.tokens import verification
from idp.tokens.refresh import PREFIX

if TYPE_CHECKING:
    from idp.access.granting import Granter
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection

REASON = "revoked_by_administrator"
LONGEST_LIFE = (
    86_400  # seconds that an access token may live, whatever the tenant's setting is (idp/tenancy/settings.py)
)


def withdraw(server: TenantServer, token: str, *, with_grant: bool, granter: Granter) -> str | None:
    """Withdraw a token and return what it was, ``access_token`` or ``refresh_token``; None for what is no token of this tenant.

    A refresh token goes with its grant (RFC 7009 §2.1), an access token alone, or ``with_grant`` too.
    """
    return (
        _refresh_token(server, token, granter)
        if token.startswith(f"{PREFIX}_")
        else _access_token(server, token, granter, with_grant=with_grant)
    )


def block(server: TenantServer, jti: str, *, granter: Granter) -> None:
    """Refuse the access token with a `jti` from now on, whatever its text is; whose it is nobody knows, so it may be anybody's."""

    def work(conn: Connection) -> None:
        granter.require_over_everybody(conn)
        if revoked_tokens.revoke(conn, jti, now() + LONGEST_LIFE):
            _record(conn, granter, {"kind": "access_token", "jti": jti})

    server.write(work)


def withdraw_all_of(server: TenantServer, user_id: str, client_id: str | None, *, granter: Granter) -> int:
    """End all that a person's applications have, or what one has; returns how many grants ended. Raises :class:`NotFound`.

    Sessions stay: the person is not signed out. Access tokens and refresh tokens of the grants are worthless at once.
    """

    def work(conn: Connection) -> int:
        user = users.find_locked(conn, user_id)
        if user is None or user.state == "deleted":
            raise NotFound
        granter.require_over(conn, "user", user_id)
        ended = grants.revoke_of_user(conn, user_id, REASON, client_id=client_id)
        if ended:
            _record(conn, granter, {"grants_ended": ended}, subject=user_id, client_id=client_id)
        return ended

    return server.write(work)


def _refresh_token(server: TenantServer, token: str, granter: Granter) -> str | None:
    with server.database.reading() as conn:
        row = refresh_tokens.find(conn, opaque.digest(token))
    if row is None:
        return None

    def work(conn: Connection) -> None:
        granter.require_over(conn, "user", row.user_id)
        _end_grant(conn, row.grant_id, row.user_id, row.client_id, granter)

    server.write(work)
    return "refresh_token"


def _access_token(server: TenantServer, token: str, granter: Granter, *, with_grant: bool) -> str | None:
    try:
        claims = verification.verified_claims(
            server.keys, server.tenant.issuer, token, server.audiences, or_exchanged=True
        )
    except InvalidToken:
        return None
    grant_id, client_id = claims.get("grant_id"), claims["client_id"]

    def work(conn: Connection) -> None:
        grant = grants.find(conn, grant_id) if grant_id is not None else None
        if grant is not None:
            granter.require_over(conn, "user", grant.user_id)
        elif grant_id is None:
            granter.require_over(conn, "client", client_id)
        subject = grant.user_id if grant is not None else None
        if revoked_tokens.revoke(conn, claims["jti"], claims["exp"]):
            details = {"kind": "access_token", "jti": claims["jti"]}
            _record(conn, granter, details, subject=subject, client_id=client_id, grant_id=grant_id)
        if with_grant and grant is not None:
            _end_grant(conn, grant.id, grant.user_id, grant.client_id, granter)

    server.write(work)
    return "access_token"


def _end_grant(conn: Connection, grant_id: str, user_id: str, client_id: str, granter: Granter) -> None:
    if grants.revoke(conn, grant_id, REASON):
        details = {"kind": "refresh_token"}
        _record(conn, granter, details, subject=user_id, client_id=client_id, grant_id=grant_id)


def _record(
    conn: Connection,
    granter: Granter,
    details: dict[str, Any],
    *,
    subject: str | None = None,
    client_id: str | None = None,
    grant_id: str | None = None,
) -> None:
    by = granter.by
    audit.record(
        conn,
        "token.withdrawn",
        outcome="success",
        actor=by.actor,
        client_id=client_id,
        subject=subject,
        grant_id=grant_id,
        source=by.source,
        correlation_id=by.correlation_id,
        details=details,
    )
