"""Changes of a tenant's keys by whoever may make them: announced to every worker, recorded, and seen through by the calendar.

The command line and the services call it alike. Must not know either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit
from idp.jobs.chain import chain_events
from idp.keys import rotation
from idp.keys.algorithms import ALGORITHMS
from idp.keys.checkpoints import CheckpointKeys
from idp.keys.jwks import public_of
from idp.keys.rotation import KeyPolicy
from idp.store.control import pending_work
from idp.store.tenant import signing_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idp.keys.envelope import Envelope
    from idp.keys.rotation import Rotation
    from idp.store.db import Database
    from idp.tenancy.feed import ChangeFeed
    from idp.tenancy.tenant import Tenant

JOB = "rotation"  # the kind of job that does what the calendar asks for


def key_policy(tenant: Tenant) -> KeyPolicy:
    """Return how a tenant's keys live: retired ones as long as anything they signed may come back."""
    settings = tenant.settings
    longest = max(settings.access_token_lifetime, settings.id_token_lifetime, settings.session_lifetime)
    return KeyPolicy(settings.key_algorithms, settings.key_rotation_period, longest)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one tenant, for those who change them."""

    tenant: Tenant
    database: Database
    control: Database
    envelope: Envelope
    feed: ChangeFeed

    def list_all(self) -> list[dict[str, Any]]:
        """Return what there is to say of each key, oldest first; nothing of it is private."""
        with self.database.reading() as conn:
            return [_shown(row) for row in signing_keys.list_all(conn)]

    def rotate(
        self, algorithms: Sequence[str] = (), *, at_once: bool = False, who: Mapping[str, str | None]
    ) -> Rotation:
        """Replace the keys that sign, as soon as relying parties can know the next ones, or ``at_once``.

        ``who`` are the columns of the audit event that say who did it: ``actor``, ``source``, ``correlation_id``.
        """
        act = rotation.rotate_now if at_once else rotation.rotate
        return self._changed(
            lambda: act(self.database, self.envelope, self.tenant.id, key_policy(self.tenant), algorithms),
            "keys.rotated",
            who,
        )

    def revoke(self, kid: str, *, who: Mapping[str, str | None]) -> Rotation:
        """Withdraw a key at once; raises :class:`~idp.errors.NotFound`."""
        done = self._changed(
            lambda: rotation.revoke(self.database, self.envelope, self.tenant.id, key_policy(self.tenant), kid),
            "keys.revoked",
            who,
        )
        if done.transitions:
            # The newest checkpoint of the audit log may carry the signature that is believed no more: seal it anew.
            with self.database.reading() as conn:
                seals = CheckpointKeys(conn, self.envelope, self.tenant.id)
            chain_events(self.database, self.control, self.tenant.id, seals.sign)
        return done

    def _changed(self, change: Callable[[], Rotation], kind: str, who: Mapping[str, str | None]) -> Rotation:
        with self.feed.announced(self.tenant.id, "config"):
            done = change()
            steps = [f"{step.change} {step.alg} {step.kid}" for step in done.transitions]
            if steps:
                self.database.writing(
                    lambda conn: audit.record(
                        conn,
                        kind,
                        outcome="success",
                        actor=who["actor"],
                        source=who.get("source"),
                        correlation_id=who.get("correlation_id"),
                        details={"transitions": steps},
                    )
                )
        # What was put off is done in its time, not when the calendar would have looked next.
        self.control.writing(lambda conn: pending_work.mark(conn, self.tenant.id, JOB, done.next_due))
        return done


def _shown(row: Any) -> dict[str, Any]:
    names = ("kid", "alg", "state", "created_at", "activated_at", "retired_at", "revoked_at")
    shown = {
        "use": row.public_jwk["use"],
        **{name: getattr(row, name) for name in names},
        "begins_at": None,
        "public": public_of(row.public_jwk),
    }
    if row.state == "next" and row.alg in ALGORITHMS:
        # A key that comes next and has a time is put off until then.
        shown |= {"activated_at": None, "begins_at": row.activated_at}
    return shown
