"""Claims: which scope releases which claim (OpenID Connect Core §5.1, §5.4), read from a user's row.

A row is any object with the columns ``username``, ``email``, ``email_verified``, ``claims`` and ``updated_at``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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


# Which scope releases a claim; the claims parameter asks for a claim by itself (§5.5).
SCOPE_OF = {claim: scope for scope, claims in SCOPE_CLAIMS.items() for claim in claims}


@dataclass(frozen=True, slots=True)
class Release:
    """Which scope of a tenant releases which claim, and the other way round."""

    by_scope: Mapping[str, tuple[str, ...]] = field(hash=False)
    types: Mapping[str, tuple[type, ...]] = field(
        default_factory=dict, hash=False
    )  # of the tenant's own claims, in JSON
    scope_of: Mapping[str, str] = field(init=False, hash=False)

    def __post_init__(self) -> None:
        """Turn the table round once."""
        by_claim = {claim: scope for scope, claims in self.by_scope.items() for claim in claims}
        object.__setattr__(self, "scope_of", by_claim)

    def may_be(self, claim: str, value: Any) -> bool:
        """Say whether a stored value is what its claim is by now: an application may take the text "false" for a yes."""
        return claim not in self.types or type(value) in self.types[claim]


STANDARD = Release(SCOPE_CLAIMS)


def claims_for(
    user: Any,
    scopes: frozenset[str],
    requested: Collection[str] = (),
    locales: Sequence[str] = (),
    release: Release = STANDARD,
) -> dict[str, Any]:
    """Return the claims about ``user`` that ``scopes`` release or that are ``requested``, without ``sub``.

    Absent ones are left out (§5.3.2). ``requested`` names may carry a language tag; ``locales`` are the languages that are
    preferred, the best first (§5.2). ``release`` is the tenant's.
    """
    stored: dict[str, Any] = user.claims or {}
    names = {claim for scope in scopes for claim in release.by_scope.get(scope, ())}
    names.update(name for name in requested if name in release.scope_of)
    found = {name: value for name in names if (value := stored.get(name)) is not None and release.may_be(name, value)}
    if "email" in names and user.email:
        found["email"] = user.email
    if "email_verified" in names and user.email:
        found["email_verified"] = bool(user.email_verified)
    if "preferred_username" in names:
        found.setdefault("preferred_username", user.username)
    if "updated_at" in names:
        found["updated_at"] = user.updated_at
    if any("#" in name for name in stored) and (locales or any("#" in name for name in requested)):
        _add_languages(found, names, stored, requested, locales)
    return found


def _add_languages(
    found: dict[str, Any],
    names: set[str],
    stored: dict[str, Any],
    requested: Collection[str],
    locales: Sequence[str],
) -> None:
    """Add values in other languages: under their tag, or without one where only one language is wanted (§5.2)."""
    for name in names:
        for locale in locales:
            tagged = in_language(stored, name, locale)
            if tagged is None:
                continue
            if len(locales) == 1:
                found[name] = stored[tagged]
            else:
                found[tagged] = stored[tagged]
    for wanted in requested:
        name, _, locale = wanted.partition("#")
        tagged = in_language(stored, name, locale) if locale and name in SCOPE_OF else None
        if tagged is not None:
            found[tagged] = stored[tagged]


def in_language(stored: dict[str, Any], name: str, locale: str) -> str | None:
    """Return the name in ``stored`` whose language tag is ``locale``, or is nearest to it (RFC 4647 §3.4: its prefixes in turn)."""
    by_tag = {key.partition("#")[2].lower(): key for key in stored if key.startswith(f"{name}#")}
    parts = locale.lower().split("-")
    for length in range(len(parts), 0, -1):
        tag = "-".join(parts[:length])
        if tag in by_tag:
            return by_tag[tag]
    return None
