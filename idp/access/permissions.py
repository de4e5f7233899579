"""The product's permissions and the built-in roles that hold them: one table, which no request changes.

A permission is ``resource:action``. A tenant may define others for its own applications; those are rows, these are code, so that
nobody can edit the built-in roles into a lock-out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}:[a-z][a-z0-9_.-]{0,62}", re.ASCII)
PLATFORM = "platform"  # permissions that only users of `system` can use

# Name → what it allows.
PERMISSIONS: Mapping[str, str] = {
    "tenants:create": "Create tenants",
    "tenants:read": "See tenants and their health",
    "tenants:write": "Change a tenant's name and settings",
    "tenants:suspend": "Suspend and resume tenants",
    "tenants:delete": "Delete tenants",
    "branding:read": "See a tenant's branding",
    "branding:write": "Change a tenant's branding",
    "domains:read": "See a tenant's domains",
    "domains:write": "Add, prove and remove a tenant's domains",
    "keys:read": "See a tenant's public keys",
    "keys:write": "Rotate and revoke a tenant's keys",
    "users:read": "See users",
    "users:write": "Create, change, disable and enable users",
    "users:delete": "Delete and restore users",
    "invitations:read": "See invitations",
    "invitations:write": "Invite people, resend and cancel invitations",
    "sessions:read": "See users' sessions",
    "sessions:write": "End users' sessions",
    "consents:read": "See what users have allowed applications",
    "consents:write": "Withdraw what users have allowed applications",
    "roles:read": "See roles and permissions",
    "roles:write": "Create, change and delete roles and permissions",
    "role-bindings:read": "See who holds which role",
    "role-bindings:write": "Give roles and take them back",
    "groups:read": "See groups and who is in them",
    "groups:write": "Create, change and delete groups, and decide who is in them",
    "clients:read": "See applications",
    "clients:write": "Register, change and delete applications",
    "registration-tokens:read": "See tokens for registering applications",
    "registration-tokens:write": "Issue and revoke tokens for registering applications",
    "tokens:validate": "Ask whether a token is valid and what it allows",
    "tokens:revoke": "Revoke users' tokens",
    "tokens:exchange": "Exchange tokens that other applications were given (RFC 8693)",
    "tokens:impersonate": "Exchange tokens without standing in them as who acts",
    "policy:check": "Ask what somebody may do",
    "webhooks:read": "See webhooks and what was delivered",
    "webhooks:write": "Create, change, test and delete webhooks",
    "audit:read": "Read and export the audit log",
    "profile:read": "See one's own profile, groups and permissions",
}
# What only tokens of `system` can use, whatever roles another tenant has.
OF_PLATFORM = frozenset({"tenants:create", "tenants:suspend", "tenants:delete"})
_OWN = frozenset({"profile:read"})


def _of(*resources: str) -> frozenset[str]:
    return frozenset(name for name in PERMISSIONS if name.partition(":")[0] in resources) | _OWN


_READING = frozenset(name for name in PERMISSIONS if name.endswith(":read"))

# fmt: off
BUILT_IN: Mapping[str, frozenset[str]] = {
    "platform-admin": frozenset(PERMISSIONS),
    "tenant-admin":   frozenset(PERMISSIONS) - OF_PLATFORM,
    "user-admin":     _of("users", "invitations", "sessions", "consents", "groups") | {"roles:read", "role-bindings:read"},
    "client-admin":   _of("clients", "registration-tokens") | {"keys:read"},
    "auditor":        _READING,
    "user":           _OWN,
}
# fmt: on
ABOUT: Mapping[str, str] = {
    "platform-admin": "Administers the platform: every tenant and everything in it",
    "tenant-admin": "Administers the tenant: its users, applications, roles and settings",
    "user-admin": "Administers users, groups and invitations, of people who may do no more than that",
    "client-admin": "Administers applications",
    "auditor": "Sees everything and changes nothing",
    "user": "What everybody may do with the own account",
}
EVERYBODY = "user"


def is_product(permission: str) -> bool:
    """Say whether a permission is one of the product's own."""
    return permission in PERMISSIONS


def built_in_with(permission: str) -> frozenset[str]:
    """Return the built-in roles that hold a permission."""
    return frozenset(role for role, held in BUILT_IN.items() if permission in held)


def of_role(role: str, stored: Iterable[str] = ()) -> frozenset[str]:
    """Return what a role grants; ``stored`` are the permissions of its rows, which a built-in one does not have."""
    return BUILT_IN[role] if role in BUILT_IN else frozenset(stored)
