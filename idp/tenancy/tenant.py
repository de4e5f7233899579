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
    # Parts of the issuer.
    host: str = field(init=False, repr=False)  # with the port, as a Host header shows it
    origin: str = field(init=False, repr=False)  # scheme, host and port
    base_path: str = field(init=False, repr=False)  # ``/t/{slug}``, or empty on a host of the tenant's own

    def __post_init__(self) -> None:
        """Take the issuer apart once: every request asks for its parts."""
        url = urlsplit(self.issuer)
        for name, value in (
            ("host", url.netloc),
            ("origin", f"{url.scheme}://{url.netloc}"),
            ("base_path", url.path),
        ):
            object.__setattr__(self, name, value)

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
