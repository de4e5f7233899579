"""Making, changing and deleting webhooks, each with its audit event in one transaction.

Who wants an address to be told must be allowed to read what it will be told: at creation, at every change of what would let more of
it out, and where the secret is shown. Secrets are sealed, shown once, and replaced with an overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp import audit, opaque
from idp.errors import Conflict, Invalid, NotFound
from idp.jobs.chain import hurry
from idp.outbound import FetchRefused
from idp.store.tenant import audit_events, outbox, webhook_deliveries, webhooks
from idp.webhooks import event_types, signing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from idp.access.granting import Granter
    from idp.keys.envelope import Envelope
    from idp.outbound import Outbound
    from idp.settings import Settings
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

    Require = Callable[[Connection, Row[Any]], None]  # judges the webhook as it is before

LONGEST_URL, LONGEST_DESCRIPTION = 2000, 500
MOST_WEBHOOKS = 50  # of a tenant
MOST_TYPES = 100  # patterns of one webhook
LONGEST_OVERLAP = 7 * 86400  # seconds for which a replaced secret signs too
BY_ADMINISTRATOR = "by_administrator"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Change:
    """What is to be changed of a webhook; what is None stays."""

    url: str | None = None
    description: str | None = None
    event_types: Sequence[str] | None = None
    enabled: bool | None = None


class Webhooks:
    """The webhooks of one tenant."""

    def __init__(
        self, tenant: Tenant, database: Database, settings: Settings, outbound: Outbound, envelope: Envelope
    ) -> None:
        """Take what judges addresses and what seals secrets."""
        self._tenant, self._database, self._settings = tenant, database, settings
        self._outbound, self._envelope = outbound, envelope

    def search(self, **window: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of webhooks, and how many there are; parameters of :func:`idp.store.tenant.webhooks.search`."""
        with self._database.reading() as conn:
            return webhooks.search(conn, **window)

    def get(self, webhook_id: str) -> Row[Any]:
        """Return a webhook; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            return get(conn, webhook_id)

    def create(
        self,
        url: str,
        patterns: Sequence[str],
        description: str = "",
        *,
        granter: Granter,
        finish: Callable[[Connection, Row[Any], str], None] | None = None,
    ) -> tuple[Row[Any], str]:
        """Make a webhook; returns it and its secret, which is shown this once.

        It is told of what happens from now on. ``finish`` runs in the same transaction. Raises :class:`Invalid`,
        :class:`Conflict` when there are too many, or ``MoreThanHeld``.
        """
        self._check_url(url)
        wanted = _check_patterns(patterns)
        _check_description(description)
        granter.require(event_types.permissions_for(wanted))
        webhook_id, secret = opaque.new_id(), signing.new_secret()
        stored = signing.sealed(self._envelope, self._tenant.id, webhook_id, secret)

        def work(conn: Connection) -> Row[Any]:
            if webhooks.count(conn) >= MOST_WEBHOOKS:
                raise Conflict(f"A tenant has at most {MOST_WEBHOOKS} webhooks; delete one first.")
            webhooks.create(
                conn,
                id=webhook_id,
                url=url,
                description=description,
                event_types=wanted,
                state="enabled",
                sealed_secrets=[stored],
                **_from_now_on(conn),
                created_by=granter.by.actor,
            )
            made = get(conn, webhook_id)
            _record(conn, "webhook.created", granter, made, {"event_types": wanted})
            if finish is not None:
                finish(conn, made, secret)
            return made

        made = self._database.writing(work)
        hurry(self._database)  # from now on there is somebody who waits for what is chained
        return made, secret

    def change(self, webhook_id: str, change: Change, *, granter: Granter, require: Require | None = None) -> Row[Any]:
        """Change a webhook; disabling gives up what waits, enabling begins with what happens from now on."""
        values: dict[str, Any] = {}
        if change.url is not None:
            self._check_url(change.url)
            values["url"] = change.url
        if change.description is not None:
            _check_description(change.description)
            values["description"] = change.description
        if change.event_types is not None:
            values["event_types"] = _check_patterns(change.event_types)

        def work(conn: Connection) -> Row[Any]:
            before = _locked(conn, webhook_id, require)
            now_changed = dict(values)
            if change.enabled is not None and change.enabled != (before.state == "enabled"):
                now_changed |= self._switched(conn, webhook_id, is_on=change.enabled)
            lets_out = now_changed.keys() & {"url", "event_types"} or now_changed.get("state") == "enabled"
            if lets_out:
                wanted = list(now_changed.get("event_types", before.event_types))
                # What waits was meant for the former address, and may be of types that it is about no more.
                wanted += webhook_deliveries.types_waiting(conn, webhook_id) if "url" in now_changed else []
                granter.require(event_types.permissions_for(wanted))
            if "url" in now_changed:
                now_changed |= {"failing_since": None, "failures": 0}
            webhooks.change(conn, webhook_id, **now_changed)
            changed = get(conn, webhook_id)
            members = sorted(values.keys() | ({"enabled"} if "state" in now_changed else set()))
            _record(
                conn,
                "webhook.updated",
                granter,
                changed,
                {"members": members, "is_enabled": changed.state == "enabled"},
            )
            return changed

        changed = self._database.writing(work)
        if change.enabled:
            hurry(self._database)
        return changed

    @staticmethod
    def _switched(conn: Connection, webhook_id: str, *, is_on: bool) -> dict[str, Any]:
        if not is_on:
            outbox.discard_of(conn, outbox.WEBHOOK, webhook_id)
            return {"state": "disabled", "disabled_reason": BY_ADMINISTRATOR}
        fresh = {**_from_now_on(conn), "failing_since": None, "failures": 0}
        return {"state": "enabled", "disabled_reason": None, **fresh}

    def delete(self, webhook_id: str, *, granter: Granter, require: Require | None = None) -> None:
        """Delete a webhook; what waits for it is given up."""

        def work(conn: Connection) -> None:
            row = _locked(conn, webhook_id, require)
            outbox.discard_of(conn, outbox.WEBHOOK, webhook_id)
            webhooks.delete_one(conn, webhook_id)
            _record(conn, "webhook.deleted", granter, row)

        self._database.writing(work)

    def rotate_secret(
        self, webhook_id: str, overlap: int, *, granter: Granter, require: Require | None = None
    ) -> tuple[Row[Any], str]:
        """Give a webhook another secret, which is shown this once; the former one signs too for ``overlap`` seconds."""
        if not 0 <= overlap <= LONGEST_OVERLAP:
            wanted = f"must be a whole number from 0 to {LONGEST_OVERLAP}"
            raise Invalid(f"overlap {wanted}.", errors={"overlap": wanted})
        secret = signing.new_secret()
        fresh = signing.sealed(self._envelope, self._tenant.id, webhook_id, secret)

        def work(conn: Connection) -> Row[Any]:
            row = _locked(conn, webhook_id, require)
            granter.require(event_types.permissions_for(row.event_types))
            webhooks.change(conn, webhook_id, sealed_secrets=signing.replaced(row.sealed_secrets, fresh, overlap))
            _record(conn, "webhook.secret_rotated", granter, row, {"overlap": overlap})
            return get(conn, webhook_id)

        return self._database.writing(work), secret

    def _check_url(self, url: str) -> None:
        """Refuse what could never be reached, or not safely, while somebody can still correct it."""
        problem = self._problem_of(url)
        if problem is not None:
            raise Invalid(f"url: {problem}.", errors={"url": problem})

    def _problem_of(self, url: str) -> str | None:
        if len(url) > LONGEST_URL or "#" in url:
            return f"must be an address of at most {LONGEST_URL} characters without a fragment"
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            return "must have a valid host and port"
        if parts.scheme == "http" and (self._settings.is_production or host not in _LOOPBACK):
            return "must be https"
        try:
            self._outbound.check(url)
        except FetchRefused as error:
            return str(error)
        return None


def get(conn: Connection, webhook_id: str) -> Row[Any]:
    """Return a webhook; raises :class:`NotFound`."""
    found = webhooks.find(conn, webhook_id)
    if found is None:
        raise NotFound("There is no such webhook.")
    return found


def _from_now_on(conn: Connection) -> dict[str, int]:
    """Return the place in the trail behind everything that there is, chained or not."""
    return {"seen": audit_events.last_number(conn), "after_row": audit_events.last_row(conn)}


def _locked(conn: Connection, webhook_id: str, require: Require | None) -> Row[Any]:
    found = webhooks.find_locked(conn, webhook_id)
    if found is None:
        raise NotFound("There is no such webhook.")
    if require is not None:
        require(conn, found)
    return found


def _check_patterns(patterns: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(patterns))
    if not 1 <= len(wanted) <= MOST_TYPES:
        raise Invalid(
            f"event_types must have 1 to {MOST_TYPES} entries.",
            errors={"event_types": f"must have 1 to {MOST_TYPES} entries"},
        )
    unknown = [each for each in wanted if not event_types.is_pattern(each)]
    if unknown:
        shown = unknown[0][:100]
        raise Invalid(
            f"event_types: {shown} is no event type.",
            errors={"event_types": f"{shown} is no event type; there are names, `family.*` and `*`"},
        )
    return wanted


def _check_description(text: str) -> None:
    if len(text) > LONGEST_DESCRIPTION or not text.isprintable():
        wanted = f"must be at most {LONGEST_DESCRIPTION} printable characters"
        raise Invalid(f"description {wanted}.", errors={"description": wanted})


def _record(
    conn: Connection, kind: str, granter: Granter, row: Row[Any], details: dict[str, Any] | None = None
) -> None:
    record(conn, kind, granter, {"webhook": row.id, "host": urlsplit(row.url).hostname or "", **(details or {})})


def record(conn: Connection, kind: str, granter: Granter, details: dict[str, Any]) -> None:
    """Record in the caller's transaction what somebody did to a webhook."""
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=granter.by.actor,
        source=granter.by.source,
        correlation_id=granter.by.correlation_id,
        details=details,
    )
