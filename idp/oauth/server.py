"""One tenant's authorization server: Authlib's core with the tenant's issuer, keys, settings and clients as plain attributes.

Not a global that reads a framework's context: one object per tenant and revision, in a bounded cache that the change feed
clears. The registry of grants and checks is built once per feature set and shared, so that a tenant costs kilobytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError, OAuth2Error, UnsupportedGrantTypeError

from idp.access.audiences import of_services as services_audiences
from idp.errors import refused
from idp.identity import profile, terms
from idp.keys.signer import TenantKeys
from idp.oauth import errors
from idp.oauth.client import Client
from idp.oauth.client_assertion import PrivateKeyJwt
from idp.oauth.client_auth import ClientAuth
from idp.oauth.client_keys import ClientKeys, TenantClientKeys
from idp.oauth.origins import Origins
from idp.oauth.request import TenantRequest, from_body
from idp.oauth.request_uri import RequestUris
from idp.oauth.subjects import Subjects
from idp.store import migrate
from idp.store.tenant import clients
from idp.tenancy.languages import TenantLanguages
from idp.tokens.authorization import OPERATOR_CLIENT
from idp.tokens.mint import Mint
from idp.web.http import Response, json_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idp.feature import Feature
    from idp.flow.services import Services
    from idp.identity.profile_schema import Schema
    from idp.identity.terms import Terms
    from idp.keys.envelope import Envelope
    from idp.oauth.answering import TenantDoor
    from idp.store.db import Database
    from idp.store.rows import Connection
    from idp.tenancy.feed import ChangeFeed
    from idp.tenancy.tenant import Tenant
    from idp.web.http import Request
    from idp.web.ratelimit import Limiter

    Check = Callable[["TenantServer", TenantRequest], None]

T = TypeVar("T")

CLIENTS_CACHED = 10_000
SERVERS_CACHED = 4_096


class Registry:
    """What all tenants share: the features that are on, the checks by endpoint, the grants by grant type."""

    def __init__(self, features: Sequence[Feature], checks: Mapping[str, tuple[Check, ...]]) -> None:
        """Build the tables once."""
        self.features = tuple(features)
        self.checks = checks
        self.grants = {
            grant.GRANT_TYPE: (grant, extensions) for feature in features for grant, extensions in feature.grants
        }
        self._names = frozenset(feature.name for feature in features)

    def serves(self, name: str) -> bool:
        """Say whether a feature is on."""
        return name in self._names


class UnsupportedGrantType(UnsupportedGrantTypeError):
    """RFC 6749 §5.2, without the user's input in the description."""

    description = "This grant type is not supported."

    def get_error_description(self) -> str:
        """Return a constant."""
        return self.description


class TenantServer(AuthorizationServer):
    """Authlib's server for one tenant at one revision."""

    def __init__(
        self,
        tenant: Tenant,
        database: Database,
        keys: TenantKeys,
        services: Services,
        registry: Registry,
        limiter: Limiter,
        client_keys: TenantClientKeys,
        subjects: Subjects,
        request_uris: RequestUris,
        profile_schema: Schema,
        terms_in_force: Terms | None,
    ) -> None:
        """Keep what requests need as plain attributes."""
        super().__init__()
        self.tenant = tenant
        self.database = database
        self.keys = keys
        self.services = services
        self.registry = registry
        self.limiter = limiter
        self.client_keys = client_keys
        self.subjects = subjects
        self.request_uris = request_uris
        self.profile = profile_schema
        self.terms = terms_in_force
        self.mint = Mint(tenant, keys)
        # Whom access tokens may be for: the issuer itself, the services, and the tenant's own APIs.
        # Nobody stands for the first two by a name that they choose (token exchange, introspection).
        self.reserved_audiences = (tenant.issuer, *services_audiences(services.settings.public_url))
        self.audiences = (*self.reserved_audiences, *tenant.settings.own_resources)
        self.languages = TenantLanguages(tenant.settings, database)
        self.doors: list[str] = []  # the addresses of those that :class:`Servers` keeps
        self.documents: dict[str, Any] = {}  # discovery and JWK set as they are sent, built on first use
        self._clients: dict[str, Client] = {}
        self._origins = Origins(database)
        self._generation = 0
        self._client_auth = ClientAuth(self.query_client)
        self._client_auth.register("private_key_jwt", PrivateKeyJwt(self))

    # -- clients --------------------------------------------------------------------------------------------------

    def serves(self, claims: Mapping[str, Any]) -> bool:
        """Say whether who has an access token, and the applications that it says have acted, are active; an operator's has none."""
        ids, act = [claims["client_id"]], claims.get("act")
        while isinstance(act, dict):
            ids.append(act.get("client_id"))
            act = act.get("act")
        return all(each in {None, OPERATOR_CLIENT} or self.query_client(str(each)) is not None for each in ids)

    def query_client(self, client_id: str) -> Client | None:
        """Return an active client; None when there is none by that id."""
        found = self._clients.get(client_id)
        if found is None:
            found = self._load_client(client_id)
        return found if found is not None and found.is_active else None

    def knows_client(self, client_id: str) -> bool:
        """Say whether a client can be had without the database."""
        return client_id in self._clients

    def registered_origins(self) -> frozenset[str]:
        """Return the origins of all clients' registered redirect URIs: scripts there may read protocol answers."""
        return self._origins.get()

    def forget_client(self, client_id: str) -> None:
        """Drop a client from the cache, because it has changed."""
        self._generation += 1
        self._origins.forget(client_id)
        self._clients.pop(client_id, None)

    def _load_client(self, client_id: str) -> Client | None:
        if not 0 < len(client_id) <= 255 or not client_id.isprintable():
            return None
        generation = self._generation
        with self.database.reading() as conn:
            row = clients.find(conn, client_id)
        if row is None:
            return None
        found = Client(row, self.tenant.settings.allowed_client_profiles)
        if generation == self._generation:  # else it may have changed while it was read
            if len(self._clients) >= CLIENTS_CACHED:
                self._clients.clear()
            self._clients[client_id] = found
        return found

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a transaction that records an audit event, and note that the tenant has something to chain."""
        result = self.database.writing(work)
        self.services.spool.touch(self.tenant.id)
        return result

    # -- checks and grants ----------------------------------------------------------------------------------------

    def check(self, endpoint: str, request: TenantRequest) -> None:
        """Run the endpoint's checks in the order of the table."""
        for check in self.registry.checks[endpoint]:
            check(self, request)

    def get_token_grant(self, request: TenantRequest) -> Any:
        """Return the grant for ``grant_type``, with its extensions."""
        grant_type = request.payload.grant_type
        if grant_type is None:
            # RFC 6749 §5.2: a missing parameter is invalid_request.
            raise refused(
                InvalidRequestError("The parameter grant_type is missing."),
                check="grant_type",
                spec="RFC 6749 §5.2",
                reason="grant_type is missing",
                fix="Send grant_type in the form body.",
            )
        found = self.registry.grants.get(grant_type)
        if found is None:
            raise refused(
                UnsupportedGrantType(grant_type),
                check="grant_type",
                spec="RFC 6749 §5.2",
                reason="the server does not serve this grant type",
                fix="Use one of the grant types that discovery lists.",
                received=grant_type[:100],
                registered=tuple(self.registry.grants),
            )
        grant_class, extensions = found
        grant = grant_class(request, self)
        for extension in extensions:
            extension(grant)
        return grant

    # -- Authlib's framework hooks --------------------------------------------------------------------------------

    def create_oauth2_request(self, request: Request | TenantRequest) -> TenantRequest:
        """Wrap an HTTP request, unless it is wrapped already."""
        return request if isinstance(request, TenantRequest) else from_body(request, "token")

    def save_token(self, token: Any, request: Any) -> None:
        """Do nothing: grants store what they issue in the transaction that consumes their source."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing: audit events are written by who changes something."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:  # noqa: ARG002 - Authlib's signature
        """Return our response."""
        return json_response(status, body, _TOKEN_HEADERS)

    def create_token_response(self, request: TenantRequest) -> Response:
        """Let Authlib run the grant; an unsupported one is an error like any other."""
        try:
            grant = self.get_token_grant(request)
            grant.validate_token_request()
            return self.handle_response(*grant.create_token_response())
        except OAuth2Error as error:
            return self.handle_error_response(request, error)

    def handle_error_response(self, request: TenantRequest, error: OAuth2Error) -> Response:
        """Answer an error with its correlation id, and record it."""
        return errors.json_error(self, request, error)

    @cached_property
    def discovery(self) -> dict[str, Any]:
        """The union of what the enabled features say: it cannot advertise what is not served."""
        document: dict[str, Any] = {"issuer": self.tenant.issuer}
        for feature in self.registry.features:
            for name, value in (feature.metadata(self) if feature.metadata else {}).items():
                present = document.get(name)
                document[name] = list(dict.fromkeys([*present, *value])) if isinstance(present, list) else value
        return document


# RFC 6749 §5.1: neither caches nor HTTP/1.0 caches keep a token.
_TOKEN_HEADERS = (("cache-control", "no-store"), ("pragma", "no-cache"))


class Servers:
    """The servers of the tenants that were used lately, one per tenant and revision."""

    def __init__(
        self, services: Services, registry: Registry, envelope: Envelope, limiter: Limiter, feed: ChangeFeed
    ) -> None:
        """Subscribe to the feed."""
        self._services, self._registry, self._envelope, self._limiter = services, registry, envelope, limiter
        self._client_keys = ClientKeys(services.outbound)
        self._request_uris = RequestUris(services.outbound)
        self._cache: OrderedDict[str, TenantServer] = OrderedDict()
        self.doors: dict[str, TenantDoor] = {}  # of the servers in the cache, by method and address
        self._guard = threading.Lock()
        self._generation = 0
        feed.subscribe(self._changed)

    def get(self, tenant: Tenant) -> TenantServer:
        """Return the tenant's server, made anew when its configuration or its database has changed."""
        found = self._cache.get(tenant.id)
        database = self._services.store.tenant(tenant.id, tenant.database_url)
        if found is not None and found.tenant is tenant and found.database is database:
            self._cache.move_to_end(tenant.id)
            return found
        generation = self._generation
        migrate.check(database, "tenant")  # a tenant is brought to this release's schema when it is first used
        with database.reading() as conn:
            keys = TenantKeys.load(conn, self._envelope, tenant.id)
            schema, in_force = profile.load(conn), terms.in_force(conn)
        subjects = Subjects(database, self._envelope, tenant.id)
        made = TenantServer(
            tenant,
            database,
            keys,
            self._services,
            self._registry,
            self._limiter,
            TenantClientKeys(self._client_keys, tenant.id),
            subjects,
            self._request_uris,
            schema,
            in_force,
        )
        with self._guard:
            if generation == self._generation:
                self._close_doors(self._cache.get(tenant.id))
                self._cache[tenant.id] = made
                self._cache.move_to_end(tenant.id)
                while len(self._cache) > SERVERS_CACHED:
                    self._close_doors(self._cache.popitem(last=False)[1])
        return made

    def cached(self, tenant: Tenant) -> TenantServer | None:
        """Return the tenant's server if it is at hand; never asks a database."""
        found = self._cache.get(tenant.id)
        if found is None or found.tenant is not tenant:
            return None
        return found if found.database.is_kept else None

    def keep_door(self, server: TenantServer, address: str, door: TenantDoor) -> None:
        """Keep a door for as long as its server is at hand."""
        with self._guard:
            if self._cache.get(server.tenant.id) is server and address not in self.doors:
                self.doors[address] = door
                server.doors.append(address)

    def _close_doors(self, server: TenantServer | None) -> None:
        for address in server.doors if server is not None else ():
            self.doors.pop(address, None)

    def _changed(self, tenant_id: str, kind: str, subject: str) -> None:
        with self._guard:
            self._generation += 1
            if kind == "client":
                server = self._cache.get(tenant_id)
                if server is not None:
                    server.forget_client(subject)
            else:
                self._close_doors(self._cache.pop(tenant_id, None))
