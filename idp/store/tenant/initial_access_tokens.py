"""Initial access tokens: who may register a client without being an administrator (RFC 7591 §3), counted and expiring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, identifier, moment, number, text
from idp.store.paging import page
from idp.store.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

initial_access_tokens = db.Table(
    "initial_access_tokens",
    identifier(),
    text("token_hash"),
    text("name"),
    number("uses_left"),
    moment("created_at"),
    moment("expires_at", index=True),
    moment("revoked_at", nullable=True),
    text("created_by"),
    db.UniqueConstraint("token_hash", name="uq_initial_access_tokens_token_hash"),
    bind_key="tenant",
)

SORTS = {"created_at": initial_access_tokens.c.created_at, "expires_at": initial_access_tokens.c.expires_at}

_INSERT = Prepared(insert(initial_access_tokens))
_USE = Prepared(
    update(initial_access_tokens)
    .where(
        (initial_access_tokens.c.token_hash == bindparam("token"))
        & (initial_access_tokens.c.uses_left > 0)
        & (initial_access_tokens.c.expires_at > bindparam("at"))
        & initial_access_tokens.c.revoked_at.is_(None)
    )
    .values(uses_left=initial_access_tokens.c.uses_left - 1)
)


def create(conn: Connection, **values: Any) -> None:
    """Insert a token; the columns by keyword."""
    _INSERT.execute(conn, {"created_at": now(), "revoked_at": None, **values})


def find(conn: Connection, token_hash: str) -> Row[Any] | None:
    """Return a token, or None; used up, expired and revoked ones too."""
    return conn.execute(select(initial_access_tokens).where(initial_access_tokens.c.token_hash == token_hash)).first()


def use(conn: Connection, token_hash: str) -> bool:
    """Count one use; False when the token is unknown, used up, expired or revoked."""
    return _USE.execute(conn, {"token": token_hash, "at": now()}).rowcount == 1


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every token, the newest first."""
    order = (initial_access_tokens.c.created_at.desc(), initial_access_tokens.c.id)
    return conn.execute(select(initial_access_tokens).order_by(*order)).all()


def find_by_id(conn: Connection, token_id: str) -> Row[Any] | None:
    """Return a token by its id, or None."""
    return conn.execute(select(initial_access_tokens).where(initial_access_tokens.c.id == token_id)).first()


def search(conn: Connection, *, sort: str, is_descending: bool, **window: Any) -> tuple[Sequence[Row[Any]], int]:
    """Return a page of tokens by a moment (:func:`idp.store.paging.page`) and how many there are."""
    columns = initial_access_tokens.c
    return page(conn, columns, columns.id, sort=SORTS[sort], is_descending=is_descending, **window)


def revoke(conn: Connection, token_id: str) -> bool:
    """Make a token worthless; False when it is not there or was revoked before."""
    here = (initial_access_tokens.c.id == token_id) & initial_access_tokens.c.revoked_at.is_(None)
    return conn.execute(update(initial_access_tokens).where(here).values(revoked_at=now())).rowcount == 1


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete tokens that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, initial_access_tokens, initial_access_tokens.c.expires_at < before, limit)
