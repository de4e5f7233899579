"""Initial access tokens (RFC 7591 §3): what an administrator hands out so that others may register clients.

Each has a name, a number of uses and an end. It is spent in the transaction that registers, so that the last use is one
client's. Must not know how it is asked for: the command line and the services issue them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.errors import IdpError, Invalid, NotFound, refused
from idp.store.tenant import initial_access_tokens

if TYPE_CHECKING:
    from idp.identity.accounts import By
    from idp.oauth.server import TenantServer
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

PREFIX = "iat"
DAY = 86400
MOST_USES, LONGEST_LIFE = 100_000, 365 * DAY


# Is told of a new token and its row inside the transaction.
Finish = Callable[[Any, Any, str], None]


class InvalidName(Invalid):
    """A name that people could not read."""

    title = "A token's name has 1 to 200 printable characters."

    def __init__(self) -> None:
        """Name the field."""
        super().__init__(errors={"name": "must be 1 to 200 printable characters, not all of them spaces"})


class InvalidToken(IdpError):
    """RFC 6750 §3.1: the initial or registration access token is missing or not (or no longer) good."""

    code, status, title = "invalid_token", 401, "The access token is missing, unknown, expired or used up."


def create(
    database: Database, *, name: str, uses: int, lifetime: int, by: By, finish: Finish | None = None
) -> tuple[Row[Any], str]:
    """Issue a token for ``uses`` registrations within ``lifetime`` seconds; returns its row and the token, shown once.

    ``finish`` is told of both inside the transaction. Raises :class:`Invalid`.
    """
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise InvalidName
    if not 1 <= uses <= MOST_USES:
        raise Invalid(f"A token is for 1 to {MOST_USES} registrations.")
    if not 60 <= lifetime <= LONGEST_LIFE:
        raise Invalid("A token lives for a minute to 365 days.")
    token, token_id = opaque.new_secret(PREFIX), opaque.new_id()

    def work(conn: Connection) -> Any:
        initial_access_tokens.create(
            conn,
            id=token_id,
            token_hash=opaque.digest(token),
            name=name.strip(),
            uses_left=uses,
            expires_at=now() + lifetime,
            created_by=by.actor,
        )
        details = {"id": token_id, "uses": uses, "lifetime": lifetime}
        audit.record(
            conn,
            "registration_token.created",
            outcome="success",
            actor=by.actor,
            source=by.source,
            correlation_id=by.correlation_id,
            details=details,
        )
        row = initial_access_tokens.find(conn, opaque.digest(token))
        if finish is not None:
            finish(conn, row, token)
        return row

    return database.writing(work), token


def revoke(database: Database, token_id: str, *, by: By) -> None:
    """Make a token worthless; clients that were registered with it stay. Raises :class:`NotFound`."""

    def work(conn: Connection) -> None:
        if not initial_access_tokens.revoke(conn, token_id):
            raise NotFound("There is no such token, or it was revoked before.")
        audit.record(
            conn,
            "registration_token.revoked",
            outcome="success",
            actor=by.actor,
            source=by.source,
            correlation_id=by.correlation_id,
            details={"id": token_id},
        )

    database.writing(work)


def require(server: TenantServer, token: str) -> None:
    """Raise :class:`InvalidToken` unless the token is good just now; it is spent by :func:`use`."""
    with server.database.reading() as conn:
        row = initial_access_tokens.find(conn, opaque.digest(token))
    if row is None:
        reason = "there is no such initial access token at this tenant"
    elif row.revoked_at is not None:
        reason = "the initial access token was revoked"
    elif row.expires_at <= now():
        reason = "the initial access token has expired"
    elif row.uses_left < 1:
        reason = "the initial access token is used up"
    else:
        return
    raise _refused(reason, server.tenant.slug)


def use(conn: Connection, token: str) -> str:
    """Spend one use in the transaction that registers, and return the token's id; raises :class:`InvalidToken`."""
    digest = opaque.digest(token)
    row = initial_access_tokens.find(conn, digest)
    if row is None or not initial_access_tokens.use(conn, digest):
        raise _refused("the initial access token was used up, or ended, a moment ago", "TENANT")
    return str(row.id)


def _refused(reason: str, slug: str) -> InvalidToken:
    return refused(
        InvalidToken(),
        check="initial_access_token",
        spec="RFC 7591 §3",
        reason=reason,
        fix=f"Issue another: idp registration-token create {slug}",
    )
