"""Authorization codes (RFC 6749 §4.1.2): single use; the row stays as a tombstone as long as its grant, so that a reuse is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import document, identifier, moment, text
from idp.store.prepared import Prepared
from idp.store.tenant.grants import grants
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Row

authorization_codes = db.Table(
    "authorization_codes",
    identifier("code_hash"),
    db.Column("grant_id", db.String(255), nullable=False, index=True),
    text("client_id"),
    text("redirect_uri"),
    text("code_challenge", nullable=True),
    text("nonce", nullable=True),
    document("request"),  # other parameters of the request that the tokens depend on
    moment("issued_at"),
    moment("expires_at", index=True),
    moment("used_at", nullable=True),
    bind_key="tenant",
)

_BY_HASH = Prepared(
    select(
        authorization_codes,
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
    .join(grants, grants.c.id == authorization_codes.c.grant_id)
    .outerjoin(users, users.c.id == grants.c.user_id)
    .where(authorization_codes.c.code_hash == bindparam("code_hash"))
)
_CONSUME = Prepared(
    update(authorization_codes)
    .where((authorization_codes.c.code_hash == bindparam("code")) & authorization_codes.c.used_at.is_(None))
    .values(used_at=bindparam("at"))
)

_INSERT = Prepared(insert(authorization_codes))


def find(conn: Connection, code_hash: str) -> Row[Any] | None:
    """Return a code with its grant and user, or None; used and expired ones too."""
    return _BY_HASH.execute(conn, {"code_hash": code_hash}).first()


def create(conn: Connection, **values: Any) -> None:
    """Insert a code; the columns by keyword."""
    _INSERT.execute(conn, values)


def consume(conn: Connection, code_hash: str) -> bool:
    """Use a code up; exactly one caller ever gets True."""
    return _CONSUME.execute(conn, {"code": code_hash, "at": now()}).rowcount == 1
