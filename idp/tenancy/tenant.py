"""The tenant: a frozen value that a request works with."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp.errors import NoCurrentTenant
from idp.store.location import locate
from idp.tenancy.settings import TenantSettings

if TYPE_CHECKING:
    from idp.settings import Settings
    from idp.store.rows import Row

SYSTEM = "system"  # the built-in tenant whose users administer the platform


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant at one revision of its configuration."""

    id: str
    slug: str
    name: str
    state: str
    issuer: str
    database_url: str
    settings: TenantSettings = field(default_factory=TenantSettings)
    revision: int = 0

    @property
    def host(self) -> str:
        """Host and port of the issuer, as a Host header shows it."""
        return urlsplit(self.issuer).netloc

    @property
    def origin(self) -> str:
        """Scheme, host and port of the issuer."""
        url = urlsplit(self.issuer)
        return f"{url.scheme}://{url.netloc}"

    @property
    def base_path(self) -> str:
        """Path of the issuer: ``/t/{slug}``, or empty on a host of the tenant's own."""
        return urlsplit(self.issuer).path

    @property
    def is_secure(self) -> bool:
        """Whether the issuer is served over HTTPS."""
        return self.issuer.startswith("https://")


def from_row(row: Row[Any], revision: int, settings: Settings) -> Tenant:
    """Build a tenant from its control row."""
    return Tenant(
        row.id,
        row.slug,
        row.name,
        row.state,
        row.issuer,
        locate(settings, row.database_url),
        TenantSettings.from_json(row.settings),
        revision,
    )


current_tenant: ContextVar[Tenant] = ContextVar("current_tenant")


def current() -> Tenant:
    """Return the current tenant; raises :class:`NoCurrentTenant` outside one."""
    try:
        return current_tenant.get()
    except LookupError:
        message = "there is no current tenant"
        raise NoCurrentTenant(message) from None
