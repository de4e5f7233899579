"""Claims: which scope releases which claim (OpenID Connect Core §5.1, §5.4), read from a user's row.

A row is any object with the columns ``username``, ``email``, ``email_verified``, ``claims`` and ``updated_at``.
"""

from __future__ import annotations

from typing import Any

# OpenID Connect Core §5.4.
SCOPE_CLAIMS: dict[str, tuple[str, ...]] = {
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
STANDARD_SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access")
CLAIMS_SUPPORTED = ("sub", *(claim for claims in SCOPE_CLAIMS.values() for claim in claims))


def claims_for(user: Any, scopes: frozenset[str]) -> dict[str, Any]:
    """Return the claims about ``user`` that ``scopes`` release, without ``sub``; absent ones are left out (§5.3.2)."""
    found: dict[str, Any] = {}
    stored: dict[str, Any] = user.claims or {}
    for scope in scopes:
        for claim in SCOPE_CLAIMS.get(scope, ()):
            value = stored.get(claim)
            if value is not None:
                found[claim] = value
    if "email" in scopes and user.email:
        found["email"] = user.email
        found["email_verified"] = bool(user.email_verified)
    if "profile" in scopes:
        found.setdefault("preferred_username", user.username)
        found["updated_at"] = user.updated_at
    return found
