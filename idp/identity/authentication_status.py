"""How a person can sign in, and does: state, lock, sessions with what they were authenticated by, password. Reads, never writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.errors import NotFound
from idp.identity import lifecycle, lockout
from idp.store.tenant import attempts, sessions, users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.store.db import Database
    from idp.store.rows import Row
    from idp.tenancy.settings import TenantSettings

MOST_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class AuthenticationStatus:
    """What is so at this moment."""

    user: Row[Any]
    state: str  # as idp.identity.lifecycle has it, `locked` included
    locked_until: int | None
    last_sign_in: int | None  # of the sessions that are kept
    sessions: Sequence[Row[Any]]  # alive, the one that was used last first
    factors: tuple[str, ...]


def status_of(database: Database, user_id: str, settings: TenantSettings) -> AuthenticationStatus:
    """Return the status of a user; raises :class:`NotFound`."""
    with database.reading() as conn:
        user = users.find(conn, user_id)
        if user is None:
            raise NotFound("There is no such user.")
        state = lifecycle.state_of(conn, user, settings)
        until = attempts.peek(conn, lockout.account(user.username_key))[1] if state == "locked" else None
        alive = sessions.list_live_of(conn, user.id, MOST_SESSIONS)
        last = sessions.last_sign_in(conn, user.id)
    factors = ("password",) if user.password_hash is not None else ()
    return AuthenticationStatus(user, state, until, last, alive, factors)
