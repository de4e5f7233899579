"""Accounts that are deleted and kept: for a while they can be restored, then the purge removes them for good.

The name stays taken that long. Otherwise somebody else could have it by the time it is restored, and applications that know
people by their address would take the one for the other. Must not know pages or commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.clock import now
from idp.errors import Conflict
from idp.identity import administrators, lifecycle
from idp.identity.accounts import By, locked, record, remove
from idp.jobs.outbox import announced
from idp.store.tenant import users

if TYPE_CHECKING:
    from idp.identity.accounts import Require
    from idp.identity.notices import Tell
    from idp.store.db import Database
    from idp.store.rows import Connection

MOST = 100  # accounts that one transaction of the purge removes


def delete(
    database: Database, user_id: str, *, by: By, tell: Tell | None = None, require: Require | None = None
) -> None:
    """Delete a user, but keep the account for the tenant's ``deleted_account_retention``, in which it can be restored.

    Raises :class:`NotFound` or :class:`Conflict`.
    """

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        if user.state == "deleted":
            raise Conflict("This account is deleted already; restore it, or delete it for good without --keep.")
        kept = {"deleted_at": now(), "state_before": user.state}
        with administrators.keeping(conn, is_operator=by.is_operator):
            ended = lifecycle.enter(conn, user, "deleted", "user_deleted", **kept)
        record(conn, "user.deleted", user_id, by, {"sessions_ended": ended, "is_kept": True})
        if tell is not None:
            tell(conn, user)

    with announced(database):
        database.writing(work)


def restore(
    database: Database, user_id: str, *, by: By, tell: Tell | None = None, require: Require | None = None
) -> str:
    """Give a deleted user that was kept its account back, in the state it had, which is returned; what was ended stays ended.

    Raises :class:`NotFound` or :class:`Conflict`.
    """

    def work(conn: Connection) -> str:
        user = locked(conn, user_id, require)
        if user.state != "deleted":
            raise Conflict(f"This account is not deleted but {user.state}; there is nothing to restore.")
        before: str = user.state_before or "disabled"
        lifecycle.enter(conn, user, before, "user_restored", deleted_at=None, state_before=None)
        record(conn, "user.restored", user_id, by, {"state": before})
        if tell is not None:
            tell(conn, user)
        return before

    with announced(database):
        return database.writing(work)


def purge(conn: Connection, before: int, limit: int) -> int:
    """Remove users that were deleted, and kept, before a moment, at most ``limit``; returns how many."""
    due = users.list_deleted(conn, before, limit)
    for user in due:
        remove(conn, user.id)
        record(conn, "user.purged", user.id, By("worker"))
    return len(due)
