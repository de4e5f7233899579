"""Registering, changing and removing clients (RFC 7591 §2, §3; RFC 7592 §2 for the meaning of a change).

Each operation is one transaction with its audit event, announced through the change feed, so that every worker knows within
a second. A secret is 256 random bits, shown once and stored as its digest. Must not know how it is asked for: the command
line and the services call it alike.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.errors import Conflict, Invalid, NotFound
from idp.oauth import client_metadata, sectors
from idp.oauth.client_metadata import InvalidClientMetadata
from idp.outbound import FetchRefused
from idp.store.tenant import clients, consents, grants, role_bindings, session_clients
from idp.tokens.authorization import OPERATOR_CLIENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.identity.accounts import By
    from idp.outbound import Outbound
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.feed import ChangeFeed
    from idp.tenancy.tenant import Tenant

# Decides inside the transaction whether a registration may go on, and returns further columns of the client.
Admit = Callable[[Any], dict[str, Any]]

LONGEST_ID = 128
# RFC 6749 §10.10: what we make has 256 bits; what an operator brings is taken from 16 characters on (made at random, 96 bits).
SHORTEST_SECRET, LONGEST_SECRET = 16, 256
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
_CLIENT_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._~:/-]{{0,{LONGEST_ID - 1}}}", re.ASCII)
_USER_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_SECRET = re.compile(rf"[\x21-\x7e]{{{SHORTEST_SECRET},{LONGEST_SECRET}}}")
_OWN_MEMBERS = ("client_id", "client_secret", "client_profile", "client_id_issued_at", "client_secret_expires_at")

_FETCHED = ("jwks_uri", "backchannel_logout_uri")  # what is reached from here


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as it is registered; ``secret`` only when it was just made or given, for it is never shown again."""

    row: Row[Any]
    secret: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the client information response (RFC 7591 §3.2.1)."""
        found: dict[str, Any] = {"client_id": self.row.client_id, "client_id_issued_at": self.row.created_at}
        if self.secret is not None:
            found["client_secret"] = self.secret
        if self.secret is not None or self.row.secret_hash is not None:
            # RFC 7591 §3.2.1: required with a secret; 0 says that it does not expire.
            found["client_secret_expires_at"] = self.row.secret_expires_at or 0
        found |= {"client_profile": self.row.client_profile, "state": self.row.state}
        found |= self.row.metadata
        return found


class ClientRegistry:
    """The clients of one tenant."""

    def __init__(self, tenant: Tenant, database: Database, feed: ChangeFeed, outbound: Outbound | None = None) -> None:
        """Take what every operation needs; with ``outbound``, addresses that could never be fetched are refused."""
        self._tenant, self._database, self._feed, self._outbound = tenant, database, feed, outbound

    def list_all(self) -> list[Registered]:
        """Return every client, by id."""
        with self._database.reading() as conn:
            return [Registered(row) for row in clients.list_all(conn)]

    def get(self, client_id: str) -> Registered:
        """Return a client; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            row = clients.find(conn, client_id)
        if row is None:
            slug = self._tenant.slug
            raise NotFound(
                f"Tenant {slug} has no client {client_id[:LONGEST_ID]}; `idp client list {slug}` shows those there are."
            )
        return Registered(row)

    def create(
        self, given: Mapping[str, Any], *, by: By, profile: str | None = None, admit: Admit | None = None
    ) -> Registered:
        """Register a client from RFC 7591 metadata; raises :class:`Invalid` or :class:`Conflict`.

        ``client_id``, ``client_secret`` and ``client_profile`` among the metadata are honoured; ``profile`` counts more.
        ``admit`` may refuse inside the transaction, and returns further columns.
        """
        client_id = self._new_id(given.get("client_id"))
        profile = self._profile(given.get("client_profile") if profile is None else profile)
        metadata = client_metadata.validate(_without_own(given), profile, self._tenant.settings.key_algorithms)
        self._check_fetched(metadata)
        secret = self._new_secret(metadata, given.get("client_secret"))

        def work(conn: Connection) -> None:
            if clients.find(conn, client_id) is not None:
                raise Conflict(f"There is a client {client_id} already.")
            more = admit(conn) if admit is not None else {}
            clients.create(
                conn,
                **more,
                client_id=client_id,
                client_profile=profile,
                secret_hash=opaque.digest(secret) if secret else None,
                secret_expires_at=None,
                metadata=metadata,
                state="active",
            )
            _record(
                conn,
                "client.created",
                client_id,
                by,
                {"client_profile": profile, "auth_method": metadata["token_endpoint_auth_method"]},
            )

        self._announced(client_id, work)
        return Registered(self.get(client_id).row, secret)

    def update(self, client_id: str, changes: Mapping[str, Any], *, by: By) -> Registered:
        """Merge changes into a client's metadata (a null removes a member); raises :class:`Invalid` or :class:`NotFound`.

        A change to a method with a secret makes one, a change away from it forgets it.
        """
        if changes.get("client_id", client_id) != client_id:
            # RFC 7592 §2.2: the client_id must be the registered one.
            raise InvalidClientMetadata("client_id cannot be changed; register another client.")
        if changes.get("client_secret") is not None:
            raise InvalidClientMetadata("client_secret cannot be set by an update; use rotate-secret.")
        return self._changed(
            client_id, lambda row: {**row.metadata, **changes}, changes.get("client_profile"), by, None
        )

    def replace(self, client_id: str, given: Mapping[str, Any], *, by: By, admit: Admit) -> Registered:
        """Replace a client's metadata by others (RFC 7592 §2.2): what is left out is removed.

        ``admit`` as in :meth:`create`. Raises :class:`Invalid` or :class:`NotFound`.
        """
        return self._changed(client_id, lambda _row: given, None, by, admit)

    def _changed(
        self,
        client_id: str,
        metadata_of: Callable[[Row[Any]], Mapping[str, Any]],
        wanted_profile: Any,
        by: By,
        admit: Admit | None,
    ) -> Registered:
        fresh = opaque.new_secret("cs")
        used: list[str] = []

        def work(conn: Connection) -> None:
            used.clear()
            row = clients.find_locked(conn, client_id)
            if row is None:
                raise NotFound(f"There is no client {client_id[:LONGEST_ID]}.")
            profile = self._profile(wanted_profile) if wanted_profile is not None else row.client_profile
            given = {name: value for name, value in _without_own(metadata_of(row)).items() if value is not None}
            metadata = client_metadata.validate(given, profile, self._tenant.settings.key_algorithms)
            self._check_fetched(metadata)
            values: dict[str, Any] = {"metadata": metadata, "client_profile": profile}
            if admit is not None:
                values |= admit(conn)
            if metadata["token_endpoint_auth_method"] not in SECRET_METHODS:
                values |= {"secret_hash": None, "secret_expires_at": None}
            elif row.secret_hash is None:
                values["secret_hash"] = opaque.digest(fresh)
                used.append(fresh)
            clients.change(conn, client_id, **values)
            if _known_by(metadata) != _known_by(row.metadata):
                # OpenID Connect Core §8.1: who moves to another sector does not learn there whom it knew in the former one.
                grants.revoke_of_client(conn, client_id, "subjects_changed")
                session_clients.delete_of_client(conn, client_id)
            before = row.metadata | {"client_profile": row.client_profile}
            after = metadata | {"client_profile": profile}
            changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
            _record(conn, "client.updated", client_id, by, {"members": changed})

        self._announced(client_id, work)
        return Registered(self.get(client_id).row, used[0] if used else None)

    def rotate_secret(self, client_id: str, *, by: By) -> Registered:
        """Replace a client's secret; the former one is worthless at once. Raises :class:`Invalid` or :class:`NotFound`."""
        fresh = opaque.new_secret("cs")

        def work(conn: Connection) -> None:
            row = clients.find(conn, client_id)
            if row is None:
                raise NotFound(f"There is no client {client_id[:LONGEST_ID]}.")
            if row.metadata["token_endpoint_auth_method"] not in SECRET_METHODS:
                raise Invalid("This client does not authenticate with a secret.")
            clients.change(conn, client_id, secret_hash=opaque.digest(fresh), secret_expires_at=None)
            _record(conn, "client.secret_rotated", client_id, by)

        self._announced(client_id, work)
        return Registered(self.get(client_id).row, fresh)

    def disable(self, client_id: str, *, by: By) -> None:
        """Refuse a client everywhere from now on, and end the grants it holds. Raises :class:`NotFound`."""
        self._set_state(client_id, "disabled", "client.disabled", by)

    def enable(self, client_id: str, *, by: By) -> None:
        """Serve a disabled client again; what was ended stays ended. Raises :class:`NotFound`."""
        self._set_state(client_id, "active", "client.enabled", by)

    def delete(self, client_id: str, *, by: By) -> None:
        """Delete a client with the consents given to it, and end its grants. Raises :class:`NotFound`."""

        def work(conn: Connection) -> None:
            ended = grants.revoke_of_client(conn, client_id, "client_deleted")
            consents.delete_of_client(conn, client_id)
            session_clients.delete_of_client(conn, client_id)
            role_bindings.delete_of_holder(conn, "client", client_id)
            if not clients.delete(conn, client_id):
                raise NotFound(f"There is no client {client_id[:LONGEST_ID]}.")
            _record(conn, "client.deleted", client_id, by, {"grants_ended": ended})

        self._announced(client_id, work)

    def _set_state(self, client_id: str, state: str, kind: str, by: By) -> None:
        def work(conn: Connection) -> None:
            if not clients.change(conn, client_id, state=state):
                raise NotFound(f"There is no client {client_id[:LONGEST_ID]}.")
            ended = grants.revoke_of_client(conn, client_id, "client_disabled") if state == "disabled" else 0
            _record(conn, kind, client_id, by, {"grants_ended": ended})

        self._announced(client_id, work)

    def _check_fetched(self, metadata: Mapping[str, Any]) -> None:
        """Refuse addresses that :mod:`idp.outbound` would never go to, while somebody can still correct them."""
        for name in _FETCHED:
            try:
                if self._outbound is not None and name in metadata:
                    self._outbound.check(metadata[name])
            except FetchRefused as error:
                raise InvalidClientMetadata(f"{name}: {error}.") from None

    def _announced(self, client_id: str, work: Callable[[Connection], None]) -> None:
        with self._feed.announced(self._tenant.id, "client", client_id):
            self._database.writing(work)

    def _new_id(self, wanted: Any) -> str:
        if wanted is None:
            return f"client-{secrets.token_hex(8)}"
        if not isinstance(wanted, str) or not _CLIENT_ID.fullmatch(wanted):
            raise InvalidClientMetadata(
                f"client_id is 1 to {LONGEST_ID} letters, digits and . _ ~ : / - after the first."
            )
        if wanted == OPERATOR_CLIENT:
            raise InvalidClientMetadata(f"{OPERATOR_CLIENT} stands for the command line; take another client_id.")
        # RFC 9700 §4.15: a client must not be able to pass for a user, whose `sub` looks like this.
        if _USER_ID.fullmatch(wanted):
            raise InvalidClientMetadata("client_id must not look like the id of a user; take a name such as acme-web.")
        return wanted

    def _profile(self, wanted: Any) -> str:
        settings = self._tenant.settings
        profile = settings.default_client_profile if wanted is None else wanted
        if profile not in settings.allowed_client_profiles:
            allowed = ", ".join(settings.allowed_client_profiles)
            raise InvalidClientMetadata(
                f"client_profile must be one that the tenant allows ({allowed}); allow others with "
                f"`idp tenant set {self._tenant.slug} allowed_client_profiles=strict,oidc`."
            )
        return str(profile)

    @staticmethod
    def _new_secret(metadata: Mapping[str, Any], wanted: Any) -> str | None:
        if metadata["token_endpoint_auth_method"] not in SECRET_METHODS:
            if wanted is not None:
                raise InvalidClientMetadata(
                    "client_secret does not go with this token_endpoint_auth_method; leave it out."
                )
            return None
        if wanted is None:
            return opaque.new_secret("cs")
        if not isinstance(wanted, str) or not _SECRET.fullmatch(wanted):
            raise InvalidClientMetadata(
                f"client_secret is {SHORTEST_SECRET} to {LONGEST_SECRET} visible ASCII characters, made at random; leave it out to get one."
            )
        return wanted


def _without_own(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in _OWN_MEMBERS}


def _known_by(metadata: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Return what decides by which subjects a client knows people: whether they are pairwise, and in which sector."""
    is_pairwise = metadata.get("subject_type") == "pairwise"
    return is_pairwise, sectors.sector_of(metadata) if is_pairwise else None


def _record(conn: Connection, kind: str, client_id: str, by: By, details: Mapping[str, Any] | None = None) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=by.actor,
        client_id=client_id,
        source=by.source,
        correlation_id=by.correlation_id,
        details=details,
    )
