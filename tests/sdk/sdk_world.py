"""What the SDKs are tried on: the served product, its platform administrators and a tenant with people and an application."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from house import PASSWORD

if TYPE_CHECKING:
    from running import Running

    from idp.tenancy.tenant import Tenant

ADMIN = "admin@platform.example"


@dataclass
class SdkWorld:
    """`system` with an administrator, `acme` with an administrator and somebody who may do nothing."""

    running: Running
    tenants: dict[str, Tenant] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tenants = {slug: self.running.tenant(slug) for slug in ("system", "acme")}
        self.person(ADMIN, "system", roles=["platform-admin"])
        self.person("admin@acme.example", roles=["tenant-admin"])
        self.person("somebody@acme.example")

    @property
    def url(self) -> str:
        """The server's address."""
        return self.running.url

    def person(self, email: str, slug: str = "acme", **more: Any) -> str:
        """Make a person with the password of all people."""
        self.people[email] = self.running.house.user(self.tenants[slug], email, **more)
        return self.people[email]

    def token(self, email: str = "admin@acme.example", slug: str = "acme") -> str:
        """An access token as `idp token` makes it."""
        made: str = json.loads(self.running.idp("token", slug, email, "--json"))["access_token"]
        return made


__all__ = ["ADMIN", "PASSWORD", "SdkWorld"]
