"""Grants: what a user (or a client for itself) allowed a client, the root of every token family.

Revoking a grant kills its code, its refresh tokens and its access tokens at introspection and userinfo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, bindparam, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, document, identifier, moment, number, text
from idp.store.prepared import Prepared
from idp.store.tenant.revoked_tokens import revoked_tokens
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

grants = db.Table(
    "grants",
    identifier(),
    db.Column("client_id", db.String(255), nullable=False),
    db.Column("user_id", db.String(255), nullable=False, index=True),
    db.Column("session_id", db.String(255), nullable=True, index=True),
    text("scope"),
    number("auth_time"),
    document("amr"),
    text("acr"),
    document("claims_request", nullable=True),  # what was asked for beyond the scopes (OIDC Core §5.5, §5.2)
    document("resources", nullable=True),  # the audiences of its access tokens (RFC 8707); none: the issuer
    db.Column("is_offline", Boolean, nullable=False),
    moment("created_at"),
    moment("expires_at", index=True),
    moment("revoked_at", nullable=True),
    text("revoked_reason", nullable=True),
    bind_key="tenant",
)
# Whose living grants to a client they are is read from it alone.
db.Index("ix_grants_client", grants.c.client_id, grants.c.user_id, grants.c.revoked_at, grants.c.expires_at)

_STANDING = Prepared(
    select(
        grants.c.revoked_at,
        grants.c.expires_at,
        grants.c.client_id,
        grants.c.claims_request,
        grants.c.scope.label("granted_scope"),
        users.c.id.label("user_id"),
        users.c.state.label("user_state"),
        users.c.username,
        users.c.email,
        users.c.email_verified,
        users.c.claims,
        users.c.updated_at,
        revoked_tokens.c.jti.label("revoked_jti"),
    )
    .join(users, users.c.id == grants.c.user_id)
    .outerjoin(revoked_tokens, revoked_tokens.c.jti == bindparam("jti"))
    .where(grants.c.id == bindparam("grant_id"))
)

_INSERT = Prepared(insert(grants))


def find(conn: Connection, grant_id: str) -> Row[Any] | None:
    """Return a grant, or None."""
    return conn.execute(select(grants).where(grants.c.id == grant_id)).first()


def find_standing(conn: Connection, grant_id: str, jti: str) -> Row[Any] | None:
    """Return in one read what decides whether a token is alive: grant, user and the token's own revocation.

    None when the grant or user is gone, the grant is revoked, the user is not active, or the token was revoked alone.
    """
    found: Any = _STANDING.execute(conn, {"grant_id": grant_id, "jti": jti}).first()
    if found is None or found.revoked_at is not None or found.revoked_jti is not None or found.user_state != "active":
        return None
    standing: Row[Any] = found
    return standing


def list_of_user(conn: Connection, user_id: str, limit: int) -> Sequence[Row[Any]]:
    """Return a user's grants, the newest first, revoked and expired ones too; at most ``limit``."""
    order = (grants.c.created_at.desc(), grants.c.id)
    return conn.execute(select(grants).where(grants.c.user_id == user_id).order_by(*order).limit(limit)).all()


def create(conn: Connection, **values: Any) -> None:
    """Insert a grant; the columns by keyword."""
    _INSERT.execute(conn, values)


def revoke(conn: Connection, grant_id: str, reason: str) -> bool:
    """Revoke a grant and so its whole family; False when it was revoked already."""
    here = (grants.c.id == grant_id) & grants.c.revoked_at.is_(None)
    return conn.execute(update(grants).where(here).values(revoked_at=now(), revoked_reason=reason)).rowcount == 1


def revoke_of_session(conn: Connection, session_id: str, reason: str) -> int:
    """Revoke the grants of an ended session, except those with offline access (Back-Channel Logout §2.7)."""
    here = (grants.c.session_id == session_id) & grants.c.revoked_at.is_(None) & grants.c.is_offline.is_(False)
    return conn.execute(update(grants).where(here).values(revoked_at=now(), revoked_reason=reason)).rowcount


def revoke_of_user(
    conn: Connection, user_id: str, reason: str, *, client_id: str | None = None, but_session: str | None = None
) -> int:
    """Revoke every grant of a user, or those to one client, except those of one session."""
    here = (grants.c.user_id == user_id) & grants.c.revoked_at.is_(None)
    if client_id is not None:
        here &= grants.c.client_id == client_id
    if but_session is not None:
        here &= grants.c.session_id.is_(None) | (grants.c.session_id != but_session)
    return conn.execute(update(grants).where(here).values(revoked_at=now(), revoked_reason=reason)).rowcount


def revoke_of_client(conn: Connection, client_id: str, reason: str) -> int:
    """Revoke every grant of a client."""
    here = (grants.c.client_id == client_id) & grants.c.revoked_at.is_(None)
    return conn.execute(update(grants).where(here).values(revoked_at=now(), revoked_reason=reason)).rowcount


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete grants that expired before a moment, their codes and refresh tokens first; at most ``limit`` rows at once."""
    from idp.store.tenant.authorization_codes import authorization_codes  # they refer to this table
    from idp.store.tenant.refresh_tokens import refresh_tokens

    is_old = grants.c.expires_at < before
    old = select(grants.c.id).where(is_old)
    for table in (authorization_codes, refresh_tokens):
        done = delete_some(conn, table, table.c.grant_id.in_(old), limit)
        if done:
            return done
    return delete_some(conn, grants, is_old, limit)
