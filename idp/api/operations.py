"""What a service is: a table of operations. Routes, validation and the OpenAPI document are made of its records and nothing else.

Owns the records and what a handler is given and gives back. Must not know any service.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from idp.access.granting import Granter
    from idp.access.policy import Subject
    from idp.api.idempotency import Repeatable
    from idp.flow.services import Services
    from idp.identity.accounts import By
    from idp.identity.domain_lookup import Lookup
    from idp.identity.tenants import Tenants
    from idp.keys.envelope import Envelope
    from idp.oauth.server import Servers, TenantServer
    from idp.settings import Settings
    from idp.store.rows import Connection
    from idp.tenancy.resolver import Resolver
    from idp.tenancy.tenant import Tenant
    from idp.web.health import Health
    from idp.web.http import Request
    from idp.web.ratelimit import Limiter

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396
JSON_LINES = "application/x-ndjson"


class Given(BaseModel):
    """What a caller sends: a member that is not in the model is refused, so that nothing is assigned by the way."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def is_unknown(cls, name: str) -> bool:
        """Say whether a further member that the model lets in is not wanted all the same."""
        return name not in cls.model_fields


class Shown(BaseModel):
    """What a caller is shown; callers tolerate members that they do not know."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all services stand on, made once a process."""

    settings: Settings
    resolver: Resolver
    tenants: Tenants
    lookup: Lookup
    servers: Servers
    services: Services
    limiter: Limiter
    envelope: Envelope
    health: Health


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a user or client of the tenant itself, or of the platform's own tenant."""

    home: TenantServer
    subject: Subject
    client_id: str  # the application that holds the token
    by: By  # for the audit trail
    is_of_platform: bool
    granter: Callable[[], Granter]  # what the caller holds here; reads the database

    def by_in(self, tenant_id: str) -> By:
        """Return who it is in the trail of another tenant than the path's."""
        actor = self.subject.id if self.subject.type == "user" else f"client:{self.subject.id}"
        is_at_home = tenant_id == self.home.tenant.id
        return replace(self.by, actor=actor if is_at_home else f"{self.home.tenant.slug}:{actor}")


@dataclass(slots=True)
class Call:
    """One request to one operation, guarded and validated."""

    operation: Operation
    http: Request
    tenant: Tenant
    server: TenantServer
    caller: Caller
    path: Mapping[str, str]
    query: Any
    body: Any
    base: str  # the service's address
    surroundings: Surroundings
    repeatable: Repeatable | None = None

    def keep(self, conn: Connection, reply: Reply) -> None:
        """Keep the answer of a create, in its transaction, for who repeats the request with the same Idempotency-Key."""
        if self.repeatable is not None:
            self.repeatable.keep(conn, self.operation, reply)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers; `document` is validated by the operation's model before it leaves."""

    document: Mapping[str, Any] | None = None
    etag: str | None = None
    location: str | None = None
    lines: Iterator[Mapping[str, Any]] | None = None  # in the place of a document, where the operation answers lines
    total: int = 0  # how many lines there are
    status: int | None = None  # another one than the operation's


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `path` is below the service's prefix. Without a permission it is for everybody."""

    name: str
    method: str
    path: str
    permission: str | None
    summary: str
    description: str
    tag: str
    handle: Callable[[Call], Reply] | None = None  # None: health, which is the same everywhere
    # In the place of a handler: an answer about a tenant that may be out of order. With it 503 has the document, too.
    examine: Callable[[Surroundings, Tenant], Reply] | None = None
    answer: type[BaseModel] | None = None  # None: an answer without a body
    lines: type[BaseModel] | None = None  # an answer of any length, as lines of JSON, each by this model
    status: int = 200
    query: type[Given] | None = None
    body: type[Given] | None = None
    media_types: tuple[str, ...] = (JSON,)
    is_file: bool = False  # the body is a file of one of these types, as it is
    errors: tuple[str, ...] = ()  # codes beside those that follow from the rest
    body_example: Mapping[str, Any] | None = None
    answer_example: Mapping[str, Any] | None = None
    has_etag: bool = False  # the answer carries one; a GET honours If-None-Match
    takes_if_match: bool = False
    is_repeatable: bool = False  # takes Idempotency-Key
    resource: str = ""  # what a role binding may name, for instance "client:{client_id}"

    @property
    def is_of_platform(self) -> bool:
        """Whether it is about no tenant in particular: then it is for tokens of `system` alone."""
        return "{tenant_id}" not in self.path


@dataclass(frozen=True, slots=True)
class Service:
    """One documented service."""

    name: str  # the first part of its paths
    title: str
    version: str
    description: str
    tags: Mapping[str, str]
    operations: tuple[Operation, ...] = field(default=())
