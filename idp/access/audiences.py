"""The audiences of access tokens: the tenant's issuer, and the services of this installation (RFC 8707 §2, RFC 9068 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Where a service is, below the public address → what it is called.
SERVICES: Mapping[str, str] = {
    "uflow": "User Flow",
    "authmgr": "Auth Manager",
    "webauthn": "WebAuthn",
    "clientms": "Client Management",
}


def of_service(public_url: str, service: str) -> str:
    """Return the audience that a token for a service names."""
    return f"{public_url}/{service}"


def of_services(public_url: str) -> tuple[str, ...]:
    """Return the audiences of all services."""
    return tuple(of_service(public_url, service) for service in SERVICES)
