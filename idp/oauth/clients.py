"""Registering, changing and removing clients (RFC 7591 §2, §3; RFC 7592 §2 for the meaning of a change).

Each operation is one transaction with its audit event, announced through the change feed, so that every worker knows within
a second. A secret is 256 random bits, shown once and stored as its digest. Must not know how it is asked for: the command
line and the services call it alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.errors import Conflict, NotFound
from idp.identity.accounts import By
from idp.oauth import built_in_clients, client_metadata, client_values, sectors
from idp.oauth.client_metadata import InvalidClientMetadata
from idp.outbound import FetchRefused
from idp.store.tenant import clients, consents, grants, role_bindings, session_clients

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.outbound import Outbound
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.feed import ChangeFeed
    from idp.tenancy.tenant import Tenant

# Decides inside the transaction whether a registration may go on, and returns further columns of the client.
Admit = Callable[[Any], dict[str, Any]]
# Refuses, by raising, inside the transaction that changes a client; is told the connection and the client as it is.
Require = Callable[[Any, Any], None]
# Is told inside the transaction what was registered, so that it can keep something beside it.
Finish = Callable[[Any, "Registered"], None]

_FETCHED = ("jwks_uri", "backchannel_logout_uri")  # what is reached from here


class WithoutSecret(Conflict):
    """There is no secret to replace."""

    code, title = "client_without_secret", "This client does not authenticate with a secret."


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as it is registered; ``secret`` only when it was just made or given, for it is never shown again."""

    row: Row[Any]
    secret: str | None = None

    @property
    def tags(self) -> list[str]:
        """The words that administrators sort the client by."""
        return str(self.row.tags).split()

    def document(self) -> dict[str, Any]:
        """Return the client information response (RFC 7591 §3.2.1)."""
        found: dict[str, Any] = {"client_id": self.row.client_id, "client_id_issued_at": self.row.created_at}
        if self.secret is not None:
            found["client_secret"] = self.secret
        if self.secret is not None or self.row.secret_hash is not None:
            # RFC 7591 §3.2.1: required with a secret; 0 says that it does not expire.
            found["client_secret_expires_at"] = self.row.secret_expires_at or 0
        found |= {"client_profile": self.row.client_profile, "state": self.row.state}
        if self.row.first_party:
            found["first_party"] = True
        found |= self.row.metadata
        return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client is to become; what is None beside the metadata stays as it is."""

    metadata: Mapping[str, Any]
    profile: Any = None
    tags: Sequence[str] | None = None
    first_party: bool | None = None


class ClientRegistry:
    """The clients of one tenant."""

    def __init__(self, tenant: Tenant, database: Database, feed: ChangeFeed, outbound: Outbound | None = None) -> None:
        """Take what every operation needs; with ``outbound``, addresses that could never be fetched are refused."""
        self._tenant, self._database, self._feed, self._outbound = tenant, database, feed, outbound

    def list_all(self) -> list[Registered]:
        """Return every client, by id."""
        with self._database.reading() as conn:
            return [Registered(row) for row in clients.list_all(conn)]

    def search(self, **query: Any) -> tuple[list[Registered], int]:
        """Return one page of clients and how many there are; the parameters of :func:`idp.store.tenant.clients.search`."""
        with self._database.reading() as conn:
            rows, total = clients.search(conn, **query)
        return [Registered(row) for row in rows], total

    def get(self, client_id: str) -> Registered:
        """Return a client; raises :class:`NotFound`."""
        self._make_sure_of(client_id)
        with self._database.reading() as conn:
            row = clients.find(conn, client_id)
        if row is None:
            slug = self._tenant.slug
            raise NotFound(
                f"Tenant {slug} has no client {client_id[: client_values.LONGEST_ID]}; `idp client list {slug}` shows those there are."
            )
        return Registered(row)

    def create(
        self,
        given: Mapping[str, Any],
        *,
        by: By,
        profile: str | None = None,
        tags: Sequence[str] = (),
        admit: Admit | None = None,
        finish: Finish | None = None,
    ) -> Registered:
        """Register a client from RFC 7591 metadata; raises :class:`Invalid` or :class:`Conflict`.

        ``client_id``, ``client_secret``, ``client_profile`` and ``first_party`` among the metadata are honoured; ``profile`` counts more.
        ``admit`` may refuse inside the transaction, and returns further columns; ``finish`` keeps what belongs beside it.
        """
        return self._create(
            client_values.new_id(given.get("client_id")),
            given,
            by=by,
            profile=profile,
            tags=tags,
            admit=admit,
            finish=finish,
        )

    def make_built_in(self, client_id: str, *, source: str | None = None, correlation_id: str | None = None) -> bool:
        """Register a client of :mod:`idp.oauth.built_in_clients`; False when it is there, disabled or not."""
        with self._database.reading() as conn:
            if clients.find(conn, client_id) is not None:
                return False
        by = By(f"client:{client_id}", source, correlation_id)
        with contextlib.suppress(Conflict):  # somebody else has, this moment
            self._create(client_id, built_in_clients.METADATA, by=by)
        return True

    def _make_sure_of(self, client_id: str) -> None:
        """See to it that a built-in client can be looked at and changed before it was ever used."""
        if built_in_clients.is_built_in(client_id):
            self.make_built_in(client_id)

    def _create(
        self,
        client_id: str,
        given: Mapping[str, Any],
        *,
        by: By,
        profile: str | None = None,
        tags: Sequence[str] = (),
        admit: Admit | None = None,
        finish: Finish | None = None,
    ) -> Registered:
        profile = self._profile(given.get("client_profile") if profile is None else profile)
        metadata = client_metadata.validate(
            client_values.without_own(given), profile, self._tenant.settings.key_algorithms
        )
        self._check_fetched(metadata)
        first_party = client_values.flag("first_party", given.get("first_party"))
        secret = client_values.new_secret(metadata, given.get("client_secret"))

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
                tags=_spaced(tags),
                first_party=bool(first_party),
            )
            _record(
                conn,
                "client.created",
                client_id,
                by,
                {
                    "client_profile": profile,
                    "auth_method": metadata["token_endpoint_auth_method"],
                    **({"first_party": True} if first_party else {}),
                },
            )
            if finish is not None:
                finish(conn, Registered(_get(conn, client_id), secret))

        self._announced(client_id, work)
        with self._database.reading() as conn:
            return Registered(_get(conn, client_id), secret)

    def update(self, client_id: str, changes: Mapping[str, Any], *, by: By) -> Registered:
        """Merge changes into a client's metadata (a null removes a member); raises :class:`Invalid` or :class:`NotFound`.

        A change to a method with a secret makes one, a change away from it forgets it.
        """
        if changes.get("client_id", client_id) != client_id:
            # RFC 7592 §2.2: the client_id must be the registered one.
            raise InvalidClientMetadata("client_id cannot be changed; register another client.")
        if changes.get("client_secret") is not None:
            raise InvalidClientMetadata("client_secret cannot be set by an update; use rotate-secret.")
        profile = changes.get("client_profile")
        # RFC 7396: null is the default.
        first_party = (
            bool(client_values.flag("first_party", changes["first_party"])) if "first_party" in changes else None
        )
        return self.edit(
            client_id, lambda row: Wanted({**row.metadata, **changes}, profile, first_party=first_party), by=by
        )

    def replace(self, client_id: str, given: Mapping[str, Any], *, by: By, admit: Admit) -> Registered:
        """Replace a client's metadata by others (RFC 7592 §2.2): what is left out is removed.

        ``admit`` as in :meth:`create`. Raises :class:`Invalid` or :class:`NotFound`.
        """
        return self.edit(client_id, lambda _row: Wanted(given), by=by, admit=admit)

    def edit(
        self,
        client_id: str,
        change: Callable[[Row[Any]], Wanted],
        *,
        by: By,
        admit: Admit | None = None,
        require: Require | None = None,
    ) -> Registered:
        """Make of a client what ``change`` makes of its row, which nobody else changes meanwhile.

        Raises :class:`Invalid`, :class:`NotFound` or what ``require`` raises.
        """
        self._make_sure_of(client_id)
        fresh = opaque.new_secret("cs")
        used: list[str] = []

        def work(conn: Connection) -> None:
            used.clear()
            row = _get(conn, client_id)
            if require is not None:
                require(conn, row)
            wanted = change(row)
            profile = self._profile(wanted.profile) if wanted.profile is not None else row.client_profile
            given = {
                name: value for name, value in client_values.without_own(wanted.metadata).items() if value is not None
            }
            metadata = client_metadata.validate(given, profile, self._tenant.settings.key_algorithms)
            self._check_fetched(metadata)
            values: dict[str, Any] = {"metadata": metadata, "client_profile": profile}
            if wanted.tags is not None:
                values["tags"] = _spaced(wanted.tags)
            if wanted.first_party is not None:
                values["first_party"] = wanted.first_party
            if admit is not None:
                values |= admit(conn)
            if metadata["token_endpoint_auth_method"] not in client_values.SECRET_METHODS:
                values |= {"secret_hash": None, "secret_expires_at": None}
            elif row.secret_hash is None:
                values["secret_hash"] = opaque.digest(fresh)
                used.append(fresh)
            clients.change(conn, client_id, **values)
            if _known_by(metadata) != _known_by(row.metadata):
                # OpenID Connect Core §8.1: who moves to another sector does not learn there whom it knew in the former one.
                grants.revoke_of_client(conn, client_id, "subjects_changed")
                session_clients.delete_of_client(conn, client_id)
            beside = ("client_profile", "tags", "first_party")
            before = row.metadata | {name: getattr(row, name) for name in beside}
            after = metadata | {name: values.get(name, getattr(row, name)) for name in beside}
            changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
            _record(conn, "client.updated", client_id, by, {"members": changed})

        self._announced(client_id, work)
        return Registered(self.get(client_id).row, used[0] if used else None)

    def rotate_secret(self, client_id: str, *, by: By, require: Require | None = None) -> Registered:
        """Replace a client's secret; the former one is worthless at once. Raises :class:`Invalid` or :class:`NotFound`."""
        fresh = opaque.new_secret("cs")

        def work(conn: Connection) -> None:
            row = _get(conn, client_id)
            if require is not None:
                require(conn, row)
            if row.metadata["token_endpoint_auth_method"] not in client_values.SECRET_METHODS:
                raise WithoutSecret
            clients.change(conn, client_id, secret_hash=opaque.digest(fresh), secret_expires_at=None)
            _record(conn, "client.secret_rotated", client_id, by)

        self._announced(client_id, work)
        return Registered(self.get(client_id).row, fresh)

    def disable(self, client_id: str, *, by: By, require: Require | None = None) -> None:
        """Refuse a client everywhere from now on, and end the grants it holds. Raises :class:`NotFound`."""
        self._set_state(client_id, "disabled", "client.disabled", by, require)

    def enable(self, client_id: str, *, by: By, require: Require | None = None) -> None:
        """Serve a disabled client again; what was ended stays ended. Raises :class:`NotFound`."""
        self._set_state(client_id, "active", "client.enabled", by, require)

    def delete(self, client_id: str, *, by: By, require: Require | None = None) -> None:
        """Delete a client with the consents given to it, and end its grants; raises :class:`NotFound`, or :class:`Conflict` for a built-in one."""
        if built_in_clients.is_built_in(client_id):
            raise Conflict(f"{client_id} is built in; disable it instead.")

        def work(conn: Connection) -> None:
            row = _get(conn, client_id)
            if require is not None:
                require(conn, row)
            ended = grants.revoke_of_client(conn, client_id, "client_deleted")
            consents.delete_of_client(conn, client_id)
            session_clients.delete_of_client(conn, client_id)
            role_bindings.delete_of_holder(conn, "client", client_id)
            clients.delete(conn, client_id)
            _record(conn, "client.deleted", client_id, by, {"grants_ended": ended})

        self._announced(client_id, work)

    def _set_state(self, client_id: str, state: str, kind: str, by: By, require: Require | None) -> None:
        self._make_sure_of(client_id)

        def work(conn: Connection) -> None:
            row = _get(conn, client_id)
            if require is not None:
                require(conn, row)
            clients.change(conn, client_id, state=state)
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
                raise InvalidClientMetadata(f"{name}: {error}.", errors={name: str(error)}) from None

    def _announced(self, client_id: str, work: Callable[[Connection], None]) -> None:
        with self._feed.announced(self._tenant.id, "client", client_id):
            self._database.writing(work)

    def _profile(self, wanted: Any) -> str:
        settings = self._tenant.settings
        profile = settings.default_client_profile if wanted is None else wanted
        if profile not in settings.allowed_client_profiles:
            allowed = ", ".join(settings.allowed_client_profiles)
            raise InvalidClientMetadata(
                f"client_profile must be one that the tenant allows ({allowed}); allow others with "
                f"`idp tenant set {self._tenant.slug} allowed_client_profiles=strict,oidc`.",
                errors={"client_profile": f"must be one that the tenant allows: {allowed}"},
            )
        return str(profile)


def _get(conn: Connection, client_id: str) -> Row[Any]:
    """Return a client that nobody else changes until the transaction is over; raises :class:`NotFound`."""
    row = clients.find_locked(conn, client_id)
    if row is None:
        raise NotFound(f"There is no client {client_id[: client_values.LONGEST_ID]}.")
    return row


def _spaced(tags: Sequence[str]) -> str:
    """Return tags as they are stored: each between spaces, in order."""
    return f" {' '.join(sorted(set(tags)))} " if tags else ""


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
