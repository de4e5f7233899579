"""Issuers: which address a new tenant is issued at, and what a slug and a domain may look like (RFC 8414 §2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from idp.errors import Invalid

if TYPE_CHECKING:
    from idp.settings import Settings

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(
    r"(?=.{4,253}(?::|$))(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?::[1-9][0-9]{0,4})?"
)


def check_slug(slug: str) -> str:
    """Return the slug; raises :class:`Invalid` unless it is a lower-case DNS label."""
    if not _SLUG.fullmatch(slug):
        raise Invalid("A slug is 1 to 63 lower-case letters, digits and inner hyphens, such as acme.")
    return slug


def check_domain(domain: str) -> str:
    """Return the domain in lower case; raises :class:`Invalid` unless it is a host name, with a port if it needs one."""
    domain = domain.strip().lower().rstrip(".")
    if not _DOMAIN.fullmatch(domain):
        raise Invalid("A domain is a host name such as login.example.com.")
    return domain


def issuer_of(settings: Settings, slug: str, domain: str | None) -> str:
    """Return the issuer of a new tenant: its own domain, else a host below the tenant domain, else a path."""
    if domain:
        return f"https://{domain}"
    if settings.tenant_domain:
        return f"https://{slug}.{settings.tenant_domain}"
    return f"{settings.public_url}/t/{slug}"
