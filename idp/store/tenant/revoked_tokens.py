"""Revoked access tokens: the `jti` of each token that was revoked alone, until it would have expired (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, upsert
from idp.store.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection

revoked_tokens = db.Table("revoked_tokens", identifier("jti"), moment("expires_at", index=True), bind_key="tenant")

_IS_REVOKED = Prepared(select(revoked_tokens.c.jti).where(revoked_tokens.c.jti == bindparam("jti")))


def is_revoked(conn: Connection, jti: str) -> bool:
    """Say whether a token was revoked alone."""
    return _IS_REVOKED.execute(conn, {"jti": jti}).first() is not None


def is_any_revoked(conn: Connection, jtis: Collection[str]) -> bool:
    """Say whether one of some tokens was revoked alone."""
    query = select(revoked_tokens.c.jti).where(revoked_tokens.c.jti.in_(jtis)).limit(1)
    return conn.execute(query).first() is not None


def revoke(conn: Connection, jti: str, expires_at: int) -> bool:
    """Revoke one token; False when it was revoked already."""
    statement = upsert(conn, revoked_tokens).values(jti=jti, expires_at=expires_at)
    return conn.execute(statement.on_conflict_do_nothing()).rowcount == 1


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete entries of tokens that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, revoked_tokens, revoked_tokens.c.expires_at < before, limit)
