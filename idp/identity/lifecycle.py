"""The states of an account and what each of them means, as one table that everything else asks.

Four states are stored. ``locked`` is none of them: it is an active account whose counter of failed sign-ins has reached its
limit, and it ends by itself with the window. ``docs/accounts.md`` shows the table to people; a test compares the two.
Must not know passwords, links' addresses or pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from idp.errors import Conflict
from idp.identity import lockout, session_end
from idp.store.tenant import attempts, one_time_links, users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.store.rows import Connection, Row
    from idp.tenancy.settings import TenantSettings

State = Literal["invited", "active", "locked", "disabled", "deleted"]
# Kinds of links, and of the mails that bring them.
INVITATION, RECOVERY, UNLOCK, EMAIL_CHANGE = "invitation", "recovery", "unlock", "email_change"


@dataclass(frozen=True, slots=True)
class Rules:
    """What one state means."""

    signs_in: bool  # whether the right password opens a session
    sessions: bool  # whether sessions live, with their grants and tokens; entering a state without ends them
    invitation: bool  # whether the link of an invitation works; entering a state without revokes it
    links: bool  # whether every other kind of link works
    password: bool  # whether somebody else may set a password
    recovery: str | None  # the mail that "Forgotten password?" brings
    unlock: bool  # whether it is mailed a way out of a lock
    notices: bool  # whether it is told by mail what happened to it
    next: frozenset[str]  # where it may go from here


def _to(*states: str) -> frozenset[str]:
    return frozenset(states)


# fmt: off
TABLE: Mapping[str, Rules] = {
    #                 signs_in sessions invitation links  password recovery   unlock notices next
    "invited":  Rules(False,   False,   True,      False, False,   INVITATION, False, False, _to("active")),
    "active":   Rules(True,    True,    False,     True,  True,    RECOVERY,   False, True,  _to("disabled", "deleted")),
    "locked":   Rules(False,   True,    False,     True,  True,    RECOVERY,   True,  True,  _to("disabled", "deleted")),
    "disabled": Rules(False,   False,   False,     False, True,    None,       False, False, _to("active", "deleted")),
    "deleted":  Rules(False,   False,   False,     False, False,   None,       False, False, _to("active", "disabled")),
}
# fmt: on
_INSTEAD = {
    ("invited", "disabled"): "This person is only invited; cancel the invitation: idp user cancel-invitation",
    ("invited", "deleted"): "This person is only invited; cancel the invitation: idp user cancel-invitation",
    ("deleted", "active"): "This account is deleted; restore it first: idp user restore",
    ("invited", "active"): "This person has not accepted the invitation yet; send it again: idp user resend-invitation",
}


def of(state: str) -> Rules:
    """Return what a state means; one that a newer release wrote means what ``disabled`` does."""
    return TABLE.get(state, TABLE["disabled"])


def state_of(conn: Connection, user: Row[Any], settings: TenantSettings) -> State:
    """Return a user's state as it is this moment, ``locked`` included."""
    if user.state == "active" and is_locked(conn, user.username_key, settings):
        return "locked"
    state: State = user.state
    return state


def is_locked(conn: Connection, username_key: str, settings: TenantSettings) -> bool:
    """Say whether the next sign-in under a name would be refused whatever the password."""
    return attempts.peek(conn, lockout.account(username_key))[0] >= settings.account_attempts


def allows_link(state: str, kind: str) -> bool:
    """Say whether a link of a kind works in a state."""
    return of(state).invitation if kind == INVITATION else of(state).links


def instead(state: str, wanted: str) -> Conflict:
    """Return the error for a move that cannot be made, with what to do instead."""
    return Conflict(_INSTEAD.get((state, wanted), f"The account is {state}; that cannot be done with it."))


def enter(conn: Connection, user: Row[Any], state: str, reason: str, **columns: Any) -> int:
    """Move a user, whose row is locked, into a state and end what the state does not have; returns how many sessions ended.

    Entering the state one is in is allowed and ends the same. Raises :class:`Conflict` for a move that the table does not have.
    """
    if state != user.state and state not in of(user.state).next:
        raise instead(user.state, state)
    rules = of(state)
    users.change(conn, user.id, state=state, **columns)
    ended = 0 if rules.sessions else session_end.end_all_of(conn, user.id, reason)
    if not rules.invitation:
        one_time_links.revoke_of_user(conn, user.id, *((INVITATION,) if rules.links else ()))
    return ended
