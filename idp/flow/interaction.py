"""Interactions: a stored request that a person's sign-in passes through, bound to the browser that began it.

Owns what an interaction is and how it is stored, bound and finished (OIDC Core §3.1.2.3; RFC 9700 §4.7 for the binding).
Must not know any step or protocol: ``request`` is the protocol's, ``state`` is what steps have noted.

Neutral keys of ``request`` that steps read; all others belong to the protocol:
``prompt`` list of str · ``max_age`` int or None · ``login_hint`` str or None · ``subject_hint`` id of the user the answer
must be about, or None · ``scopes`` list of str · ``consent_to`` the same and single claims as ``claim:NAME``, to consent to · ``client`` {"name", "logo_uri", "policy_uri", "tos_uri",
"client_uri"} · ``return_origin`` origin or ``scheme:`` the final answer goes to · ``return_host`` shown to the person ·
``restart`` path and query under the tenant that begin again · ``another`` whether it shall be an account that is not named yet, or
absent · ``first_party`` whether the client is the tenant's own and asks by program, so that there is nobody else to allow anything, or
absent · ``before_terms`` whether it leads to what somebody has a right to who does not accept the tenant's terms, or absent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from idp import opaque
from idp.clock import now
from idp.store.tenant import interactions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.store.db import Database
    from idp.store.rows import Connection, Row

_ID = re.compile(r"[0-9a-f]{32}")
_RESTART = re.compile(r"/(?![/\\])[!-~]*")  # a path of ours; never //host


class AlreadyFinished(Exception):
    """Somebody else (a second tab, a double click) has finished the interaction."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """One sign-in under way; ``id`` is empty when it was never stored because nothing had to be asked."""

    id: str
    protocol: str
    client_id: str
    request: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    created_at: int = 0
    expires_at: int = 0
    finished_at: int | None = None
    browser_hash: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether there is a row that has to be finished."""
        return bool(self.id)

    @property
    def is_expired(self) -> bool:
        """Whether the time a person has for it is over."""
        return now() >= self.expires_at

    @property
    def prompt(self) -> frozenset[str]:
        """The values of ``prompt`` (OIDC Core §3.1.2.1)."""
        return frozenset(self.request.get("prompt") or ())

    def is_bound_to(self, browser: str | None) -> bool:
        """Say whether the browser with this cookie began the interaction."""
        return bool(browser and self.browser_hash) and opaque.same(opaque.digest(browser or ""), self.browser_hash)


def new(protocol: str, client_id: str, request: Mapping[str, Any]) -> Interaction:
    """Return an interaction that is not stored; raises ValueError when ``restart`` would lead elsewhere."""
    if not _RESTART.fullmatch(str(request.get("restart", ""))):
        raise ValueError("an interaction's restart must be a path under the tenant")
    return Interaction("", protocol, client_id, dict(request), created_at=now())


def find(database: Database, interaction_id: str) -> Interaction | None:
    """Return a stored interaction, finished and expired ones too; None for what was never an id."""
    if not _ID.fullmatch(interaction_id):
        return None
    with database.reading() as conn:
        row = interactions.find(conn, interaction_id)
    return None if row is None else _from_row(row)


def store(database: Database, interaction: Interaction, *, browser: str | None, lifetime: int) -> Interaction:
    """Store a new interaction for ``lifetime`` seconds and return it; without ``browser`` it is bound later."""
    at = now()
    made = replace(
        interaction,
        id=opaque.new_id(),
        created_at=at,
        expires_at=at + lifetime,
        browser_hash=opaque.digest(browser) if browser else "",
    )
    values = {name: getattr(made, name) for name in Interaction.__dataclass_fields__}
    database.writing(lambda conn: interactions.create(conn, **values))
    return made


def bind(database: Database, interaction: Interaction, browser: str) -> bool:
    """Bind an interaction that came in by another site's POST to the browser that follows; only the first succeeds."""
    return database.writing(lambda conn: interactions.bind(conn, interaction.id, opaque.digest(browser)))


def note(conn: Connection, interaction: Interaction, **state: Any) -> Interaction:
    """Add what a step has done to the interaction's state, within the step's transaction; None removes a key.

    Raises :class:`AlreadyFinished` when it is finished.
    """
    row = interactions.find(conn, interaction.id)
    found = noted(replace(interaction, state=row.state if row is not None else {}), **state)
    if not interactions.change(conn, interaction.id, state=found.state):
        raise AlreadyFinished
    return found


def noted(interaction: Interaction, **state: Any) -> Interaction:
    """Return the interaction with what a step has done; written by whoever writes next. None removes a key."""
    merged = {**interaction.state, **state}
    return replace(interaction, state={key: value for key, value in merged.items() if value is not None})


def finish(conn: Connection, interaction: Interaction, session_id: str | None) -> bool:
    """Mark the interaction finished; False when it was already. One that was never stored is finished once by nature."""
    if not interaction.is_stored:
        return True
    return interactions.change(conn, interaction.id, finished_at=now(), session_id=session_id)


def _from_row(row: Row[Any]) -> Interaction:
    return Interaction(**{name: getattr(row, name) for name in Interaction.__dataclass_fields__})
