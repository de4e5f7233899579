"""By which subject a client knows a user, and whom a subject of a client means (OpenID Connect Core §8).

Public subjects are the user's id. Pairwise ones need the tenant's key, which is made when the first client asks for them and
kept sealed in the tenant's database. A session's id is told in the same way: it would join what the subjects keep apart.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from idp.keys import sealed_state
from idp.tokens.pairwise import PairwiseSubjects, new_key

if TYPE_CHECKING:
    from idp.keys.envelope import Envelope
    from idp.oauth.client import Client
    from idp.store.db import Database


class Subjects:
    """The subjects of one tenant."""

    def __init__(self, database: Database, envelope: Envelope, tenant_id: str) -> None:
        """Take where the key is; it is read when a pairwise client needs it."""
        self._database, self._envelope, self._tenant_id = database, envelope, tenant_id

    def of(self, client: Client, user_id: str) -> str:
        """Return the ``sub`` of a user for a client: locally unique, never reassigned, at most 255 ASCII characters."""
        return user_id if client.sector is None else self._pairwise.of(client.sector, user_id)

    def user_of(self, client: Client, subject: str) -> str | None:
        """Return the id of the user whom a client knows by this ``sub``; None when there cannot be one."""
        return subject if client.sector is None else self._pairwise.user_of(client.sector, subject)

    def sid_of(self, client: Client, session_id: str) -> str:
        """Return the ``sid`` of a session for a client: as much its sector's own as the subject (§8.1, §17.3)."""
        # No sector has a space: no subject is ever a sid.
        return session_id if client.sector is None else self._pairwise.of(f"sid {client.sector}", session_id)

    @cached_property
    def _pairwise(self) -> PairwiseSubjects:
        return PairwiseSubjects(
            sealed_state.get_or_make(
                self._database, self._envelope, self._tenant_id, sealed_state.PAIRWISE_KEY, new_key
            )
        )
