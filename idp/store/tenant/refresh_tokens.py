"""Refresh tokens: rotated, single use, with the sealed successor kept for the grace (RFC 9700 §4.14.2).

A rotated token's row stays as a tombstone as long as its grant, so that its reuse is seen. ``sealed_successor`` is encrypted
under a key derived from the presented token, which is not stored: whoever reads the database cannot open it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text
from idp.store.prepared import Prepared
from idp.store.tenant.grants import grants
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

refresh_tokens = db.Table(
    "refresh_tokens",
    identifier("token_hash"),
    db.Column("grant_id", db.String(255), nullable=False, index=True),
    moment("issued_at"),
    moment("expires_at"),
    moment("used_at", nullable=True),
    text("sealed_successor", nullable=True),
    bind_key="tenant",
)
# Kept successors, to forget them: nearly empty at any time.
db.Index(
    "ix_refresh_tokens_sealed",
    refresh_tokens.c.used_at,
    sqlite_where=refresh_tokens.c.sealed_successor.is_not(None),
    postgresql_where=refresh_tokens.c.sealed_successor.is_not(None),
)

_BY_HASH = Prepared(
    select(
        refresh_tokens,
        grants.c.client_id,
        grants.c.user_id,
        grants.c.session_id,
        grants.c.scope,
        grants.c.auth_time,
        grants.c.amr,
        grants.c.acr,
        grants.c.claims_request,
        grants.c.resources,
        grants.c.is_offline,
        grants.c.expires_at.label("grant_expires_at"),
        grants.c.revoked_at,
        users.c.state.label("user_state"),
        users.c.username,
        users.c.email,
        users.c.email_verified,
        users.c.claims,
        users.c.updated_at,
    )
    .join(grants, grants.c.id == refresh_tokens.c.grant_id)
    .outerjoin(users, users.c.id == grants.c.user_id)
    .where(refresh_tokens.c.token_hash == bindparam("token_hash"))
)
_CONSUME = Prepared(
    update(refresh_tokens)
    .where((refresh_tokens.c.token_hash == bindparam("token")) & refresh_tokens.c.used_at.is_(None))
    .values(used_at=bindparam("at"), sealed_successor=bindparam("sealed"))
)
_INSERT = Prepared(insert(refresh_tokens))


def find(conn: Connection, token_hash: str) -> Row[Any] | None:
    """Return a refresh token with its grant and user, or None; used and expired ones too."""
    return _BY_HASH.execute(conn, {"token_hash": token_hash}).first()


def create(conn: Connection, token_hash: str, grant_id: str, expires_at: int) -> None:
    """Insert a refresh token."""
    _INSERT.execute(
        conn,
        {
            "token_hash": token_hash,
            "grant_id": grant_id,
            "issued_at": now(),
            "expires_at": expires_at,
            "used_at": None,
            "sealed_successor": None,
        },
    )


def consume(conn: Connection, token_hash: str, sealed_successor: str) -> bool:
    """Use a token up and keep its sealed successor; exactly one caller ever gets True."""
    return _CONSUME.execute(conn, {"token": token_hash, "at": now(), "sealed": sealed_successor}).rowcount == 1


def use_of_user(conn: Connection, user_id: str, limit: int | None) -> Sequence[Row[Any]]:
    """Return for each client that a user's grants are alive at: ``client_id``, ``first_at``, ``last_at`` (granted), ``refreshed_at`` or None."""
    is_alive = (grants.c.user_id == user_id) & grants.c.revoked_at.is_(None) & (grants.c.expires_at > now())
    last = func.max(grants.c.created_at)
    columns: Any = (
        grants.c.client_id,
        func.min(grants.c.created_at).label("first_at"),
        last.label("last_at"),
        func.max(refresh_tokens.c.issued_at).label("refreshed_at"),
    )
    joined = grants.outerjoin(refresh_tokens, refresh_tokens.c.grant_id == grants.c.id)
    query = select(*columns).select_from(joined).where(is_alive).group_by(grants.c.client_id)
    return conn.execute(query.order_by(last.desc(), grants.c.client_id).limit(limit)).all()


def forget_sealed(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete the kept successors of rotations before a moment: their grace is over. At most ``limit`` at once."""
    here = (refresh_tokens.c.used_at < before) & refresh_tokens.c.sealed_successor.is_not(None)
    some = select(refresh_tokens.c.token_hash).where(here).limit(limit)
    forget = update(refresh_tokens).where(refresh_tokens.c.token_hash.in_(some)).values(sealed_successor=None)
    return conn.execute(forget).rowcount
